"""Errors in deliveries and in the configuration.

Each error about a delivery has the HTTP status of its response, so that the resource needs no mapping.
These errors derive from :class:`ValueError`, for which a host that does not know them responds with 400.

The message is sent to the sender unchanged. So it contains only our own words and the names of fields, never
a value that was sent, and never what was expected of a secret.
"""

from __future__ import annotations

from collections.abc import Sequence


class DeliveryError(ValueError):
    """The delivery is refused. The base class of all errors below.

    :param message: what is wrong and what to do about it; shown to the sender.
    """

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadPayload(DeliveryError):
    """The body or the arguments are not valid in this dialect.

    :param message: what is wrong.
    :param field: where, as a path from the payload's root (``$.commits[3].author``) or as the name of
        an argument; None: the error concerns the whole body.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field


class NotAuthenticated(DeliveryError):
    """The sender could not be verified."""

    status = 403


class AddressNotAllowed(NotAuthenticated):
    """The sender's address is not allowed."""

    def __init__(self) -> None:
        super().__init__("deliveries from this address are not accepted")


class TooManyRequests(DeliveryError):
    """Too many unverified requests from one address.

    :param retry_after: seconds until the next request is accepted.
    """

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many unverified requests from this address; try again later")
        self.retry_after = retry_after


class SignatureMissing(NotAuthenticated):
    """There is no signature or token, but this endpoint requires one."""


class SignatureMismatch(NotAuthenticated):
    """There is a signature or token, but it is malformed or matches none of the secrets."""


class CrossSiteRequest(DeliveryError):
    """A browser sent the request on behalf of another site's page."""

    status = 403


class UnknownDialect(DeliveryError):
    """No such dialect is enabled at this address."""

    status = 404


class MethodNotAllowed(DeliveryError):
    """The dialect does not accept this HTTP method.

    :param allowed: the methods that it accepts.
    """

    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"this URL accepts only {', '.join(allowed)}")
        self.allowed = tuple(allowed)


class BodyTooLarge(DeliveryError):
    """The body is over the limit.

    :param cap: the largest body accepted, in bytes.
    """

    status = 413

    def __init__(self, cap: int) -> None:
        super().__init__(f"the body is over {cap} bytes (change_hook_max_body)")
        self.cap = cap


class RequestTimeout(DeliveryError):
    """The request did not arrive in time."""

    status = 408


class HeadTooLarge(DeliveryError):
    """The request line and headers are over the limit.

    :param cap: the largest head accepted, in bytes.
    """

    status = 431

    def __init__(self, cap: int) -> None:
        super().__init__(f"the request line and headers are over {cap} bytes")


class UnsupportedContentType(DeliveryError):
    """The dialect does not accept this content type or character set."""

    status = 415


class Unavailable(DeliveryError):
    """The delivery cannot be accepted now, but may be later.

    :param retry_after: seconds until the sender should try again.
    """

    status = 503

    def __init__(self, message: str, retry_after: int = 30) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EndpointOff(Unavailable):
    """The endpoint is off: its handler cannot be created."""

    def __init__(self) -> None:
        super().__init__("this endpoint is off because of an error in its configuration; see the log")


class ConfigurationError(Exception):
    """The configuration cannot be used.

    :param problems: all problems found, each a sentence that names the key and what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


__all__ = [
    "AddressNotAllowed",
    "BadPayload",
    "BodyTooLarge",
    "ConfigurationError",
    "CrossSiteRequest",
    "DeliveryError",
    "EndpointOff",
    "HeadTooLarge",
    "MethodNotAllowed",
    "NotAuthenticated",
    "RequestTimeout",
    "SignatureMismatch",
    "SignatureMissing",
    "TooManyRequests",
    "Unavailable",
    "UnknownDialect",
    "UnsupportedContentType",
]

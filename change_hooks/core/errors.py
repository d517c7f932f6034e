"""What can be wrong with a delivery, or with the configuration.

Each error about a delivery knows the HTTP status that answers it, so that the resource maps nothing.
They derive from :class:`ValueError`: a host that knows no other kind of refusal answers 400 to those.

The message goes to the sender as it stands. So it holds our own words and the names of fields, never
a value that was sent, and never what was expected of a secret.
"""

from __future__ import annotations

from collections.abc import Sequence


class DeliveryError(ValueError):
    """A delivery that is refused. The base of all below.

    :param message: what is wrong and what to do about it; shown to the sender.
    """

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadPayload(DeliveryError):
    """The body or the arguments are not what the dialect says.

    :param message: what is wrong.
    :param field: where, as a path from the payload's root (``$.commits[3].author``) or as the name of
        an argument; None when the whole is meant.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field


class NotAuthenticated(DeliveryError):
    """The sender could not be verified."""

    status = 403


class AddressNotAllowed(NotAuthenticated):
    """The sender's address is not among those that are allowed."""

    def __init__(self) -> None:
        super().__init__("deliveries from this address are not accepted")


class TooManyRequests(DeliveryError):
    """Too many requests of one address that nothing verifies.

    :param retry_after: seconds after which the next one is answered.
    """

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many unverified requests from this address; try again later")
        self.retry_after = retry_after


class SignatureMissing(NotAuthenticated):
    """There is no signature or token, and this endpoint demands one."""


class SignatureMismatch(NotAuthenticated):
    """There is a signature or token, but it is malformed or not made with any of the secrets."""


class CrossSiteRequest(DeliveryError):
    """A browser sends this for a page of another site."""

    status = 403


class UnknownDialect(DeliveryError):
    """No such dialect is enabled at this address."""

    status = 404


class MethodNotAllowed(DeliveryError):
    """The dialect does not take this HTTP method.

    :param allowed: the methods that it does take.
    """

    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"this URL accepts only {', '.join(allowed)}")
        self.allowed = tuple(allowed)


class BodyTooLarge(DeliveryError):
    """The body is over the cap.

    :param cap: the largest body taken, in bytes.
    """

    status = 413

    def __init__(self, cap: int) -> None:
        super().__init__(f"the body is over {cap} bytes (change_hook_max_body)")
        self.cap = cap


class RequestTimeout(DeliveryError):
    """The request did not arrive in time."""

    status = 408


class HeadTooLarge(DeliveryError):
    """The request line and the headers are over the cap.

    :param cap: the largest head taken, in bytes.
    """

    status = 431

    def __init__(self, cap: int) -> None:
        super().__init__(f"the request line and headers are over {cap} bytes")


class UnsupportedContentType(DeliveryError):
    """The dialect does not take this content type or character set."""

    status = 415


class Unavailable(DeliveryError):
    """It cannot be taken now; the same delivery may be accepted later.

    :param retry_after: seconds after which it is worth trying again.
    """

    status = 503

    def __init__(self, message: str, retry_after: int = 30) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EndpointOff(Unavailable):
    """The endpoint is off: its handler cannot be created."""

    def __init__(self) -> None:
        super().__init__("this endpoint is off, since its configuration does not work; the log says why")


class ConfigurationError(Exception):
    """The configuration cannot be used.

    :param problems: every problem found, each a sentence that names the key and what to do.
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

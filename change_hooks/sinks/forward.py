"""Forwards every delivery to another receiver, as it was received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from zope.interface import implementer

from change_hooks.core.delivery import Delivery
from change_hooks.core.fetched import is_sent
from change_hooks.core.sink_answers import SinkRefused
from change_hooks.core.verification import as_secrets, sign_hmac
from change_hooks.interfaces import IDeliverySink
from change_hooks.sinks.base import read_option
from change_hooks.sinks.http import TIME_LIMIT, Poster, standard_webhook

#: Headers about the connection, not about the delivery. Source: RFC 9110, section 7.6.1.
HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
#: Headers that are created again for the new connection, and those that proxies in front of us added.
NOT_OURS = frozenset(
    {
        *(b"host", b"content-length", b"accept-encoding", b"expect", b"authorization", b"cookie"),
        *(b"forwarded", b"via", b"x-real-ip"),
    }
)
_OF_PROXIES = b"x-forwarded-"

#: Headers with an HMAC of the body: the algorithm, and the prefix of the digits.
HMAC_HEADERS = {
    "x-hub-signature-256": ("sha256", "sha256="),
    "x-gitea-signature": ("sha256", ""),
    "x-gogs-signature": ("sha256", ""),
    "x-forgejo-signature": ("sha256", ""),
}
#: The header whose value names its algorithm: GitHub uses SHA-1 there, others SHA-256.
OLD_HMAC_HEADER = "x-hub-signature"


@implementer(IDeliverySink)
class Forward:
    """Forwards every delivery that gives a change to another receiver: the same body, the forge's headers.

    A receiver that verifies the forge's signature accepts it, even hours later. A status of 2xx means that
    the delivery was accepted; after any other it is sent again, not before ``Retry-After``.

    A token, or a signature with a timestamp, cannot be forwarded as it is: GitLab's token, and the signature
    of Standard Webhooks. With *secret*, these are created again, and so are all other signatures, as the
    endpoint's own sender would create them, for a receiver that has another secret than this one.

    :param url: ``http://`` or ``https://``; redirects are not followed.
    :param secret: the receiver's secret; None: signatures over the body alone are forwarded unchanged.
    :param name: what the journal calls this sink.
    :param time_limit: for each request, in seconds.
    :param verify: check the server's certificate.
    :raises TypeError: an option has the wrong type; None selects an option's default.
    :raises ValueError: *url* or *secret* is invalid.
    """

    per = "delivery"
    #: This sink measures its time limit itself.
    time_limit = None

    def __init__(
        self,
        url: str,
        *,
        secret: str | bytes | None = None,
        name: str = "forward",
        time_limit: float | None = TIME_LIMIT,
        verify: bool | None = True,
        http: Any = None,
        clock: Any = None,
    ) -> None:
        self._poster = Poster(url, time_limit=time_limit, verify=verify, http=http, clock=clock)
        self.name = name
        secrets: list[bytes] = read_option("secret", secret, as_secrets, default=[])
        self._secret = secrets[0] if secrets else None
        #: Signs a delivery like its endpoint's sender; set by the service.
        self.sign_as: Callable[[Delivery, bytes], Delivery] = lambda delivery, secret: delivery

    def add_delivery(self, delivery: Delivery) -> Any:
        """See :meth:`change_hooks.interfaces.IDeliverySink.add_delivery`."""
        if not is_sent(delivery):
            raise SinkRefused("it was not received as a request that could be forwarded")
        headers = headers_to_forward(delivery.requestHeaders)
        body = delivery.body
        if self._secret is not None:
            now = int(self._poster.now())
            sign(headers, delivery, self._secret, now)
            sent = Delivery(
                delivery.method,
                delivery.uri,
                headers,
                body,
                id=delivery.id,
                dialect=delivery.dialect,
                received=float(now),
            )
            try:
                signed = self.sign_as(sent, self._secret)
            except ValueError as error:
                raise SinkRefused(f"it cannot be signed: {error}") from error
            headers, body = signed.requestHeaders, signed.body
        return self._poster.send(delivery.method.decode("ascii"), body, headers)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open."""
        return self._poster.close()


def headers_to_forward(received: Headers) -> Headers:
    """The sender's own headers: without those about its connection, and those of proxies."""
    named = {
        name.strip().lower()
        for value in received.getRawHeaders(b"connection") or ()
        for name in value.split(b",")
    }
    forwarded = Headers()
    for name, values in received.getAllRawHeaders():
        lower = name.lower()
        if lower not in HOP_BY_HOP | NOT_OURS | named and not lower.startswith(_OF_PROXIES):
            forwarded.setRawHeaders(name, values)
    return forwarded


def sign(headers: Headers, delivery: Delivery, secret: bytes, now: int) -> None:
    """Create all signatures and tokens of a delivery again, in the schemes that it was received with.

    :param headers: changed in place.
    :param now: seconds since the epoch.
    """
    body = delivery.body
    if headers.hasHeader("webhook-id") or headers.hasHeader("webhook-signature"):
        name = _last(headers, "webhook-id") or delivery.id or ""
        for header, value in standard_webhook(body, name, now, [secret]).items():
            headers.setRawHeaders(header, [value])
    if headers.hasHeader("x-gitlab-event"):
        headers.setRawHeaders(b"x-gitlab-token", [secret])
    for header, (algorithm, prefix) in HMAC_HEADERS.items():
        if headers.hasHeader(header):
            headers.setRawHeaders(header, [sign_hmac(body, secret, algorithm, prefix)])
    if headers.hasHeader("x-github-event"):
        headers.setRawHeaders("x-hub-signature-256", [sign_hmac(body, secret)])
    old = _last(headers, OLD_HMAC_HEADER)
    if old is not None:
        algorithm = "sha1" if old.startswith("sha1=") else "sha256"
        headers.setRawHeaders(OLD_HMAC_HEADER, [sign_hmac(body, secret, algorithm, f"{algorithm}=")])


def _last(headers: Headers, name: str) -> str | None:
    values = headers.getRawHeaders(name)
    return values[-1] if values else None


__all__ = ["Forward", "headers_to_forward", "sign"]

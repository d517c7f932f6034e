"""Send every change to another web server, signed as Standard Webhooks."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from hashlib import sha256
from time import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import inlineCallbacks
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.verification import as_secrets, sign_standard_webhook
from change_hooks.forges.client import http_client
from change_hooks.interfaces import IChangeSink, SinkError


@implementer(IChangeSink)
class Http:
    """POSTs every change as a JSON object: its fields, ``dialect``, ``delivery`` and ``index``.

    A status of 2xx means that it was taken; with any other it is tried again, not before ``Retry-After``.
    ``webhook-id`` is the same at every attempt, so that a receiver can drop repetitions.

    :param url: ``http://`` or ``https://``; redirections are not followed.
    :param secret: signs the request (``webhook-signature``): a ``whsec_`` token or any str or bytes; None:
        it is not signed.
    :param name: what the journal calls this sink.
    :param time_limit: for each request, in seconds.
    :param verify: check the server's certificate.

    Source: Standard Webhooks.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | bytes | None = None,
        name: str = "http",
        time_limit: float = 30.0,
        verify: bool = True,
        http: Any = None,
        clock: Any = None,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("url must begin with http:// or https://")
        self.name = name
        self._url = url
        self._secrets = as_secrets(secret)
        self._time_limit = time_limit
        self._verify = verify
        self._http = http
        self._clock = clock
        self._now = time if clock is None else clock.seconds

    @inlineCallbacks
    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = reactor
        if self._http is None:
            self._http = http_client(self._clock, verify=self._verify, connect_timeout=self._time_limit)
        fields = change.as_dict()
        if key is not None:
            fields.update(key._asdict())
        body = msgspec.json.encode(fields)
        response = yield self._http.post(
            self._url,
            data=body,
            headers=self._headers(body, key),
            allow_redirects=False,
            timeout=self._time_limit,
            reactor=self._clock,
        )
        yield response.content().addTimeout(self._time_limit, self._clock)
        if not 200 <= response.code < 300:
            wait = retry_after(response.headers.getRawHeaders("retry-after"), self._now())
            raise SinkError(f"status {response.code}", retry_after=wait)

    def _headers(self, body: bytes, key: Any) -> dict[str, str]:
        headers = {"content-type": "application/json", "user-agent": "change-hooks"}
        now = int(self._now())
        name = "|".join(map(str, key)) if key is not None else sha256(body).hexdigest()
        headers["webhook-id"] = "msg_" + sha256(name.encode()).hexdigest()[:32]
        headers["webhook-timestamp"] = str(now)
        if self._secrets:
            headers["webhook-signature"] = sign_standard_webhook(
                body, headers["webhook-id"], now, self._secrets[0]
            )
        return headers


def retry_after(header: list[str] | None, now: float) -> float:
    """The seconds that a ``Retry-After`` header asks for: a number, or the time until a date; else 0.

    :param now: seconds since the epoch.

    Source: RFC 9110, section 10.2.3.
    """
    if not header:
        return 0.0
    text = header[-1].strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


__all__ = ["Http", "retry_after"]

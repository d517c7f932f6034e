"""Sends every change to another web server, signed as in Standard Webhooks."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.web.http_headers import Headers
from zope.interface import implementer

from change_hooks.core.address import server_url
from change_hooks.core.change import Change
from change_hooks.core.options import flag, seconds
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import OUTPUT_KEPT, SinkBusy, SinkError
from change_hooks.core.verification import as_secrets, sign_standard_webhook
from change_hooks.flow import reactor_unless
from change_hooks.http_answers import Answer, AnswerTooLarge, begin, collect, retry_after
from change_hooks.interfaces import IAlarmSink, IChangeSink
from change_hooks.sinks.base import read_option
from change_hooks.sinks.messages import (
    FORMATS,
    Message,
    alarm_message,
    event_headers,
    known_format,
    message_of,
)

if TYPE_CHECKING:
    from change_hooks.http_client import KeptConnections

#: How much of a response is read, in bytes. Only the status matters.
ANSWER_READ = 64 * 1024
#: The default time limit for each request, in seconds.
TIME_LIMIT = 30.0
#: Statuses about the moment, not about the request: Request Timeout, Too Early, Too Many Requests.
#: Source: RFC 9110, section 15.5.9; RFC 8470, section 5.2; RFC 6585, section 4.
NOT_NOW = frozenset({408, 425, 429})
#: How long to wait after one of these without ``Retry-After``, in seconds.
BUSY = 30.0


class Poster:
    """Sends requests to one address, over connections that are kept open.

    :param url: ``http://`` or ``https://``; redirects are not followed.
    :param time_limit: for each request, from connecting to the end of the response, in seconds.
    :param verify: check the server's certificate.
    :param http: a treq ``HTTPClient``; by default, one is created on demand.
    :param clock: the reactor by default.
    :raises TypeError: an option has the wrong type; None selects an option's default.
    :raises ValueError: *url* is not such an address.
    """

    def __init__(
        self, url: str, *, time_limit: float | None, verify: bool | None, http: Any, clock: Any
    ) -> None:
        self._url = server_url(url, "http", "https")
        self._time_limit = read_option("time_limit", time_limit, seconds, default=TIME_LIMIT)
        self._verify = read_option("verify", verify, flag, default=True)
        self._http = http
        self._kept: KeptConnections | None = None
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        seconds: float = time() if self._clock is None else self._clock.seconds()
        return seconds

    @inlineCallbacks
    def send(self, method: str, body: bytes, headers: Headers) -> Any:
        """Send a request. Fires when a status of 2xx has arrived, whatever follows it.

        :raises SinkError: (fails with) another status arrived; *retry_after* is what the server asks for.
        :raises SinkBusy: (fails with) the status is one of :data:`NOT_NOW`.
        """
        clock = reactor_unless(self._clock)
        until = clock.seconds() + self._time_limit
        response = yield begin(
            self._http or self._connections(clock),
            method,
            self._url,
            clock=clock,
            time_limit=self._time_limit,
            headers=headers,
            data=body,
        )
        reading = collect(response, ANSWER_READ).addTimeout(until - clock.seconds(), clock)
        if 200 <= response.code < 300:
            # Read to the end, so that the connection can be reused.
            reading.addErrback(lambda _: None)
            return
        raise self._refusal((yield _read(reading, response)))

    def _connections(self, clock: Any) -> KeptConnections:
        if self._kept is None:
            from change_hooks.http_client import KeptConnections

            self._kept = KeptConnections(clock, verify=self._verify, connect_timeout=self._time_limit)
        return self._kept

    def _refusal(self, answer: Answer) -> SinkError:
        wait = retry_after(answer.header("retry-after"), self.now())
        said = answer.body[-OUTPUT_KEPT:].decode("utf-8", "replace")
        if answer.status in NOT_NOW:
            return SinkBusy(f"status {answer.status}", wait or BUSY, output=said)
        return SinkError(f"status {answer.status}", retry_after=wait, output=said)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open."""
        return succeed(None) if self._kept is None else self._kept.close()


@inlineCallbacks
def _read(reading: Deferred[Answer], response: Any) -> Any:
    """A negative response, as far as it can be read: only its status matters."""
    try:
        return (yield reading)
    except AnswerTooLarge as error:
        return error.answer
    except CancelledError:
        raise
    except Exception:
        return Answer(response.code, response.headers, b"")


@implementer(IChangeSink, IAlarmSink)
class Http:
    """POSTs every change as a JSON object: its fields, ``dialect``, ``delivery`` and ``index``.

    A status of 2xx means that it was accepted; after any other it is sent again, not before ``Retry-After``.
    ``webhook-id`` is the same in every attempt, so that a receiver can drop repetitions.

    :param url: ``http://`` or ``https://``; redirects are not followed.
    :param secret: signs the request (``webhook-signature``): a ``whsec_`` token or any str or bytes; None:
        it is not signed.
    :param format: ``'change'``; ``'cloudevents'``: the same object as a CloudEvent in binary mode;
        ``'cloudevents-structured'``: in structured mode.
    :param name: what the journal calls this sink.
    :param time_limit: for each request, in seconds.
    :param verify: check the server's certificate.
    :raises TypeError: an option has the wrong type; None selects an option's default.
    :raises ValueError: *url*, *secret* or *format* is invalid.

    Source: Standard Webhooks; CloudEvents 1.0.2, HTTP binding.
    """

    #: This sink measures its time limit itself.
    time_limit = None

    def __init__(
        self,
        url: str,
        *,
        secret: str | bytes | None = None,
        format: str | None = "change",
        name: str = "http",
        time_limit: float | None = TIME_LIMIT,
        verify: bool | None = True,
        http: Any = None,
        clock: Any = None,
    ) -> None:
        self._poster = Poster(url, time_limit=time_limit, verify=verify, http=http, clock=clock)
        self.name = name
        self._secrets: list[bytes] = read_option("secret", secret, as_secrets, default=[])
        self._format = read_option("format", format, known_format, default=FORMATS[0])

    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        return self._send(message_of(change, key, self._format))

    def add_alarm(self, alarm: ReceiverAlarm) -> Any:
        """See :meth:`change_hooks.interfaces.IAlarmSink.add_alarm`."""
        return self._send(alarm_message(alarm, self._format))

    def _send(self, message: Message) -> Any:
        headers = {
            "content-type": message.content_type,
            "user-agent": "change-hooks",
            **self._signature(message),
            **event_headers(message),
        }
        sent = Headers({header: [value] for header, value in headers.items()})
        return self._poster.send("POST", message.body, sent)

    def _signature(self, message: Message) -> dict[str, str]:
        return standard_webhook(message.body, message.id, int(self._poster.now()), self._secrets[:1])

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open."""
        return self._poster.close()


def standard_webhook(body: bytes, id: str, now: int, secrets: list[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks, with a signature for each of *secrets*."""
    headers = {"webhook-id": id, "webhook-timestamp": str(now)}
    if secrets:
        headers["webhook-signature"] = " ".join(
            sign_standard_webhook(body, id, now, secret) for secret in secrets
        )
    return headers


__all__ = ["Http", "Poster", "standard_webhook"]

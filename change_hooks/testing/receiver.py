"""A receiver in memory: what ``serve`` runs, with a clock that advances only when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from treq.client import HTTPClient
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from typing_extensions import Self, Unpack
from zope.interface import implementer

from change_hooks.config import read_www
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.events import Event
from change_hooks.dialects.handler import HookHandler
from change_hooks.interfaces import IPoller, Sink
from change_hooks.journal import StoredDelivery
from change_hooks.journal.in_memory import MemoryJournal
from change_hooks.observer import Observers
from change_hooks.outbox.sink_options import NAMES as SINK_OPTIONS
from change_hooks.service import ChangeHookService
from change_hooks.testing.requests import Payload, Sent, build
from change_hooks.testing.sinks import MemoryDeliverySink, MemorySink

#: How long a response may take, in seconds of the receiver's clock: no sender waits longer.
ANSWERED_WITHIN = 60.0
#: How long :meth:`Receiver.settle` runs, in seconds of the receiver's clock: longer than all retries take.
SETTLED_WITHIN = 7 * 24 * 3600.0
_NOTHING = "no change found"


class Unsettled(AssertionError):
    """Something is still waiting that should have finished."""


@dataclass(frozen=True)
class Result:
    """The result of a request.

    :param status: the HTTP status.
    :param text: the message in the response.
    :param changes: the stored changes; empty for a duplicate, and while changes are still being looked up.
    :param events: the events that the delivery reports, before the options apply. Empty for a handler that
        returns changes.
    :param reason: why there is no change, or why the delivery was refused; empty if there are changes.
    :param delivery: the delivery's id; empty if it was refused before it had one.
    :param headers: the headers of the response.
    :param log: the errors that were logged meanwhile, such as where a handler broke.
    """

    status: int
    text: str
    changes: list[Change] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    reason: str = ""
    delivery: str = ""
    headers: Headers = field(default_factory=Headers, repr=False, compare=False)
    log: str = ""


class Receiver:
    """A receiver with a journal in memory, started, without a socket.

    Sinks that *www* names by kind (``command``, ``http`` …) are replaced by sinks in memory that get the same
    changes or deliveries; a callable or a sink object in *www* is used as it is. Without any sink, one in
    memory called ``sink`` is used. ``change_hook_journal`` is not used, and no port is opened.

    :param www: see :func:`change_hooks.make_resource`.
    :param sink: one more sink.
    :param master: given to handlers as ``self.master``.
    :param pollers: for the dialect ``poller``.
    :param http: the client for requests to forges, for instance a ``treq.testing.StubTreq``; by default every
        request gets a 404, and nothing is sent anywhere.
    :param base: the folder for relative paths.
    :param beside: a receiver whose journal and clock this one shares: to work together, or, if that one was
        stopped, to continue where it ended.
    :raises ConfigurationError: *www* has errors.
    """

    def __init__(
        self,
        www: Mapping[str, object],
        *,
        sink: Sink | None = None,
        master: object = None,
        pollers: Iterable[IPoller] = (),
        http: HTTPClient | None = None,
        base: Path | None = None,
        beside: Receiver | None = None,
    ) -> None:
        self.clock: Clock = Clock() if beside is None else beside.clock
        observers = Observers()
        self.journal: MemoryJournal = MemoryJournal(
            None if beside is None else beside.journal.store, clock=self.clock.seconds, observer=observers
        )
        #: The sinks in memory, by name.
        self.sinks: dict[str, MemorySink] = {}
        #: Those that replace sinks of whole deliveries.
        self.delivery_sinks: dict[str, MemoryDeliverySink] = {}
        #: The events of all deliveries, before the options applied.
        self.events: list[Event] = []
        self._www: dict[str, Any] = {**www, "change_hook_sinks": self._in_memory(www, base)}
        admin = www.get("change_hook_admin")
        if isinstance(admin, Mapping):
            self._www["change_hook_admin"] = {**admin, "port": None}
        if sink is None and not self._www["change_hook_sinks"]:
            sink = self.sinks["sink"] = MemorySink()
        self.service = ChangeHookService(
            self._www,
            sink=sink,
            master=master,
            pollers=pollers,
            http=http or cast("HTTPClient", StubTreq(notFound())),  # type: ignore[no-untyped-call]
            clock=self.clock,
            base=base,
            journal=self.journal,
            reported=self.events.extend,
        )
        observers.add(self.service.observer)
        root = Resource()
        root.putChild(b"change_hook", self.service.resource)
        self._client: Any = StubTreq(root)  # type: ignore[no-untyped-call]
        self.service.startService()
        self.clock.advance(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _in_memory(self, www: Mapping[str, object], base: Path | None) -> dict[str, Any]:
        sinks: dict[str, Any] = dict(cast("Mapping[str, Any]", www.get("change_hook_sinks") or {}))
        for name, routed in read_www(www, base=base).sinks.items():
            written = sinks[name]
            if not isinstance(written, Mapping) or not isinstance(written["sink"], str):
                continue
            options = {option: written[option] for option in SINK_OPTIONS if option in written}
            if routed.per == "delivery":
                self.delivery_sinks[name] = MemoryDeliverySink(name)
                sinks[name] = {**options, "sink": self.delivery_sinks[name]}
            else:
                self.sinks[name] = MemorySink(name)
                own = {"per": routed.per, "attempts": routed.attempts}
                sinks[name] = {**options, **own, "sink": self.sinks[name]}
        return sinks

    def post(self, endpoint: str, event: str = "", payload: Payload = b"", **sent: Unpack[Sent]) -> Result:
        """Send a delivery; see :func:`build`."""
        return self.send(build(self._www, endpoint, event, payload, **sent))

    def send(self, delivery: Delivery) -> Result:
        """Send a request, and advance the clock until it is answered.

        :raises Unsettled: there is no response.
        """
        before = len(self.events)
        with _errors() as errors:
            answer = self._answer(delivery)
        content = self._now(answer.json() if _is_json(answer.headers) else answer.text())
        fields = content if isinstance(content, Mapping) else {"message": content}
        text = str(fields["message"]).rstrip()
        name = str(fields.get("delivery", ""))
        changes = self.changes_of(delivery.dialect, name) if fields.get("changes") else []
        return Result(
            status=answer.code,
            text=text,
            changes=changes,
            events=self.events[before:],
            reason="" if fields.get("changes") else text.removeprefix(_NOTHING).removeprefix(": "),
            delivery=name,
            headers=answer.headers,
            log="\n".join(errors),
        )

    def _answer(self, delivery: Delivery) -> Any:
        headers = delivery.requestHeaders
        if not headers.hasHeader("accept"):
            headers.setRawHeaders("accept", ["application/json"])
        url = b"http://receiver.example" + delivery.uri
        started: Deferred[Any] = self._client.request(
            delivery.method.decode("ascii"), url.decode("ascii"), headers=headers, data=delivery.body
        )
        self._client.flush()
        return self._now(started, ANSWERED_WITHIN)

    def _now(self, deferred: Deferred[Any], within: float = 0.0) -> Any:
        """The result of a Deferred; the clock advances until it has one."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        self._go_on(lambda: bool(results), within, "there is no response yet")
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def _go_on(self, done: Callable[[], bool], within: float, otherwise: str) -> None:
        """Advance the clock from one scheduled call to the next, until *done* returns true."""
        end = self.clock.seconds() + within
        while not done():
            calls = self.clock.getDelayedCalls()
            due = min((call.getTime() for call in calls), default=end + 1)
            if due > end:
                raise Unsettled(f"after {within:g} seconds {otherwise}")
            self.advance(max(due - self.clock.seconds(), 0.0))

    def advance(self, seconds: float) -> None:
        """Let some time pass."""
        self.clock.advance(seconds)
        self._client.flush()

    def settle(self, within: float = SETTLED_WITHIN) -> None:
        """Run until every delivery is finished: accepted by its sinks, after all retries, or a dead letter.

        :param within: in seconds of the receiver's clock, which advances.
        :raises Unsettled: some are not finished.
        """
        self._go_on(lambda: not self.waiting(), within, "deliveries are waiting; see Receiver.waiting()")

    def waiting(self) -> list[StoredDelivery]:
        """The deliveries that are not finished."""
        return [stored for stored in self.deliveries() if stored.state in ("pending", "waiting")]

    def deliveries(self) -> list[StoredDelivery]:
        """The stored deliveries, and the traces of those without a change, oldest first."""
        return list(self.journal.reader().deliveries())[::-1]

    def changes_of(self, endpoint: str, delivery: str) -> list[Change]:
        """The changes of a stored delivery; empty if it is not stored.

        :param delivery: the delivery's id.
        """
        reader = self.journal.reader()
        wholes = map(reader.whole, reader.find(f"{endpoint}/{delivery}"))
        return [
            change
            for whole in wholes
            if (whole.stored.dialect, whole.stored.delivery) == (endpoint, delivery)
            for change in whole.changes
        ]

    def stop(self) -> None:
        """Stop it, as at the end of a server. Another receiver made *beside* it continues from there.

        :raises Unsettled: it does not stop.
        """
        self._now(self.service.stopService(), ANSWERED_WITHIN)


@contextmanager
def _errors() -> Iterator[list[str]]:
    """Collects the errors logged in the block."""
    errors: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            errors.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield errors
    finally:
        globalLogPublisher.removeObserver(observe)


def _is_json(headers: Headers) -> bool:
    return (headers.getRawHeaders("content-type") or [""])[0] == "application/json"


def post(
    www: Mapping[str, object], endpoint: str, event: str = "", payload: Payload = b"", **sent: Unpack[Sent]
) -> Result:
    """Send one delivery to a receiver with this configuration, without waiting for its sinks.

    See :func:`build` for the other parameters.
    """
    with Receiver(www) as receiver:
        return receiver.post(endpoint, event, payload, **sent)


def handle(
    handler: type[HookHandler[Any]],
    event: str = "",
    payload: Payload = b"",
    *,
    options: Mapping[str, object] | None = None,
    **sent: Unpack[Sent],
) -> Result:
    """Send one delivery to an endpoint of a handler class.

    :param options: the endpoint's options.

    See :func:`build` for the other parameters.
    """
    dialects = {"endpoint": {**(options or {}), "custom_class": handler}}
    return post({"change_hook_dialects": dialects}, "endpoint", event, payload, **sent)


__all__ = ["Receiver", "Result", "Unsettled", "handle", "post"]

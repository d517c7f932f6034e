"""What ties the parts to a running reactor, and the two ways to embed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.config import (
    EndpointConfig,
    HooksConfig,
    read_www,
)
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, Unavailable, UnknownDialect
from change_hooks.core.events import Event
from change_hooks.core.found import Found
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.flow import as_deferred, called, reactor_unless
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.journalled import JournalIntake
from change_hooks.intake.late import PendingDeliveries, Process
from change_hooks.intake.receipt import Intake, Receipt
from change_hooks.interfaces import IChangeSink, IJournal
from change_hooks.journal.address import Address, make_journal
from change_hooks.observer import NOBODY, Observer, Observers
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.replays import Replays
from change_hooks.outbox.retention import Retention
from change_hooks.outbox.routing import RoutedSink
from change_hooks.outbox.sink_options import routed
from change_hooks.pollers.base import changes_in, is_polled
from change_hooks.web.admission import Gate
from change_hooks.web.answers import Refusal
from change_hooks.web.auth import BasicAuth
from change_hooks.web.endpoint import Endpoint
from change_hooks.web.front import HookSite
from change_hooks.web.resource import ChangeHookResource
from change_hooks.web.tracing import Tracer, no_trace

log = Logger()

#: How long a hand-over may still take when the service stops, before sinks are closed, and how
#: long a delivery may still wait for its answer, in seconds.
GRACE = 5.0


class Tree:
    """The resources of one configuration.

    :param context: what handlers get beside their options; their name and protection are added.
    :param root: what is mounted; inside a :class:`BasicAuth` when the configuration has
        ``change_hook_auth``.
    :param observer: told of each answer.
    :param tracer: keeps a trace of each request that gave nothing.
    """

    def __init__(
        self,
        config: HooksConfig,
        context: Context,
        intake: Intake,
        gate: Gate,
        *,
        observer: Observer = NOBODY,
        tracer: Tracer = no_trace,
    ) -> None:
        self._endpoints = {
            entry.name: _endpoint(entry, config, context, intake, gate, observer=observer, tracer=tracer)
            for entry in config.endpoints
        }
        children: dict[str, IResource] = dict(self._endpoints)
        own = [entry for entry in config.endpoints if entry.auth is not None]
        for entry in own:
            if entry.auth:
                children[entry.name] = BasicAuth(
                    self._endpoints[entry.name], entry.auth, tracer=tracer, name=entry.name
                )
        self.root: IResource = ChangeHookResource(children, tracer)
        if config.auth:
            self.root = BasicAuth(
                self.root, config.auth, {entry.name.encode() for entry in own}, tracer=tracer
            )

    def found_again(self, delivery: Delivery) -> Deferred[Found]:
        """What the handler of its dialect, as it is now, finds in a stored delivery."""
        if is_polled(delivery):
            return succeed(Found(changes_in(delivery)))
        endpoint = self._endpoints.get(delivery.dialect)
        if endpoint is None:
            return fail(UnknownDialect("its dialect is not enabled any more (change_hook_dialects)"))
        return called(endpoint.found, delivery)

    def retire(self) -> None:
        """Take nothing more, not even from who has just passed the old password."""
        for endpoint in self._endpoints.values():
            endpoint.retire()


def _endpoint(
    entry: EndpointConfig,
    config: HooksConfig,
    context: Context,
    intake: Intake,
    gate: Gate,
    *,
    observer: Observer,
    tracer: Tracer,
) -> Endpoint:
    protected = bool(config.auth if entry.auth is None else entry.auth)
    own = msgspec.structs.replace(context, name=entry.name, protected=protected)
    handler = make_handler(entry.handler, entry.options, own)
    signatures = any(getattr(sink, "per", None) == "delivery" for sink in config.sinks.values())
    return Endpoint(
        entry.name,
        handler,
        intake,
        gate,
        config.max_body,
        clock=reactor_unless(context.clock),
        protected=protected,
        signatures=signatures,
        observer=observer,
        tracer=tracer,
    )


def warn(config: HooksConfig) -> None:
    """Log what is doubtful in a configuration."""
    for warning in config.warnings:
        log.warn("{warning}", warning=warning)


def make_resource(
    www: Mapping[str, Any],
    *,
    sink: Any,
    master: Any = None,
    pollers: Iterable[Any] = (),
    http: Any = None,
    clock: IReactorTime | None = None,
) -> IResource:
    """A resource that calls a sink before it answers. Nothing is stored.

    :param www: ``change_hook_dialects``, ``change_hook_auth`` and the other ``change_hook_`` keys.
    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes one
        :class:`~change_hooks.core.change.Change`; either may return a Deferred or a coroutine.
    :param master: given to handlers as ``self.master``.
    :param pollers: :class:`~change_hooks.interfaces.IPoller` providers, for the dialect ``poller``.
    :param http: a treq ``HTTPClient`` for requests to forges; made when needed by default.
    :param clock: for all waiting; the reactor by default.
    :returns: mount it as ``change_hook``, or under any other name.
    :raises ConfigurationError: with everything that is wrong in *www*.
    """
    config = read_www({**www, "change_hook_journal": None})
    if config.sinks:
        raise ConfigurationError(["change_hook_sinks is for a ChangeHookService; this resource has one sink"])
    warn(config)
    context = Context(master=master, pollers=pollers, http=http, clock=reactor_unless(clock))
    return Tree(config, context, InlineIntake(sink), Gate()).root


class _Current(Resource):
    """Stands for the resources of the configuration in force."""

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        self.tree = tree

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        return cast("IResource", self.tree.root.getChildWithDefault(path, request))

    def render(self, request: IRequest) -> Any:
        return self.tree.root.render(request)


class _Root(Resource):
    """The root of a server that does nothing else."""

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        return Refusal(UnknownDialect("nothing is here; deliveries go to /change_hook/DIALECT"))


class ChangeHookService(MultiService):
    """A journal, a dispatcher, and a resource that can be reconfigured.

    Give it to ``setServiceParent`` of the application, and mount :attr:`resource`. Until it is started
    it answers 503.

    :param www: see :func:`make_resource`; and ``change_hook_journal``, a SQLite file in *base* by
        default, ``change_hook_attempts``, ``change_hook_answer_within``, ``change_hook_keep``.
    :param sink: see :func:`make_resource`; None when changes are only to be kept.
    :param base: the folder that relative paths start from; the current one by default.
    :param clock: the reactor by default.
    :param journal: a journal of your own, in the place of the one that ``change_hook_journal`` names.
    :param reported: told of the events of each delivery before the options decide about them; for tests.
    :raises ConfigurationError: with everything that is wrong in *www*.
    """

    def __init__(
        self,
        www: Mapping[str, Any],
        *,
        sink: Any = None,
        master: Any = None,
        pollers: Iterable[Any] = (),
        http: Any = None,
        clock: Any = None,
        base: Path | None = None,
        journal: IJournal | None = None,
        reported: Callable[[Sequence[Event]], object] | None = None,
    ) -> None:
        super().__init__()
        self._base = base or Path.cwd()
        self._clock = reactor_unless(clock)
        self._context = Context(
            master=master, pollers=pollers, http=http, clock=self._clock, reported=reported
        )
        self._gate = Gate()
        self._observers = Observers()
        config = read_www(www, base=self._base)
        warn(config)
        self._config = config
        self._durable: _Durable | None = None
        self._intake: Intake
        given = {} if sink is None else {sink_name(sink): routed(sink, {}, config.attempts)[0]}
        sinks = {**config.sinks, **given}
        if journal is None and config.journal is not None:
            journal = _journal(config.journal, self._clock, self._observers)
        self._inline: tuple[RoutedSink, ...] = () if journal is not None else tuple(sinks.values())
        if journal is not None:
            self._durable = _Durable(
                config, journal, sinks, self._clock, self._found_again, observer=self._observers
            )
            self._intake = self._durable.intake
            self._gate.close("not started yet")
        else:
            if len(self._inline) != 1:
                raise ConfigurationError(["with change_hook_journal None there must be exactly one sink"])
            self._intake = InlineIntake(self._inline[0])
        self._tracer = no_trace if self._durable is None else self._durable.journal.trace
        self._current = _Current(self._tree(config))
        root = _Root()
        root.putChild(b"change_hook", self._current)
        self._site = HookSite(
            root, config.max_body, self._clock, max_held=config.max_in_flight, tracer=self._tracer
        )

    @property
    def resource(self) -> IResource:
        """What to mount; it stays the same through every reconfiguration."""
        return self._current

    @property
    def site(self) -> HookSite:
        """What to listen with on a port that serves nothing else: :attr:`resource` at ``/change_hook``, and
        before it a front that keeps ``change_hook_max_body`` and ``change_hook_max_in_flight`` while bytes
        arrive.
        """
        return self._site

    def accept(self, delivery: Delivery, changes: list[Change]) -> Deferred[Receipt]:
        """Accept changes that did not come with a request: store them, and hand them to the sinks.

        :param delivery: names them; one that was accepted before is a duplicate.
        :returns: fires when they are stored; fails with :class:`~change_hooks.core.errors.Unavailable`.
        """
        return called(self._intake.accept, delivery, Found(changes))

    def observe(self, observer: Observer) -> None:
        """Tell *observer* of all that happens from now on."""
        self._observers.add(observer)

    @property
    def journal(self) -> IJournal | None:
        """Where deliveries are kept; None when they are not."""
        return None if self._durable is None else self._durable.journal

    @property
    def config(self) -> HooksConfig:
        """The configuration in force."""
        return self._config

    def _found_again(self, delivery: Delivery) -> Deferred[Found]:
        return self._current.tree.found_again(delivery)

    def _tree(self, config: HooksConfig) -> Tree:
        return Tree(
            config, self._context, self._intake, self._gate, observer=self._observers, tracer=self._tracer
        )

    def reconfigure(self, www: Mapping[str, Any]) -> None:
        """Swap dialects, their options and secrets, and authentication, at once.

        What has been let in is finished under the old configuration. The journal and the sink stay.

        :raises ConfigurationError: *www* is wrong; the old configuration stays in force.
        """
        config = read_www(www, base=self._base)
        tree = self._tree(config)
        warn(config)
        if self._durable is not None:
            self._durable.reconfigure(config)
        if config.sinks.keys() != self._config.sinks.keys():
            log.warn("change_hook_sinks has changed; that takes a restart")
        if config.journal != self._config.journal:
            log.warn("change_hook_journal has changed; that takes a restart")
        before, self._current.tree, self._config = self._current.tree, tree, config
        before.retire()
        self._site.limit(config.max_body, config.max_in_flight)

    def startService(self) -> None:
        """Open the journal, and go on with what an earlier run left over."""
        super().startService()
        self._gate.open()
        if self._durable is not None:
            self._durable.start().addErrback(
                lambda failure: log.failure("the service could not start", failure)
            )

    def drain(self) -> Deferred[None]:
        """Refuse new deliveries. Fires when those in flight have been answered, or have had time for it. What
        else uses the journal can be stopped then, before :meth:`stopService` closes it.
        """
        return _first(self._gate.close("shutting down"), self._clock)

    @inlineCallbacks
    def stopService(self) -> Any:
        """Drain, record what was handed on, close the journal."""
        yield super().stopService()
        yield self.drain()
        if self._durable is not None:
            yield self._durable.stop()
        else:
            yield close_sinks(self._inline)


def _journal(address: Address, clock: Any, observer: Observer) -> IJournal:
    journal: IJournal = make_journal(address, clock.callFromThread, clock.callLater, observer)
    return journal


class _Durable:
    """A journal, and all that works on it."""

    def __init__(
        self,
        config: HooksConfig,
        journal: IJournal,
        sinks: Mapping[str, RoutedSink],
        clock: Any,
        process: Process,
        *,
        observer: Observer,
    ) -> None:
        self.journal = journal
        self._sinks = tuple(sinks.values())
        self._clock = clock
        self._stopped = False
        self._dispatcher = Dispatcher(self.journal, sinks, clock, attempts=config.attempts, observer=observer)
        self.pending = PendingDeliveries(self.journal, self._dispatcher, clock, config.answer_within, process)
        self._replays = Replays(self.journal, self._dispatcher, clock, process)
        self._retention = Retention(self.journal, clock, config.keep, config.keep_trace)
        self.intake = JournalIntake(self.journal, self._dispatcher, self.pending)

    def reconfigure(self, config: HooksConfig) -> None:
        """Follow what can change while it runs."""
        self.pending.within = config.answer_within
        self._retention.keep = config.keep
        self._retention.keep_trace = config.keep_trace

    @inlineCallbacks
    def start(self) -> Any:
        self._stopped = False
        try:
            yield self.journal.open()
            waiting = yield self.journal.waiting_sinks()
            for sink in set(waiting) - set(self._dispatcher.sinks):
                log.warn("changes wait for the sink {sink!r}, which is not configured now", sink=sink)
        except Unavailable:
            log.error("the journal cannot be opened now; deliveries are answered 503 until it can")
        if self._stopped:
            return
        self._dispatcher.start()
        self.pending.start()
        self._retention.start()
        self._replays.start()

    @inlineCallbacks
    def stop(self) -> Any:
        self._stopped = True
        self._retention.stop()
        self._replays.stop()
        self.pending.stop()
        idle = self._dispatcher.stop()
        yield _first(idle, self._clock)
        yield close_sinks(self._sinks)
        yield idle
        yield self.journal.close()


def _first(idle: Deferred[None], clock: IReactorTime) -> Deferred[None]:
    """Fires when *idle* does, or after :data:`GRACE`."""
    first: Deferred[None] = Deferred()
    alarm = clock.callLater(GRACE, first.callback, None)

    def is_idle(result: None) -> None:
        if alarm.active():
            alarm.cancel()
            first.callback(None)
        return result

    idle.addCallback(is_idle)
    return first


@inlineCallbacks
def close_sinks(sinks: Iterable[RoutedSink]) -> Any:
    """Let the sinks close what they hold open; what one of them breaks on stops no other."""
    for routed_sink in sinks:
        close = getattr(routed_sink.sink, "close", None)
        if close is not None:
            try:
                yield as_deferred(close())
            except Exception:
                log.failure("a sink could not be closed")


def sink_name(sink: Any) -> str:
    """What the journal calls a sink."""
    return sink.name if IChangeSink.providedBy(sink) else "sink"


def replaying(config: HooksConfig, clock: Any) -> Process:
    """What gives the changes of a stored delivery, from the handlers of a configuration as they are now."""
    nowhere = InlineIntake(lambda change: None)
    return Tree(config, Context(clock=clock), nowhere, Gate()).found_again


__all__ = ["ChangeHookService", "make_resource"]

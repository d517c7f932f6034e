"""The service that runs the parts on a reactor: a receiver that stores what it receives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.admin.board import Board, NoJournal
from change_hooks.admin.facts import Facts
from change_hooks.admin.port import AdminPort
from change_hooks.admin.root import Admin
from change_hooks.admin.settings import AdminSettings
from change_hooks.admin.watch import Watch
from change_hooks.config import HooksConfig, log_warnings, read_www
from change_hooks.core.address import repository_key
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, EndpointOff, UnknownDialect
from change_hooks.core.events import Event
from change_hooks.core.found import Found
from change_hooks.described import facts_of
from change_hooks.dialects.handler import Context
from change_hooks.durable import Durable, close_sinks, first, open_sinks
from change_hooks.flow import called, reactor_unless
from change_hooks.incidents import report
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.receipt import Intake, Receipt
from change_hooks.interfaces import IChangeSink, IJournal, IPoller, Sink
from change_hooks.journal.address import make_journal
from change_hooks.journal.in_use import leave, use
from change_hooks.observer import Observer, Observers
from change_hooks.outbox.routing import RoutedSink
from change_hooks.outbox.sink_options import routed
from change_hooks.recoveries import Recoveries
from change_hooks.sinks.forward import Forward
from change_hooks.tree import Standing, Tree
from change_hooks.web.admission import Gate
from change_hooks.web.answers import Refusal
from change_hooks.web.front import HookSite
from change_hooks.web.tracing import no_trace, telling

# What commands load only if they need it, a service loads before it runs: another version of the package may
# be installed while it runs.
for _name in ("change_hooks.http_client", "change_hooks.upstream.classes"):
    import_module(_name)

log = Logger()


def _routed(sink: Sink, config: HooksConfig) -> RoutedSink:
    """The sink passed as an argument.

    :raises ConfigurationError: one of its attributes is invalid.
    """
    read, problems = routed(sink, {}, config.attempts)
    if problems:
        raise ConfigurationError([f"the sink {sink_name(sink)!r}: {problem}" for problem in problems])
    return read


class _Root(Resource):
    """The root of a server that only receives deliveries."""

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        return Refusal(UnknownDialect("there is nothing here; send deliveries to /change_hook/DIALECT"))


class ChangeHookService(MultiService):
    """A journal, a dispatcher, and a resource that can be reconfigured.

    Call its ``setServiceParent`` with the application, and mount :attr:`resource`. Until the service is
    started, the resource responds with 503.

    :param www: see :func:`change_hooks.make_resource`; and ``change_hook_journal``, a SQLite file in
        *base* by default, ``change_hook_attempts``, ``change_hook_answer_within``, ``change_hook_keep``.
    :param sink: see :func:`change_hooks.make_resource`; None to only store changes.
    :param base: the folder for relative paths; the current one by default.
    :param clock: the reactor by default; a clock in tests.
    :param journal: a journal of your own, instead of the one that ``change_hook_journal`` names.
    :param name: the name of this service; required if two services in a process share a journal. The names
        of its sinks are prefixed with it, and the services ignore each other's deliveries.
    :param reported: called with the events of each delivery before the options apply; for tests.
    :raises ConfigurationError: with all errors in *www*.
    """

    def __init__(
        self,
        www: Mapping[str, object],
        *,
        sink: Sink | None = None,
        master: object = None,
        pollers: Iterable[IPoller] = (),
        http: HTTPClient | None = None,
        clock: IReactorTime | None = None,
        base: Path | None = None,
        journal: IJournal | None = None,
        name: str = "",
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
        log_warnings(config)
        self._config = config
        self._durable: Durable | None = None
        self._recoveries: Recoveries | None = None
        self._intake: Intake
        given = {} if sink is None else {sink_name(sink): _routed(sink, config)}
        sinks = {
            f"{name}/{sink}" if name else sink: routed_sink
            for sink, routed_sink in {**config.sinks, **given}.items()
        }
        #: The journal, which no other service in this process may use under this name.
        self._used = (config.journal, name) if journal is None and config.journal is not None else None
        if self._used is not None:
            use(*self._used, self)
            in_thread, later = self._clock.callFromThread, self._clock.callLater
            journal = make_journal(self._used[0], in_thread, later, self._observers, service=name)
        #: The configuration at the start, whose sinks and journal stay in use until a restart.
        self._sinks = tuple(sinks.values())
        self._first_config = config
        for routed_sink in self._sinks:
            if isinstance(routed_sink.sink, Forward):
                routed_sink.sink.sign_as = lambda delivery, secret: self._tree.signed(delivery, secret)
        if journal is not None:
            self._durable = Durable(
                config, journal, sinks, self._clock, self._found_again, observer=self._observers
            )
            self._recoveries = Recoveries(
                name, self._durable, self._observers, self._context.http, self._clock
            )
            self._intake = self._recoveries.intake
            self._gate.close("not started yet")
        else:
            if len(self._sinks) != 1:
                raise ConfigurationError(["with change_hook_journal None there must be exactly one sink"])
            self._intake = InlineIntake(
                self._sinks[0], self._clock, self._observers, within=config.answer_within
            )
        self._tracer = no_trace if self._durable is None else self._durable.journal.trace
        self._refusals = telling(self._tracer, self._observers)
        self._tree = self._planted(config)
        self._standing = Standing(self._tree.root)
        if self._recoveries is not None:
            self._recoveries.follow(self._tree)
        root = _Root()
        root.putChild(b"change_hook", self._standing)
        self._site = HookSite(
            root,
            config.max_body,
            self._clock,
            max_held=config.max_in_flight,
            max_connections=config.max_connections,
            proxies=config.trusted_proxies,
            tracer=self._refusals,
        )
        #: The public URL without the endpoint's name, and the configuration file, for the admin page; empty:
        #: not known.
        self.address = self.config_file = ""
        self._admin = Admin(config.admin)
        self._watch = Watch(self._admin, self._observers, journal, sinks, self._clock, service=name)
        self._watch_for(config)
        self._admin_port = _admin_port(self._admin, self._clock)
        self._board = self._made_board()

    @property
    def resource(self) -> IResource:
        """The resource to mount. A reconfiguration does not replace it."""
        return self._standing

    @property
    def site(self) -> HookSite:
        """The site for a port that serves nothing else: :attr:`resource` at ``/change_hook``, behind a front
        that enforces ``change_hook_max_body`` and ``change_hook_max_in_flight`` while a body arrives.
        """
        return self._site

    @property
    def admin(self) -> Admin:
        """The admin page; mount it where only operators have access. With a ``port`` in ``change_hook_admin``
        it is also served there. :meth:`~change_hooks.admin.root.Admin.add` adds resources to it.
        """
        return self._admin

    def accept(self, delivery: Delivery, changes: list[Change]) -> Deferred[Receipt]:
        """Accept changes that did not arrive in a request: store them, and deliver them to the sinks.

        :param delivery: names the changes; one that was accepted before is a duplicate.
        :returns: fires when the changes are stored; fails with
            :class:`~change_hooks.core.errors.Unavailable`.
        """
        return called(self._intake.accept, delivery, Found(changes))

    def polled(self, addresses: Iterable[str]) -> None:
        """Set the repositories that pollers also look into: a commit that a poller finds and a hook reports
        is one change.
        """
        if self._durable is not None:
            self._durable.compared.repositories = frozenset(map(repository_key, addresses))

    def observe(self, observer: Observer) -> None:
        """Notify *observer* of all events from now on."""
        self._observers.add(observer)

    @property
    def observer(self) -> Observer:
        """Notifies all observers; for a journal of your own."""
        return self._observers

    @property
    def journal(self) -> IJournal | None:
        """The journal, or None."""
        return None if self._durable is None else self._durable.journal

    @property
    def config(self) -> HooksConfig:
        """The current configuration."""
        return self._config

    @property
    def off(self) -> list[str]:
        """The names of the endpoints that are off because their handlers cannot be created."""
        return self._tree.off

    def _made_board(self) -> Board | None:
        if self._durable is None:
            self._admin.add("", NoJournal())
            return None
        board = Board(
            self._admin, self._durable.journal, self._clock, self._facts, replay=self._durable.replay
        )
        self._observers.add(board)
        return board

    def _facts(self) -> Facts:
        sinks = () if self._durable is None else self._durable.sinks
        return facts_of(self._config, sinks, url=self.address, file=self.config_file)

    def _found_again(self, delivery: Delivery) -> Deferred[Found]:
        return self._tree.found_again(delivery)

    def _planted(self, config: HooksConfig) -> Tree:
        return Tree(
            config,
            self._context,
            self._intake,
            self._gate,
            observer=self._observers,
            tracer=self._tracer,
            signatures=any(sink.per == "delivery" for sink in self._sinks),
        )

    def reconfigure(self, www: Mapping[str, object]) -> None:
        """Replace dialects, their options and secrets, and authentication, all at once.

        Deliveries in progress finish with the old configuration. The journal and the sinks stay. An endpoint
        whose handler cannot be created is off: it responds with 503, and the log says why.

        :raises ConfigurationError: *www* has errors; the old configuration stays in use.
        """
        config = read_www(www, base=self._base)
        tree = self._planted(config)
        log_warnings(config)
        if self._durable is not None:
            self._durable.reconfigure(config)
        if config.sinks_written != self._first_config.sinks_written:
            log.warn("change_hook_sinks has changed; restart to apply it")
        if config.journal != self._first_config.journal:
            log.warn("change_hook_journal has changed; restart to apply it")
        before, self._tree, self._config = self._tree, tree, config
        self._standing.inside = tree.root
        self._watch_for(config)
        before.retire()
        self._reconfigure_admin(config)
        if self._recoveries is not None:
            self._recoveries.follow(tree)
        self._site.limit(
            config.max_body, config.max_in_flight, config.max_connections, config.trusted_proxies
        )

    def _watch_for(self, config: HooksConfig) -> None:
        endpoints = {entry.name: entry.expect_every for entry in config.endpoints}
        self._watch.reconfigure(endpoints, config.alarms)

    def _reconfigure_admin(self, config: HooksConfig) -> None:
        before, new = self._admin.settings, config.admin or AdminSettings()
        if new.port != before.port:
            # The authentication settings belong to the port that is open.
            log.warn("the port of change_hook_admin has changed; restart to apply it")
            new = before
        if new.auth != before.auth and self._board is not None:
            self._board.stop()
        self._admin.reconfigure(new)

    def turn_off(self) -> None:
        """Respond to everything with 503 until the next :meth:`reconfigure`."""
        self._tree.retire()
        if self._recoveries is not None:
            self._recoveries.rest()
        self._standing.inside = Refusal(EndpointOff(), self._refusals)

    def startService(self) -> None:
        """Open the journal, and continue what an earlier run left unfinished."""
        if self._used is not None:
            use(*self._used, self)
        super().startService()
        self._gate.open()
        self._tree.start()
        self._watch.starting()
        if self._admin_port is not None:
            self._admin_port.start()
        if self._durable is not None:
            started = self._durable.start().addCallback(lambda _: self._begin())
            started.addErrback(lambda failure: report("the service could not start", failure))
        else:
            open_sinks(self._sinks)
            self._watch.started()

    def _begin(self) -> None:
        """Start recovery, unless the service has been stopped in the meantime."""
        self._watch.started()
        if self.running and self._recoveries is not None:
            self._recoveries.start()

    def drain(self) -> Deferred[None]:
        """Refuse new deliveries. Fires when those in flight have been answered, or after a time limit. Other
        users of the journal can be stopped then, before :meth:`stopService` closes it.
        """
        self._watch.draining()
        if self._recoveries is not None:
            self._recoveries.stop()
        return first(self._gate.close("shutting down"), self._clock)

    @inlineCallbacks
    def stopService(self) -> Any:
        """Drain, record the results of attempts, and close the journal."""
        yield super().stopService()
        yield self.drain()
        self._tree.stop()
        if self._board is not None:
            self._board.stop()
        if self._recoveries is not None:
            yield self._recoveries.stop()
        if self._admin_port is not None:
            yield self._admin_port.stop()
        if self._durable is not None:
            yield self._durable.stop()
            if self._used is not None:
                leave(*self._used, self)
        else:
            yield close_sinks(self._sinks, self._clock)


def _admin_port(admin: Admin, reactor: Any) -> AdminPort | None:
    port = admin.settings.port
    return None if port is None else AdminPort(reactor, port, admin.site(reactor))


def sink_name(sink: Any) -> str:
    """The name of a sink in the journal."""
    return sink.name if IChangeSink.providedBy(sink) else "sink"


__all__ = ["ChangeHookService"]

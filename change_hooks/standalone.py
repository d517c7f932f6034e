"""The standalone server, which ``change-hooks serve`` and ``twist change-hooks`` run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import MultiService
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from change_hooks.addresses import clickable
from change_hooks.admin.settings import DEFAULT_PORT as ADMIN_PORT
from change_hooks.config import DEFAULT_JOURNAL
from change_hooks.config_file import DEFAULT_PORT, FileConfig, load_file
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal.address import check_journal, shown
from change_hooks.pollers.base import Poller
from change_hooks.pollers.polling import Polling
from change_hooks.service import ChangeHookService
from change_hooks.systemd import ServiceManager

#: The endpoint string of the embedded default.
LOCAL = "127.0.0.1"
#: The prefix of a SQLite journal's address; its path follows.
SQLITE = "sqlite:///"

log = Logger()


class StandaloneService(MultiService):
    """The standalone server, which ``change-hooks serve`` and ``twist change-hooks`` run.

    When started, it opens the journal and listens. At every SIGHUP it reads the configuration again.

    :param path: the configuration file; None for the embedded default: the dialect ``base`` on
        127.0.0.1:8010, and a journal in the current folder.
    :param reactor: the reactor.
    :param port: a port number, or an endpoint string, instead of the configuration's.
    :param listener: listens instead of the reactor.
    :param first: False for all worker processes but the first: their pollers look only when they are told
        to, and only the first one serves the port of ``change_hook_admin`` and raises alarms.
    :param manager: notified when the server is ready, reads the configuration again and ends, and regularly
        that it is alive.
    :raises ConfigurationError: with all errors.
    """

    def __init__(
        self,
        path: Path | None,
        reactor: Any,
        *,
        port: str | None = None,
        listener: Any = None,
        first: bool = True,
        manager: ServiceManager | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._asked_port = port
        self._reactor = reactor
        settings = standalone_settings(path, port)
        if settings.is_served_by_master:
            raise ConfigurationError([f"{path}: a Buildbot master serves this, with ChangeHooks; start that"])
        self._endpoint = serverFromString(reactor if listener is None else listener, settings.port)
        self.port = settings.port
        self._polling = Polling(settings.state, reactor, by_itself=first)
        self._first = first
        self._manager = ServiceManager({}) if manager is None else manager
        self.hooks = ChangeHookService(
            self._www(settings), pollers=self._polling, clock=reactor, base=settings.base
        )
        self.hooks.setServiceParent(self)
        self.hooks.config_file = "" if path is None else str(path)
        self._use(settings.pollers)
        self._listening: Any = None

    def _www(self, settings: Settings) -> Mapping[str, Any]:
        if self._first:
            return settings.www
        www = {name: value for name, value in settings.www.items() if name != "change_hook_alarms"}
        if isinstance(www.get("change_hook_admin"), Mapping):
            www["change_hook_admin"] = {**www["change_hook_admin"], "port": None}
        return www

    def _use(self, pollers: Sequence[Poller]) -> None:
        self._polling.use(pollers)
        self.hooks.polled(poller.address for poller in pollers)

    def check_journal(self) -> None:
        """Open the journal once, to find errors now rather than with the first delivery.

        :raises ConfigurationError: the journal is not writable. One that is only temporarily unavailable is
            no error.
        """
        journal = self.hooks.config.journal
        if journal is not None:
            with suppress(Unavailable):
                check_journal(journal)

    @inlineCallbacks
    def listen(self) -> Any:
        """Listen. Fires once the server listens, or fails with the error."""
        self._listening = yield self._endpoint.listen(self.hooks.site)
        if self._first:
            self._say_where()
        log.info("ready")
        self._manager.ready()
        self._manager.watch(self._reactor)

    def _say_where(self) -> None:
        config = self.hooks.config
        log.info("journal: {journal}", journal=shown(config.journal))
        for name in config.sinks:
            log.info("sink: {name}", name=name)
        address = clickable(self._listening.getHost(), self.port)
        self.hooks.address = f"{address}/change_hook"
        for endpoint in config.endpoints:
            if endpoint.name not in self.hooks.off:
                log.info("listening at {address}/change_hook/{name}", address=address, name=endpoint.name)

    def startService(self) -> None:
        """Start the services inside, and handle SIGHUP."""
        super().startService()
        self._polling.start(self.hooks)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))

    def reload(self) -> None:
        """Read the configuration again; if it has errors, keep the old one."""
        self._manager.reloading()
        self._reload()
        self._manager.ready()

    def _reload(self) -> None:
        try:
            settings = standalone_settings(self._path, self._asked_port)
            self.hooks.reconfigure(self._www(settings))
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("not reconfigured: {problem}", problem=problem)
            return
        self._use(settings.pollers)
        if settings.port != self.port:
            log.warn("c['www']['port'] has changed; restart to apply it")
        log.info("reconfigured")

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop listening, refuse new deliveries, cancel polls, and finish what is in flight."""
        self._manager.stopping()
        drained = self.hooks.drain()
        if self._listening is not None:
            yield self._listening.stopListening()
            log.info("stopped listening; finishing what is in flight")
        yield self._polling.stop()
        yield drained
        yield super().stopService()


class Settings(msgspec.Struct, frozen=True):
    """The settings of the standalone server.

    :param base: the folder for relative paths.
    :param port: an endpoint string.
    :param state: the folder for persistent data: ``$STATE_DIRECTORY``, or *base*.
    :param path: the configuration file; None: the embedded default.
    :param is_master: the file configures a Buildbot master.
    :param is_served_by_master: that master serves the endpoints, and has a sink of its own.
    :param doubts: settings that may not be intended, each a sentence.
    """

    www: Mapping[str, Any]
    base: Path
    port: str
    state: Path
    pollers: tuple[Poller, ...] = ()
    path: Path | None = None
    is_master: bool = False
    is_served_by_master: bool = False
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Settings(base={self.base!r}, port={self.port!r})"


def standalone_settings(path: Path | None, port: str | None = None) -> Settings:
    """The settings in a file; None: the embedded default.

    :param port: replaces the one in the file.
    :raises ConfigurationError: with all errors.
    """
    if path is None:
        www: Mapping[str, Any] = {
            "change_hook_dialects": {"base": True},
            "change_hook_admin": {"port": ADMIN_PORT},
            "change_hook_hosts": ["localhost"],
        }
        base = Path.cwd()
        state = _state()
        return Settings(_kept_in(state, www), base, _endpoint(port, LOCAL, DEFAULT_PORT), state or base)
    config = load_file(path)
    base = config.path.parent
    state = _state()
    return Settings(
        config.www if config.is_served_by_master else _kept_in(state, config.www),
        base,
        _endpoint(port, "", config.port),
        state or base,
        _pollers(config),
        config.path,
        is_master=config.is_master,
        is_served_by_master=config.is_served_by_master,
        doubts=tuple(_doubts(config)),
    )


def _endpoint(asked: str | None, interface: str, otherwise: int | str) -> str:
    """An endpoint string.

    :param asked: a port number, or an endpoint string.
    :param interface: the interface for a port number; empty: all.
    """
    port = str(otherwise) if asked is None else asked
    if not port.isdigit():
        return port
    return f"tcp:{port}:interface={interface}" if interface else f"tcp:{port}"


def _state() -> Path | None:
    """The first of the state directories. Source: systemd.exec(5), "StateDirectory="."""
    first = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


def _kept_in(state: Path | None, www: Mapping[str, Any]) -> Mapping[str, Any]:
    """*www* with the journal in *state*, if its path is relative."""
    journal = www.get("change_hook_journal", DEFAULT_JOURNAL)
    if state is None or not isinstance(journal, str) or not journal.startswith(SQLITE) or journal == SQLITE:
        return www
    return {**www, "change_hook_journal": f"{SQLITE}{state / journal.removeprefix(SQLITE)}"}


def _doubts(config: FileConfig) -> Iterator[str]:
    for written, meant in (("change_sources", "change_source"), ("pollers", "change_source")):
        if written in config.settings:
            yield f"c[{written!r}] is not used; list the pollers in c[{meant!r}]"
    if config.is_master and not config.is_served_by_master and len(_pollers(config)) < len(_sources(config)):
        yield "c['change_source']: Buildbot's own are left to the master"


def _pollers(config: FileConfig) -> tuple[Poller, ...]:
    sources = _sources(config)
    if config.is_master:
        sources = tuple(source for source in sources if isinstance(source, Poller))
    problems = [
        f"change_source: {type(source).__name__} is no poller of change_hooks.pollers"
        for source in sources
        if not isinstance(source, Poller)
    ]
    names = [source.name for source in sources if isinstance(source, Poller)]
    problems += [f"change_source: two are called {name!r}" for name in set(names) if names.count(name) > 1]
    if sources and config.www.get("change_hook_journal", "") is None:
        problems.append("change_source needs a journal, to remember where it was (change_hook_journal)")
    if problems:
        raise ConfigurationError(problems)
    return sources


def _sources(config: FileConfig) -> tuple[Any, ...]:
    value = config.settings.get("change_source", ())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


@contextmanager
def inside(path: Path | None) -> Iterator[Path | None]:
    """Run the block as after :func:`enter`."""
    before = Path.cwd()
    try:
        yield enter(path)
    finally:
        os.chdir(before)


def enter(path: Path | None) -> Path | None:
    """Make the folder of a configuration file the current folder, so that all relative paths start there: in
    options, in endpoint strings, in objects of other packages.

    :returns: the file's absolute path.
    """
    if path is None:
        return None
    path = path.absolute()
    if path.is_file():
        os.chdir(path.parent)
    return path


__all__ = ["Settings", "StandaloneService", "enter", "inside", "standalone_settings"]

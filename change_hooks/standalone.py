"""The standalone server, which ``change-hooks serve`` and ``twist change-hooks`` run."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from change_hooks.addresses import clickable
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal.address import check_journal, shown
from change_hooks.pollers.base import Poller
from change_hooks.pollers.polling import Polling
from change_hooks.service import ChangeHookService
from change_hooks.standalone_settings import Settings, standalone_settings
from change_hooks.systemd import ServiceManager

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


__all__ = ["StandaloneService"]

"""``twist change-hooks``: the same server as ``change-hooks serve``, under Twisted's own runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService, IServiceMaker
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.python.usage import Options, UsageError
from zope.interface import implementer

from change_hooks.addresses import why_not
from change_hooks.cli.steady import make_steady
from change_hooks.core.errors import ConfigurationError
from change_hooks.standalone import StandaloneService
from change_hooks.standalone_settings import enter
from change_hooks.systemd import ServiceManager

log = Logger()


class ServeOptions(Options):
    """The command-line options of ``twist change-hooks``."""

    synopsis = "[CONFIG]"

    def parseArgs(self, config: str | None = None) -> None:
        """Accept the configuration file."""
        self["config"] = None if config is None else Path(config)


class _Service(StandaloneService):
    """Starts to listen as soon as the reactor runs."""

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(lambda: self.listen().addErrback(self._cannot_listen))

    def _cannot_listen(self, failure: Failure) -> None:
        log.error("cannot listen on {port}: {reason}", port=self.port, reason=why_not(failure.value))
        self._reactor.stop()


@implementer(IPlugin, IServiceMaker)
class ServiceMaker:
    """See :class:`twisted.application.service.IServiceMaker`."""

    tapname = "change-hooks"
    description = "Receive webhooks of code forges and commit hooks."
    options = ServeOptions

    def makeService(self, options: Any) -> IService:
        """Create the service."""
        make_steady(reactor)
        try:
            service = _Service(enter(options["config"]), reactor, manager=ServiceManager())
            service.check_journal()
        except ConfigurationError as error:
            raise UsageError("\n".join(error.problems)) from None
        return cast("IService", service)


__all__ = ["ServiceMaker"]

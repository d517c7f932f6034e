"""Runs the server, for ``serve``."""

from __future__ import annotations

import gc
import os
import platform
import signal
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.logger import Logger

from change_hooks.addresses import why_not
from change_hooks.admin.settings import METRICS_FOLDER
from change_hooks.cli.common import fail
from change_hooks.cli.configured import read_config
from change_hooks.cli.logs import begin_logging
from change_hooks.cli.steady import make_steady
from change_hooks.cli.workers import Adopting, Supervisor, open_socket, place, take_part
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal.address import check_journal
from change_hooks.standalone import StandaloneService
from change_hooks.standalone_settings import enter, standalone_settings
from change_hooks.systemd import ServiceManager

log = Logger()


def run(
    config: Path | None, *, log_format: str, log_level: str, quiet: bool, port: str | None, workers: int
) -> None:
    """Serve until a signal ends the process, here or in worker processes."""
    worker = place()
    if workers > 1 and worker is None:
        _supervise(config, workers, port)
        return
    from twisted.internet import reactor

    config = enter(config)
    begin_logging(log_format, "warning" if quiet else log_level)
    make_steady(reactor)
    if worker is None or worker.number == 0:
        log.info(
            "change-hooks {version}, Python {python}, Twisted {twisted}; {configuration}",
            version=version("change-hooks"),
            python=platform.python_version(),
            twisted=version("twisted"),
            configuration=config or "the embedded default, without a configuration",
        )
    try:
        if worker is None:
            service = StandaloneService(config, reactor, port=port, manager=ServiceManager())
            service.check_journal()
        else:
            listener = Adopting(reactor, worker.descriptor)
            first = worker.number == 0
            service = StandaloneService(config, reactor, port=port, listener=listener, first=first)
    except ConfigurationError as error:
        fail(error)
        return
    failed: list[str] = []

    def cannot_listen(failure: Any) -> None:
        failed.append(f"cannot listen on {service.port}: {why_not(failure.value)}")
        reactor.stop()

    def start() -> None:
        _stop_once()
        service.startService()
        service.listen().addErrback(cannot_listen)
        # Exclude existing objects from garbage collection: repeated scans delay deliveries.
        gc.collect()
        gc.freeze()
        if worker is not None:
            take_part(reactor, worker.beat)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    if failed:
        fail(ConfigurationError(failed))


def _stop_once() -> None:
    """Ignore all signals to stop but the first: the reactor would log an error for each of them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: Any) -> None:
        for each in handlers:
            signal.signal(each, lambda *_: None)
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, stop)


def _supervise(config: Path | None, workers: int, port: str | None) -> None:
    hooks = read_config(config).hooks
    try:
        if hooks.journal is None:
            raise ConfigurationError(
                ["--workers needs a journal for the workers to share (change_hook_journal)"]
            )
        with suppress(Unavailable):  # The workers wait for it, and log that.
            check_journal(hooks.journal)
        opened = open_socket(standalone_settings(config, port).port)
    except ConfigurationError as error:
        fail(error)
        return
    command = [sys.executable, "-c", "from change_hooks.cli import main; main()", *sys.argv[1:]]
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own in it)
    writable = os.access(memory, os.W_OK)
    # On a full disk, counting would crash the process.
    with TemporaryDirectory(prefix="change-hooks-", dir=memory if writable else None) as folder:
        os.environ[METRICS_FOLDER] = folder
        status = Supervisor(command, workers, opened, ServiceManager()).run()
    sys.exit(status)


__all__ = ["run"]

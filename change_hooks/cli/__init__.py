"""The ``change-hooks`` command."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from change_hooks.admin.exposed import FOLDER
from change_hooks.cli.capture import capture
from change_hooks.cli.check import check
from change_hooks.cli.common import config_argument, fail, read_config
from change_hooks.cli.explaining import explain
from change_hooks.cli.init import init
from change_hooks.cli.logs import LEVELS, begin_logging
from change_hooks.cli.operate import changes, deliveries, prune, show
from change_hooks.cli.overview import status
from change_hooks.cli.recover import recover
from change_hooks.cli.replaying import replay
from change_hooks.cli.send import notify, send, simulate_command
from change_hooks.cli.steady import make_steady
from change_hooks.cli.workers import Adopting, Supervisor, open_socket, place, take_part
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal.address import check_journal
from change_hooks.standalone import StandaloneService, enter, standalone_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="change-hooks", prog_name="change-hooks")
def main() -> None:
    """Receive webhooks of code forges and commit hooks, and keep the changes they tell of.

    CONFIG is a Python file that sets c or BuildmasterConfig, as a Buildbot master.cfg does. Without it,
    the dialect 'base' is served on 127.0.0.1:8010, with a journal in the current folder.
    """


for command in (
    init,
    check,
    changes,
    deliveries,
    show,
    explain,
    status,
    capture,
    replay,
    recover,
    prune,
    send,
    simulate_command,
    notify,
):
    main.add_command(command)


@main.command()
@config_argument
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="The least that is logged.",
)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of worker processes."
)
def serve(config: Path | None, *, log_format: str, log_level: str, workers: int) -> None:
    """Run the server.

    SIGTERM and SIGINT end it when everything in flight is answered. SIGHUP reads CONFIG again.
    """
    worker = place()
    if workers > 1 and worker is None:
        _supervise(config, workers)
        return
    from twisted.internet import reactor

    config = enter(config)
    begin_logging(log_format, log_level)
    make_steady(reactor)
    try:
        if worker is None:
            service = StandaloneService(config, reactor)
            service.check_journal()
        else:
            listener = Adopting(reactor, worker.descriptor)
            service = StandaloneService(config, reactor, listener=listener, first=worker.number == 0)
    except ConfigurationError as error:
        fail(error)
        return
    failed: list[str] = []

    def cannot_listen(failure: Any) -> None:
        failed.append(f"cannot listen on {service.port}: {failure.getErrorMessage()}")
        reactor.stop()

    def start() -> None:
        service.startService()
        service.listen().addErrback(cannot_listen)
        # What is there now stays. Looking through it again and again would hold all deliveries up.
        gc.collect()
        gc.freeze()
        if worker is not None:
            take_part(reactor, worker.beat)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    if failed:
        fail(ConfigurationError(failed))


def _supervise(config: Path | None, workers: int) -> None:
    hooks = read_config(config)
    try:
        if hooks.journal is None:
            raise ConfigurationError(["--workers needs a journal that they share (change_hook_journal)"])
        with suppress(Unavailable):  # The workers wait for it, and say so.
            check_journal(hooks.journal)
        opened = open_socket(standalone_settings(config).port)
    except ConfigurationError as error:
        fail(error)
        return
    command = [sys.executable, "-c", "from change_hooks.cli import main; main()", *sys.argv[1:]]
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own in it)
    # A full disk would end whoever counts.
    with TemporaryDirectory(prefix="change-hooks-", dir=memory if memory.is_dir() else None) as folder:
        os.environ[FOLDER] = folder
        status = Supervisor(command, workers, opened).run()
    sys.exit(status)

"""The ``change-hooks`` command. Each subcommand is loaded when it is used."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from shutil import get_terminal_size
from typing import Any, NamedTuple

import click

from change_hooks.interrupts import SilentInterrupts


class Lazy(NamedTuple):
    """Where to load a command from.

    :param module: the module in this package.
    :param name: its name in the module.
    :param summary: what it does, in one line.
    """

    module: str
    name: str
    summary: str


COMMANDS = {
    "init": Lazy("init", "init", "Write a first configuration."),
    "check": Lazy("check", "check", "Check a configuration for mistakes."),
    "serve": Lazy("serve", "serve", "Run the server."),
    "status": Lazy("overview", "status", "Print what is waiting and what has failed."),
    "deliveries": Lazy("operate", "deliveries", "Print the deliveries in the journal, newest first."),
    "show": Lazy("operate", "show", "Print everything about a delivery."),
    "explain": Lazy("explain", "explain", "Print why a delivery gave these changes, or none."),
    "changes": Lazy("operate", "changes", "Print the changes in the journal, oldest first."),
    "replay": Lazy("replay", "replay", "Process stored deliveries again."),
    "recover": Lazy("recover", "recover", "Fetch deliveries that never arrived."),
    "hook": Lazy("hook", "hook", "Create, check and repair webhooks at the forges."),
    "doctor": Lazy("doctor", "doctor", "Check everything, and report problems."),
    "prune": Lazy("prune", "prune", "Delete old deliveries."),
    "capture": Lazy("capture", "capture", "Write a delivery to files for a test."),
    "simulate": Lazy("simulate", "simulate_command", "Send a delivery as a forge would."),
    "send": Lazy("send", "send", "Send one change to the dialect 'base'."),
    "notify": Lazy("notify", "notify", "Report a push or commit, from a repository's hook."),
    "completion": Lazy("completion", "completion", "Print or install shell completion."),
}


class Help(click.HelpFormatter):
    """Formats help so that it also fits a terminal with 40 columns."""

    def __init__(self, width: int | None = None, max_width: int | None = None) -> None:
        super().__init__(width=width, max_width=max_width)
        if width is None:
            self.width = min(self.width, get_terminal_size().columns - 1)

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and their descriptions."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class Context(click.Context):
    """The context of a command, with our help formatter."""

    formatter_class = Help


class Commands(click.Group):
    """The group of commands, which also handles Ctrl-C."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order in which users need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        with SilentInterrupts():
            command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = Context
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends it silently, with the status that shells use."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program; if its output cannot be written, that is the error."""
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
                raise
            click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="change-hooks", prog_name="change-hooks")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Receive webhooks of code forges and commit hooks, and keep the changes they report.

    CONFIG is a Python file that sets c or BuildmasterConfig, as a Buildbot master.cfg does. Without it,
    the dialect 'base' is served on 127.0.0.1:8010, with a journal in the current folder.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


__all__ = ["COMMANDS", "Lazy", "main"]

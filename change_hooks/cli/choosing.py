"""Options for choosing a journal, and deliveries in it, shared by the commands that read one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import click
from twisted.internet.defer import inlineCallbacks

from change_hooks.cli.common import Command, fail
from change_hooks.cli.configured import Configured, read_config
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.interrupts import SilentInterrupts
from change_hooks.journal import STATES

if TYPE_CHECKING:
    from change_hooks.config import HooksConfig
    from change_hooks.journal.facade import SQLJournal
    from change_hooks.journal.reader import Reader

_AGO = re.compile(r"(\d+)([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Moment(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A time: ISO 8601 (UTC unless it says otherwise), or how long ago: ``30m``, ``12h``, ``7d``."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Convert to seconds since the epoch."""
        if isinstance(value, float):
            return value
        ago = _AGO.fullmatch(value)
        if ago is not None:
            return time() - int(ago[1]) * _UNITS[ago[2]]
        try:
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(
                f"{value!r} is not a valid time; write 2026-11-24, 2026-11-24T13:00:00Z, 30m, 12h or 7d",
                param,
                ctx,
            )
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def choosing(command: Command) -> Command:
    """The options that choose deliveries."""
    for option in (
        click.option("--until", type=Moment(), help="Only deliveries received before then."),
        click.option(
            "--since",
            type=Moment(),
            help="Only deliveries received since then: a time, or 12h, 7d.",
        ),
        click.option("--repository", help="Only deliveries of this repository; * and ? are wildcards."),
        click.option("--dialect", help="Only deliveries received at this endpoint."),
    ):
        command = option(command)
    return command


state_option = click.option("--state", type=click.Choice(STATES), help="Only deliveries in this state.")
journal_option = click.option(
    "--journal",
    metavar="URL",
    help="The journal itself, instead of CONFIG: sqlite:///path or postgresql://user@host/database.",
)


def configured(config: Path | None, journal: str | None) -> Configured:
    """The configuration in a file, or one that has only a journal; ends the program if it is invalid.

    :param journal: the journal's URL, relative to the current folder, for when only another program can read
        the configuration.
    """
    if journal is None:
        return read_config(config)
    if config is not None:
        raise click.UsageError("give CONFIG or --journal, not both")
    with SilentInterrupts():
        from change_hooks.config import read_www
    try:
        return Configured(read_www({"change_hook_journal": journal}, base=Path.cwd()))
    except ConfigurationError as error:
        raise click.UsageError("--journal: " + "; ".join(error.problems)) from None


def hooks_of(config: Path | None, journal: str | None) -> HooksConfig:
    """See :func:`configured`."""
    return configured(config, journal).hooks


def reader_of(hooks: HooksConfig) -> Reader:
    """A reader of the configured journal; ends the program if there is none."""
    if hooks.journal is None:
        raise click.ClickException("the configuration has change_hook_journal: None, so nothing is stored")
    with SilentInterrupts():
        from change_hooks.journal.address import open_reader
    try:
        return open_reader(hooks.journal)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    except ConfigurationError as error:
        fail(error)
        raise


def config_and_ids(words: Sequence[str], journal: str | None = None) -> tuple[Path | None, list[str]]:
    """``CONFIG ID ...``, or ``ID ...`` for the embedded default, or together with ``--journal``."""
    if journal is None and words and Path(words[0]).is_file():
        return Path(words[0]), list(words[1:])
    return None, list(words)


def found_by(reader: Reader, name: str) -> list[int]:
    """The ``seq`` of the deliveries that *name* means; ends the program if there is none."""
    found = reader.find(name)
    if not found:
        raise click.ClickException(f"no delivery {name!r}; 'change-hooks deliveries' lists them")
    return found


@inlineCallbacks
def open_journal(journal: SQLJournal) -> Any:
    """Open a journal; ends the program if it cannot be used."""
    try:
        yield journal.open()
    except Unavailable as error:
        click.echo(f"error: {error.message}; has another process been writing for a long time?", err=True)
        raise SystemExit(1) from None


__all__ = [
    "Moment",
    "choosing",
    "config_and_ids",
    "configured",
    "found_by",
    "hooks_of",
    "journal_option",
    "open_journal",
    "reader_of",
    "state_option",
]

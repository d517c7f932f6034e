"""Replays the chosen deliveries, for ``replay``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from time import monotonic
from typing import Any

import click
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater, react

from change_hooks.cli.choosing import (
    config_and_ids,
    configured,
    found_by,
    open_journal,
    reader_of,
)
from change_hooks.cli.common import print_json
from change_hooks.config import HooksConfig
from change_hooks.core.errors import DeliveryError
from change_hooks.core.shown import counted, printable, shown_error
from change_hooks.intake.late import Process
from change_hooks.journal import TRACES, StoredDelivery, Wanted
from change_hooks.journal.address import make_journal
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.reader import Reader
from change_hooks.outbox.replays import NOTHING_KEPT, STILL, chosen
from change_hooks.outbox.routing import routes
from change_hooks.tree import replaying

#: How long to wait for the program that has the sinks, and how often to check, in seconds.
PATIENCE = 60.0
LOOK = 0.5
NOBODY = (
    "no program with the sinks has done this within a minute; the next one that runs with this journal"
    " will do it"
)


def for_people() -> bool:
    """Whether the output goes to a person."""
    return sys.stderr.isatty()


class _Tally:
    """Prints the outcome of each delivery, and of all of them."""

    def __init__(self, seqs: Sequence[int], *, as_json: bool) -> None:
        self._all = len(seqs)
        self._as_json = as_json
        self._problems: list[str] = []
        self._bar: Any = nullcontext(seqs)
        if not as_json and for_people():
            self._bar = click.progressbar(seqs, label="replaying", file=sys.stderr)

    def each(self) -> Any:
        """A context manager for iterating over the deliveries."""
        return self._bar

    def tell(self, line: StoredDelivery, problem: str, changes: int | None = None) -> None:
        """Print the outcome of one delivery; *changes* is None if another program has replayed it."""
        if self._as_json:
            fields: dict[str, Any] = {"dialect": line.dialect, "delivery": line.delivery}
            fields.update({} if changes is None else {"changes": changes})
            print_json({**fields, **({"error": problem} if problem else {})})
        if problem:
            self._problems.append(f"{line.dialect}/{line.delivery}: {problem}")

    def end(self) -> None:
        """Print the overall outcome; ends the program if something failed."""
        if hasattr(self._bar, "render_finish"):
            self._bar.render_finish()
        for problem in self._problems:
            click.echo(f"error: {problem}", err=True)
        if not self._as_json:
            done = self._all - len(self._problems)
            failed = len(self._problems) or "none"
            click.echo(f"Replayed {counted(done, 'delivery', 'deliveries')}; {failed} failed.")
        if self._problems:
            sys.exit(1)


def run(
    words: tuple[str, ...],
    *,
    as_json: bool,
    failed: bool,
    sinks: tuple[str, ...],
    all_sinks: bool,
    dry_run: bool,
    journal: str | None,
    **wanted: Any,
) -> None:
    """Replay the deliveries, or ask the program that has the sinks to; ends the program if one fails."""
    config, names = config_and_ids(words, journal)
    found = configured(config, journal)
    hooks = found.hooks
    reader = reader_of(hooks)
    if names:
        seqs = [seq for name in names for seq in _kept(reader, found_by(reader, name))]
    elif failed or any(value is not None for value in wanted.values()):
        lines = reader.deliveries(Wanted(state="failed" if failed else None, **wanted))
        seqs = [line.seq for line in lines][::-1]
    else:
        raise click.UsageError("which deliveries? Give ids, or --failed, --since ...")
    unknown = sorted(set(sinks) - set(hooks.sinks)) if found.has_all_sinks else []
    if unknown:
        known = ", ".join(sorted(hooks.sinks))
        raise click.ClickException(
            f"there is no sink {unknown[0]!r} in the configuration; valid names are {known}"
        )
    if dry_run:
        _print(reader.lines(seqs), as_json=as_json)
        return
    replays = _Run(hooks, reader, seqs, as_json=as_json)
    if found.has_all_sinks:
        react(replays.replay, (tuple(hooks.sinks) if all_sinks else sinks,))
    else:
        react(replays.ask, (sinks, all_sinks))


def _kept(reader: Reader, seqs: list[int]) -> list[int]:
    """Of the deliveries that a name means, those whose body is stored; if there is none, all of them."""
    return [line.seq for line in reader.lines(seqs) if line.state not in TRACES] or seqs


def _print(lines: Sequence[StoredDelivery], *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            print_json({"dialect": line.dialect, "delivery": line.delivery, "sinks": line.sinks})
        else:
            sinks = ", ".join(f"{name} {state}" for name, state in line.sinks.items())
            click.echo(printable(f"{line.dialect}/{line.delivery}  {sinks}".rstrip()))
    if not as_json:
        click.echo(f"{counted(len(lines), 'delivery', 'deliveries')} would be replayed")


class _Run:
    """One run of the command."""

    def __init__(self, hooks: HooksConfig, reader: Reader, seqs: Sequence[int], *, as_json: bool) -> None:
        self._hooks = hooks
        self._reader = reader
        self._seqs = seqs
        self._tally = _Tally(seqs, as_json=as_json)

    @inlineCallbacks
    def replay(self, reactor: Any, asked: Sequence[str]) -> Any:
        """Replay in this process.

        :param asked: the sinks to replay to; empty: those that have not accepted it.
        """
        journal: SQLJournal = make_journal(self._hooks.journal or "", reactor.callFromThread)
        process = replaying(self._hooks, reactor)
        yield open_journal(journal)
        with self._tally.each() as seqs:
            for seq in seqs:
                yield self._one(journal, process, seq, asked)
        yield journal.close()
        self._tally.end()

    @inlineCallbacks
    def _one(self, journal: SQLJournal, process: Process, seq: int, asked: Sequence[str]) -> Any:
        (line,) = self._reader.lines([seq])
        sinks = self._hooks.sinks
        found: list[Any] = []
        problem = ""
        try:
            delivery = yield journal.delivery(seq)
            found = yield process(delivery)
            results = yield journal.results(seq)
            to = chosen(routes(sinks, found, delivery), sinks, asked, results.taken)
            done = yield journal.replay(seq, found, *to)
            problem = "" if done else STILL
        except DeliveryError as error:
            problem = error.message
        except LookupError:
            problem = NOTHING_KEPT
        except Exception as error:
            problem = f"the handler broke: {shown_error(error)}"
        self._tally.tell(line, problem, len(found))

    @inlineCallbacks
    def ask(self, reactor: Any, asked: Sequence[str], everywhere: bool) -> Any:
        """Ask the program that has the sinks to replay, and wait for it."""
        journal: SQLJournal = make_journal(self._hooks.journal or "", reactor.callFromThread)
        yield open_journal(journal)
        for line in self._reader.lines(self._seqs):
            yield journal.wish(line.seq, tuple(line.sinks) if everywhere else asked)
        until = monotonic() + PATIENCE
        with self._tally.each() as seqs:
            for seq in seqs:
                (line,) = self._reader.lines([seq])
                wish = self._reader.wish(seq)
                while wish is not None and not wish.error and monotonic() < until:
                    yield deferLater(reactor, LOOK)
                    wish = self._reader.wish(seq)
                self._tally.tell(line, "" if wish is None else wish.error or NOBODY)
        yield journal.close()
        self._tally.end()


__all__ = ["run"]

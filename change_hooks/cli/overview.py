"""``status``: what is waiting, since when, what has failed, and the disk space in use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import click
import msgspec

from change_hooks.cli.choosing import hooks_of, journal_option, reader_of
from change_hooks.cli.common import config_argument, json_option, print_json, say
from change_hooks.cli.showing import coloured, shown_time
from change_hooks.core.shown import counted, printable
from change_hooks.journal import SinkSummary, Summary
from change_hooks.journal.address import Address, shown

_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@click.command()
@config_argument
@json_option
@journal_option
def status(config: Path | None, as_json: bool, journal: str | None) -> None:
    """Print what waits and since when, what has failed, and how large the journal is."""
    hooks = hooks_of(config, journal)
    reader = reader_of(hooks)
    address: Any = hooks.journal
    summary = reader.summary()
    newest = next(reader.deliveries(limit=1), None)
    last = None if newest is None else newest.received
    free = _free(address)
    if as_json:
        print_json(
            {
                "journal": shown(address),
                "last": last,
                **msgspec.structs.asdict(summary),
                "sinks": {each.sink: _fields(each) for each in summary.sinks},
                "free": free,
            }
        )
        return
    for state, line in _lines(address, summary, last, free):
        say(coloured(state, printable(line)))


def _fields(sink: SinkSummary) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(sink).items() if name != "sink"}


def _free(address: Address) -> int | None:
    """The free space on the disk of a SQLite journal, in bytes; None for PostgreSQL."""
    return shutil.disk_usage(address.parent).free if isinstance(address, Path) else None


def _lines(
    address: Address, summary: Summary, last: float | None, free: int | None
) -> Iterator[tuple[str, str]]:
    """The lines, each with the state that determines its colour."""
    left = "" if free is None else f", {size_text(free)} free"
    yield "", f"journal   {shown(address)}: {size_text(summary.bytes)}{left}"
    yield (
        "",
        f"last      {'nothing has arrived yet' if last is None else f'{shown_time(last)} ({_ago(last)})'}",
    )
    if summary.pending:
        deliveries = counted(summary.pending, "delivery", "deliveries")
        yield "pending", f"pending   {deliveries}, changes still being looked up"
    for sink in summary.sinks:
        yield from _of_sink(sink)
    if not summary.sinks and not summary.pending:
        yield "delivered", "nothing is waiting, and nothing has failed"


def _of_sink(sink: SinkSummary) -> Iterator[tuple[str, str]]:
    name = f"sink {sink.sink}:"
    if sink.waiting:
        since = "" if sink.since is None else f" since {shown_time(sink.since)} ({_ago(sink.since)})"
        queues = counted(sink.queues, "queue")
        yield (
            "waiting",
            f"{name} {counted(sink.waiting, 'delivery', 'deliveries')} waiting in {queues}{since}",
        )
    if sink.retrying:
        yield "retrying", f"{name} {counted(sink.retrying, 'queue')} retrying: {sink.error}"
    if sink.dead_letters:
        letters = counted(sink.dead_letters, "dead letter")
        yield (
            "failed",
            f"{name} {letters}; see 'change-hooks deliveries --state failed' and 'change-hooks replay'",
        )


def size_text(count: int) -> str:
    """A size, for people."""
    for name, unit in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return counted(count, "byte")


def _ago(moment: float) -> str:
    seconds = max(0, int(time() - moment))
    for name, unit in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return f"{seconds} s ago"


__all__ = ["size_text", "status"]

"""Commands that read a journal."""

from __future__ import annotations

import sys
from pathlib import Path
from time import sleep
from typing import Any

import click
import msgspec

from change_hooks.cli.choosing import (
    choosing,
    config_and_ids,
    found_by,
    hooks_of,
    journal_option,
    reader_of,
    state_option,
)
from change_hooks.cli.common import config_argument, json_option, print_json, say
from change_hooks.cli.following import Following
from change_hooks.cli.showing import as_json as whole_as_json
from change_hooks.cli.showing import as_text, change_line, delivery_line
from change_hooks.journal import StoredDelivery, Wanted
from change_hooks.journal.tail import Tail

#: How often ``--follow`` polls the journal, in seconds.
FOLLOW = 0.5
#: How many deliveries ``--follow`` starts with.
FIRST = 10


@click.command()
@config_argument
@json_option
@journal_option
@click.option("--follow", is_flag=True, help="Keep running, and print new changes as they arrive.")
def changes(config: Path | None, *, as_json: bool, journal: str | None, follow: bool) -> None:
    """Print the changes in the journal, oldest first."""
    reader = reader_of(hooks_of(config, journal))
    tail = Tail(reader)
    while True:
        lines = tail.news()
        for stored in (change for line in lines if line.changes for change in reader.changes_of(line.seq)):
            if as_json:
                print_json(stored.as_json())
            else:
                say(change_line(stored))
        if lines:
            continue
        if not follow:
            return
        sys.stdout.flush()
        sleep(FOLLOW)


@click.command()
@config_argument
@json_option
@journal_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the newest N.")
@click.option(
    "--follow",
    is_flag=True,
    help="Keep running: print new deliveries as they arrive, and again when their state changes.",
)
@state_option
@choosing
def deliveries(
    config: Path | None, *, as_json: bool, journal: str | None, limit: int | None, follow: bool, **wanted: Any
) -> None:
    """Print the deliveries in the journal, newest first; with --follow the last ten, newest last, and then
    new ones as they arrive.
    """
    reader = reader_of(hooks_of(config, journal))
    chosen = Wanted(**wanted)
    if not follow:
        for line in reader.deliveries(chosen, limit=limit):
            _print_delivery(line, as_json=as_json)
        return
    following = Following(reader)
    lines = list(reader.deliveries(chosen, before=following.last + 1, limit=limit or FIRST))[::-1]
    following.watch(lines)
    while True:
        for line in lines:
            if chosen.matches(line):
                _print_delivery(line, as_json=as_json)
        sys.stdout.flush()
        sleep(FOLLOW)
        lines = following.news()


def _print_delivery(line: StoredDelivery, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.structs.asdict(line))
    else:
        say(delivery_line(line))


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] ID")
@json_option
@journal_option
def show(words: tuple[str, ...], as_json: bool, journal: str | None) -> None:
    """Print everything about a delivery: the request, its changes, and the result at each sink.

    ID is a delivery's id, its beginning, or DIALECT/ID.
    """
    config, names = config_and_ids(words, journal)
    if not names:
        raise click.UsageError("which delivery? Give its id; 'change-hooks deliveries' lists them")
    reader = reader_of(hooks_of(config, journal))
    for name in names:
        for seq in found_by(reader, name):
            whole = reader.whole(seq)
            if as_json:
                print_json(whole_as_json(whole))
            else:
                click.echo(as_text(whole))


__all__ = ["changes", "deliveries", "show"]

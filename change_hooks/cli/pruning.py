"""Deletes old deliveries, for ``prune``."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any

import click
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

from change_hooks.cli.choosing import hooks_of, open_journal, reader_of
from change_hooks.cli.common import print_json
from change_hooks.core.shown import counted
from change_hooks.journal.address import make_journal
from change_hooks.journal.facade import SQLJournal
from change_hooks.outbox.retention import DAY


def run(
    config: Path | None, *, as_json: bool, journal: str | None, older_than: float | None, failed: bool
) -> None:
    """Delete them, and print how many there were."""
    hooks = hooks_of(config, journal)
    reader_of(hooks)
    if journal is not None and older_than is None:
        raise click.UsageError("--journal does not say how long deliveries are kept; give --older-than DAYS")
    days = hooks.keep if older_than is None else older_than
    if days is None:
        raise click.UsageError("the configuration has change_hook_keep: None; give --older-than DAYS")
    before = time() - days * DAY
    pruned: list[int] = [0]

    def tell() -> None:
        if as_json:
            print_json({"pruned": pruned[0]})
        else:
            click.echo(f"pruned {counted(pruned[0], 'delivery', 'deliveries')}")

    @inlineCallbacks
    def delete(reactor: Any) -> Any:
        opened: SQLJournal = make_journal(hooks.journal or "", reactor.callFromThread)
        yield open_journal(opened)
        while True:
            some = yield (opened.prune_failed if failed else opened.prune)(before)
            if not some:
                break
            pruned[0] += some
        yield opened.close()
        tell()

    react(delete)


__all__ = ["run"]

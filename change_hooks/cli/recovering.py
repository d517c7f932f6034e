"""Recovers from the chosen endpoints, for ``recover``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from change_hooks.cli.choosing import open_journal, reader_of
from change_hooks.cli.common import print_json
from change_hooks.cli.configured import Configured, read_config
from change_hooks.cli.showing import shown_time
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.fetched import is_fetched
from change_hooks.core.found import Found
from change_hooks.core.shown import printable
from change_hooks.forges.rest import RestError
from change_hooks.journal.address import make_journal
from change_hooks.journal.facade import SQLJournal
from change_hooks.outbox.routing import routes
from change_hooks.recovery.recovered import Acceptance, Missing, Runner
from change_hooks.recovery.sources import recover_of, runners, stored_of
from change_hooks.tree import Tree, idle_tree


def run(
    config: Path | None, *, as_json: bool, endpoint: str | None, since: float | None, dry_run: bool
) -> None:
    """Recover, or only print what is missing; ends the program if something cannot be recovered."""
    configured = read_config(config)
    hooks = configured.hooks
    reader_of(hooks)
    from twisted.internet import reactor

    tree = idle_tree(hooks, cast("IReactorTime", reactor))
    chosen = {
        name: handler
        for name, handler in tree.handlers.items()
        if endpoint in (None, name) and recover_of(handler).sources
    }
    if not chosen:
        raise click.UsageError("none of the chosen endpoints has the option 'recover'")
    recovery = _Run(configured, tree, as_json=as_json, since=since, dry=dry_run)
    react(lambda reactor: ensureDeferred(recovery.all(reactor, chosen)))


class _Run:
    """One run of the command.

    :param since: see :meth:`~change_hooks.recovery.recovered.Runner.run`.
    """

    def __init__(
        self, configured: Configured, tree: Tree, *, as_json: bool, since: float | None, dry: bool
    ) -> None:
        self._hooks = configured.hooks
        self._has_all_sinks = configured.has_all_sinks
        self._tree = tree
        self._as_json = as_json
        self._since = since
        self._dry = dry
        self._failed = False

    async def all(self, reactor: Any, chosen: Mapping[str, Any]) -> None:
        """Recover from one log after another; a problem with one does not stop the others.

        :param chosen: the handlers of the endpoints, by the endpoints' names.
        """
        journal: SQLJournal = make_journal(self._hooks.journal or "", reactor.callFromThread)
        await open_journal(journal)
        try:
            for name, handler in chosen.items():
                acceptance = Acceptance(
                    name, self._tree.found_again, self._accept(journal), stored_of(handler)
                )
                try:
                    made = runners(handler, journal, acceptance, None, reactor)
                except RestError as error:
                    self._fail(f"{name}: {error}")
                    continue
                for runner in made:
                    await self._run(runner)
        finally:
            await journal.close()
        if self._failed:
            raise SystemExit(1)

    def _accept(self, journal: SQLJournal) -> Callable[[Delivery, Found], Awaitable[bool]]:
        async def accept(delivery: Delivery, found: Found) -> bool:
            sinks = routes(self._hooks.sinks, found, delivery)
            way = "fetched" if is_fetched(delivery) else ""
            stored = await journal.append(delivery, found, *sinks, about=found.about, way=way)
            if not stored.duplicate and not self._has_all_sinks:
                await journal.wish(stored.seq)
            return not stored.duplicate

        return accept

    async def _run(self, runner: Runner) -> None:
        try:
            async for missing in runner.run(self._since, dry=self._dry):
                self._tell(missing)
        except (RestError, Unavailable) as error:
            self._fail(f"{runner.endpoint}, {runner.source}: {error}")

    def _fail(self, message: str) -> None:
        self._failed = True
        click.echo(printable(f"error: {message}"), err=True)

    def _tell(self, missing: Missing) -> None:
        self._failed = self._failed or missing.outcome == "failed"
        if self._as_json:
            print_json(msgspec.structs.asdict(missing))
            return
        reason = f": {missing.reason}" if missing.reason else ""
        line = f"{missing.outcome:9}  {missing.endpoint}/{missing.delivery}  {missing.event}{reason}"
        at = shown_time(missing.received) if missing.received else "-"
        click.echo(printable(f"{at:20}  {line}"))


__all__ = ["run"]

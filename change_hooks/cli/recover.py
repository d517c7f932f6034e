"""Fetching what never came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from change_hooks.cli.choosing import Moment, open_journal, reader_of
from change_hooks.cli.common import config_argument, json_option, print_json, printable, read_config
from change_hooks.cli.showing import shown_time
from change_hooks.config import EndpointConfig, HooksConfig
from change_hooks.core.errors import Unavailable
from change_hooks.core.options import Source
from change_hooks.dialects.event_handler import method_name
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.forges.github import GitHub
from change_hooks.forges.github_log import GitHubLog
from change_hooks.forges.rest import RestError
from change_hooks.journal.address import make_journal
from change_hooks.journal.facade import SQLJournal
from change_hooks.outbox.routing import routes
from change_hooks.recovery.catch_up import CatchUp, Missing
from change_hooks.tree import replaying

#: For each request to the forge, in seconds.
TIME_LIMIT = 20.0


@click.command()
@config_argument
@json_option
@click.option("--endpoint", help="Only this endpoint.")
@click.option(
    "--since", type=Moment(), help="From then on, or how long ago: 12h, 3d.  [default: the last run]"
)
@click.option("--dry-run", is_flag=True, help="Only print what is missing.")
def recover(
    config: Path | None, as_json: bool, endpoint: str | None, since: float | None, dry_run: bool
) -> None:
    """Fetch the deliveries that the forge has in its log and the journal does not have.

    For the endpoints that have the option 'recover'. A running server of the same configuration takes the
    changes up within half a minute; when none runs, the next one does.
    """
    hooks = read_config(config)
    reader_of(hooks)
    chosen = [
        (entry, source)
        for entry in hooks.endpoints
        if endpoint in (None, entry.name)
        for source in _sources(entry)
    ]
    if not chosen:
        raise click.UsageError("no endpoint that was chosen has the option 'recover'")
    run = _Run(hooks, as_json=as_json, since=since, dry=dry_run)
    react(lambda reactor: ensureDeferred(run.all(reactor, chosen)))


def _sources(entry: EndpointConfig) -> tuple[Source, ...]:
    settings = _handler(entry).settings
    return getattr(settings, "recover", ())


def _handler(entry: EndpointConfig) -> Any:
    return make_handler(entry.handler, entry.options, Context(name=entry.name))


class _Run:
    """One run of the command.

    :param since: see :meth:`CatchUp.run`.
    """

    def __init__(self, hooks: HooksConfig, *, as_json: bool, since: float | None, dry: bool) -> None:
        self._hooks = hooks
        self._as_json = as_json
        self._since = since
        self._dry = dry
        self._failed = False

    async def all(self, reactor: Any, chosen: Sequence[tuple[EndpointConfig, Source]]) -> None:
        """Recover from one log after the other; what one of them lacks stops no other."""
        journal: SQLJournal = make_journal(self._hooks.journal or "", reactor.callFromThread)
        await open_journal(journal)
        try:
            for entry, source in chosen:
                await self._one(reactor, journal, entry, source)
        finally:
            await journal.close()
        if self._failed:
            raise SystemExit(1)

    async def _one(self, reactor: Any, journal: SQLJournal, entry: EndpointConfig, source: Source) -> None:
        handler = _handler(entry)
        forge = GitHub(handler.settings, None, reactor, time_limit=TIME_LIMIT, attempts=3)
        path = f"/change_hook/{entry.name}"
        try:
            catch_up = CatchUp(
                entry.name,
                f"{source.repository} {source.hook or ''}".strip(),
                GitHubLog(forge.rest, source.repository, source.hook, path),
                journal,
                handles=lambda event: hasattr(handler, method_name(event)),
                found=replaying(self._hooks, reactor),
                routes=lambda changes: routes(self._hooks.sinks, changes, entry.name),
                now=reactor.seconds,
            )
            async for missing in catch_up.run(self._since, dry=self._dry):
                self._tell(missing)
        except (RestError, Unavailable) as error:
            self._failed = True
            click.echo(printable(f"error: {entry.name}, {source.repository}: {error}"), err=True)

    def _tell(self, missing: Missing) -> None:
        self._failed = self._failed or missing.outcome == "failed"
        if self._as_json:
            print_json(msgspec.structs.asdict(missing))
            return
        reason = f": {missing.reason}" if missing.reason else ""
        line = f"{missing.outcome:9}  {missing.endpoint}/{missing.delivery}  {missing.event}{reason}"
        click.echo(printable(f"{shown_time(missing.received)}  {line}"))


__all__ = ["recover"]

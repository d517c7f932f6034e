"""Creates, checks and repairs webhooks, and rotates their secrets, for ``hook``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from change_hooks.cli.common import fail, print_json
from change_hooks.cli.configured import read_config
from change_hooks.config import HooksConfig
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.shown import printable
from change_hooks.forges.rest import RestError
from change_hooks.forges.webhooks.base import shown_url
from change_hooks.http_client import http_client
from change_hooks.journal.address import open_reader
from change_hooks.journal.reader import Reader
from change_hooks.references import files_in
from change_hooks.standalone_settings import standalone_settings
from change_hooks.tree import idle_tree
from change_hooks.webhooks.keeping import Judged, Keeper, shown_last
from change_hooks.webhooks.places import PATH, Asked, Place, not_among, places
from change_hooks.webhooks.probing import accepts
from change_hooks.webhooks.rotation import Rotation, Turn
from change_hooks.webhooks.secret_file import SecretFile, file_of
from change_hooks.webhooks.trying import Trial, tried


def ensure(
    config: Path,
    endpoints: Sequence[str],
    *,
    repositories: Sequence[str],
    url: str,
    as_json: bool,
    secret: str | None,
    test: bool | None,
    wait: float,
) -> None:
    """Create the webhooks, or update them; ends the program."""
    run = Run(config, Asked(endpoints, repositories, url, secret or None), as_json=as_json)

    async def one(place: Place, clock: Any) -> bool:
        keeper = Keeper(place, clock)
        done, number = await keeper.ensure()
        judged = await keeper.judge(last=False)
        trial = await tried(place, number, reader=run.reader, wait=wait, test=test, clock=clock)
        run.tell(place, done, judged, trial)
        return not (judged.problems or trial.is_bad)

    run.each(one, needs_url=True)


def check(
    config: Path, endpoints: Sequence[str], *, repositories: Sequence[str], url: str, as_json: bool
) -> None:
    """Compare the webhooks with what they should be; ends the program."""
    run = Run(config, Asked(endpoints, repositories, url, ""), as_json=as_json)

    async def one(place: Place, clock: Any) -> bool:
        judged = await Keeper(place, clock).judge()
        run.tell(place, "wrong" if judged.problems else "good", judged)
        return not judged.problems

    run.each(one)


def rotate(
    config: Path,
    endpoints: Sequence[str],
    *,
    repositories: Sequence[str],
    url: str,
    as_json: bool,
    test: bool | None,
    wait: float,
    grace: float,
    resume: bool,
    no_probe: bool,
) -> None:
    """Give the webhooks a new secret; ends the program."""
    run = Run(config, Asked(endpoints, repositories, url, ""), as_json=as_json)
    settings = standalone_settings(config)

    async def all_of_them(found: Sequence[Place], clock: Any) -> None:
        for said in refuse_a_part(found):
            run.say(said)
        http = http_client(clock, verify=True, connect_timeout=10.0)

        async def probe(place: Place, new: str) -> str | None:
            for address in (place.wanted.url, *local_urls(settings.port, place.endpoint)):
                said = await accepts(http, clock, place.handler, address, new)
                if said is not None:
                    return said
            return None

        for turn in turns(found, settings.www, settings.base):
            await Rotation(
                turn,
                reader=run.reader,
                probe=None if no_probe else probe,
                tell=run.say,
                clock=clock,
                grace=grace,
                wait=wait,
                test=test,
                resume=resume,
            ).run()

    run.together(all_of_them, needs_url=True)


class Run:
    """One run of a command over all chosen webhooks; a problem with one does not stop the others."""

    def __init__(self, config: Path, asked: Asked, *, as_json: bool) -> None:
        self.hooks = read_config(config).hooks
        admin = self.hooks.admin
        url = asked.url or (admin.url if admin is not None else "")
        self._asked = Asked(asked.endpoints, asked.repositories, url, asked.secret)
        self._as_json = as_json
        self._good = True
        self.reader = reader_or_none(self.hooks)

    def each(
        self, work: Callable[[Place, Any], Coroutine[Any, Any, bool]], *, needs_url: bool = False
    ) -> None:
        """Do something for each webhook, one after another; ends the program.

        :param work: returns whether it succeeded.
        """

        async def one_by_one(found: Sequence[Place], clock: Any) -> None:
            for place in found:
                try:
                    self._good &= await work(place, clock)
                except RestError as error:
                    self._fail(place.endpoint, place.source.name, str(error))

        self.together(one_by_one, needs_url=needs_url)

    def together(
        self, work: Callable[[Sequence[Place], Any], Coroutine[Any, Any, None]], *, needs_url: bool
    ) -> None:
        """Do something for all webhooks together; ends the program."""
        if needs_url and not self._asked.url:
            raise click.UsageError("give --url https://YOUR.HOST, or set 'url' of change_hook_admin")

        async def run(clock: Any) -> None:
            tree = idle_tree(self.hooks, clock)
            try:
                asked = self._asked
                found = list(places(tree.handlers, asked, http=None, clock=clock, left_out=self._left_out))
                if not found and self._good:
                    nothing = "no repositories are known: give an ENDPOINT, and --repository OWNER/NAME"
                    raise ConfigurationError([nothing])
                await work(found, clock)
            except ConfigurationError as error:
                fail(error)
            except RestError as error:
                click.echo(printable(f"error: {error}"), err=True)
                self._good = False
            finally:
                tree.stop()
            if not self._good:
                raise SystemExit(1)

        react(lambda reactor: ensureDeferred(run(reactor)))

    def say(self, step: str) -> None:
        """Print a step."""
        if self._as_json:
            print_json({"step": step})
        else:
            click.echo(printable(step))

    def _left_out(self, endpoint: str, error: ConfigurationError) -> None:
        for problem in error.problems:
            self._fail(endpoint, "", problem.removeprefix(f"{endpoint}: "))

    def _fail(self, endpoint: str, source: str, message: str) -> None:
        self._good = False
        if self._as_json:
            print_json({"endpoint": endpoint, "source": source, "outcome": "failed", "reason": message})
        else:
            name = f"{endpoint}, {source}" if source else endpoint
            click.echo(printable(f"error: {name}: {message}"), err=True)

    def tell(self, place: Place, outcome: str, judged: Judged, trial: Trial | None = None) -> None:
        """Print what was done to a webhook, and its present state."""
        hook = judged.hook
        url = shown_url(hook.url if hook is not None else place.wanted.url)
        if self._as_json:
            print_json(
                {
                    "endpoint": place.endpoint,
                    "source": place.source.name,
                    "outcome": outcome,
                    "hook": None if hook is None else hook.number,
                    "url": url,
                    "events": sorted(hook.events if hook is not None else ()),
                    "problems": judged.problems,
                    "doubts": judged.doubts,
                    "last": judged.last,
                    "test": trial,
                }
            )
            return
        number = f" webhook {hook.number}" if hook is not None else ""
        lines = [f"{place.endpoint}  {place.source.name}  {outcome}{number}  {url}"]
        if hook is not None:
            lines.append(f"  events: {', '.join(sorted(hook.events)) or 'none'}")
        if judged.last is not None:
            lines.append(f"  last delivery: {shown_last(judged.last)}")
        if trial is not None:
            lines.append(f"  {'problem: ' if trial.is_bad else ''}{trial.said}")
        lines += [f"  problem: {problem}" for problem in judged.problems]
        lines += [f"  warning: {doubt}" for doubt in judged.doubts]
        for line in lines:
            click.echo(printable(line))


def refuse_a_part(found: Sequence[Place]) -> Iterator[str]:
    """Warnings about other senders that may use the secret of these webhooks.

    :raises ConfigurationError: other webhooks use it, and would be refused afterwards.
    """
    others, open_ended = not_among(found)
    if others:
        raise ConfigurationError(
            [
                f"these use the same secret, and would be refused afterwards: {'; '.join(others)}. Name them"
                " with --repository, too, or leave --repository out"
            ]
        )
    for name in open_ended:
        yield (
            f"warning: {name}: repositories that the configuration does not name may send to it, too; they"
            " are refused once the old secret is removed"
        )


def turns(found: Sequence[Place], www: Mapping[str, Any], base: Path) -> list[Turn]:
    """The files with the secrets of these webhooks, each with all webhooks that use it. All of them must be
    checked before any is changed.

    :raises ConfigurationError: a secret is not in a file, or an endpoint that was not chosen uses it, too.
    """
    secrets = {name: _secret_in(options) for name, options in www.get("change_hook_dialects", {}).items()}
    by_file: dict[Path, list[Place]] = {}
    for place in found:
        file = file_of(place.endpoint, secrets[place.endpoint], base)
        by_file.setdefault(file.path, []).append(place)
    for path, those in by_file.items():
        meant = {place.endpoint for place in those}
        others = {
            name
            for name, secret in secrets.items()
            if name not in meant and path in [file.resolve() for file in files_in(secret, base)]
        }
        if others:
            names = ", ".join(sorted(others))
            raise ConfigurationError(
                [f"{path} holds the secret of {names}, too; name these endpoints as well"]
            )
    return [Turn(SecretFile(path), those) for path, those in by_file.items()]


def _secret_in(options: Any) -> Any:
    """The option ``secret`` of an endpoint, as the user wrote it, or None."""
    return options.get("secret") if isinstance(options, Mapping) else None


def local_urls(port: str, endpoint: str) -> Sequence[str]:
    """The URLs at which a server with this configuration can be reached on this machine."""
    kind, _, rest = port.partition(":")
    number = rest.partition(":")[0].removeprefix("port=")
    return [f"http://127.0.0.1:{number}{PATH}/{endpoint}"] if kind == "tcp" and number.isdigit() else []


def reader_or_none(hooks: HooksConfig) -> Reader | None:
    """A reader of the journal; None: there is no journal, or it does not exist yet."""
    if hooks.journal is None:
        return None
    try:
        return open_reader(hooks.journal)
    except FileNotFoundError:
        return None
    except ConfigurationError as error:
        fail(error)
        raise


__all__ = ["Run", "check", "ensure", "reader_or_none", "refuse_a_part", "rotate", "turns"]

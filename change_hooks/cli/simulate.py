"""``simulate``: sends a delivery as a forge would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from change_hooks.cli.common import json_option, print_json
from change_hooks.cli.posting import login_options, post, say_posted
from change_hooks.cli.target import target_of
from change_hooks.core.address import web_page
from change_hooks.testing.simulate import EVENTS, MADE_UP, CannotSimulate, Push, made_up, simulate
from change_hooks.vcs.git import Repository
from change_hooks.vcs.tools import ToolError, lines_of, text


@click.command("simulate")
@click.argument("dialect")
@click.argument("arguments", nargs=-1, metavar="[EVENT] [CONFIG]")
@click.option("--to", "url", help="The URL of the endpoint.  [default: that of CONFIG]")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    help="A local Git repository.  [default: the current one; without one, the commits are made up]",
)
@click.option(
    "--commits",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many of the latest commits to send.",
)
@click.option("--branch", help="The branch.  [default: the one that is checked out]")
@click.option("--address", help="The repository's web page.  [default: that of its remote 'origin']")
@click.option(
    "--recorded",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with recorded deliveries of your own dialects, in DIRECTORY/DIALECT; may be repeated.",
)
@login_options
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@json_option
def simulate_command(dialect: str, arguments: tuple[str, ...], url: str | None, **options: Any) -> None:
    """Send a delivery as a forge would, made from the latest commits of a local repository, and signed.
    Without a repository, the commits are made up.

    EVENT is push (the default), pull-request, new-branch, forced-push, tag, deletion or ping. With CONFIG,
    DIALECT is one of its endpoints, and URL and secret are taken from there: change-hooks simulate github
    hooks.cfg. This tries a configuration before the forge knows the server's URL.
    """
    events = [each for each in arguments if each in EVENTS] or ["push"]
    configs = [each for each in arguments if each not in EVENTS]
    if len(events) > 1 or len(configs) > 1:
        raise click.UsageError(f"give one event ({', '.join(EVENTS)}) and one configuration file at most")
    event, settings = events[0], None
    if configs:
        if not Path(configs[0]).exists():
            raise click.UsageError(
                f"{configs[0]!r} is neither an event nor a file; valid events are {', '.join(EVENTS)}"
            )
        target = target_of(Path(configs[0]), dialect, url, options["secret"])
        dialect, url, settings = target.dialect, target.url, target.options
        options["secret"] = target.secret
    if url is None:
        raise click.UsageError("where to? Give --to URL, or a configuration file")
    where = url
    try:
        push = _push(event, options)
        simulated = simulate(dialect, push, options["secret"], options=settings, folders=options["folders"])
    except (ToolError, CannotSimulate) as error:
        raise click.ClickException(str(error)) from None
    if simulated.query:
        where = f"{where}{'&' if '?' in where else '?'}{simulated.query}"
    if options["dry_run"]:
        print_json({"url": where, "headers": simulated.headers, "body": simulated.body.decode()})
        return
    login = {"user": options["user"], "password": options["password"]}
    posted = post(where, login, lambda poster: poster.send(simulated.body, simulated.headers))
    say_posted(posted._replace(delivery=simulated.id or posted.delivery), options["as_json"])


def _push(event: str, options: Mapping[str, Any]) -> Push:
    repository = Repository(options["repo"] or Path())
    if options["repo"] is None and not _has_commits(repository):
        click.echo("there is no Git repository with commits here: the commits are made up", err=True)
        branch = options["branch"] or ("v1.0" if event == "tag" else "main")
        return made_up(options["commits"], branch, options["address"] or MADE_UP, event)
    commits = repository.last(options["commits"], "HEAD" if event == "tag" else options["branch"] or "HEAD")
    if not commits:
        raise ToolError("git: there is no commit yet")
    parent = repository.commit_of(f"{commits[0].id}~1") or "0" * 40
    return Push(
        commits=commits,
        branch=options["branch"] or ("v1.0" if event == "tag" else repository.branch()) or "main",
        address=options["address"] or page_of(repository),
        parent=parent,
        event=event,
    )


def _has_commits(repository: Repository) -> bool:
    try:
        return repository.commit_of("HEAD") is not None
    except ToolError:
        return False


def page_of(repository: Repository) -> str:
    """The web page of the remote ``origin``, or of the only remote; without a remote, a made-up one."""
    try:
        remotes = [text(line) for line in lines_of(repository.git("remote"))]
        named = remotes[0] if len(remotes) == 1 else "origin"
        page = web_page(text(repository.git("remote", "get-url", "--", named)).strip())
    except ToolError:
        page = None
    if page and urlsplit(page).path.strip("/"):
        return page
    return f"https://forge.example/owner/{Path(repository.path).resolve().name.removesuffix('.git')}"


__all__ = ["simulate_command"]

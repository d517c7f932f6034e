"""``send`` and ``simulate``: send a change, or a delivery as a forge would."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from change_hooks.cli.common import json_option, print_json, printable
from change_hooks.cli.posting import Posted, login_options, post
from change_hooks.cli.target import target_of
from change_hooks.core.address import web_page
from change_hooks.testing.simulate import EVENTS, MADE_UP, CannotSimulate, Push, made_up, simulate
from change_hooks.vcs.git import Repository
from change_hooks.vcs.tools import ToolError, lines_of, text


class Property(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """``key=value``, or a JSON object."""

    name = "property"

    def convert(self, value: Any, param: Any, ctx: Any) -> Mapping[str, Any]:
        """A mapping of one property, or several."""
        if isinstance(value, Mapping):
            return value
        if value.lstrip().startswith("{"):
            try:
                return dict(json.loads(value))
            except ValueError as error:
                self.fail(f"{value!r} is not a valid JSON object: {error}", param, ctx)
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is neither key=value nor a JSON object", param, ctx)
        return {key: text}


@click.command()
@click.argument("url")
@click.option("--author", "--who", "-w", help="The author.  [default: you]")
@click.option("--committer", help="The committer.")
@click.option("--file", "-f", "files", multiple=True, help="A file that was changed; may be repeated.")
@click.option("--comments", "-c", default="sent by change-hooks send", help="The commit message.")
@click.option("--revision", "-R", help="The revision, for instance a commit's hash.")
@click.option("--when", "-W", help="The time: seconds since the epoch, or ISO 8601.")
@click.option("--branch", "-b", help="The branch.")
@click.option("--category", "-C", help="The category: any text that tells kinds of changes apart.")
@click.option("--revlink", help="The URL of a page that shows the change.")
@click.option(
    "--property",
    "-p",
    "properties",
    type=Property(),
    multiple=True,
    help="A property, key=value, or several as a JSON object.",
)
@click.option("--repository", "-r", help="The URL of the repository.")
@click.option("--project", "-P", help="The name of the project.")
@click.option("--codebase", help="The repository's role in a build.")
@click.option("--src", help="The version control system: git, hg, svn ...")
@login_options
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@json_option
def send(url: str, **options: Any) -> None:
    """Send one change to the dialect 'base' at URL, for instance http://localhost:8010/change_hook/base.

    The exit status is 0 when the change was accepted.
    """
    login = {name: options.pop(name) for name in ("user", "password", "secret")}
    dry_run, as_json = options.pop("dry_run"), options.pop("as_json")
    properties: dict[str, Any] = {}
    for each in options.pop("properties"):
        properties.update(each)
    fields = {name: value for name, value in options.items() if value and name != "files"}
    fields.setdefault("author", getpass.getuser())
    if options["files"]:
        fields["files"] = json.dumps(options["files"])
    if properties:
        fields["properties"] = json.dumps(properties)
    if dry_run:
        print_json({"url": url, **fields})
        return
    _say(post(url, login, lambda poster: poster.post(fields)), as_json)


def _say(posted: Posted, as_json: bool) -> None:
    """Print the delivery's id, if there is one, and what the receiver said."""
    message = printable(posted.message, lines=as_json)
    if as_json:
        print_json({"delivery": posted.delivery, "message": message})
    else:
        click.echo(f"{posted.delivery}: {message}" if posted.delivery else message)


@click.command("simulate")
@click.argument("dialect")
@click.argument("arguments", nargs=-1, metavar="[EVENT] [CONFIG]")
@click.option("--to", "url", help="The URL of the endpoint.  [default: that of CONFIG]")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    help="A local Git repository.  [default: the one here; without one, the commits are made up]",
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
    Where there is no repository, the commits are made up.

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
    _say(posted._replace(delivery=simulated.id or posted.delivery), options["as_json"])


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
        address=options["address"] or _web_page(repository),
        parent=parent,
        event=event,
    )


def _has_commits(repository: Repository) -> bool:
    try:
        return repository.commit_of("HEAD") is not None
    except ToolError:
        return False


def _web_page(repository: Repository) -> str:
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


__all__ = ["send", "simulate_command"]

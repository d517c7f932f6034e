"""``send``: sends one change."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from typing import Any

import click

from change_hooks.cli.common import json_option, print_json
from change_hooks.cli.posting import login_options, post, say_posted


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

    The exit status is 0 if the change was accepted.
    """
    login = {name: options.pop(name) for name in ("user", "password", "secret")}
    dry_run, as_json = options.pop("dry_run"), options.pop("as_json")
    properties: dict[str, Any] = {}
    for each in options.pop("properties"):
        properties.update(each)
    fields = {name: value for name, value in options.items() if value and name != "files"}
    fields.setdefault("author", _user())
    if options["files"]:
        fields["files"] = json.dumps(options["files"])
    if properties:
        fields["properties"] = json.dumps(properties)
    if dry_run:
        print_json({"url": url, **fields})
        return
    say_posted(post(url, login, lambda poster: poster.post(fields)), as_json)


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # In a container, a user may have no name.
        return "nobody"


__all__ = ["send"]

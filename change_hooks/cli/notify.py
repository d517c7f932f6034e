"""``notify``: reports pushes and commits from the hooks of repositories."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from change_hooks.cli.posting import login_options
from change_hooks.clients import fossil, git, svn
from change_hooks.clients.mercurial import Poster, Refused
from change_hooks.core.change import Change
from change_hooks.core.select import DEFAULT_SKIPS, compile_skips
from change_hooks.core.shown import counted, printable
from change_hooks.vcs.git import Repository
from change_hooks.vcs.svn import look
from change_hooks.vcs.svn_layout import (
    SplitFile,
    split_file_alwaystrunk,
    split_file_branches,
    split_file_projects_branches,
)
from change_hooks.vcs.tools import ToolError


@click.group()
def notify() -> None:
    """Report a push or commit to a receiver, from a hook of the repository.

    If the receiver is down, one line of warning is printed; the push never fails.
    """


def _about(command: Any) -> Any:
    for option in (
        click.option("--codebase", help="The repository's role in a build."),
        click.option("--category", help="The category: any text that tells kinds of changes apart."),
        click.option("--project", help="The name of the project."),
        click.option("--repository", help="The URL of the repository.  [default: its path]"),
        click.option(
            "--to",
            "urls",
            required=True,
            multiple=True,
            help="The URL of the dialect 'base'; may be repeated.",
        ),
    ):
        command = option(command)
    return login_options(command)


@notify.command("git")
@click.option("--branches", multiple=True, help="Only branches that match this pattern; may be repeated.")
@click.option(
    "--skip",
    "skips",
    multiple=True,
    default=DEFAULT_SKIPS,
    help="Skip updates whose newest commit's message matches this; '' for none.  [default: [ci skip]]",
)
@_about
def notify_git(branches: tuple[str, ...], skips: tuple[str, ...], **options: Any) -> None:
    """Report a push, from a post-receive hook. The updates are read from standard input.

    \b
    #!/bin/sh
    exec change-hooks notify git --to https://build.example.com/change_hook/base
    """
    try:
        wanted = git.Wanted(
            branches or None, compile_skips(skip for skip in skips if skip), git.push_options(os.environ)
        )
        updates, strange = git.read_updates(sys.stdin.buffer.read())
        for line in strange:
            _warn(f"not an update of a ref: {line!r}; run it as a post-receive hook")
        told = git.changes_of(Repository(Path.cwd()), updates, wanted) if updates else git.Told()
    except (ToolError, ValueError) as error:
        _warn(str(error))
        return
    _notify(told, str(Path.cwd()), options)


LAYOUTS: Mapping[str, SplitFile] = {
    "branches": split_file_branches,
    "projects": split_file_projects_branches,
    "none": split_file_alwaystrunk,
}


@notify.command("svn")
@click.argument("repos", type=click.Path(exists=True, path_type=Path))
@click.argument("rev")
@click.argument("txn", required=False)
@click.option(
    "--layout",
    type=click.Choice(sorted(LAYOUTS)),
    default="branches",
    show_default=True,
    help="trunk/ and branches/NAME/; PROJECT/trunk/ and PROJECT/branches/NAME/; or no branches.",
)
@_about
def notify_svn(repos: Path, rev: str, txn: str | None, layout: str, **options: Any) -> None:  # noqa: ARG001
    """Report a commit, from a post-commit hook.

    \b
    #!/bin/sh
    exec change-hooks notify svn "$1" "$2" --to https://build.example.com/change_hook/base
    """
    try:
        told = svn.changes_of(look(str(repos), rev), LAYOUTS[layout])
    except (ToolError, ValueError) as error:
        _warn(str(error))
        return
    _notify(told, str(repos), options)


@notify.command("fossil")
@click.argument("repos", type=click.Path(exists=True, path_type=Path))
@click.option("--branches", multiple=True, help="Only branches that match this pattern; may be repeated.")
@_about
def notify_fossil(repos: Path, branches: tuple[str, ...], **options: Any) -> None:
    """Report a push, from an after-receive hook. The artifacts are read from standard input.

    \b
    fossil hook add --type after-receive \\
        --command "change-hooks notify fossil %R --to https://build.example.com/change_hook/base"
    """
    try:
        names, strange = fossil.read_artifacts(sys.stdin.buffer.read())
        for line in strange:
            _warn(f"not an artifact: {line!r}; run it as an after-receive hook")
        told = fossil.changes_of(str(repos), names, branches or ("*",)) if names else git.Told()
    except (ToolError, ValueError) as error:
        _warn(str(error))
        return
    _notify(told, str(repos.resolve()), options)


def _fields(change: Change) -> dict[str, str]:
    """A change as a form for the dialect ``base``."""
    fields = {name: value for name, value in change.as_dict().items() if value not in (None, "", [], {})}
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in fields.items()
    }


def _notify(told: git.Told, path: str, options: dict[str, Any]) -> None:
    for problem in told.problems:
        _warn(problem)
    for note in told.notes:
        _say(printable(note))
    login = {name: options[name] for name in ("user", "password", "secret")}
    about = {name: options[name] for name in ("project", "category", "codebase") if options[name]}
    about["repository"] = options["repository"] or path
    fields_of_all = [{**_fields(change), **about} for change in told.changes]
    for url in options["urls"]:
        try:
            poster = Poster(url, **login)
            sent, problems = poster.post_all(fields_of_all)
        except Refused as error:
            sent, problems = 0, [str(error)]
        if problems:
            _warn(f"{sent} of {counted(len(fields_of_all), 'change')} sent: {'; '.join(problems)}")
        else:
            _say(f"{counted(sent, 'change')} sent to {poster.url}")


def _warn(message: str) -> None:
    _say(f"warning: {printable(message)}", err=True)


def _say(message: str, *, err: bool = False) -> None:
    """Print a line, if anybody reads it: the reader of a hook's output may have gone."""
    with suppress(OSError):
        click.echo(f"change-hooks: {message}", err=err)


__all__ = ["notify"]

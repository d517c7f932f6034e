"""What the commands share."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from change_hooks.config import HooksConfig, read_www
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.shown import printable
from change_hooks.standalone import standalone_settings

#: What begins the second line of what is one.
INDENT = "    "

Command = TypeVar("Command", bound=Callable[..., Any])


def config_argument(command: Command) -> Command:
    """CONFIG: a file, or the embedded default when it is not given."""
    return click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def fail(error: ConfigurationError) -> None:
    """Say what is wrong with a configuration, and end."""
    for problem in error.problems:
        say(f"{click.style('error:', fg='red')} {problem}", err=True)
    sys.exit(1)


class Configured(msgspec.Struct, frozen=True):
    """What a configuration says.

    :param in_master: a Buildbot master serves it, and has a sink of its own besides those of *hooks*.
    """

    hooks: HooksConfig
    in_master: bool = False

    @property
    def has_all_sinks(self) -> bool:
        """False: a program has sinks that only it can hand changes to."""
        return bool(self.hooks.sinks) and not self.in_master


def read_config(config: Path | None) -> Configured:
    """What the configuration file says, or the embedded default; ends the program when it is wrong."""
    try:
        settings = standalone_settings(config)
        return Configured(read_www(settings.www, base=settings.base), settings.is_served_by_master)
    except ConfigurationError as error:
        fail(error)
        raise


def say(line: str, *, err: bool = False) -> None:
    """Print a line for people. On a terminal it is broken between words, and what follows is indented."""
    stream = sys.stderr if err else sys.stdout
    click.echo(fitted(line, shutil.get_terminal_size().columns) if stream.isatty() else line, err=err)


def fitted(line: str, width: int) -> str:
    """A line, broken between words so that it fits.

    :param width: in characters; a longer word stays whole.
    """
    lines = [""]
    for word in re.findall(" *[^ ]+", line):
        if lines[-1] and len(click.unstyle(lines[-1] + word)) > width:
            lines.append(INDENT + word.lstrip())
        else:
            lines[-1] += word
    return "\n".join(lines)


def print_json(fields: dict[str, Any]) -> None:
    """Print one line of JSON."""
    click.echo(json_line(fields))


def json_line(fields: Mapping[str, Any]) -> str:
    """One line of JSON, in which what a terminal could act on is escaped. Such a character can only stand in
    a string.
    """
    line = msgspec.json.encode(fields).decode()
    if line.isprintable():
        return line
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in line
    )


__all__ = [
    "Configured",
    "config_argument",
    "fail",
    "fitted",
    "json_line",
    "json_option",
    "print_json",
    "printable",
    "read_config",
    "say",
]

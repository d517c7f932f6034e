"""Code shared by the commands."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from change_hooks.interrupts import SilentInterrupts

if TYPE_CHECKING:
    from change_hooks.core.errors import ConfigurationError

#: The indentation of the continuation lines of a long line.
INDENT = "    "

Command = TypeVar("Command", bound=Callable[..., Any])


def loaded(module: str, name: str) -> Callable[..., None]:
    """A function that runs a command, loaded when it is called: the help of the command needs none of it.

    :param module: the module in this package.
    """
    with SilentInterrupts():
        function: Callable[..., None] = getattr(import_module(f"change_hooks.cli.{module}"), name)
    return function


def config_argument(command: Command) -> Command:
    """The argument CONFIG: a file; without it, the embedded default is used."""
    return click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def fail(error: ConfigurationError) -> None:
    """Print the problems of a configuration, and end the program."""
    for problem in error.problems:
        say(f"{click.style('error:', fg='red')} {problem}", err=True)
    sys.exit(1)


def say(line: str, *, err: bool = False) -> None:
    """Print a line for people. On a terminal it is wrapped between words, with its continuation indented."""
    stream = sys.stderr if err else sys.stdout
    at_terminal = stream is not None and stream.isatty()  # It is None if it is closed.
    click.echo(fitted(line, shutil.get_terminal_size().columns) if at_terminal else line, err=err)


def fitted(line: str, width: int) -> str:
    """Wrap a line between words.

    :param width: in characters; a longer word is not split.
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
    """One line of JSON, with control characters escaped that a terminal would interpret. Such characters can
    only occur in strings.
    """
    line = msgspec.json.encode(fields).decode()
    if line.isprintable():
        return line
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in line
    )


__all__ = [
    "config_argument",
    "fail",
    "fitted",
    "json_line",
    "json_option",
    "loaded",
    "print_json",
    "say",
]

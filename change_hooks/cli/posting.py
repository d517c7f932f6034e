"""Posts to a receiver from the command line, and reads what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from change_hooks.cli.common import print_json
from change_hooks.clients.mercurial import Poster, Refused
from change_hooks.core.shown import printable


def login_options(command: Any) -> Any:
    """The options that authenticate the sender. Values from the environment are not visible in ``ps``."""
    for option in (
        click.option("--user", help="The user, for HTTP Basic authentication."),
        click.option(
            "--password",
            envvar="CHANGE_HOOKS_PASSWORD",
            help="The password; $CHANGE_HOOKS_PASSWORD keeps it private.",
        ),
        click.option(
            "--secret",
            envvar="CHANGE_HOOKS_SECRET",
            help="The dialect's secret; $CHANGE_HOOKS_SECRET keeps it private.",
        ),
    ):
        command = option(command)
    return command


class Posted(NamedTuple):
    """What a receiver said.

    :param delivery: the delivery's id; None if the receiver did not name it.
    """

    message: str
    delivery: str | None = None


class _Asking(Poster):
    """Asks for JSON, which names the delivery, and takes any other response too."""

    delivery: str | None = None

    def __init__(self, url: str, **login: Any) -> None:
        super().__init__(url, **login)
        self.headers["Accept"] = "application/json"

    def message_of(self, answer: str) -> str:
        """The message in the response."""
        try:
            fields = json.loads(answer)
        except ValueError:
            return answer
        if not isinstance(fields, dict) or not isinstance(fields.get("message"), str):
            return answer
        self.delivery = str(fields.get("delivery") or "") or None
        return str(fields["message"])


def post(url: str, login: Mapping[str, Any], send: Callable[[Poster], str]) -> Posted:
    """Post to a receiver.

    :param login: what authenticates the sender, see :func:`login_options`.
    :param send: does it.
    :raises click.ClickException: it was not accepted.
    """
    try:
        poster = _Asking(url, **login)
        return Posted(send(poster), poster.delivery)
    except Refused as error:
        raise click.ClickException(printable(str(error))) from None


def say_posted(posted: Posted, as_json: bool) -> None:
    """Print the delivery's id, if there is one, and what the receiver said."""
    message = printable(posted.message, lines=as_json)
    if as_json:
        print_json({"delivery": posted.delivery, "message": message})
    else:
        click.echo(f"{posted.delivery}: {message}" if posted.delivery else message)


__all__ = ["Posted", "login_options", "post", "say_posted"]

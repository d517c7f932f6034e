"""``hook``: creates, checks and repairs webhooks at the forges, and rotates their secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from change_hooks.cli.common import Command, json_option, loaded


@click.group()
def hook() -> None:
    """Create, check and repair webhooks at the forges.

    The repositories are those in the endpoints' options 'repositories' and 'recover', or --repository. The
    URL is --url, or 'url' of change_hook_admin. The option 'token' must permit this.
    """


def meaning(command: Command) -> Command:
    """The arguments and options that choose webhooks."""
    for option in (
        json_option,
        click.option("--url", default="", help="The server's public URL: https://ci.example.com."),
        click.option(
            "--repository",
            "repositories",
            multiple=True,
            metavar="NAME",
            help="OWNER/NAME, or org:NAME for an organization, a group, a workspace or a project.",
        ),
        click.argument("endpoints", nargs=-1),
        click.argument("config", type=click.Path(dir_okay=False, path_type=Path)),
    ):
        command = option(command)
    return command


def testing(command: Command) -> Command:
    """The options for testing webhooks."""
    for option in (
        click.option(
            "--wait",
            type=click.FloatRange(0.1),
            default=30.0,
            show_default=True,
            help="How long to wait for the test, in seconds.",
        ),
        click.option(
            "--test/--no-test",
            default=None,
            help="Let the forge send a test.  [default: unless it could give a change]",
        ),
    ):
        command = option(command)
    return command


@hook.command()
@meaning
@testing
@click.option(
    "--secret",
    envvar="CHANGE_HOOKS_SECRET",
    help="The secret to write, if the configuration has a callable; or $CHANGE_HOOKS_SECRET.",
)
def ensure(**given: Any) -> None:
    """Create the webhooks, or update them.

    Each gets the secret and the events that the configuration handles, is switched on and tested. A webhook
    with the same URL is updated; the query of its URL stays.
    """
    loaded("hooking", "ensure")(**given)


@hook.command()
@meaning
def check(**given: Any) -> None:
    """Compare the webhooks with what they should be.

    Reports webhooks that are missing or disabled, wrong URLs and wrong events, and the response to the last
    delivery. The exit status is 1 if something is wrong.
    """
    loaded("hooking", "check")(**given)


@hook.command()
@meaning
@testing
@click.option(
    "--grace",
    type=click.FloatRange(0.0),
    default=60.0,
    show_default=True,
    help="How long the old secret stays accepted after the forge has the new one, in seconds.",
)
@click.option("--resume", is_flag=True, help="Continue a rotation that was interrupted.")
@click.option("--no-probe", is_flag=True, help="Do not ask the receiver whether it accepts the new secret.")
def rotate(**given: Any) -> None:
    """Give the webhooks a new secret; no delivery is refused meanwhile.

    The option 'secret' must be {'file': PATH}. A running server reads that file when it changes. The new
    secret is written there before the old one, then to the forge, and then the old one is removed.
    """
    loaded("hooking", "rotate")(**given)


__all__ = ["hook"]

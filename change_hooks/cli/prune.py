"""``prune``: deletes old deliveries."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.choosing import journal_option
from change_hooks.cli.common import config_argument, json_option, loaded


@click.command()
@config_argument
@json_option
@journal_option
@click.option(
    "--older-than",
    type=float,
    metavar="DAYS",
    help="Instead of change_hook_keep; required with --journal.",
)
@click.option(
    "--failed", is_flag=True, help="Delete failed deliveries, instead of those that every sink has accepted."
)
def prune(**given: Any) -> None:
    """Delete old deliveries. Those that a sink has not accepted yet are kept."""
    loaded("pruning", "run")(**given)


__all__ = ["prune"]

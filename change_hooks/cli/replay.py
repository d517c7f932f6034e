"""``replay``: processes stored deliveries again."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.choosing import choosing, journal_option
from change_hooks.cli.common import json_option, loaded


@click.command()
@click.argument("words", nargs=-1, metavar="[CONFIG] [ID]...")
@json_option
@click.option("--failed", is_flag=True, help="Only deliveries that failed.")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only to this sink.")
@click.option("--all-sinks", is_flag=True, help="Also to the sinks that have accepted the changes.")
@click.option(
    "--dry-run", is_flag=True, help="Only print the chosen deliveries, and their state at each sink."
)
@journal_option
@choosing
def replay(**given: Any) -> None:
    """Send deliveries through the current handlers again, and the changes to the sinks that have not accepted
    them.

    Give ids, or choose with --failed and the other options. A running server with the same configuration
    picks the changes up within half a minute; if none is running, the next one does. If the sinks are not in
    the configuration but in a program (an embedded service, a Buildbot master), that program is asked to do
    it. The changes keep their keys.
    """
    loaded("replaying", "run")(**given)


__all__ = ["replay"]

"""``recover``: fetches deliveries that never arrived."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.choosing import Moment
from change_hooks.cli.common import config_argument, json_option, loaded


@click.command()
@config_argument
@json_option
@click.option("--endpoint", help="Only this endpoint.")
@click.option(
    "--since",
    type=Moment(),
    help="Only deliveries since then: a time, or 12h, 3d.  [default: the last run]",
)
@click.option("--dry-run", is_flag=True, help="Only print what is missing.")
def recover(**given: Any) -> None:
    """Fetch deliveries that are in the forge's log but not in the journal.

    Works for endpoints with the option 'recover'. A running server with the same configuration picks the
    changes up within half a minute; if none is running, the next one does. If the sinks are not in the
    configuration but in a program (an embedded service, a Buildbot master), that program is asked to do it.
    """
    loaded("recovering", "run")(**given)


__all__ = ["recover"]

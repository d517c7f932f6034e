"""``serve``: runs the server."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.common import config_argument, loaded
from change_hooks.cli.logs import LEVELS


@click.command()
@config_argument
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A line of text, or a JSON object, for each event.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="The lowest level to log.",
)
@click.option("--quiet", is_flag=True, help="Log only warnings and errors: --log-level warning.")
@click.option("--port", help="A port number or endpoint string, instead of c['www']['port'].")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of worker processes."
)
def serve(**given: Any) -> None:
    """Run the server.

    SIGTERM and SIGINT stop it once everything in flight is answered. SIGHUP reloads CONFIG.
    """
    loaded("serving", "run")(**given)


__all__ = ["serve"]

"""``serve``: runs the server."""

from __future__ import annotations

from pathlib import Path

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
def serve(
    config: Path | None, *, log_format: str, log_level: str, quiet: bool, port: str | None, workers: int
) -> None:
    """Run the server.

    SIGTERM and SIGINT stop it once everything in flight is answered. SIGHUP reloads CONFIG.
    """
    level = "warning" if quiet else log_level
    loaded("serving", "run")(config, log_format=log_format, log_level=level, port=port, workers=workers)


__all__ = ["serve"]

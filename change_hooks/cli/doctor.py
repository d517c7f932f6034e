"""``doctor``: runs all checks at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from change_hooks.cli.common import json_option, loaded


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.option("--url", default="", help="The server's public URL: https://ci.example.com.")
def doctor(**given: Any) -> None:
    """Check everything: the configuration, the journal, the disk, the certificates, the webhooks.

    Also reports whether forges can reach the receiver, according to their logs, and compares the clocks. The
    exit status is 1 if something is wrong.
    """
    loaded("diagnosing", "run")(**given)


__all__ = ["doctor"]

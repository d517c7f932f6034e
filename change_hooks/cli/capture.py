"""``capture``: writes a delivery from the journal as files for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from change_hooks.cli.common import loaded


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] ID")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("recorded"),
    show_default=True,
    help="The folder; the files go to its subfolder DIALECT.",
)
@click.option(
    "--case", default="", help="What is special about the delivery; becomes part of the files' names."
)
def capture(**given: Any) -> None:
    """Write a delivery and its changes as files that a test can read.

    Secrets, tokens and email addresses are replaced. Look at the files before you publish them: names,
    messages and addresses of repositories stay. ID is a delivery's id, its beginning, or DIALECT/ID.
    """
    loaded("capturing", "run")(**given)


__all__ = ["capture"]

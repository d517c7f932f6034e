"""``explain``: why a delivery gives its changes, and where they go: every test, its value, its verdict."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.common import json_option, loaded


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] ID")
@json_option
def explain(**given: Any) -> None:
    """Print all tests of a delivery, by the options and the sinks of the current configuration.

    ID is a delivery's id, its beginning, or DIALECT/ID. Nothing is stored, and no sink is called.
    """
    loaded("explaining", "run")(**given)


__all__ = ["explain"]

"""``check``: reports errors in a configuration, and warnings about it."""

from __future__ import annotations

from typing import Any

import click

from change_hooks.cli.common import config_argument, json_option, loaded


@click.command()
@config_argument
@json_option
@click.option("--strict", is_flag=True, help="Exit with status 1 for warnings too.")
def check(**given: Any) -> None:
    """Check a configuration for mistakes, before you run 'serve'.

    Opens what 'serve' opens: ports, certificates, password files, programs, the journal. Errors, and
    warnings about what may not be intended, go to standard error.
    """
    loaded("checking", "run")(**given)


__all__ = ["check"]

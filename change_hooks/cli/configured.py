"""Reads a configuration for a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from change_hooks.cli.common import fail
from change_hooks.core.errors import ConfigurationError
from change_hooks.interrupts import SilentInterrupts

if TYPE_CHECKING:
    from change_hooks.config import HooksConfig
    from change_hooks.standalone_settings import Settings


class Configured(msgspec.Struct, frozen=True):
    """A configuration that was read.

    :param in_master: a Buildbot master serves it, and is a sink itself, besides those of *hooks*.
    """

    hooks: HooksConfig
    in_master: bool = False

    @property
    def has_all_sinks(self) -> bool:
        """False: a program has sinks that only it can call."""
        return bool(self.hooks.sinks) and not self.in_master


def settings_and_hooks(config: Path | None) -> tuple[Settings, HooksConfig]:
    """Read the configuration file, or use the embedded default; ends the program if it is invalid."""
    with SilentInterrupts():
        from change_hooks.config import read_www
        from change_hooks.standalone_settings import standalone_settings
    try:
        settings = standalone_settings(config)
        return settings, read_www(settings.www, base=settings.base)
    except ConfigurationError as error:
        fail(error)
        raise


def read_config(config: Path | None) -> Configured:
    """See :func:`settings_and_hooks`."""
    settings, hooks = settings_and_hooks(config)
    return Configured(hooks, settings.is_served_by_master)


__all__ = ["Configured", "read_config", "settings_and_hooks"]

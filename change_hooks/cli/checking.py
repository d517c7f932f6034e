"""Checks a configuration for ``check``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from change_hooks.addresses import written_url
from change_hooks.cli.common import fail, print_json, say
from change_hooks.cli.configured import settings_and_hooks
from change_hooks.config import HooksConfig
from change_hooks.core.errors import ConfigurationError
from change_hooks.inspection import inspect
from change_hooks.journal.address import shown
from change_hooks.standalone_settings import Settings, inside


def run(config: Path | None, *, as_json: bool, strict: bool) -> None:
    """Print the problems and warnings, or what the configuration says; ends the program if it is wrong."""
    from twisted.internet import reactor

    with inside(config) as path:
        settings, hooks = settings_and_hooks(path)
        found = inspect(settings, hooks, reactor)
    for doubt in () if as_json else found.doubts:
        say(f"{click.style('warning:', fg='yellow')} {doubt}", err=True)
    if found.problems:
        fail(ConfigurationError(found.problems))
    if as_json:
        print_json(_as_json(hooks, found.doubts))
    else:
        for line in _as_text(settings, hooks):
            say(line)
        say(click.style("the configuration is good", fg="green"))
    if strict and found.doubts:
        sys.exit(1)


def _as_json(hooks: HooksConfig, doubts: tuple[str, ...]) -> dict[str, Any]:
    return {
        "endpoints": {entry.name: _name_of(entry.handler) for entry in hooks.endpoints},
        "sinks": list(hooks.sinks),
        "journal": shown(hooks.journal),
        "admin": None if hooks.admin is None else hooks.admin.port,
        "warnings": doubts,
    }


def _as_text(settings: Settings, hooks: HooksConfig) -> Iterator[str]:
    yield f"port: {settings.port}"
    address = written_url(settings.port) or ""
    for entry in hooks.endpoints:
        yield f"endpoint: {address}/change_hook/{entry.name}  {_name_of(entry.handler)}"
    for name, routed in hooks.sinks.items():
        yield f"sink: {name}  {_name_of(routed.sink)}"
    yield f"journal: {shown(hooks.journal)}"
    admin = "none" if hooks.admin is None else hooks.admin.port or "on no port of its own"
    yield f"admin page: {admin}"


def _name_of(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


__all__ = ["run"]

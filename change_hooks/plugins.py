"""Dialects found through entry points.

A package registers a handler class under ``change_hooks.dialects``; the group ``buildbot.webhooks`` is
read too, after ours, so hook plugins made for Buildbot can be enabled by name. Nothing is imported
before its name is asked for, so a broken package takes no other down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

DIALECT_GROUPS = ("change_hooks.dialects", "buildbot.webhooks")
SINK_GROUPS = ("change_hooks.sinks",)
FORGE_GROUPS = ("change_hooks.forges",)


class PluginError(Exception):
    """A plugin that cannot be used; the message names it and its package."""


@dataclass
class Registry:
    """The handler classes, or sinks, that installed packages offer, by name.

    :param entries: entry points, the groups in order of precedence.
    """

    entries: Iterable[EntryPoint]
    _by_name: dict[str, list[EntryPoint]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            known = self._by_name.setdefault(entry.name, [])
            if all((entry.group, entry.value) != (other.group, other.value) for other in known):
                known.append(entry)

    def names(self) -> list[str]:
        """Every name on offer, sorted."""
        return sorted(self._by_name)

    def load(self, name: str) -> Any:
        """The class registered as *name*.

        :raises KeyError: nobody registers that name.
        :raises PluginError: it cannot be imported, or two packages claim the name.
        """
        candidates = self._by_name[name]
        candidates = [entry for entry in candidates if entry.group == candidates[0].group]
        if len(candidates) > 1:
            claims = " and ".join(sorted(_origin(entry) for entry in candidates))
            raise PluginError(
                f"{name!r} is claimed by {claims}; uninstall one, or choose with 'custom_class'"
            )
        try:
            return candidates[0].load()
        except Exception as error:
            raise PluginError(
                f"{name!r} of {_origin(candidates[0])} cannot be imported: {type(error).__name__}: {error}"
            ) from error


def _origin(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"{package} ({entry.value})"


def installed(groups: Iterable[str] = DIALECT_GROUPS) -> Registry:
    """The registry of what is installed now: the dialects, unless other *groups* are given."""
    return Registry([entry for group in groups for entry in entry_points(group=group)])


class _Webhooks:
    """``webhooks.base`` is the class for subclasses of Buildbot's ``base``, and so on. For a dialect that
    Buildbot does not have, it is the class that is registered.
    """

    def __getattr__(self, name: str) -> Any:
        upstream = import_module("change_hooks.upstream")
        if name in upstream.BY_NAME:
            return upstream.BY_NAME[name]
        try:
            return installed().load(name)
        except KeyError:
            raise AttributeError(f"no dialect {name!r} is installed") from None

    def __dir__(self) -> list[str]:
        return installed().names()


webhooks = _Webhooks()

__all__ = ["DIALECT_GROUPS", "FORGE_GROUPS", "PluginError", "Registry", "installed", "webhooks"]

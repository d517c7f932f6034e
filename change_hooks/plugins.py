"""Dialects found through entry points.

A package registers a handler class under ``change_hooks.dialects``; the group ``buildbot.webhooks`` is
read too, after ours, so hook plugins written for Buildbot can be enabled by name. Nothing is imported
before its name is used, so a broken package does not affect the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

DIALECT_GROUPS = ("change_hooks.dialects", "buildbot.webhooks")
SINK_GROUPS = ("change_hooks.sinks",)
FORGE_GROUPS = ("change_hooks.forges",)
#: Other names for what a module of ours provides.
OTHER_NAMES = {"gitea": ("forgejo", "gogs")}
_PACKAGE = "change_hooks."


class PluginError(Exception):
    """A plugin that cannot be used; the message names it and its package."""


@dataclass
class Registry:
    """The handler classes, or sinks, of installed packages, by name.

    :param entries: entry points, their groups in order of precedence.
    """

    entries: Iterable[EntryPoint]
    _by_name: dict[str, list[EntryPoint]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            known = self._by_name.setdefault(entry.name, [])
            if all((entry.group, entry.value) != (other.group, other.value) for other in known):
                known.append(entry)

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self._by_name)

    def names_of(self, cls: Any) -> list[str]:
        """The names under which a class is registered where it is defined; nothing is imported."""
        path = f"{cls.__module__}:{getattr(cls, '__qualname__', '')}"
        return [name for name in self.names() if self._by_name[name][0].value == path]

    def load(self, name: str) -> Any:
        """The class registered as *name*.

        :raises KeyError: no package registers that name.
        :raises PluginError: the class cannot be imported, or two packages claim the name.
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


def built_in(group: str) -> list[EntryPoint]:
    """What this package itself provides, for a copy of it without the metadata that lists it."""
    folder = import_module(group)
    names = sorted(module.name for module in iter_modules(folder.__path__))
    found = [(name, _offered(import_module(f"{group}.{name}"))) for name in names]
    named = [(name, cls) for name, cls in found if cls is not None]
    if group in DIALECT_GROUPS:
        named += [(other, cls) for name, cls in named for other in OTHER_NAMES.get(name, ())]
    return [EntryPoint(name, f"{cls.__module__}:{cls.__qualname__}", group) for name, cls in named]


def _offered(module: ModuleType) -> type | None:
    """The class in a module that can be configured by name."""
    name = module.__name__.rpartition(".")[2]
    classes = [getattr(module, each) for each in getattr(module, "__all__", ())]
    own = [each for each in classes if isinstance(each, type) and each.__module__ == module.__name__]
    return next((each for each in own if _is_called(each, name)), None)


def _is_called(found: type, name: str) -> bool:
    if getattr(found, "sender", ""):
        return True  # A handler that names its sender.
    if hasattr(found, "enrich"):
        return vars(found).get("name") == name
    is_sink = hasattr(found, "add_change") or hasattr(found, "add_delivery")
    return is_sink and found.__name__.lower() == name.replace("_", "")


def installed(groups: Iterable[str] = DIALECT_GROUPS) -> Registry:
    """The registry of installed packages: their dialects, unless other *groups* are given."""
    select = entry_points().select
    return Registry([entry for group in groups for entry in _entries(group, list(select(group=group)))])


def _entries(group: str, found: list[EntryPoint]) -> list[EntryPoint]:
    ours = group.startswith(_PACKAGE) and not any(entry.value.startswith(_PACKAGE) for entry in found)
    return [*built_in(group), *found] if ours else found


class _Webhooks:
    """``webhooks.base`` is the class for subclasses of Buildbot's ``base``, and so on. For a dialect that
    Buildbot does not have, the attribute is the registered class.
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

__all__ = ["DIALECT_GROUPS", "FORGE_GROUPS", "PluginError", "Registry", "built_in", "installed", "webhooks"]

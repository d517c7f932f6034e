"""Buildbot's hook modules that a ``master.cfg`` has patched.

Strategy: ``buildbot.www.hooks.gitlab.gitlab = Mine`` gives the dialect ``gitlab`` another class, and a method
set on Buildbot's class changes it. We serve the dialect with our own class, where neither would have an
effect. So such a dialect is served with the operator's class, and a warning names the proper way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from twisted.logger import Logger

log = Logger()


def patched_class(dialect: str) -> type | None:
    """The class with which an operator has replaced Buildbot's for a dialect, or Buildbot's class if it was
    patched; None: neither.
    """
    module = sys.modules.get(f"buildbot.www.hooks.{dialect}")
    handler = getattr(module, dialect, None)
    if module is None or not isinstance(handler, type):
        return None
    if handler.__module__ != module.__name__:
        return handler
    names = (handler, *(value for value in vars(module).values() if _is_of(value, module.__name__)))
    return handler if any(_changed(each) for each in names) else None


def _is_of(value: object, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def _changed(handler: type) -> bool:
    """Whether a method of a class was defined elsewhere."""
    methods = (value for value in vars(handler).values() if hasattr(value, "__code__"))
    return any(method.__module__ != handler.__module__ for method in methods)


def with_patched(dialects: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The dialects, with the classes that an operator has patched, and a warning for each of these."""
    found = dict(dialects)
    warnings = []
    for name, changed in _patched(dialects):
        options = found[name]
        found[name] = {**(options if isinstance(options, Mapping) else {}), "custom_class": changed}
        warnings.append(
            f"dialect {name!r}: buildbot.www.hooks.{name} has been changed, so its class"
            f" {changed.__qualname__} is used; name it in 'custom_class', or subclass the class in"
            " change_hooks.upstream"
        )
    return found, warnings


def _patched(dialects: Mapping[str, Any]) -> Iterator[tuple[str, type]]:
    for name, options in dialects.items():
        own = isinstance(options, Mapping) and {"custom_class", "class", "dialect"} & options.keys()
        changed = None if own or not isinstance(name, str) else patched_class(name)
        if changed is not None:
            yield name, changed


__all__ = ["patched_class", "with_patched"]

"""How precise the types are at the seams that other people's code touches."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType

from zope.interface.interface import InterfaceClass, Method

import change_hooks
import change_hooks.testing
from change_hooks.plugins import installed

#: Where, beside the package itself, other people's code finds names: DESIGN's contracts and the reference.
MODULES = ("change_hooks.hosts.buildbot", "change_hooks.clients.mercurial", "change_hooks.pollers")


def public() -> Iterator[tuple[str, object]]:
    """The public names, and what they name."""
    for module in (change_hooks, change_hooks.testing, *map(importlib.import_module, MODULES)):
        for name in getattr(module, "__all__", ()):
            yield name, getattr(module, name)
    registry = installed()
    for handler in {registry.load(name) for name in registry.names()}:
        if handler.__module__.startswith("change_hooks."):
            yield handler.__name__, handler


def signatures() -> dict[str, inspect.Signature]:
    """Of the public functions, and of the public methods of the public classes and interfaces."""
    found: dict[str, inspect.Signature] = {}
    for name, value in public():
        if isinstance(value, FunctionType):
            found[name] = inspect.signature(value)
        elif isinstance(value, InterfaceClass):
            for attribute in value:
                if isinstance(value[attribute], Method):
                    found[f"{name}.{attribute}"] = inspect.signature(value[attribute])
        elif isinstance(value, type):
            for attribute, member in vars(value).items():
                function = inspect.unwrap(getattr(value, attribute)) if callable(member) else member
                if isinstance(function, FunctionType) and (attribute == "__init__" or attribute[0] != "_"):
                    found[f"{name}.{attribute}"] = inspect.signature(function)
    return found


def test_at_most_one_public_signature_in_ten_is_vague() -> None:
    every = signatures()
    vague = sorted(name for name, signature in every.items() if re.search(r"\bAny\b", str(signature)))
    assert len(vague) * 10 <= len(every), vague

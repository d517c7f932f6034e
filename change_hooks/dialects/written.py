"""Checks the options that a user wrote for a handler, and prepares them for reading.

Strategy: secrets and tokens may be callables, so one that Buildbot must render becomes a callable, and is
rendered each time that it is needed. All other options are rendered before the handler is created.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

from twisted.python.failure import Failure

from change_hooks.core.errors import ConfigurationError
from change_hooks.core.names import nearest
from change_hooks.core.options import Options, option_names, read_options
from change_hooks.core.verification import as_secrets, weakness
from change_hooks.flow import Steps, followed
from change_hooks.references import resolved
from change_hooks.renderables import is_renderable, render, when_needed


class Optioned(Protocol):
    """The part of a handler class that is used here."""

    Options: ClassVar[type[Options] | None]
    as_upstream: ClassVar[bool]

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """See :meth:`change_hooks.dialects.handler.HookHandler.conflicts`."""

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """See :meth:`change_hooks.dialects.handler.HookHandler.doubts`."""


def check_written(handler: type[Optioned], written: Any, *, protected: bool) -> tuple[list[str], list[str]]:
    """Problems with what a user wrote, and warnings about it.

    :param protected: the endpoint requires HTTP Basic authentication.

    A class that declares ``Options`` in its own body accepts no other options. One that does not may read
    options of its own, so an unknown option is only a warning, unless it looks like a mistyped known one.
    Options that Buildbot has yet to render are checked after rendering.
    """
    declared, problems, doubts = handler.Options, list[str](), list[str]()
    if declared is None:
        return [], []
    options = written if isinstance(written, Mapping) else {}
    values = readable(declared, options, None, problems)
    known = {name: value for name, value in values.items() if name not in to_render(declared, options)}
    _, wrong, _ = read_options(declared, known)
    problems += wrong
    names = option_names(declared)
    for name in values:
        if name not in names:
            message = f"unknown option {name!r}{nearest(str(name), names)}"
            near = not handler.as_upstream and get_close_matches(str(name), names, 1, 0.8)
            certain = near or "Options" in vars(handler)
            (problems if certain else doubts).append(message)
    problems += handler.conflicts(values)
    if not problems:
        doubts += handler.doubts(values, protected) + _weak_secrets(values)
    return problems, doubts


def readable(
    declared: type[Options], written: Mapping[str, Any], master: Any, problems: list[str]
) -> dict[str, Any]:
    """The options, with secrets in place of references, and a callable for each secret that Buildbot renders.

    :param problems: problems with references are appended to it.
    """
    values = dict(written)
    for name in declared.secrets:
        value = written.get(name)
        try:
            values[name] = when_needed(value, master) if _late(value) else resolved(value)
        except ValueError as error:
            problems.append(f"option {name!r} {error}")
            values[name] = None
        if values[name] is None and name not in written:
            del values[name]
    return values


def _late(value: object) -> bool:
    return not isinstance(value, Mapping) and is_renderable(value)


def to_render(declared: type[Options], written: Mapping[str, Any]) -> dict[str, Any]:
    """The options that Buildbot must render before they can be read."""
    return {
        name: value
        for name, value in written.items()
        if is_renderable(value) and (name not in declared.secrets or not _late(value))
    }


def rendered(declared: type[Options] | None, written: Any, master: Any) -> Steps[Any]:
    """The options of a handler that declares *declared*, with everything rendered that must be before the
    handler is created. A handler that declares nothing reads its options itself.

    :raises ConfigurationError: an option cannot be rendered.
    """
    if declared is None or not isinstance(written, Mapping):
        return written
    values = dict(written)
    for name, value in to_render(declared, written).items():
        try:
            values[name] = yield render(value, master)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ConfigurationError([f"option {name!r} cannot be rendered: {why}"]) from error
    return values


def rendered_now(declared: type[Options] | None, written: Any, master: Any) -> Any:
    """The same, for a host that does not wait.

    :raises ConfigurationError: an option cannot be rendered, or not immediately.
    """
    found: list[Any] = []
    followed(rendered(declared, written, master)).addBoth(found.append)
    if not found:
        raise ConfigurationError(
            ["an option takes time to be rendered; only 'secret' and 'token' may, without ChangeHooks"]
        )
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


def _weak_secrets(values: Mapping[str, Any]) -> list[str]:
    secret = values.get("secret")
    if secret is None or callable(secret):
        return []
    return [f"'secret' {why}" for why in filter(None, map(weakness, as_secrets(secret)))]


__all__ = ["check_written", "readable", "rendered", "rendered_now", "to_render"]

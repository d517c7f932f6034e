"""Values that Buildbot looks up when they are needed: ``util.Secret``, ``util.Interpolate`` and their like.

Strategy: a value can be one of them only when Buildbot is loaded, and only Buildbot knows how to render it.
So this module asks whether Buildbot is there, and never loads it for its own sake.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, FirstError
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.flow import called
from change_hooks.incidents import report


def is_renderable(value: object) -> bool:
    """True for what Buildbot renders; also when it is inside a list, a tuple or a mapping."""
    interfaces = sys.modules.get("buildbot.interfaces")
    return interfaces is not None and _holds(value, interfaces.IRenderable)


def _holds(value: object, renderable: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(item, renderable) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds(item, renderable) for item in value)
    return bool(renderable.providedBy(value))


def render(value: Any, master: Any, properties: object = None) -> Deferred[Any]:
    """What *value* stands for.

    :param master: the BuildMaster, whose secrets are used.
    :param properties: a mapping; those of its items that are str can be interpolated.
    :returns: fails as Buildbot's rendering does.
    """
    from buildbot.process.properties import Properties

    known = Properties()
    known.master = master
    for name, item in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(item, str):
            known.setProperty(name, item, "change_hook")
    return called(known.render, value).addErrback(_first)


def _first(failure: Failure) -> Failure:
    """Buildbot wraps what went wrong inside a list or a mapping."""
    while isinstance(failure.value, FirstError):
        failure = failure.value.subFailure
    return failure


def when_needed(value: Any, master: Any) -> Callable[[object], Deferred[Any]]:
    """A callable that renders *value* each time; given a mapping, with its items as properties. What it
    returns fails with :class:`~change_hooks.core.errors.Unavailable` when the value cannot be had.
    """

    def rendered(given: object) -> Deferred[Any]:
        return render(value, master, given).addErrback(_unavailable)

    return rendered


def _unavailable(failure: Failure) -> Any:
    incident = report("a value of the configuration could not be rendered", failure)
    raise Unavailable(f"could not get a secret of this endpoint (incident {incident})")


__all__ = ["is_renderable", "render", "when_needed"]

"""Values that Buildbot renders when they are needed: ``util.Secret``, ``util.Interpolate`` and the like.

Strategy: a value can only be a renderable if Buildbot is loaded, and only Buildbot can render it. So this
module checks whether Buildbot is loaded, and never loads it.
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
    """Whether Buildbot renders *value*, or anything inside a list, a tuple or a mapping."""
    interfaces = sys.modules.get("buildbot.interfaces")
    return interfaces is not None and _holds(value, interfaces.IRenderable)


def _holds(value: object, renderable: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(item, renderable) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds(item, renderable) for item in value)
    return bool(renderable.providedBy(value))


def render(value: Any, master: Any, properties: object = None) -> Deferred[Any]:
    """Render *value*.

    :param master: the BuildMaster, which provides the secrets.
    :param properties: a mapping; its items that are str can be interpolated.
    :returns: fails like Buildbot's rendering.
    """
    from buildbot.process.properties import Properties

    known = Properties()
    known.master = master
    for name, item in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(item, str):
            known.setProperty(name, item, "change_hook")
    return called(known.render, value).addErrback(_first)


def _first(failure: Failure) -> Failure:
    """The original error, which Buildbot wraps if it happened inside a list or a mapping."""
    while isinstance(failure.value, FirstError):
        failure = failure.value.subFailure
    return failure


def when_needed(value: Any, master: Any) -> Callable[[object], Deferred[Any]]:
    """A callable that renders *value* on each call, with the items of its argument as properties. The result
    fails with :class:`~change_hooks.core.errors.Unavailable` if the value cannot be rendered.
    """

    def rendered(given: object) -> Deferred[Any]:
        return render(value, master, given).addErrback(_unavailable)

    return rendered


def _unavailable(failure: Failure) -> Any:
    incident = report("a value of the configuration could not be rendered", failure)
    raise Unavailable(f"could not get a secret of this endpoint (incident {incident})")


__all__ = ["is_renderable", "render", "when_needed"]

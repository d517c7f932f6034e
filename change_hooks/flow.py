"""What may need waiting, and what does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed


def as_deferred(value: Any) -> Deferred[Any]:
    """A Deferred of a plain value, a Deferred or a coroutine."""
    if isinstance(value, Deferred):
        return value
    if inspect.iscoroutine(value):
        return Deferred.fromCoroutine(value)
    return succeed(value)


def then(value: Any, step: Callable[[Any], Any]) -> Any:
    """``step(value)``, later when *value* is a Deferred or a coroutine, at once otherwise."""
    if value is None or value.__class__ is tuple:
        return step(value)
    if isinstance(value, Deferred) or inspect.iscoroutine(value):
        return as_deferred(value).addCallback(step)
    return step(value)


__all__ = ["as_deferred", "then"]

"""Steps that may have to wait, written one after the other.

Strategy: nearly all deliveries need no waiting, and a Deferred for each step would cost more than the steps.
So a delivery is processed by a generator that yields whatever a step returned, and :func:`proceed` sends back
its value: at once if it is a plain value, later if it is a Deferred or a coroutine. This is the only place
that tells the two apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure
from typing_extensions import TypeIs

T = TypeVar("T")
Args = ParamSpec("Args")
#: Yields what the steps returned, is sent their values, and returns a T.
Steps = Generator[Any, Any, T]
#: A result that has to be waited for.
_LATER = (Deferred, CoroutineType)


class _Kinds(dict[type, bool]):
    """Remembers which classes have to be waited for. A Deferred has an abstract base class, so
    :func:`isinstance` takes six times as long, and a delivery has a dozen steps: 2 of the 71 microseconds
    that one with one commit takes.
    """

    def __missing__(self, kind: type) -> bool:
        self[kind] = later = issubclass(kind, _LATER)
        return later


_is_later = _Kinds()


def is_later(value: T | Deferred[T]) -> TypeIs[Deferred[T]]:
    """Whether the result of a step has to be waited for."""
    return _is_later[value.__class__]


def as_deferred(value: Any) -> Deferred[Any]:
    """Make a Deferred from a plain value, a Deferred or a coroutine."""
    if isinstance(value, Deferred):
        return value
    if inspect.iscoroutine(value):
        return Deferred.fromCoroutine(value)
    return succeed(value)


def called(function: Callable[Args, T | Deferred[T]], *args: Args.args, **kwargs: Args.kwargs) -> Deferred[T]:
    """A Deferred with what *function* returns or raises."""
    result: Deferred[T] = maybeDeferred(cast("Callable[Args, Deferred[T]]", function), *args, **kwargs)
    return result


def proceed(steps: Steps[T]) -> T | Deferred[T]:
    """Run *steps* as far as possible without waiting.

    :returns: their result, or a Deferred with it if one of them has to wait.
    :raises Exception: whatever a step raises before the first one that waits.
    """
    value: Any = None
    try:
        while True:
            value = steps.send(value)
            if _is_later[value.__class__]:
                return _Waiting(steps).wait_for(as_deferred(value))
    except StopIteration as stop:
        result: T = stop.value
        return result


def followed(steps: Steps[T]) -> Deferred[T]:
    """A Deferred with what *steps* return or raise."""
    done: Deferred[T] = maybeDeferred(cast("Callable[[Steps[T]], Deferred[T]]", proceed), steps)
    return done


class _Waiting:
    """Steps, one of which waits. However many have fired already: they are gone through in a loop."""

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self._awaited: Deferred[Any] | None = None
        self._asking = False
        self._found: Any = None
        self._done: Deferred[Any] = Deferred(self._cancel)

    def wait_for(self, awaited: Deferred[Any]) -> Deferred[Any]:
        """Continue when *awaited* has fired."""
        done = self._done
        if self._has_fired(awaited):
            self._go_on(self._taken())
        return done

    def _has_fired(self, awaited: Deferred[Any]) -> bool:
        """True when the result is there now; otherwise the steps go on when it is."""
        self._awaited = awaited
        self._asking = True
        awaited.addBoth(self._arrived)
        there, self._asking = not self._asking, False
        return there

    def _taken(self) -> Any:
        found, self._found = self._found, None
        return found

    def _arrived(self, result: Any) -> None:
        if self._asking:
            self._asking, self._found = False, result
        else:
            self._go_on(result)

    def _cancel(self, _: Deferred[Any]) -> None:
        if self._awaited is not None:
            self._awaited.cancel()

    def _go_on(self, result: Any) -> None:
        try:
            while True:
                if isinstance(result, Failure):
                    result = result.throwExceptionIntoGenerator(self._steps)
                else:
                    result = self._steps.send(result)
                if _is_later[result.__class__]:
                    if not self._has_fired(as_deferred(result)):
                        return
                    result = self._taken()
        except StopIteration as stop:
            self._finish(stop.value)
        except BaseException:
            self._finish(Failure())

    def _finish(self, result: Any) -> None:
        self._awaited = None
        done, self._done = self._done, Deferred()
        done.callback(result)


def reactor_unless(clock: Any) -> Any:
    """*clock*, or the reactor when it is None."""
    if clock is None:
        from twisted.internet import reactor

        return reactor
    return clock


__all__ = ["Steps", "as_deferred", "called", "followed", "is_later", "proceed", "reactor_unless"]

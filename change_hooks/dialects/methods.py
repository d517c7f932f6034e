"""The methods of a handler: the event and the payload type of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import msgspec

from change_hooks.core.payload import convert
from change_hooks.core.screening import Reports

Handler = TypeVar("Handler")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Payload = TypeVar("Payload")
Returned = TypeVar("Returned")
Rest = ParamSpec("Rest")


def shaped(
    shape: type[Payload],
) -> Callable[
    [Callable[Concatenate[Handler, Payload, Rest], Returned]],
    Callable[Concatenate[Handler, Payload | Mapping[str, Any], Rest], Returned],
]:
    """Declare the payload type of a ``handle_<event>`` method.

    The payload is decoded straight to it. A caller that has the payload as a mapping (a subclass that
    takes plain objects) may pass that.

    :param shape: a :class:`~change_hooks.core.payload.Shape`.
    """

    def decorate(
        method: Callable[Concatenate[Handler, Payload, Rest], Returned],
    ) -> Callable[Concatenate[Handler, Payload | Mapping[str, Any], Rest], Returned]:
        @wraps(method)
        def converting(
            handler: Handler, payload: Payload | Mapping[str, Any], *rest: Rest.args, **more: Rest.kwargs
        ) -> Returned:
            return method(handler, convert(payload, shape), *rest, **more)

        converting.shape = shape  # type: ignore[attr-defined]
        return cast("Callable[Concatenate[Handler, Payload | Mapping[str, Any], Rest], Returned]", converting)

    return decorate


def reports(kind: Reports) -> Callable[[Decorated], Decorated]:
    """Declare that a ``handle_<event>`` method reports only ``comments``, only ``deletions`` of branches and
    tags, or ``nothing`` that ever gives a change. No webhook is subscribed to what the options do not want.
    """

    def decorate(method: Decorated) -> Decorated:
        method.reports = kind  # type: ignore[attr-defined]
        return method

    return decorate


class Method(msgspec.Struct, frozen=True):
    """A method that handles an event.

    :param shape: the type of its payload; Any: plain objects.
    :param takes_event: it also gets the event's name.
    :param reports: the only kind of event that it reports; None: it may report anything.
    """

    call: Callable[..., Any]
    shape: Any
    takes_event: bool
    reports: Reports | None

    @classmethod
    def of(cls, method: Callable[..., Any]) -> Method:
        """Inspect a bound method."""
        kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
        positional = sum(kind in _POSITIONAL for kind in kinds)
        takes_event = positional > 1 or inspect.Parameter.VAR_POSITIONAL in kinds
        return cls(method, getattr(method, "shape", Any), takes_event, getattr(method, "reports", None))


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]")
_NOT_ECHOED = re.compile(r"[^A-Za-z0-9_.: /-]")
#: The prefix of their names.
PREFIX = "handle_"


def method_name(event: str) -> str:
    """The name of the method for an event: ``pr:opened`` is handled by ``handle_pr_opened``."""
    return PREFIX + _NOT_IN_NAMES.sub("_", event)


def printable(event: str) -> str:
    """An event's name in a form that may be shown: only letters, digits and a few marks, and short."""
    return _NOT_ECHOED.sub("?", event[:64])


__all__ = ["PREFIX", "Method", "method_name", "printable", "reports", "shaped"]

"""The common parts of all sinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from change_hooks.core.change import Change
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.interfaces import IAlarmSink, IChangeSink, IDeliverySink

T = TypeVar("T")


def read_option(name: str, value: object, check: Callable[[Any], T], *, default: T) -> T:
    """Read an option of a sink as the user wrote it; None selects the default.

    :param check: returns the value to use, or raises a TypeError or ValueError that says what is wrong.
    :raises TypeError: the value has the wrong type. The message begins with the option's name.
    :raises ValueError: the value is invalid; likewise.
    """
    if value is None:
        return default
    try:
        return check(value)
    except TypeError as error:
        raise TypeError(f"option {name!r} {error}") from None
    except ValueError as error:
        raise ValueError(f"option {name!r} {error}") from None


def sink_call(sink: Any) -> Callable[[Change, Any], Any]:
    """How to call a sink: its ``add_change`` with the key, or a plain callable with the change alone."""
    if IChangeSink.providedBy(sink):
        call: Callable[[Change, Any], Any] = sink.add_change
        return call
    if not callable(sink):
        raise TypeError("a sink is an IChangeSink provider, or a callable that takes one Change")
    return lambda change, key: sink(change)


def takes_alarms(sink: Any) -> bool:
    """Whether a sink accepts events about the receiver."""
    named = IChangeSink.providedBy(sink) or IDeliverySink.providedBy(sink)
    return IAlarmSink.providedBy(sink) or (callable(sink) and not named)


def alarm_call(sink: Any) -> Callable[[ReceiverAlarm], Any]:
    """How to send a sink an event about the receiver: its ``add_alarm``, or a plain callable."""
    call: Callable[[ReceiverAlarm], Any] = sink.add_alarm if IAlarmSink.providedBy(sink) else sink
    return call


__all__ = ["alarm_call", "read_option", "sink_call", "takes_alarms"]

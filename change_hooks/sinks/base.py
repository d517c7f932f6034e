"""What all sinks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from change_hooks.core.change import Change
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.interfaces import IAlarmSink, IChangeSink, IDeliverySink


def sink_call(sink: Any) -> Callable[[Change, Any], Any]:
    """How to call a sink: its ``add_change`` with the key, or a plain callable with the change alone."""
    if IChangeSink.providedBy(sink):
        call: Callable[[Change, Any], Any] = sink.add_change
        return call
    if not callable(sink):
        raise TypeError("a sink is an IChangeSink provider, or a callable that takes one Change")
    return lambda change, key: sink(change)


def takes_alarms(sink: Any) -> bool:
    """Whether a sink can be told of events about the receiver."""
    named = IChangeSink.providedBy(sink) or IDeliverySink.providedBy(sink)
    return IAlarmSink.providedBy(sink) or (callable(sink) and not named)


def alarm_call(sink: Any) -> Callable[[ReceiverAlarm], Any]:
    """How to tell a sink of an event about the receiver: its ``add_alarm``, or a plain callable."""
    call: Callable[[ReceiverAlarm], Any] = sink.add_alarm if IAlarmSink.providedBy(sink) else sink
    return call


def printable(text: str) -> str:
    """*text* without anything that a terminal or a log would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in text)


__all__ = ["alarm_call", "printable", "sink_call", "takes_alarms"]

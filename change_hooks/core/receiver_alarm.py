"""Alarms: events about the receiver, for the people who operate it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

AlarmEvent = Literal[
    "sink_failing",
    "sink_recovered",
    "dead_letter",
    "silent",
    "recovered",
    "deliveries_recovered",
    "journal_unavailable",
    "journal_recovered",
]


class ReceiverAlarm(msgspec.Struct, frozen=True):
    """An event about the receiver, for the sinks of ``change_hook_alarms``.

    :param event: what has happened.
    :param subject: the name of the sink, or of the endpoint; empty for the journal.
    :param text: a description in one line.
    :param at: when it was noticed, in seconds since the epoch.
    :param id: the same at every attempt to deliver the alarm.
    :param error: the latest error.
    :param count: the number of new dead letters, or of recovered deliveries.
    """

    event: AlarmEvent
    subject: str
    text: str
    at: float
    id: str
    error: str = ""
    count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Its fields."""
        return msgspec.structs.asdict(self)


__all__ = ["AlarmEvent", "ReceiverAlarm"]

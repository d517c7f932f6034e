"""What whoever runs the receiver should know."""

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
    :param text: for people; one line.
    :param at: when it was found, in seconds since the epoch.
    :param id: the same at every attempt to tell of it.
    :param error: why it failed last.
    :param count: how many dead letters are new, or how many deliveries were recovered.
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

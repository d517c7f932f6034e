"""Decides when to raise an alarm: on transitions, and each alarm at most once an hour.

Strategy: what was reported is remembered, and compared with the present state. A transition that is reversed
within the hour is not reported; if the state is still different after the hour, it is reported then.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from change_hooks.core.receiver_alarm import AlarmEvent, ReceiverAlarm
from change_hooks.core.shown import counted

#: How long an alarm is not repeated, in seconds.
HOUR = 3600.0
_PAIRS: dict[str, tuple[AlarmEvent, AlarmEvent]] = {
    "sink": ("sink_failing", "sink_recovered"),
    "endpoint": ("silent", "recovered"),
    "journal": ("journal_unavailable", "journal_recovered"),
}


class Memory(msgspec.Struct):
    """What has been reported.

    :param bad: what was reported as failing: a kind and a name, separated by a colon.
    :param dead: the reported number of dead letters of each sink.
    :param raised: when each alarm was last raised, by its event and its subject, separated by a colon.
    :param watched: since when each endpoint has been expected to receive deliveries.
    """

    bad: dict[str, bool] = msgspec.field(default_factory=dict)
    dead: dict[str, int] = msgspec.field(default_factory=dict)
    raised: dict[str, float] = msgspec.field(default_factory=dict)
    watched: dict[str, float] = msgspec.field(default_factory=dict)


class Judge:
    """Compares the present state with what was reported.

    :param memory: updated in place.
    :param now: the time by the memory's clock, in seconds.
    :param at: the same time, in seconds since the epoch.
    """

    def __init__(self, memory: Memory, now: float, at: float) -> None:
        self._memory = memory
        self._now = now
        self._at = at
        self.alarms: list[ReceiverAlarm] = []
        memory.raised = {name: then for name, then in memory.raised.items() if then <= now < then + HOUR}

    def is_bad(self, kind: str, subject: str) -> bool:
        """Whether something was reported as failing."""
        return self._memory.bad.get(f"{kind}:{subject}", False)

    def state(self, kind: str, subject: str, *, bad: bool, text: str, error: str = "") -> None:
        """Judge the state of something.

        :param kind: ``sink``, ``endpoint`` or ``journal``.
        :param text: the text of the alarm if this is a transition.
        """
        if bad == self.is_bad(kind, subject):
            return
        event = _PAIRS[kind][0 if bad else 1]
        if self._raise(event, subject, text, error=error):
            self._memory.bad[f"{kind}:{subject}"] = bad

    def dead_letters(self, sink: str, count: int, error: str = "") -> None:
        """Judge the number of a sink's dead letters."""
        known = self._memory.dead.get(sink, 0)
        new = count - known
        if new > 0:
            text = f"{counted(new, 'new dead letter')} for the sink {sink!r}"
            if not self._raise("dead_letter", sink, text, error=error, count=new):
                return
        self._memory.dead[sink] = count

    def recovered(self, endpoint: str, count: int) -> bool:
        """Report that deliveries that never arrived have been recovered.

        :returns: False: it is to be reported later.
        """
        deliveries = counted(count, "delivery", "deliveries")
        text = f"{deliveries} to the endpoint {endpoint!r} never arrived and had to be fetched"
        return self._raise("deliveries_recovered", endpoint, text, error="", count=count)

    def _raise(self, event: AlarmEvent, subject: str, text: str, *, error: str, count: int = 0) -> bool:
        name = f"{event}:{subject}"
        if name in self._memory.raised:
            return False
        self._memory.raised[name] = self._now
        self.alarms.append(ReceiverAlarm(event, subject, text, self._at, uuid4().hex, error, count))
        return True


__all__ = ["HOUR", "Judge", "Memory"]

"""When an alarm is raised: on transitions, and each at most once an hour.

Strategy: what has been said is remembered, and compared with what is. What changes back before the hour is
over is not said; what is still different when it is over, is said then.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from change_hooks.core.receiver_alarm import AlarmEvent, ReceiverAlarm

#: For how long an alarm is not repeated, in seconds.
HOUR = 3600.0
_PAIRS: dict[str, tuple[AlarmEvent, AlarmEvent]] = {
    "sink": ("sink_failing", "sink_recovered"),
    "endpoint": ("silent", "recovered"),
    "journal": ("journal_unavailable", "journal_recovered"),
}


class Memory(msgspec.Struct):
    """What has been said.

    :param bad: what is said to be wrong: a kind and a name, with a colon between.
    :param dead: how many dead letters each sink is said to have.
    :param raised: when each alarm was last raised: its event and its subject, with a colon between.
    :param watched: since when each endpoint is expected to get something.
    """

    bad: dict[str, bool] = msgspec.field(default_factory=dict)
    dead: dict[str, int] = msgspec.field(default_factory=dict)
    raised: dict[str, float] = msgspec.field(default_factory=dict)
    watched: dict[str, float] = msgspec.field(default_factory=dict)


class Judge:
    """Compares what is with what was said.

    :param memory: is kept up to date.
    :param now: whose time the memory goes by, in seconds.
    :param at: the same moment, in seconds since the epoch.
    """

    def __init__(self, memory: Memory, now: float, at: float) -> None:
        self._memory = memory
        self._now = now
        self._at = at
        self.alarms: list[ReceiverAlarm] = []
        memory.raised = {name: then for name, then in memory.raised.items() if then <= now < then + HOUR}

    def is_bad(self, kind: str, subject: str) -> bool:
        """Whether something is said to be wrong."""
        return self._memory.bad.get(f"{kind}:{subject}", False)

    def state(self, kind: str, subject: str, *, bad: bool, text: str, error: str = "") -> None:
        """How something is.

        :param kind: ``sink``, ``endpoint`` or ``journal``.
        :param text: what to say if that is new.
        """
        if bad == self.is_bad(kind, subject):
            return
        event = _PAIRS[kind][0 if bad else 1]
        if self._raise(event, subject, text, error=error):
            self._memory.bad[f"{kind}:{subject}"] = bad

    def dead_letters(self, sink: str, count: int, error: str = "") -> None:
        """How many dead letters a sink has."""
        known = self._memory.dead.get(sink, 0)
        new = count - known
        if new > 0:
            changes = "1 change" if new == 1 else f"{new} changes"
            text = f"{changes} given up for the sink {sink!r} (dead letters)"
            if not self._raise("dead_letter", sink, text, error=error, count=new):
                return
        self._memory.dead[sink] = count

    def recovered(self, endpoint: str, count: int) -> bool:
        """So many deliveries that never came have been fetched.

        :returns: False: it is to be said later.
        """
        deliveries = "1 delivery" if count == 1 else f"{count} deliveries"
        text = f"{deliveries} to the endpoint {endpoint!r} never came and had to be fetched"
        return self._raise("deliveries_recovered", endpoint, text, error="", count=count)

    def _raise(self, event: AlarmEvent, subject: str, text: str, *, error: str, count: int = 0) -> bool:
        name = f"{event}:{subject}"
        if name in self._memory.raised:
            return False
        self._memory.raised[name] = self._now
        self.alarms.append(ReceiverAlarm(event, subject, text, self._at, uuid4().hex, error, count))
        return True


__all__ = ["HOUR", "Judge", "Memory"]

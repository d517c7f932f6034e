"""Sinks that record what they are given."""

from __future__ import annotations

from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.push import Push, PushKey
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import SinkError
from change_hooks.interfaces import IAlarmSink, IChangeSink, IDeliverySink
from change_hooks.journal import ChangeKey

#: The key of a change or a push.
Key = ChangeKey | PushKey


class _Failing:
    """A sink that fails when told to."""

    def __init__(self) -> None:
        self._failures: list[Exception] = []

    def fail(self, error: Exception | None = None, *, times: int = 1) -> None:
        """Fail the next attempts.

        :param error: the exception to raise; by default a :class:`~change_hooks.core.sink_answers.SinkError`.
        """
        self._failures += [error or SinkError("told to fail")] * times

    def _try(self) -> None:
        if self._failures:
            raise self._failures.pop(0)


@implementer(IChangeSink, IAlarmSink)
class MemorySink(_Failing):
    """Records the changes that it is given.

    :param name: its name in the journal.
    :param taken: what it has accepted, in order: changes or pushes, each with its key.
    :param alarms: the alarms that it was given.
    """

    def __init__(self, name: str = "sink") -> None:
        super().__init__()
        self.name = name
        self.taken: list[tuple[Key | None, Change]] = []
        self.alarms: list[ReceiverAlarm] = []

    @property
    def changes(self) -> list[Change]:
        """All changes that it has accepted, in order, including each change of a push."""
        return [
            change
            for _, taken in self.taken
            for change in (taken.changes if isinstance(taken, Push) else [taken])
        ]

    def add_change(self, change: Change, key: Key | None) -> None:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        self._try()
        self.taken.append((key, change))

    def add_alarm(self, alarm: ReceiverAlarm) -> None:
        """See :meth:`change_hooks.interfaces.IAlarmSink.add_alarm`."""
        self._try()
        self.alarms.append(alarm)


@implementer(IDeliverySink)
class MemoryDeliverySink(_Failing):
    """Records the deliveries that it is given; replaces ``forward``.

    :param name: its name in the journal.
    :param deliveries: the deliveries that it has accepted, in order.
    """

    per = "delivery"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.deliveries: list[Delivery] = []

    def add_delivery(self, delivery: Delivery) -> None:
        """See :meth:`change_hooks.interfaces.IDeliverySink.add_delivery`."""
        self._try()
        self.deliveries.append(delivery)


__all__ = ["Key", "MemoryDeliverySink", "MemorySink"]

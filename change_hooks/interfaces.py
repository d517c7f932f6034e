# ruff: noqa: N805 (zope.interface methods have no self)
"""The contracts between the parts, and with the program around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred


class IHookHandler(Interface):
    """Turns the deliveries of one dialect into changes. One instance serves one endpoint."""

    def getChanges(request: Any) -> Any:
        """Read a delivery.

        :param request: a :class:`~change_hooks.delivery.Delivery`.
        :returns: ``(changes, src)``, a Deferred of it, or a coroutine. *changes* are mappings or
            :class:`~change_hooks.change.Change`; *src* is the version control system or None.
        :raises ~change_hooks.errors.DeliveryError: it is refused, with the error's status.
        """


class SinkError(Exception):
    """A sink did not take a change.

    :param message: why; stored and shown.
    :param retry_after: it asks for no other attempt before so many seconds.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IChangeSink(Interface):
    """Where changes go.

    A sink may have an attribute ``timeout``: how long it may take for a change, in seconds (60 when it has
    none); None when it keeps the time itself.
    """

    name: str = Attribute("What the journal calls this sink; it must not change from one run to the next.")

    def add_change(change: Any, key: Any) -> Any:
        """Take one change.

        :param change: a :class:`~change_hooks.change.Change`.
        :param key: the :class:`~change_hooks.journal.ChangeKey` of the change, or None without a
            journal. A change may come more than once, always with the same key.
        :returns: anything, a Deferred or a coroutine. The change counts as taken when it has fired
            without an error.
        """


class IPoller(Interface):
    """Something of the host that can be told to poll now."""

    name: str = Attribute("What the ``poller`` argument calls it.")

    def force() -> Any:
        """Poll now. May return a Deferred or a coroutine; nobody waits for it."""


class IJournal(Interface):
    """The durable store of deliveries and changes. Every Deferred fails with
    :class:`~change_hooks.errors.Unavailable` while the store cannot be used.
    """

    def open() -> Deferred[None]:
        """Open the store, and make or migrate its tables."""

    def close() -> Deferred[None]:
        """Finish what was asked for, and close the store."""

    def append(delivery: Any, changes: Any, sinks: Sequence[str]) -> Deferred[Any]:
        """Store an accepted delivery, its changes and, for each sink, the duty to deliver them.

        :returns: fires with an :class:`~change_hooks.journal.Appended` once it is durable.
        """

    def claim(sinks: Sequence[str], now: float, limit: int, exclude: Any) -> Deferred[Any]:
        """The next :class:`~change_hooks.journal.Work` for each queue (one per sink and repository)
        that is due, for at most *limit* queues; queues in *exclude* are passed over.
        """

    def settle(outcomes: Any) -> Deferred[None]:
        """Record what became of work: delivered, to be tried again, or given up."""


__all__ = ["IChangeSink", "IHookHandler", "IJournal", "IPoller", "SinkError"]

# ruff: noqa: N805 (zope.interface methods have no self)
"""The interfaces between the parts, and with the program around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from zope.interface import Attribute, Interface

from change_hooks.core.found import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from twisted.internet.defer import Deferred

    from change_hooks.core.change import Change
    from change_hooks.core.delivery import Delivery
    from change_hooks.core.events import Event, Person, Repository
    from change_hooks.core.found import About
    from change_hooks.journal.records import Appended, Claimed, Entry, Outcome, Pending, Results, Trace, Wish

EventType = TypeVar("EventType", bound="Event")


class IHookHandler(Interface):
    """Turns the deliveries of one dialect into changes. One instance serves one endpoint."""

    def getChanges(request: Any) -> Any:
        """Read a delivery.

        :param request: a :class:`~change_hooks.core.delivery.Delivery`.
        :returns: ``(changes, src)``, a Deferred with it, or a coroutine. *changes* are mappings or
            :class:`~change_hooks.core.change.Change`; *src* is the version control system or None.
        :raises ~change_hooks.core.errors.DeliveryError: the delivery is refused, with the error's status.
        """


class ISink(Interface):
    """What all sinks have in common. A sink may have these attributes, which the configuration can override:

    ``per``
        ``'change'`` (the default), or ``'push'``: one call for all changes of one update of a ref.
    ``attempts``
        After how many failures a change becomes a dead letter; by default ``change_hook_attempts``.
    ``time_limit``
        The seconds that each attempt may take (60 by default); None: the sink limits the time itself.
    ``concurrency``
        For how many repositories it may be called at the same time.

    A sink may also have a method ``open()``, called each time the service starts, and a method ``close()``,
    called when it stops; attempts in progress should then end soon. ``close()`` may return a Deferred, which
    is waited for, five seconds at most.
    """

    name: str = Attribute("The sink's name in the journal; it must not change from one run to the next.")


class IChangeSink(ISink):
    """A receiver of changes."""

    def add_change(change: Any, key: Any) -> Any:
        """Accept one change.

        :param change: a :class:`~change_hooks.core.change.Change`; a
            :class:`~change_hooks.core.push.Push` when the sink is called once for each push. It must not be
            modified: the changes of a push share their properties. ``as_dict()`` returns copies.
        :param key: its :class:`~change_hooks.journal.ChangeKey` or
            :class:`~change_hooks.core.push.PushKey`, or None without a journal. A change may be delivered
            more than once, always with the same key.
        :returns: anything, a Deferred or a coroutine. The change counts as accepted once that has finished
            without an error. A :class:`SinkOutput` is kept with the attempt.
        :raises ~change_hooks.core.sink_answers.SinkRefused: the change will never be accepted.
        :raises ~change_hooks.core.sink_answers.SinkError: the change was not accepted now. Any other
            exception means the same.
        """


class IAlarmSink(Interface):
    """A sink that can be named in ``change_hook_alarms``. A plain callable can, too."""

    def add_alarm(alarm: Any) -> Any:
        """Send an alarm.

        :param alarm: a :class:`~change_hooks.core.receiver_alarm.ReceiverAlarm`. It may be delivered more
            than once, always with the same *id*.
        :returns: anything, a Deferred or a coroutine. After a failure the alarm is sent again, at most twice.
        """


class IDeliverySink(ISink):
    """A receiver of deliveries as they were received, once for each that gives a change."""

    def add_delivery(delivery: Any) -> Any:
        """Accept one delivery.

        :param delivery: a :class:`~change_hooks.core.delivery.Delivery`. It may be delivered more than once,
            always with the same *dialect* and *id*.
        :returns: see :meth:`~change_hooks.interfaces.IChangeSink.add_change`.
        """


class Enricher(Protocol):
    """The part of a forge's API that processing a delivery needs. One instance serves one endpoint.

    Found in the entry-point group ``change_hooks.forges`` under the handler's ``forge``, and called with the
    handler's options, a treq ``HTTPClient`` or None, and a clock or None. A failed look-up is logged, and
    the event stays as it is.
    """

    @property
    def requests(self) -> ForgeApi:
        """The API, for handlers."""

    def enrich(self, event: EventType, *, complete: bool) -> Deferred[EventType]:
        """Look up what an event lacks; for a comment, the current state of the pull request.

        :param complete: look up everything; otherwise only what a change of this dialect always has.
        """

    def permission(self, repository: Repository, who: Person, wanted: str) -> Deferred[bool]:
        """Whether a person has a permission in a repository; False if the forge does not say so.

        :param wanted: ``read``, ``write`` or ``admin``.
        """


class ForgeApi(Protocol):
    """A forge's API, for handlers; see :class:`change_hooks.forges.api.Api`."""

    def repository(self, full_name: str, installation: str | int | None = None) -> ForgeApi:
        """The API of one repository: paths are relative to it, and requests use its token."""

    async def get(self, *path: str | int, **query: str | int) -> Any:
        """Get *path*: decoded JSON."""

    async def all(self, *path: str | int, most: int = ..., **query: str | int) -> list[Any]:
        """The items on all pages of a list."""

    async def post(self, *path: str | int, json: Any = None) -> Any:
        """Create something."""

    async def put(self, *path: str | int, json: Any = None) -> Any:
        """Replace something."""

    async def patch(self, *path: str | int, json: Any = None) -> Any:
        """Change something."""

    async def delete(self, *path: str | int) -> Any:
        """Delete something."""


class IPoller(Interface):
    """A poller of the host program that can be told to poll now."""

    name: str = Attribute("Its name in the ``poller`` argument.")

    def force() -> Any:
        """Poll now. May return a Deferred or a coroutine, which is not waited for."""


class IJournal(Interface):
    """The durable store of deliveries and changes. Every Deferred fails with
    :class:`~change_hooks.core.errors.Unavailable` while the store cannot be used.

    Several receivers may share a store. What one of them holds, the others leave alone until its lease
    (:data:`~change_hooks.journal.LEASE`) has expired.
    """

    def open() -> Deferred[None]:
        """Open the store, and create or migrate its tables."""

    def close() -> Deferred[None]:
        """Release what this receiver holds, finish pending operations, and close the store."""

    def append(
        delivery: Delivery,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        *,
        about: About = NOTHING_KNOWN,
        way: str = "",
    ) -> Deferred[Appended]:
        """Store an accepted delivery, its changes and, for each sink, an entry in its outbox.

        :param sinks: the names of the sinks that want any of its changes.
        :param unwanted: the names of the sinks that want none of them.
        :param about: what the delivery is about.
        :param way: ``sent``, ``polled`` or ``fetched`` if the same changes may also arrive in another way:
            those that did are left out, and a delivery with no others is a duplicate.
        :returns: fires with an :class:`~change_hooks.journal.Appended` once the delivery is durable. A
            delivery whose id was accepted before is only counted.
        """

    def trace(trace: Trace) -> None:
        """Keep a trace of a request without changes. Never fails, and needs no waiting: the trace is stored
        some time later, or only counted if there are many like it.
        """

    def postpone(delivery: Delivery) -> Deferred[Appended]:
        """Store a delivery whose changes are not known yet, and hold it.

        :returns: fires with an :class:`~change_hooks.journal.Appended` once the delivery is durable.
        """

    def finish(
        seq: int,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        *,
        about: About = NOTHING_KNOWN,
        reason: str = "",
        way: str = "",
        received: float = 0.0,
    ) -> Deferred[bool]:
        """Store the changes of the pending delivery with sequence number *seq*. See :meth:`append`.

        :param reason: why there are no changes.
        :param way: see :meth:`append`.
        :param received: when the delivery was received, in seconds since the epoch.
        :returns: fires with False if it is no longer pending.
        """

    def replay(
        seq: int,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        rest: Collection[str] = (),
    ) -> Deferred[bool]:
        """Replace the changes of the settled delivery *seq*, and add an outbox entry for each of *sinks*. The
        results of other sinks stay.

        :param rest: the sinks of other programs for which the wish for this replay stays; without any it
            is fulfilled.
        :returns: fires with False if the delivery is still waiting to be delivered.
        """

    def results(seq: int) -> Deferred[Results]:
        """Fires with the result of delivery *seq* at each sink."""

    def wish(seq: int, sinks: Sequence[str] = ()) -> Deferred[None]:
        """Ask the program that has the sinks to replay delivery *seq*.

        :param sinks: the names of the sinks to replay to; empty: all that have not accepted it.
        """

    def wishes(after: int = 0) -> Deferred[list[Wish]]:
        """Fires with some of the requested replays that have not been refused, in the order of their
        deliveries' sequence numbers; :meth:`replay` fulfils them.

        :param after: only for deliveries after this sequence number.
        """

    def refuse_wish(seq: int, error: str) -> Deferred[None]:
        """Record why a requested replay is not possible."""

    def fail(seq: int, error: str) -> Deferred[None]:
        """Record that a pending delivery cannot be finished."""

    def retry_later(seq: int, wait: float, error: str) -> Deferred[None]:
        """Release a pending delivery, which is due again after *wait* seconds."""

    def pending(limit: int) -> Deferred[list[Pending]]:
        """Hold up to *limit* pending deliveries that nobody holds."""

    def claim(sinks: Sequence[str], limit: int) -> Deferred[Claimed]:
        """Hold up to *limit* queues (there is one for each sink and repository) that are due and that no
        receiver, not even this one, holds.
        """

    def more(sink: str, repository: str, seq: int, index: int) -> Deferred[list[Entry]]:
        """Some entries of a queue that this receiver holds, oldest first; empty: there are no more.

        :param seq: the sequence number of the delivery to start with, or the next one in the queue.
        :param index: the index of the change to start with, even if that one is done.
        """

    def record(outcomes: Sequence[Outcome]) -> Deferred[None]:
        """Record outcomes (delivered, to be retried, or a dead letter) and release the queue."""

    def renew(queues: Collection[tuple[str, str]], pending: Collection[int]) -> Deferred[None]:
        """Renew the leases that this receiver knows it holds.

        :param queues: each the name of a sink and of a repository.
        :param pending: the sequence numbers of pending deliveries.
        """

    def prune(before: float) -> Deferred[int]:
        """Delete some settled deliveries that were received before a time, in seconds since the epoch. Fires
        with their number; 0: there are no more.
        """

    def prune_traces(before: float) -> Deferred[int]:
        """Delete some traces of requests received before a time. Fires with their number."""

    def prune_failed(before: float) -> Deferred[int]:
        """Delete some failed deliveries received before a time. Fires with their number."""

    def remember(name: str, value: bytes) -> Deferred[None]:
        """Store a value under a name, in place of any earlier one."""

    def recall(name: str) -> Deferred[bytes | None]:
        """Fires with the value stored under a name, or None."""

    def forget(name: str) -> Deferred[None]:
        """Delete the value stored under a name, if there is one."""

    def lease(name: str, seconds: float) -> Deferred[bool]:
        """Hold a name, or continue to hold it, for some seconds: fires with False if another receiver holds
        it. An expired lease is free.
        """

    def release(name: str) -> Deferred[None]:
        """Release a name that this receiver holds."""

    def delivery(seq: int) -> Deferred[Delivery]:
        """Fires with delivery *seq*.

        :raises LookupError: (fails with) there is no such delivery.
        """

    def find(dialect: str, ids: Sequence[str]) -> Deferred[dict[str, int]]:
        """Find out which deliveries of an endpoint were received. Fires with the ids of those, each with the
        status of its response. An accepted delivery has 202, even if an earlier attempt got another status.

        :param ids: the delivery ids to look for.
        """

    def read(look_up: Callable[[Any], Any]) -> Deferred[Any]:
        """Look something up, for the admin page and the command line.

        :param look_up: called with a reader. It may run in another thread.
        :returns: fires with its result; fails with its error.
        """

    def waiting_sinks() -> Deferred[list[str]]:
        """The names of the sinks with waiting entries."""


#: A receiver of changes: a sink, or a function that is called with each.
Sink: TypeAlias = "IChangeSink | Callable[[Change], object]"

__all__ = [
    "Enricher",
    "ForgeApi",
    "IAlarmSink",
    "IChangeSink",
    "IDeliverySink",
    "IHookHandler",
    "IJournal",
    "IPoller",
    "ISink",
    "Sink",
]

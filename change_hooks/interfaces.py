# ruff: noqa: N805 (zope.interface methods have no self)
"""The contracts between the parts, and with the program around them."""

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
        :returns: ``(changes, src)``, a Deferred of it, or a coroutine. *changes* are mappings or
            :class:`~change_hooks.core.change.Change`; *src* is the version control system or None.
        :raises ~change_hooks.core.errors.DeliveryError: it is refused, with the error's status.
        """


class ISink(Interface):
    """What all sinks have in common. A sink may also have the attributes

    ``per``
        ``'change'`` (the default), or ``'push'``: once for all changes of one update of a ref;
    ``attempts``
        how many failures make a change a dead letter; by default what ``change_hook_attempts`` says;
    ``time_limit``
        the seconds that it may take for each hand-over (60 by default); None: it keeps the time itself;
    ``concurrency``
        for how many repositories at once it may be called;

    which the configuration can set instead; a method ``open()``, called when the service starts, also again;
    and a method ``close()``, called when it stops. What is being handed over then should end soon. It may
    return a Deferred, which is waited for, five seconds at most.
    """

    name: str = Attribute("What the journal calls this sink; it must not change from one run to the next.")


class IChangeSink(ISink):
    """Where changes go."""

    def add_change(change: Any, key: Any) -> Any:
        """Accept one change.

        :param change: a :class:`~change_hooks.core.change.Change`; a
            :class:`~change_hooks.core.push.Push` when the sink is called once for each push.
        :param key: its :class:`~change_hooks.journal.ChangeKey` or
            :class:`~change_hooks.core.push.PushKey`, or None without a journal. A change may come more than
            once, always with the same key.
        :returns: anything, a Deferred or a coroutine. The change counts as accepted when it has fired
            without an error. A :class:`SinkOutput` is kept with the attempt.
        :raises ~change_hooks.core.sink_answers.SinkRefused: it will never be accepted.
        :raises ~change_hooks.core.sink_answers.SinkError: it was not accepted now. So does any other error.
        """


class IAlarmSink(Interface):
    """A sink that can be named in ``change_hook_alarms``. A plain callable can, too."""

    def add_alarm(alarm: Any) -> Any:
        """Tell somebody.

        :param alarm: a :class:`~change_hooks.core.receiver_alarm.ReceiverAlarm`. It may come more than once,
            always with the same *id*.
        :returns: anything, a Deferred or a coroutine. When it fails, it is called again twice.
        """


class IDeliverySink(ISink):
    """Where deliveries go as they came, once for each that gives a change."""

    def add_delivery(delivery: Any) -> Any:
        """Accept one delivery.

        :param delivery: a :class:`~change_hooks.core.delivery.Delivery`. It may come more than once, always
            with the same *dialect* and *id*.
        :returns: see :meth:`~change_hooks.interfaces.IChangeSink.add_change`.
        """


class Enricher(Protocol):
    """A forge's API, as far as the way of a delivery needs it. One for each endpoint.

    Found in the entry-point group ``change_hooks.forges`` under the handler's ``forge``, and called with the
    handler's options, a treq ``HTTPClient`` or None, and a clock or None. What cannot be had in time is
    logged, and left as it is.
    """

    @property
    def requests(self) -> ForgeApi:
        """The API, for handlers."""

    def enrich(self, event: EventType, *, complete: bool) -> Deferred[EventType]:
        """Look up what an event lacks; of a comment, the pull request as it is now.

        :param complete: all of it; otherwise only what a change of this dialect always has.
        """

    def permission(self, repository: Repository, who: Person, wanted: str) -> Deferred[bool]:
        """Whether somebody may do something in a repository; False when the forge does not say so.

        :param wanted: ``read``, ``write`` or ``admin``.
        """


class ForgeApi(Protocol):
    """A forge's API, for handlers; see :class:`change_hooks.forges.api.Api`."""

    def repository(self, full_name: str, installation: str | int | None = None) -> ForgeApi:
        """The API of one repository: paths start there, and the token is the one for it."""

    async def get(self, *path: str | int, **query: str | int) -> Any:
        """What is at *path*: plain objects."""

    async def all(self, *path: str | int, most: int = ..., **query: str | int) -> list[Any]:
        """The items of a list, of all its pages."""

    async def post(self, *path: str | int, json: Any = None) -> Any:
        """Create something."""

    async def put(self, *path: str | int, json: Any = None) -> Any:
        """Replace something."""

    async def patch(self, *path: str | int, json: Any = None) -> Any:
        """Change something."""

    async def delete(self, *path: str | int) -> Any:
        """Delete something."""


class IPoller(Interface):
    """Something of the host that can be told to poll now."""

    name: str = Attribute("What the ``poller`` argument calls it.")

    def force() -> Any:
        """Poll now. May return a Deferred or a coroutine; nobody waits for it."""


class IJournal(Interface):
    """The durable store of deliveries and changes. Every Deferred fails with
    :class:`~change_hooks.core.errors.Unavailable` while the store cannot be used.

    Several receivers may share a store. What one of them holds, the others leave alone until its lease
    (:data:`~change_hooks.journal.LEASE`) has run out.
    """

    def open() -> Deferred[None]:
        """Open the store, and make or migrate its tables."""

    def close() -> Deferred[None]:
        """Give back what this receiver holds, finish what was asked for, and close the store."""

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

        :param sinks: the names of those that want something of it.
        :param unwanted: the names of those that do not.
        :param about: what it is about.
        :param way: ``sent``, ``polled`` or ``fetched`` when the same may come by another way too: what did is
            left out, and a delivery of nothing else is a duplicate.
        :returns: fires with an :class:`~change_hooks.journal.Appended` once it is durable. A delivery whose
            id was accepted before is only counted.
        """

    def trace(trace: Trace) -> None:
        """Keep a trace of a request that gave nothing. Never fails, and nobody has to wait for it: it is
        stored some time later, or only counted when there are many alike.
        """

    def postpone(delivery: Delivery) -> Deferred[Appended]:
        """Store a delivery whose changes are not known yet, and hold it.

        :returns: fires with an :class:`~change_hooks.journal.Appended` once it is durable.
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
        """Store the changes of the pending delivery at place *seq*. See :meth:`append`.

        :param reason: why there are none.
        :param way: see :meth:`append`.
        :param received: when the delivery was, in seconds since the epoch.
        :returns: fires with False when it is not pending any more.
        """

    def replay(
        seq: int,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        rest: Collection[str] = (),
    ) -> Deferred[bool]:
        """Give the delivery at place *seq*, which has nothing left to do, these changes instead of those it
        had, and an entry for each of *sinks*. What became of it at other sinks stays.

        :param rest: the sinks of other programs for which the wish for this replay stays; without any it
            is fulfilled.
        :returns: fires with False when it is still to be delivered.
        """

    def results(seq: int) -> Deferred[Results]:
        """Fires with what became of the delivery at place *seq* at each sink."""

    def wish(seq: int, sinks: Sequence[str] = ()) -> Deferred[None]:
        """Ask the program that has the sinks to replay the delivery at place *seq*.

        :param sinks: the names of those it is for; empty: all that have not taken it.
        """

    def wishes(after: int = 0) -> Deferred[list[Wish]]:
        """Fires with some of the replays that are asked for, and that nobody has refused, by the places of
        their deliveries; :meth:`replay` fulfils them.

        :param after: of deliveries after this place.
        """

    def refuse_wish(seq: int, error: str) -> Deferred[None]:
        """Say why a replay that was asked for cannot be done."""

    def fail(seq: int, error: str) -> Deferred[None]:
        """Record that a pending delivery cannot be finished."""

    def retry_later(seq: int, wait: float, error: str) -> Deferred[None]:
        """Let go of a pending delivery for so many seconds."""

    def pending(limit: int) -> Deferred[list[Pending]]:
        """Hold at most *limit* pending deliveries that nobody holds."""

    def claim(sinks: Sequence[str], limit: int) -> Deferred[Claimed]:
        """Hold at most *limit* queues (there is one for each sink and repository) that are due and held by
        nobody, this receiver included.
        """

    def more(sink: str, repository: str, seq: int, index: int) -> Deferred[list[Entry]]:
        """Some of what stands in a queue that this receiver holds, oldest first; empty: there is no more.

        :param seq: the place of the delivery to begin with; the next one when it has none there.
        :param index: its change to begin with, also when that is done.
        """

    def record(outcomes: Sequence[Outcome]) -> Deferred[None]:
        """Record what became of work (delivered, to be tried again, or given up) and let go of its queue."""

    def renew(queues: Collection[tuple[str, str]], pending: Collection[int]) -> Deferred[None]:
        """Renew the leases on what this receiver knows that it holds.

        :param queues: each a sink's name, and a repository's.
        :param pending: the places of pending deliveries.
        """

    def prune(before: float) -> Deferred[int]:
        """Delete some deliveries that were received before then (in seconds since the epoch) and have nothing
        left to do. Fires with how many; 0: there are no more.
        """

    def prune_traces(before: float) -> Deferred[int]:
        """Delete some traces of requests that were received before then. Fires with how many."""

    def prune_failed(before: float) -> Deferred[int]:
        """Delete some deliveries that were received before then and have failed. Fires with how many."""

    def remember(name: str, value: bytes) -> Deferred[None]:
        """Keep a value under a name, instead of the one before."""

    def recall(name: str) -> Deferred[bytes | None]:
        """Fires with the value that is kept under a name; None: there is none."""

    def forget(name: str) -> Deferred[None]:
        """Forget the value that is kept under a name, if there is one."""

    def lease(name: str, seconds: float) -> Deferred[bool]:
        """Hold a name, or hold it longer, for so many seconds: fires with False when another receiver holds
        it. What has run out is free.
        """

    def release(name: str) -> Deferred[None]:
        """Let go of a name that this receiver holds."""

    def delivery(seq: int) -> Deferred[Delivery]:
        """Fires with the delivery at place *seq*.

        :raises LookupError: (fails with) there is none.
        """

    def find(dialect: str, ids: Sequence[str]) -> Deferred[dict[str, int]]:
        """Which deliveries of an endpoint came, of those with these ids: fires with their ids, and the status
        with which each was answered. One that was accepted has 202, whatever was answered before.
        """

    def read(look_up: Callable[[Any], Any]) -> Deferred[Any]:
        """Look something up, for whoever shows what is there.

        :param look_up: a function of a reader. It may run in another thread.
        :returns: fires with its result; fails with its error.
        """

    def waiting_sinks() -> Deferred[list[str]]:
        """The names of the sinks for which something waits."""


#: What takes changes: a sink, or a function that is given each.
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

"""The journal as the rest of the package uses it: each call is an operation that the writer runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from secrets import token_hex
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.found import NOTHING_KNOWN, About
from change_hooks.interfaces import IJournal
from change_hooks.journal import deliveries, leases, outbox, pending, pruning, replays, results
from change_hooks.journal.chunks import LARGE, Piece, body_in_pieces, changes_in_pieces, discard, sweep
from change_hooks.journal.compression import packed
from change_hooks.journal.deliveries import Append
from change_hooks.journal.holding import Holding
from change_hooks.journal.operations import Bring
from change_hooks.journal.pending import Finish
from change_hooks.journal.reading import LookUp, ReadingThread
from change_hooks.journal.records import (
    TRACES,
    Appended,
    Claimed,
    Entry,
    Outcome,
    Pending,
    Results,
    Routes,
    Trace,
    Wish,
)
from change_hooks.journal.session import Session
from change_hooks.journal.sightings import AppendOnce, Arrival, finish_once, look_up, record
from change_hooks.journal.traces import Traces
from change_hooks.journal.writer import Store, Writer
from change_hooks.observer import NOBODY, Observer

T = TypeVar("T")

encode_changes = msgspec.json.Encoder().encode


@implementer(IJournal)
class SQLJournal:
    """See :class:`~change_hooks.interfaces.IJournal`.

    :param store: the database.
    :param to_reactor: runs a function in the reactor's thread.
    :param later: runs a function in the reactor's thread after a number of seconds: ``reactor.callLater``.
    :param observer: notified of each transaction.
    :param service: the name of the service that uses it. Services ignore each other's deliveries.
    :param writer: runs the operations.
    """

    def __init__(
        self,
        store: Store,
        to_reactor: Callable[..., Any],
        later: Callable[..., Any] | None = None,
        observer: Observer = NOBODY,
        *,
        service: str = "",
        writer: type[Writer] = Writer,
    ) -> None:
        self._service = service
        self.owner = token_hex(8)
        self.writer = writer(store, to_reactor, later, observer)
        self._holding = Holding(self.owner, lambda operation: self.writer.submit(operation), service)
        self._reading = ReadingThread(store, to_reactor, later)
        self._traces = Traces(lambda operation: self.writer.submit(operation), later, service)
        # Each commit has at most one piece of large data.
        self._large = DeferredLock()

    def open(self) -> Deferred[None]:
        """Start the writer, and create or migrate the tables."""
        self.writer.start()
        self._reading.start()
        self._traces.open()
        return self.writer.submit(sweep)

    def close(self) -> Deferred[None]:
        """Release what is held, finish the submitted operations, and close the database."""
        self._traces.close()
        self.writer.submit(partial(outbox.release, owner=self.owner)).addErrback(lambda _: None)
        written = self.writer.stop()
        return self._reading.stop().addCallback(lambda _: written)

    def read(self, look_up: LookUp[T]) -> Deferred[T]:
        """Run a function of a reader, in a thread other than the writer's."""
        return self._reading.submit(look_up)

    # Storing.

    def append(
        self,
        delivery: Delivery,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        *,
        about: About = NOTHING_KNOWN,
        way: str = "",
    ) -> Deferred[Appended]:
        """Store an accepted delivery, its changes, and an entry for each of *sinks*."""
        routes = Routes(tuple(sinks), tuple(unwanted))
        if way and changes and len(delivery.body) <= LARGE:
            once = AppendOnce(delivery, changes, routes, about, way, self._service)
            return self.writer.submit(once)
        if len(delivery.body) <= LARGE:
            return self.writer.submit(Append.of(delivery, changes, routes, about, service=self._service))

        def append(session: Session, body: str, stored: str) -> Appended:
            names = {"large_body": body, "large_changes": stored}
            large = Append.of(delivery, changes, routes, about, service=self._service, **names)
            appended = deliveries.append_large(session, large, (body, stored))
            if way and not appended.duplicate:
                arrival = Arrival(self._service, way, delivery.received)
                record(session, arrival, look_up(session, arrival, changes), appended.seq)
            return appended

        contents = [body_in_pieces(delivery.body), changes_in_pieces(changes)]
        return self._large.run(self._with_pieces, contents, append)

    @inlineCallbacks
    def _with_pieces(self, contents: Iterable[Iterable[Piece]], operation: Callable[..., T]) -> Any:
        """Store large data, and then run an operation that is called with its names."""
        names: list[str] = []
        try:
            for pieces in contents:
                names.append(token_hex(8))
                for piece in pieces:
                    yield self.writer.submit(Bring(names[-1], piece))
            return (yield self.writer.submit(lambda session: operation(session, *names)))
        except Unavailable:
            left = self.writer.submit(partial(discard, names=names))
            left.addErrback(lambda _: None)  # The data will be swept away.
            raise

    def postpone(self, delivery: Delivery) -> Deferred[Appended]:
        """Store a delivery whose changes are not known yet; this receiver holds it."""
        operation = partial(deliveries.postpone, delivery=delivery, owner=self.owner, service=self._service)
        if len(delivery.body) <= LARGE:
            return self._holding.postponed(lambda: self.writer.submit(operation))
        return self._holding.postponed(
            lambda: self._large.run(
                self._with_pieces,
                [body_in_pieces(delivery.body)],
                lambda session, body: operation(session, large_body=body),
            )
        )

    def trace(self, trace: Trace) -> None:
        """Keep a trace of a request without changes. Needs no waiting."""
        self._traces.add(trace)

    def finish(
        self,
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
        """Store the changes of a pending delivery, and an entry for each of *sinks*."""
        new = Finish(
            seq=seq,
            states=("pending",),
            otherwise="stored" if changes else "ignored",
            reason=reason,
            count=len(changes),
            sinks=deliveries.encode_routes(tuple(sinks), tuple(unwanted)),
            queues=deliveries.queues_of(changes, sinks),
            about=about,
        )
        if not way:
            return self._holding.done_with(seq, self._finish(changes, new, pending.finish))

        def once(session: Session, new: Finish, large: str = "") -> bool:
            return finish_once(session, new, changes, Arrival(self._service, way, received), large)

        return self._holding.done_with(seq, self._finish(changes, new, once))

    def replay(
        self,
        seq: int,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        rest: Collection[str] = (),
    ) -> Deferred[bool]:
        """Store new changes of a settled delivery, and an entry for each of *sinks*."""
        new = Finish(seq=seq, count=len(changes), queues=deliveries.queues_of(changes, sinks))
        routes = Routes(tuple(sinks), tuple(unwanted))
        return self._finish(changes, new, partial(replays.replay, routes=routes, rest=rest))

    def _finish(self, changes: list[Change], new: Finish, finish: Callable[..., bool]) -> Deferred[bool]:
        encoded = encode_changes(changes)
        if len(encoded) <= LARGE:
            new = msgspec.structs.replace(new, changes=packed(encoded))
            return self.writer.submit(partial(finish, new=new))
        return self._large.run(
            self._with_pieces,
            [changes_in_pieces(changes)],
            lambda session, large: finish(session, new=new, large=large),
        )

    def fail(self, seq: int, error: str) -> Deferred[None]:
        """Record that a pending delivery cannot be finished."""
        failed: Deferred[None] = self.writer.submit(partial(pending.fail, seq=seq, error=error))
        return self._holding.done_with(seq, failed)

    def retry_later(self, seq: int, wait: float, error: str) -> Deferred[None]:
        """Record that a pending delivery could not be finished now, and release it for a while."""
        let_go: Deferred[None] = self.writer.submit(
            partial(pending.retry_later, seq=seq, wait=wait, error=error)
        )
        return self._holding.done_with(seq, let_go)

    def pending(self, limit: int) -> Deferred[list[Pending]]:
        """Hold up to *limit* pending deliveries that nobody holds."""
        return self._holding.pending(limit)

    # Replaying.

    def results(self, seq: int) -> Deferred[Results]:
        """The result of a delivery at each sink."""
        return self.writer.submit(partial(results.results, seq=seq))

    def wish(self, seq: int, sinks: Sequence[str] = ()) -> Deferred[None]:
        """Ask the program that has the sinks to replay a delivery."""
        return self.writer.submit(partial(replays.wish, seq=seq, sinks=list(sinks)))

    def wishes(self, after: int = 0) -> Deferred[list[Wish]]:
        """Some of the requested replays."""
        return self.writer.submit(partial(replays.wishes, service=self._service, after=after))

    def refuse_wish(self, seq: int, error: str) -> Deferred[None]:
        """Record why a requested replay is not possible."""
        return self.writer.submit(partial(replays.refuse_wish, seq=seq, error=error))

    # Delivering.

    def claim(self, sinks: Sequence[str], limit: int) -> Deferred[Claimed]:
        """Hold up to *limit* queues that are due."""
        return self._holding.claim(sinks, limit)

    def more(self, sink: str, repository: str, seq: int, index: int) -> Deferred[list[Entry]]:
        """Some entries of a queue, starting at a change."""
        return self.writer.submit(
            partial(outbox.more, sink=sink, repository=repository, seq=seq, index=index)
        )

    def record(self, outcomes: Sequence[Outcome]) -> Deferred[None]:
        """Record the outcomes of work, and release its queues."""
        return self._holding.record(outcomes)

    def renew(self, queues: Collection[tuple[str, str]], pending: Collection[int]) -> Deferred[None]:
        """Renew the leases that this receiver knows it holds."""
        held = partial(outbox.renew, owner=self.owner, queues=list(queues), pending=list(pending))
        return self.writer.submit(held)

    def waiting_sinks(self) -> Deferred[list[str]]:
        """The sinks with waiting entries."""
        return self.writer.submit(partial(outbox.waiting_sinks, service=self._service))

    def delivery(self, seq: int) -> Deferred[Delivery]:
        """The delivery *seq*."""
        return self.writer.submit(partial(deliveries.delivery_at, seq=seq))

    def find(self, dialect: str, ids: Sequence[str]) -> Deferred[dict[str, int]]:
        """The statuses of the responses to the deliveries with these ids."""
        return self.writer.submit(
            partial(deliveries.find, service=self._service, dialect=dialect, ids=list(ids))
        )

    # Keeping.

    def _own(self, name: str) -> str:
        return f"{self._service}/{name}" if self._service else name

    def prune(self, before: float) -> Deferred[int]:
        """Delete some settled deliveries received before a time."""
        return self.writer.submit(partial(pruning.prune, before=before))

    def prune_failed(self, before: float) -> Deferred[int]:
        """Delete some failed deliveries received before a time."""
        return self.writer.submit(partial(pruning.prune, before=before, states=pruning.FAILED))

    def prune_traces(self, before: float) -> Deferred[int]:
        """Delete some traces of requests received before a time."""
        return self.writer.submit(partial(pruning.prune, before=before, states=TRACES))

    def remember(self, name: str, value: bytes) -> Deferred[None]:
        """Store a value under a name."""
        return self.writer.submit(partial(leases.remember, name=self._own(name), value=value))

    def recall(self, name: str) -> Deferred[bytes | None]:
        """The value stored under a name."""
        return self.writer.submit(partial(leases.recall, name=self._own(name)))

    def forget(self, name: str) -> Deferred[None]:
        """Delete the value stored under a name."""
        return self.writer.submit(partial(leases.forget, name=self._own(name)))

    def lease(self, name: str, seconds: float) -> Deferred[bool]:
        """Hold a name for a number of seconds, unless another receiver holds it."""
        return self.writer.submit(
            partial(leases.lease, name=self._own(name), owner=self.owner, seconds=seconds)
        )

    def release(self, name: str) -> Deferred[None]:
        """Release a name."""
        return self.writer.submit(partial(leases.let_go, name=self._own(name), owner=self.owner))


__all__ = ["SQLJournal"]

"""A model of the journal's contract, against which every journal is run.

Strategy: some receivers share a store, and do what receivers do, in any order: they store, hold, hand over,
fail, renew, die and come back; answers are lost, leases run out, somebody prunes and replays. The model knows
what must be true then. At the end all that is left is handed over, and nothing may be left.

What is asserted, by the numbers of the design's invariants: (2) what was acknowledged is there, and blocks
nothing; (3) each sink gets every change that it wants at least once, and each queue in order; (4) what one
receiver holds or loses never stops another for longer than a lease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.journal import LEASE, DeadLetter, Outcome, Work
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.reader import Reader

from ..conftest import delivery, result_of
from ..support.lossy import Loses, LossyStore

RECEIVERS = 2
SINKS = ("a", "b")
REPOSITORIES = ("x", "y")
#: Longer than a step takes by the real clock, and no divisor of what is measured.
STEP = 20.0
RETRY = 50.0

Queue = tuple[str, str]
#: The place of a delivery, and the index of a change.
Place = tuple[int, int]


class Held(NamedTuple):
    """Who holds a queue or a pending delivery, and until when.

    :param known: the holder knows.
    """

    owner: int
    until: float
    known: bool = True


class Delivered:
    """A delivery, as the model knows it."""

    def __init__(self, seq: int, repositories: list[str], sinks: list[str]) -> None:
        self.seq = seq
        self.is_pending = False
        self.is_acknowledged = False
        #: The sinks that had it when it failed, and then it came again.
        self.taken: set[str] = set()
        self.set(repositories, sinks)

    def set(self, repositories: list[str], sinks: list[str]) -> None:
        self.repositories = repositories
        self.wanted = [*sinks, *self.taken] if repositories else []
        self.is_failed = False


class Receiver:
    """A journal whose writer runs in the test's thread."""

    def __init__(self, store: LossyStore) -> None:
        self.store = store
        self.journal = SQLJournal(store, lambda function, *arguments: function(*arguments))
        self.works: list[Work] = []

    def run(self, start: Callable[[], Any], loses: Loses = "") -> Any:
        """The result; None when it is not known."""
        self.store.loses = loses
        deferred = start()
        writer = self.journal.writer
        writer.run_submitted()
        try:
            return result_of(deferred)
        except Unavailable:
            assert loses, "the store could not be used"
            return None


losing = st.sampled_from(("", "", "", "before", "after"))
receivers = st.integers(0, RECEIVERS - 1)
names = st.sampled_from("ABC")
repositories = st.lists(st.sampled_from(REPOSITORIES), min_size=1, max_size=3)
sinks = st.sampled_from((["a"], ["a"], ["a", "b"], []))


class JournalMachine(RuleBasedStateMachine):
    """See the module. A subclass says which journal it is."""

    def store(self) -> LossyStore:
        """A new receiver's store."""
        raise NotImplementedError

    def reader(self) -> Reader:
        """What reads it."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.receivers = [Receiver(self.store()) for _ in range(RECEIVERS)]
        self.now = 0.0
        self.newest = 0
        self.deliveries: dict[str, Delivered] = {}
        #: What stands in each queue; when it is due; who holds it.
        self.queues: dict[Queue, set[Place]] = {}
        self.due: dict[Queue, float] = {}
        self.held: dict[Queue, Held] = {}
        self.held_pending: dict[int, Held] = {}
        self.due_pending: dict[int, float] = {}
        #: The pending deliveries that each receiver knows to be its own, and who held some without hearing.
        self.known_pending: list[set[int]] = [set() for _ in range(RECEIVERS)]
        self.unsure_of_pending: set[int] = set()
        #: Receivers that have claimed without hearing of it.
        self.unsure: set[int] = set()

    # What the model knows.

    def find(self, seq: int) -> Delivered:
        return next(each for each in self.deliveries.values() if each.seq == seq)

    def is_in_hands(self, seq: int) -> bool:
        works = [work for receiver in self.receivers for work in receiver.works]
        return any(entry.seq == seq for work in works for entry in work.entries)

    def is_waiting(self, seq: int) -> bool:
        return any(place[0] == seq for places in self.queues.values() for place in places)

    def state(self, each: Delivered) -> str:
        if each.is_pending:
            return "pending"
        if self.is_waiting(each.seq):
            return "waiting"
        if each.is_failed:
            return "failed"
        if not each.repositories:
            return "ignored"
        return "delivered" if each.wanted else "stored"

    def is_free(self, held: Held | None) -> bool:
        return held is None or held.until <= self.now

    def enqueue(self, each: Delivered, sinks: list[str]) -> None:
        for sink in set(sinks) - each.taken:
            for index, repository in enumerate(each.repositories):
                queue = sink, repository
                if not self.queues.get(queue):
                    self.due[queue] = self.now
                self.queues.setdefault(queue, set()).add((each.seq, index))

    def settled(self, queue: Queue, places: set[Place]) -> None:
        self.queues[queue] -= places
        if not self.queues[queue]:
            self.held.pop(queue, None)

    # Storing.

    def taken_before(self, name: str) -> set[str]:
        """The sinks that have it, if it has failed."""
        before = self.deliveries.get(name)
        if before is None or self.state(before) != "failed":
            return set()
        return {state.sink for state in self.reader().whole(before.seq).sinks if state.state == "taken"}

    def stored(self, name: str, appended: Any, loses: Loses, taken: set[str]) -> Delivered | None:
        """The delivery that was stored; None when it was not.

        :param taken: see :meth:`taken_before`.
        """
        before = self.deliveries.get(name)
        if loses == "before":
            assert appended is None
            return None
        if before is not None and self.state(before) != "failed":
            assert appended is None or appended.duplicate
            before.is_acknowledged |= appended is not None
            return None
        if before is None and appended is None:
            seq = self.reader().newest()
        elif before is None:
            seq = appended.seq
        else:
            seq = before.seq
        if before is None:
            assert seq > self.newest, "a place is used again"
            self.newest = seq
        assert appended is None or (appended.seq, appended.duplicate) == (seq, False)
        each = self.deliveries[name] = Delivered(seq, [], [])
        each.taken = taken
        each.is_acknowledged = appended is not None
        return each

    def may_come(self, name: str) -> bool:
        """What failed may come again, once nobody has it in his hands any more."""
        before = self.deliveries.get(name)
        return before is None or self.state(before) != "failed" or not self.is_in_hands(before.seq)

    @rule(number=receivers, name=names, repositories=repositories, sinks=sinks, loses=losing)
    def append(self, number: int, name: str, repositories: list[str], sinks: list[str], loses: Loses) -> None:
        if not self.may_come(name):
            return
        receiver = self.receivers[number]
        received = delivery(b"body " + name.encode(), id=name, dialect="base", received=5.0)
        taken = self.taken_before(name)
        appended = receiver.run(
            lambda: receiver.journal.append(received, changes(repositories), sinks), loses
        )
        each = self.stored(name, appended, loses, taken)
        if each is not None:
            each.set(repositories, sinks)
            self.enqueue(each, sinks)

    @rule(number=receivers, name=names, loses=losing)
    def postpone(self, number: int, name: str, loses: Loses) -> None:
        if not self.may_come(name):
            return
        receiver = self.receivers[number]
        received = delivery(b"body " + name.encode(), id=name, dialect="base", received=5.0)
        taken = self.taken_before(name)
        appended = receiver.run(lambda: receiver.journal.postpone(received), loses)
        each = self.stored(name, appended, loses, taken)
        if appended is None:
            self.unsure_of_pending.add(number)
        elif not appended.duplicate:
            self.known_pending[number].add(appended.seq)
        if each is not None:
            each.is_pending = True
            self.held_pending[each.seq] = Held(number, self.now + LEASE)
            self.due_pending[each.seq] = 0.0

    # Finishing.

    @rule(number=receivers, loses=losing)
    def hold_pending(self, number: int, loses: Loses) -> None:
        receiver = self.receivers[number]
        found = receiver.run(lambda: receiver.journal.pending(10), loses)
        if loses == "before":
            self.unsure_of_pending.add(number)
            return
        if number in self.unsure_of_pending:
            self.held_pending = {
                seq: held
                for seq, held in self.held_pending.items()
                if held.owner != number or seq in self.known_pending[number]
            }
            self.unsure_of_pending.discard(number)
        free = {
            each.seq
            for each in self.deliveries.values()
            if each.is_pending
            and self.is_free(self.held_pending.get(each.seq))
            and self.due_pending[each.seq] <= self.now
        }
        if found is not None:
            assert {pending.seq for pending in found} == free
            for pending in found:
                assert pending.delivery.body == b"body " + pending.delivery.id.encode()
        self.held_pending |= {seq: Held(number, self.now + LEASE) for seq in free}
        if found is None:
            self.unsure_of_pending.add(number)
        else:
            self.known_pending[number] |= free

    def a_pending(self, data: Any) -> Delivered:
        pending = sorted(name for name, each in self.deliveries.items() if each.is_pending)
        return self.deliveries[data.draw(st.sampled_from(pending))]

    @precondition(lambda self: any(each.is_pending for each in self.deliveries.values()))
    @rule(number=receivers, data=st.data(), repositories=repositories, sinks=sinks, loses=losing)
    def finish(self, number: int, data: Any, repositories: list[str], sinks: list[str], loses: Loses) -> None:
        each = self.a_pending(data)
        receiver = self.receivers[number]
        some = changes(repositories)
        done = receiver.run(lambda: receiver.journal.finish(each.seq, some, sinks), loses)
        assert done in (None, True)
        if loses:
            again = receiver.run(lambda: receiver.journal.finish(each.seq, some, sinks))
            assert again is (loses == "before")
        self.known_pending[number].discard(each.seq)
        each.is_pending = False
        each.set(repositories, sinks)
        self.enqueue(each, sinks)

    @precondition(lambda self: any(each.is_pending for each in self.deliveries.values()))
    @rule(number=receivers, data=st.data(), fails=st.booleans())
    def cannot_finish(self, number: int, data: Any, fails: bool) -> None:
        each = self.a_pending(data)
        receiver = self.receivers[number]
        self.known_pending[number].discard(each.seq)
        if fails:
            receiver.run(lambda: receiver.journal.fail(each.seq, "no"))
            each.is_pending, each.is_failed = False, True
            return
        receiver.run(lambda: receiver.journal.retry_later(each.seq, RETRY, "not now"))
        self.held_pending.pop(each.seq, None)
        self.due_pending[each.seq] = self.now + RETRY

    # Handing over.

    @rule(number=receivers, loses=losing)
    def claim(self, number: int, loses: Loses) -> None:
        receiver = self.receivers[number]
        claimed = receiver.run(lambda: receiver.journal.claim(SINKS, 100), loses)
        if loses == "before":
            self.unsure.add(number)
            return
        before = dict(self.held)
        if number in self.unsure:
            self.held = {
                queue: held for queue, held in self.held.items() if held.owner != number or held.known
            }
            self.unsure.discard(number)
        due = {
            queue
            for queue, places in self.queues.items()
            if places and self.is_free(self.held.get(queue)) and self.due[queue] <= self.now
        }
        self.held |= {queue: Held(number, self.now + LEASE, known=claimed is not None) for queue in due}
        if claimed is None:
            self.unsure.add(number)
            return
        given = {(work.sink, work.repository) for work in claimed.works}
        # What it works on since an earlier claim, it need not be given again by one after a lost answer.
        kept = {
            queue
            for queue in due - given
            if queue in before and before[queue].owner == number and not before[queue].known
        } & {(work.sink, work.repository) for work in receiver.works}
        self.held |= {queue: before[queue] for queue in kept}
        assert given == due - kept
        for work in claimed.works:
            places = [(entry.seq, key.index) for entry in work.entries for key, _ in entry.changes]
            assert places == sorted(self.queues[work.sink, work.repository]), "not in order, or not all"
            for entry in work.entries:
                for key, change in entry.changes:
                    assert (change.repository, change.revision) == (work.repository, str(key.index))
        # What it holds already, it is given again only when its lease has run out.
        again = {(work.sink, work.repository) for work in claimed.works}
        receiver.works = [work for work in receiver.works if (work.sink, work.repository) not in again]
        receiver.works += claimed.works

    @precondition(lambda self: any(receiver.works for receiver in self.receivers))
    @rule(
        data=st.data(),
        taken=st.integers(0, 3),
        then=st.sampled_from(("stops", "fails", "gives up")),
        loses=losing,
    )
    def settle(self, data: Any, taken: int, then: str, loses: Loses) -> None:
        number = data.draw(
            st.sampled_from([number for number in range(RECEIVERS) if self.receivers[number].works])
        )
        which = data.draw(st.integers(0, len(self.receivers[number].works) - 1))
        self.settle_one(number, which, taken, then, loses)

    def settle_one(self, number: int, which: int, taken: int, then: str, loses: Loses) -> None:
        """Hand over so many changes of a queue that a receiver works on, or believes that it does."""
        receiver = self.receivers[number]
        work = receiver.works.pop(which)
        places = [(entry.seq, key.index) for entry in work.entries for key, _ in entry.changes]
        taken = min(taken, len(places))
        dead = places[taken : taken + 1] if then == "gives up" else []
        done = taken + len(dead)
        queue = work.sink, work.repository
        outcome = Outcome(
            *queue,
            _progress(places, done),
            [DeadLetter(seq, index, "no") for seq, index in dead],
            attempts=1 if then == "fails" else 0,
            wait=RETRY if then == "fails" else 0.0,
        )
        receiver.run(lambda: receiver.journal.record([outcome]), loses)
        if loses:
            receiver.run(lambda: receiver.journal.record([outcome]))
        held = self.held.get(queue)
        is_ours = bool(self.queues[queue]) and (held is None or held.owner == number)
        before = bool(self.queues[queue])
        self.settled(queue, set(places[:taken]))
        if is_ours:
            left = set(dead) & self.queues[queue]
            for seq, _ in left:
                self.find(seq).is_failed = True
            self.settled(queue, left)
            self.held.pop(queue, None)
        if before and is_ours and self.queues[queue]:
            self.due[queue] = self.now + outcome.wait

    @rule(number=receivers)
    def renew(self, number: int) -> None:
        receiver = self.receivers[number]
        queues = {(work.sink, work.repository) for work in receiver.works}
        receiver.run(lambda: receiver.journal.renew(queues, []))
        for queue in queues:
            held = self.held.get(queue)
            if held is not None and held.owner == number:
                self.held[queue] = Held(number, self.now + LEASE, held.known)

    @rule(number=receivers)
    def deliver(self, number: int) -> None:
        """Hand over all that is there."""
        self.claim(number, "")
        for _ in range(len(self.receivers[number].works)):
            self.settle_one(number, 0, 100, "stops", "")

    # What happens to receivers.

    @rule(number=receivers)
    def overtake(self, number: int) -> None:
        """Nothing is heard of all receivers for longer than a lease, and then of one."""
        self.pass_time(2)
        self.hold_pending(number, "")
        self.claim(number, "")

    @rule(steps=st.sampled_from((1, 2, 2, 3)))
    def pass_time(self, steps: int) -> None:
        seconds = steps * STEP
        self.now += seconds

        def shift(session: Any) -> None:
            for table in ("queues", "deliveries"):
                session.execute(f"UPDATE {table} SET lease = lease - ?, due = due - ?", (seconds, seconds))

        receiver = self.receivers[0]
        receiver.run(lambda: receiver.journal.writer.submit(shift))

    @rule(number=receivers, is_told=st.booleans())
    def end(self, number: int, is_told: bool) -> None:
        """A receiver ends, or is killed, and another one begins."""
        receiver = self.receivers[number]
        if is_told:
            receiver.run(receiver.journal.close)
            self.held = {queue: held for queue, held in self.held.items() if held.owner != number}
            self.held_pending = {seq: held for seq, held in self.held_pending.items() if held.owner != number}
        else:
            # Nobody is called so any more.
            receiver.store.close()
            self.held = {
                queue: held._replace(owner=-1) if held.owner == number else held
                for queue, held in self.held.items()
            }
            self.held_pending = {
                seq: held._replace(owner=-1) if held.owner == number else held
                for seq, held in self.held_pending.items()
            }
        self.unsure.discard(number)
        self.unsure_of_pending.discard(number)
        self.known_pending[number] = set()
        self.receivers[number] = Receiver(self.store())

    # What operators do.

    @rule(number=receivers)
    def prune(self, number: int) -> None:
        receiver = self.receivers[number]
        while receiver.run(lambda: receiver.journal.prune(1e12)):
            pass
        newest = self.reader().newest()
        self.deliveries = {
            name: each
            for name, each in self.deliveries.items()
            if each.seq == newest or self.state(each) not in ("delivered", "stored")
        }

    @rule(number=receivers, name=names, repositories=repositories, sinks=sinks, loses=losing)
    def replay(self, number: int, name: str, repositories: list[str], sinks: list[str], loses: Loses) -> None:
        each = self.deliveries.get(name)
        if each is None or self.is_in_hands(each.seq):
            return
        receiver = self.receivers[number]
        is_done = self.state(each) in ("delivered", "failed", "stored")
        some = changes(repositories)
        done = receiver.run(lambda: receiver.journal.replay(each.seq, some, sinks), loses)
        assert done is None or done is is_done
        if is_done and loses != "before":
            wanted = sorted({*each.wanted, *sinks})
            # What failed at a sink that is not to have it again has failed still.
            is_failed = (
                each.is_failed
                and not set(each.wanted) <= set(sinks)
                and self._is_failed_at_others(each, sinks)
            )
            each.taken = set()
            each.set(repositories, wanted)
            each.is_failed = is_failed
            self.enqueue(each, sinks)

    def _is_failed_at_others(self, each: Delivered, sinks: list[str]) -> bool:
        whole = self.reader().whole(each.seq)
        return any(state.state == "failed" and state.sink not in sinks for state in whole.sinks)

    # What must be true.

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        if not hasattr(self, "deliveries"):
            return
        found = {line.delivery: line for line in self.reader().deliveries()}
        assert {name: line.state for name, line in found.items()} == {
            name: self.state(each) for name, each in self.deliveries.items()
        }
        assert {name: line.seq for name, line in found.items()} == {
            name: each.seq for name, each in self.deliveries.items()
        }

    def teardown(self) -> None:
        if not hasattr(self, "deliveries"):
            return
        # However it was left, what is left is handed over once everything that anybody held has run out.
        receiver = self.receivers[0]
        for _ in range(3):
            self.pass_time(3)
            self.hold_pending(0, "")
            for each in [each for each in self.deliveries.values() if each.is_pending]:
                assert receiver.run(lambda seq=each.seq: receiver.journal.finish(seq, [], []))
                each.is_pending = False
                each.set([], [])
            self.claim(0, "")
            for work in receiver.works:
                outcome = Outcome(work.sink, work.repository, [(entry.seq, None) for entry in work.entries])
                receiver.run(lambda outcome=outcome: receiver.journal.record([outcome]))
                self.settled((work.sink, work.repository), set(self.queues[work.sink, work.repository]))
            receiver.works = []
        assert not any(self.queues.values()), "stuck"
        self.what_is_stored_is_what_the_model_says()
        for receiver in self.receivers:
            receiver.store.close()


def changes(repositories: list[str]) -> list[Change]:
    """Each knows its index."""
    return [Change(repository=name, revision=str(index)) for index, name in enumerate(repositories)]


def _progress(places: list[Place], done: int) -> list[tuple[int, int | None]]:
    """How far each delivery is done, when the first so many changes are."""
    left = dict(reversed(places[done:]))
    return [(seq, left.get(seq)) for seq in dict.fromkeys(seq for seq, _ in places[: done + 1])]

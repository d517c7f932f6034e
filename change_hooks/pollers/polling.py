"""Runs pollers: at their intervals and on demand, one poll at a time each.

Strategy: several receivers may share a journal, and each runs the same pollers. A receiver holds the poller's
lease in the journal from before it reads the poller's state until it has stored its findings and the new
state, so nobody polls with an outdated state. If the lease is lost meanwhile (because the process was
suspended), nothing more is stored; what was stored has ids that the next poll gives it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from time import time
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults, inlineCallbacks, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from change_hooks.alarm import Alarm
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.shown import counted
from change_hooks.incidents import report
from change_hooks.interfaces import IJournal, IPoller
from change_hooks.journal.hold import Hold
from change_hooks.pollers.base import Found, Looked, Poller
from change_hooks.vcs.tools import Interruption, ToolError

#: Where pollers store their files, below the configuration's folder.
FOLDER = "change-hooks-pollers"
#: How long a receiver that does not renew its lease keeps a poller to itself, in seconds.
LEASE = 60.0
LOST = "another receiver is polling now; nothing more of this poll is stored"
#: How soon to poll if another receiver was polling when this one was asked to, in seconds.
BUSY = 5.0
#: After this many polls in a row that failed in the same way, a failure is an error, not only a warning.
LOUD = 3
#: How many deliveries are stored at a time.
AT_ONCE = 100

log = Logger()


class Host(Protocol):
    """Where the changes go."""

    @property
    def journal(self) -> IJournal | None:
        """The journal, which stores the pollers' states."""

    def accept(self, delivery: Delivery, changes: list[Change]) -> Deferred[Any]:
        """Store changes."""


class Busy(Exception):
    """Another process is polling with the same folder."""


@implementer(IPoller)
class Running:
    """Runs one poller.

    :param poller: the poller.
    :param reactor: for timers and threads.
    :param by_itself: also poll at the start and at intervals, not only on demand.
    """

    def __init__(self, poller: Poller, host: Host, folder: Path, reactor: Any, by_itself: bool) -> None:
        self.name = poller.name
        self._by_itself = by_itself
        self._poller = poller
        self._host = host
        self._folder = folder
        self._reactor = reactor
        self._alarm = Alarm(reactor, self._look_now)
        self._look: Deferred[None] | None = None
        self._told = False
        self._again = False
        self._stopped = False
        self._interruption = Interruption()
        self._said = Repetitions()

    def start(self) -> None:
        """Begin."""
        if self._poller.at_launch and self._by_itself:
            self.force()
        else:
            self._wait()

    def stop(self) -> Deferred[None]:
        """Start no further poll. Fires when the current one is over."""
        self._stopped = True
        self._alarm.clear()
        if self._look is None:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._look.addCallback(lambda _: over.callback(None))
        return over

    def break_off(self) -> None:
        """Terminate the tool of the current poll. Findings that are not stored yet are found again by the
        next poll.
        """
        self._interruption.interrupt()

    def force(self) -> None:
        """See :meth:`change_hooks.interfaces.IPoller.force`: poll now, or once more after the current poll,
        which may have missed the commits in question.
        """
        self._told = True
        self._look_now()

    def _look_now(self) -> None:
        if self._stopped:
            return
        if self._look is not None:
            self._again = True
            return
        self._alarm.clear()
        self._again = False
        told, self._told = self._told, False
        self._look = self._poll(told)
        self._look.addErrback(self._failed)
        self._look.addCallback(self._over)

    def _wait(self) -> None:
        if self._stopped:
            return
        if self._told:
            self._alarm.set(BUSY)
        elif self._poller.interval and self._by_itself:
            self._alarm.set(self._poller.interval)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if self._stopped and isinstance(error, ToolError):
            log.debug("{name}: the poll was interrupted", name=self.name)
        elif isinstance(error, (ToolError, Unavailable)):
            self._say([str(error)])
        else:
            report(f"the poller {self.name} broke", failure, name=self.name)

    def _over(self, _: None) -> None:
        self._look = None
        if self._again:
            self._look_now()
        else:
            self._wait()

    def _say(self, problems: Iterable[str]) -> None:
        """Log problems as warnings; as errors if they persist."""
        for problem, times in self._said.of(self._poller.without_secrets(problem) for problem in problems):
            if times < LOUD:
                log.warn("{name}: {problem}", name=self.name, problem=problem)
            else:
                said = "{name}: {problem} ({times} polls in a row)"
                log.error(said, name=self.name, problem=problem, times=times)

    @inlineCallbacks
    def _poll(self, told: bool) -> Any:
        journal = self._host.journal
        if journal is None:
            return
        memory = f"poller {self._poller.dialect} {self.name}"
        held = yield journal.lease(memory, LEASE)
        if not held:
            # The commits in question may have arrived after the other receiver's poll started.
            self._told = told
            log.debug("{name}: another receiver is polling", name=self.name)
            return
        hold = Hold(journal, memory, self._reactor, LEASE, LOST)
        try:
            yield self._look_and_store(journal, memory, hold)
        except Busy:
            self._told = told
            log.debug("{name}: another process is polling", name=self.name)
        finally:
            yield hold.end()

    @inlineCallbacks
    def _look_and_store(self, journal: IJournal, memory: str, hold: Hold) -> Any:
        known = yield journal.recall(memory)
        state = None if known is None else msgspec.json.decode(known)
        pool = self._reactor.getThreadPool()
        looked: Looked = yield deferToThreadPool(self._reactor, pool, self._look_alone, state)
        self._say(looked.problems)
        for note in looked.notes:
            log.warn("{name}: {note}", name=self.name, note=self._poller.without_secrets(note))
        for first in range(0, len(looked.found), AT_ONCE):
            hold.check()
            yield self._store(looked.found[first : first + AT_ONCE])
        if looked.state != state:
            hold.check()
            # After the changes: if it crashes in between, the next poll finds them again, with the same ids.
            yield journal.remember(memory, msgspec.json.encode(looked.state))
        if looked.found:
            count = sum(len(found.changes) for found in looked.found)
            log.info("{name}: {found} found", name=self.name, found=counted(count, "change"), count=count)

    def _store(self, found: list[Found]) -> Deferred[Any]:
        """Store these together, in their order."""
        accepted = [self._host.accept(self._poller.delivery(each, time()), each.changes) for each in found]
        stored: Deferred[Any] = gatherResults(accepted, consumeErrors=True)
        return stored.addErrback(_first)

    def _look_alone(self, state: Any) -> Looked:
        """Poll, while no other process on this machine uses the same folder. Called in a thread."""
        folder = self._poller.work_folder(self._folder)
        private_folder(folder.parent)
        with folder.with_suffix(".lock").open("w") as lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            with self._interruption.covers_this_thread():
                return self._poller.look(state, self._folder)


def _first(failure: Failure) -> Any:
    if isinstance(failure.value, FirstError):
        return failure.value.subFailure
    return failure


def private_folder(folder: Path) -> None:
    """Create a folder that only its owner can access; an existing folder is made private."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


class Repetitions:
    """Counts in how many polls in a row the same problem occurred."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, problems: Iterable[str]) -> list[tuple[str, int]]:
        """The problems of this poll, each with the number of polls in a row that have had it."""
        self._counts = Counter({problem: self._counts[problem] + 1 for problem in problems})
        return list(self._counts.items())


class Polling:
    """The pollers of a server, which the dialect ``poller`` can start, too.

    :param base: the configuration's folder.
    :param by_itself: see :class:`Running`.
    """

    def __init__(self, base: Path, reactor: Any, *, by_itself: bool = True) -> None:
        self._folder = base / FOLDER
        self._reactor = reactor
        self._by_itself = by_itself
        self._pollers: tuple[Poller, ...] = ()
        self._running: list[Running] = []
        #: Retired pollers whose last poll is not over yet.
        self._ending: dict[Running, Deferred[None]] = {}
        self._host: Host | None = None

    def __iter__(self) -> Iterator[Running]:
        return iter(self._running)

    def use(self, pollers: Iterable[Poller]) -> None:
        """Run only these pollers from now on."""
        self._pollers = tuple(pollers)
        if self._host is not None:
            self._retire()
            self.start(self._host)

    def start(self, host: Host) -> None:
        """Begin."""
        self._host = host
        self._running = [
            Running(poller, host, self._folder, self._reactor, self._by_itself) for poller in self._pollers
        ]
        for running in self._running:
            running.start()

    def stop(self) -> Deferred[Any]:
        """Start nothing new, and interrupt current polls. Fires when all polls are over."""
        self._retire()
        ending = dict(self._ending)
        for running in ending:
            running.break_off()
        return DeferredList(list(ending.values()))

    def _retire(self) -> None:
        """Start nothing new; current polls may end."""
        retired, self._running = self._running, []
        for running in retired:
            self._ending[running] = over = running.stop()
            over.addCallback(self._ended, running)

    def _ended(self, _: None, running: Running) -> None:
        del self._ending[running]


__all__ = ["Polling"]

"""Runs pollers: at their intervals, when they are told to, and one look at a time each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from time import time
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal, IPoller
from change_hooks.pollers.base import Poller
from change_hooks.vcs import ToolError

#: Where pollers keep what they have to, below the configuration's folder.
FOLDER = "change-hooks-pollers"

log = Logger()


class Host(Protocol):
    """Where the changes go."""

    @property
    def journal(self) -> IJournal | None:
        """What remembers where the pollers were."""

    def accept(self, delivery: Delivery, changes: list[Change]) -> Deferred[Any]:
        """Store changes."""


@implementer(IPoller)
class Running:
    """One poller at work.

    :param poller: what is to be run.
    :param reactor: for the time, and for threads.
    :param by_itself: look at the start and at intervals too, not only when it is told to.
    """

    def __init__(self, poller: Poller, host: Host, folder: Path, reactor: Any, by_itself: bool) -> None:
        self.name = poller.name
        self._by_itself = by_itself
        self._poller = poller
        self._host = host
        self._folder = folder
        self._reactor = reactor
        self._alarm: IDelayedCall | None = None
        self._look: Deferred[None] | None = None
        self._again = False
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        if self._poller.at_launch and self._by_itself:
            self.force()
        else:
            self._wait()

    def stop(self) -> Deferred[None]:
        """Begin no other look. Fires when the one that is going on is over."""
        self._stopped = True
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        if self._look is None:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._look.addCallback(lambda _: over.callback(None))
        return over

    def force(self) -> None:
        """See :meth:`change_hooks.interfaces.IPoller.force`: look now; once more when a look is going on,
        which may have missed what this one is about.
        """
        if self._stopped:
            return
        if self._look is not None:
            self._again = True
            return
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._again = False
        self._look = self._poll()
        self._look.addErrback(self._failed)
        self._look.addCallback(self._over)

    def _wait(self) -> None:
        if self._poller.interval and self._by_itself and not self._stopped:
            self._alarm = self._reactor.callLater(self._poller.interval, self.force)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, (ToolError, Unavailable)):
            said = str(error).replace(self._poller.repourl, self._poller.address)
            log.error("{name}: {error}", name=self.name, error=said)
        else:
            log.failure("the poller {name} broke", failure, name=self.name)

    def _over(self, _: None) -> None:
        self._look = None
        if self._again:
            self.force()
        else:
            self._wait()

    def _look_alone(self, state: Any) -> Any:
        """In a thread: look, while no other process of this machine does with the same folder."""
        folder = self._poller.work_folder(self._folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            return self._poller.look(state, self._folder)

    @inlineCallbacks
    def _poll(self) -> Any:
        journal = self._host.journal
        if journal is None:
            return
        memory = f"poller {self._poller.dialect} {self.name}"
        known = yield journal.recall(memory)
        state = None if known is None else msgspec.json.decode(known)
        found, now = yield deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._look_alone, state
        )
        for each in found:
            yield self._host.accept(self._poller.delivery(each, time()), each.changes)
        if now != state:
            # After the changes: a crash between the two finds them again, under the same ids.
            yield journal.remember(memory, msgspec.json.encode(now))
        if found:
            count = sum(len(each.changes) for each in found)
            log.info("{name}: {count} changes found", name=self.name, count=count)


class Polling:
    """The pollers of a server; also what the dialect ``poller`` pokes.

    :param base: the configuration's folder.
    :param by_itself: see :class:`Running`.
    """

    def __init__(self, base: Path, reactor: Any, *, by_itself: bool = True) -> None:
        self._folder = base / FOLDER
        self._reactor = reactor
        self._by_itself = by_itself
        self._pollers: tuple[Poller, ...] = ()
        self._running: list[Running] = []
        self._host: Host | None = None

    def __iter__(self) -> Iterator[Running]:
        return iter(self._running)

    def use(self, pollers: Iterable[Poller]) -> None:
        """Run these, and no others."""
        self._pollers = tuple(pollers)
        if self._host is not None:
            self.stop()
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
        """Begin nothing new. Fires when no look is going on."""
        running, self._running = self._running, []
        return DeferredList([each.stop() for each in running])


__all__ = ["Polling"]

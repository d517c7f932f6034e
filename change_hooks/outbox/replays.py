"""Replays that a command asked for, done by the program that has the sinks.

Strategy: a sink may be code of the program around us, so a command can only leave a wish in the journal. A
receiver with sinks looks for wishes from time to time, one receiver at a time, and processes a stored
delivery like a new one: it goes through its handler as that is now, and its changes get outbox entries for
the sinks that are to get them. Programs with different sinks may share a journal: each serves its own sinks,
and leaves the others in the wish.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.alarm import Alarm
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError, EndpointOff, Unavailable
from change_hooks.core.found import Found
from change_hooks.incidents import report
from change_hooks.interfaces import IJournal
from change_hooks.journal import Routes, Wish
from change_hooks.journal.hold import Hold
from change_hooks.journal.replays import WISHES
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.written import unless_away

#: How often to look for wishes, in seconds.
LOOK = 5.0
#: How long a receiver that has crashed keeps the others from replaying, in seconds.
HELD = 60.0
#: The name of that lease.
LEASE_NAME = "replays"
NOTHING_KEPT = "nothing of it is stored that could be replayed"
STILL = "it is still waiting to be delivered, so it needs no replay"

log = Logger()


def chosen(routes: Routes, sinks: Collection[str], asked: Collection[str], taken: Collection[str]) -> Routes:
    """The routes of a replayed delivery.

    :param routes: its routes if it arrived now.
    :param sinks: the names of all sinks.
    :param asked: the names of the sinks to replay to; empty: all that have not accepted it.
    :param taken: the names of the sinks that have accepted it.
    """
    to = set(asked) if asked else set(sinks) - set(taken)
    return Routes(tuple(name for name in routes.wanted if name in to), routes.unwanted)


class Replays:
    """Does the replays that are asked for.

    :param clock: the reactor, or a clock in tests.
    :param process: returns the changes of a stored delivery.
    """

    def __init__(
        self,
        journal: IJournal,
        dispatcher: Dispatcher,
        clock: IReactorTime,
        process: Callable[[Delivery], Deferred[Found]],
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._clock = clock
        self._process = process
        self._stopped = True
        self._alarm = Alarm(clock, self._look)
        self._looking = False
        self._more = False

    def start(self) -> None:
        """Start; without sinks there is nothing to do."""
        if self._dispatcher.sinks:
            self._stopped = False
            self._look()

    def stop(self) -> None:
        """Start nothing new."""
        self._stopped = True
        self._alarm.clear()

    def wake(self) -> None:
        """Look for wishes now, because a replay has just been asked for."""
        if self._looking:
            self._more = True
        elif not self._stopped:
            self._alarm.clear()
            self._look()

    def _look(self) -> None:
        self._looking, self._more = True, False
        done = self._take_up().addErrback(unless_away, "replays that were asked for could not be done")
        done.addCallback(self._look_later)

    def _look_later(self, _: Any) -> None:
        self._looking = False
        if not self._stopped:
            self._alarm.set(0.0 if self._more else LOOK)

    @inlineCallbacks
    def _take_up(self) -> Any:
        # Without wishes, nothing is written.
        first = yield self._next(0)
        if first is None or not (yield self._journal.lease(LEASE_NAME, HELD)):
            return
        hold = Hold(self._journal, LEASE_NAME, self._clock, HELD, "another receiver is replaying now")
        try:
            # Another receiver may have served some of the wishes meanwhile.
            wish = yield self._next(0)
            while wish is not None and not self._stopped:
                hold.check()
                yield self._replay(wish)
                wish = yield self._next(wish.seq)
        finally:
            yield hold.end()

    @inlineCallbacks
    def _next(self, after: int) -> Any:
        """Fires with this receiver's first wish after a sequence number; None: there is none."""
        while True:
            wishes: Sequence[Wish] = yield self._journal.wishes(after)
            for wish in wishes:
                if (yield self._is_ours(wish)):
                    return wish
                after = wish.seq
            if len(wishes) < WISHES:
                return None

    @inlineCallbacks
    def _is_ours(self, wish: Wish) -> Any:
        """Fires with whether a wish can be fulfilled here. If a wish names no sink and nothing has failed
        here, it is left to the receivers where something has.
        """
        ours = set(self._dispatcher.sinks)
        if wish.sinks:
            return not ours.isdisjoint(wish.sinks)
        results = yield self._journal.results(wish.seq)
        left = results.left
        return not left or not ours.isdisjoint(left) or not ours.issubset({*results.taken, *results.unwanted})

    @inlineCallbacks
    def _replay(self, wish: Wish) -> Any:
        try:
            delivery = yield self._journal.delivery(wish.seq)
            found = yield self._process(delivery)
            results = yield self._journal.results(wish.seq)
            routes = self._dispatcher.routes(found, delivery)
            sinks = self._dispatcher.sinks
            to = chosen(routes, sinks, wish.sinks, results.taken)
            rest = [name for name in wish.sinks or results.left if name not in sinks]
            done = yield self._journal.replay(wish.seq, found, *to, rest)
        except EndpointOff as error:
            yield self._journal.refuse_wish(wish.seq, error.message)
        except Unavailable:
            raise
        except DeliveryError as error:
            yield self._journal.refuse_wish(wish.seq, error.message)
        except LookupError:
            yield self._journal.refuse_wish(wish.seq, NOTHING_KEPT)
        except Exception:
            incident = report("a replay broke", Failure())
            yield self._journal.refuse_wish(wish.seq, f"the handler broke (incident {incident})")
        else:
            if not done:
                yield self._refuse_waiting(wish)
                return
            log.info(
                "{dialect} {delivery}: replayed; changes: {changes}, to {sinks}",
                dialect=delivery.dialect,
                delivery=delivery.id,
                changes=len(found),
                sinks=", ".join(to.wanted) or "no sink",
            )
            self._dispatcher.wake()

    @inlineCallbacks
    def _refuse_waiting(self, wish: Wish) -> Any:
        """Leave a wish for later if the delivery waits for other sinks than those that were asked for:
        another program may just have served its own sinks.
        """
        results = yield self._journal.results(wish.seq)
        if not wish.sinks or not set(wish.sinks).isdisjoint(results.waiting):
            yield self._journal.refuse_wish(wish.seq, STILL)


__all__ = ["LOOK", "NOTHING_KEPT", "STILL", "Replays", "chosen"]

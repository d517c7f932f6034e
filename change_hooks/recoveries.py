"""Recovery in a running service, from the sources in the current configuration."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from change_hooks.core.delivery import Delivery
from change_hooks.core.found import Found
from change_hooks.durable import Durable
from change_hooks.flow import called
from change_hooks.forges.rest import RestError
from change_hooks.observer import Observers
from change_hooks.recovery.marking import MarkingIntake
from change_hooks.recovery.recovered import Acceptance, Runner
from change_hooks.recovery.schedule import Recovery
from change_hooks.recovery.sources import asks_again, compares, recover_of, runners, stored_of
from change_hooks.tree import Tree

log = Logger()


class Recoveries:
    """Recovers deliveries for the endpoints of a tree.

    :param service: the name of the service.
    :param durable: receives what was recovered.
    :param observers: notified of recoveries; they also report that deliveries could not be accepted.
    :param http: a treq ``HTTPClient``; None: one is created.
    """

    def __init__(self, service: str, durable: Durable, observers: Observers, http: Any, clock: Any) -> None:
        self.intake = MarkingIntake(durable.intake, durable.journal)
        self._durable = durable
        self._service = service
        self._journal = durable.journal
        self._http = http
        self._clock = clock
        self._recovery = Recovery(clock, observers)
        self._tree: Tree | None = None
        observers.add(self._recovery)

    def follow(self, tree: Tree) -> None:
        """Recover for the endpoints of *tree*, and for no others."""
        self._tree = tree
        tree.when_made(partial(self._use, tree))
        self._use(tree)

    def start(self) -> None:
        """Begin."""
        self._recovery.start()

    def rest(self) -> None:
        """Recover nothing until there is another tree."""
        self._tree = None
        self._recovery.use([])

    def stop(self) -> Deferred[None]:
        """Start nothing new, and cancel what is in progress. Fires when that has ended."""
        return self._recovery.stop()

    def _use(self, tree: Tree) -> None:
        if tree is not self._tree:
            return
        handlers = tree.handlers
        self.intake.endpoints = frozenset(name for name in handlers if asks_again(handlers[name]))
        self._durable.compared.endpoints = frozenset(name for name in handlers if compares(handlers[name]))
        found: list[tuple[Runner, float | None]] = []
        for name, handler in handlers.items():
            acceptance = Acceptance(name, tree.found_again, self._accept, stored_of(handler), self._service)
            try:
                made = runners(handler, self._journal, acceptance, self._http, self._clock)
            except RestError as error:
                log.error("{name}: recovery is not possible: {error}", name=name, error=str(error))
                continue
            found += [(runner, recover_of(handler).every) for runner in made]
        self._recovery.use(found)

    async def _accept(self, delivery: Delivery, found: Found) -> bool:
        receipt = await called(self.intake.accept, delivery, found)
        return receipt.outcome != "duplicate"


__all__ = ["Recoveries"]

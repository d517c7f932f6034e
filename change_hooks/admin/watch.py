"""What is counted and looked at while a service runs, and where operators find it."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.interfaces import IReactorTime

from change_hooks.admin.exposed import metrics_page
from change_hooks.admin.health import DRAINING, STARTING, Alive, Health, Ready
from change_hooks.admin.last import LastDeliveries
from change_hooks.admin.root import Admin
from change_hooks.interfaces import IJournal
from change_hooks.observer import Observers


class Watch:
    """Metrics and health of one service.

    :param admin: gets ``/metrics``, ``/healthz`` and ``/readyz``.
    :param observers: those who are told what happens.
    :param journal: None: there is none.
    :param sinks: the names of all sinks.
    """

    def __init__(
        self,
        admin: Admin,
        observers: Observers,
        journal: IJournal | None,
        sinks: Collection[str],
        clock: IReactorTime,
    ) -> None:
        self.last = LastDeliveries(clock)
        self._health = Health(journal, clock)
        self._endpoints: frozenset[str] = frozenset()
        page, metrics = metrics_page(lambda: self._endpoints, journal, self.last, sinks)
        admin.add("metrics", page)
        admin.add("healthz", Alive(), password=False)
        admin.add("readyz", Ready(self._health.problem), password=False)
        for observer in (self.last, self._health, metrics):
            if observer is not None:
                observers.add(observer)

    def reconfigure(self, endpoints: Collection[str]) -> None:
        """Follow the configuration.

        :param endpoints: the names of the endpoints that are configured.
        """
        self._endpoints = frozenset(endpoints)

    def starting(self) -> None:
        """The service starts."""
        self._health.state = STARTING

    def started(self) -> None:
        """The service has started."""
        if self._health.state == STARTING:
            self._health.state = ""

    def draining(self) -> None:
        """The service takes nothing new."""
        self._health.state = DRAINING


__all__ = ["Watch"]

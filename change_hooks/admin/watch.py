"""Monitoring of a running service: metrics, health and alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twisted.internet.interfaces import IReactorTime

from change_hooks.admin.alarms import Alarms
from change_hooks.admin.exposed import metrics_page
from change_hooks.admin.health import DRAINING, STARTING, Alive, Health, Ready
from change_hooks.admin.last import LastDeliveries
from change_hooks.admin.root import Admin
from change_hooks.interfaces import IJournal
from change_hooks.observer import Observers
from change_hooks.outbox.routing import RoutedSink


class Watch:
    """Metrics, health and alarms of one service.

    :param admin: gets ``/metrics``, ``/healthz`` and ``/readyz``.
    :param observers: the observers of the service.
    :param journal: None: there is none.
    :param sinks: all sinks, by name.
    :param service: the name of the service, which prefixes the names of its sinks.
    """

    def __init__(
        self,
        admin: Admin,
        observers: Observers,
        journal: IJournal | None,
        sinks: Mapping[str, RoutedSink],
        clock: IReactorTime,
        *,
        service: str = "",
    ) -> None:
        self._service = service
        self.last = LastDeliveries(clock)
        self._alarms = None if journal is None else Alarms(journal, self.last, sinks, clock)
        self._health = Health(journal, clock)
        self._endpoints: frozenset[str] = frozenset()
        page, metrics = metrics_page(lambda: self._endpoints, journal, self.last, tuple(sinks))
        admin.add("metrics", page)
        admin.add("healthz", Alive(), password=False)
        admin.add("readyz", Ready(self._health.problem), password=False)
        for observer in (self.last, self._health, self._alarms, metrics):
            if observer is not None:
                observers.add(observer)

    def reconfigure(self, endpoints: Mapping[str, float | None], alarms: Iterable[str]) -> None:
        """Apply a new configuration.

        :param endpoints: the names of the configured endpoints, each with the number of seconds within which
            a delivery is expected; None: none is expected.
        :param alarms: the names of the sinks that get events about the receiver.
        """
        self._endpoints = frozenset(endpoints)
        if self._alarms is not None:
            names = [f"{self._service}/{name}" if self._service else name for name in alarms]
            expected = {name: seconds for name, seconds in endpoints.items() if seconds is not None}
            self._alarms.reconfigure(names, expected)

    def starting(self) -> None:
        """The service is starting."""
        self._health.state = STARTING

    def started(self) -> None:
        """The service has started."""
        if self._health.state == STARTING:
            self._health.state = ""
            if self._alarms is not None:
                self._alarms.start()

    def draining(self) -> None:
        """The service accepts nothing new."""
        self._health.state = DRAINING
        if self._alarms is not None:
            self._alarms.stop()


__all__ = ["Watch"]

"""Metrics for Prometheus.

Strategy: events are counted by an observer; the state of the journal is read on request. Repositories,
senders, and names that a sender can make up are never labels. With several worker processes, the counts are
in files that all of them write, in the folder that the environment names; the process that gets the request
adds them up.

Source: Prometheus, "Metric and label naming"; prometheus_client, "Multiprocess Mode".
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import version

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from change_hooks.admin.settings import METRICS_FOLDER
from change_hooks.journal import Summary
from change_hooks.observer import Answered, AttemptOutcome, Observer

#: The label for names that are not configured.
OTHER = "other"
#: How many event names an endpoint may have as labels; a handler may accept any name.
EVENTS = 50
ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMMITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Standing(msgspec.Struct, frozen=True):
    """The state of the journal at the time of a request.

    :param summary: None: the journal cannot be read.
    :param sinks: the names of all configured sinks.
    :param last: when each endpoint last received a delivery, in seconds since the epoch.
    :param now: the present time, in seconds since the epoch.
    """

    summary: Summary | None
    sinks: Collection[str]
    last: Mapping[str, float]
    now: float


class Metrics(Observer):
    """Counts events.

    :param endpoints: returns the names of the configured endpoints.
    """

    def __init__(self, endpoints: Callable[[], Collection[str]]) -> None:
        self._endpoints = endpoints
        self._events: defaultdict[str, set[str]] = defaultdict(set)
        self._registry = registry = CollectorRegistry()
        self._deliveries = Counter(
            "change_hooks_deliveries",
            "Requests that were answered, by result.",
            ["endpoint", "event", "outcome"],
            registry=registry,
        )
        self._answers = Histogram(
            "change_hooks_answer_seconds",
            "Time from a request to its response.",
            buckets=ANSWERS,
            registry=registry,
        )
        self._changes = Counter(
            "change_hooks_changes", "Changes that were accepted.", ["endpoint"], registry=registry
        )
        self._recovered = Counter(
            "change_hooks_recovered",
            "Deliveries that never arrived, and were fetched.",
            ["endpoint", "way"],
            registry=registry,
        )
        self._attempts = Counter(
            "change_hooks_sink_attempts",
            "Attempts to deliver to a sink.",
            ["sink", "outcome"],
            registry=registry,
        )
        self._commits = Histogram(
            "change_hooks_journal_commit_seconds",
            "How long the transactions of the journal took.",
            buckets=COMMITS,
            registry=registry,
        )

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """See :meth:`~change_hooks.observer.Observer.delivery_answered`."""
        name = self._name(endpoint)
        self._deliveries.labels(name, self._event(name, event), outcome).inc()
        if seconds is not None:
            self._answers.observe(seconds)

    def changes_accepted(self, endpoint: str, changes: int, way: str) -> None:
        """See :meth:`~change_hooks.observer.Observer.changes_accepted`."""
        name = self._name(endpoint)
        self._changes.labels(name).inc(changes)
        if way:
            self._recovered.labels(name, way).inc()

    def attempt_made(self, sink: str, outcome: AttemptOutcome, seconds: float, error: str) -> None:
        """See :meth:`~change_hooks.observer.Observer.attempt_made`."""
        self._attempts.labels(sink, outcome).inc()

    def journal_committed(self, seconds: float) -> None:
        """See :meth:`~change_hooks.observer.Observer.journal_committed`."""
        self._commits.observe(seconds)

    def _name(self, endpoint: str) -> str:
        return endpoint if endpoint in self._endpoints() else OTHER

    def _event(self, endpoint: str, event: str) -> str:
        known = self._events[endpoint]
        if not event or (event not in known and len(known) >= EVENTS):
            return OTHER
        known.add(event)
        return event

    def exposed(self, accept: str, standing: Standing) -> tuple[bytes, str]:
        """All metrics in a format that the client accepts, and the format's media type.

        :param accept: the client's header ``Accept``.
        """
        registry = CollectorRegistry()
        folder = os.environ.get(METRICS_FOLDER)
        if folder:
            MultiProcessCollector(registry, path=folder)
        else:
            registry.register(self._registry)
        registry.register(_Journal(standing))
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type


class _Journal:
    """The state of the journal, as metrics."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def describe(self) -> Iterable[Metric]:
        """Describe nothing, so that registering does not read the journal."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        standing = self._standing
        yield InfoMetricFamily(
            "change_hooks_build", "The running version.", value={"version": version("change-hooks")}
        )
        last = GaugeMetricFamily(
            "change_hooks_last_delivery_timestamp_seconds",
            "When an endpoint last received a delivery that was not refused.",
            labels=["endpoint"],
        )
        for endpoint, moment in standing.last.items():
            last.add_metric([endpoint], moment)
        yield last
        if standing.summary is not None:
            yield from _of_sinks(standing.summary, standing.sinks, standing.now)


def _of_sinks(summary: Summary, names: Collection[str], now: float) -> Iterable[Metric]:
    queues = GaugeMetricFamily(
        "change_hooks_queues", "Queues with waiting deliveries.", labels=["sink", "state"]
    )
    oldest = GaugeMetricFamily(
        "change_hooks_oldest_undelivered_seconds",
        "The age of the oldest delivery that a sink has not accepted.",
        labels=["sink"],
    )
    dead = GaugeMetricFamily(
        "change_hooks_dead_letters",
        "Dead letters in the journal.",
        labels=["sink"],
    )
    by_name = {sink.sink: sink for sink in summary.sinks}
    for name in sorted({*names, *by_name}):
        sink = by_name.get(name)
        retrying = 0 if sink is None else sink.retrying
        queues.add_metric([name, "waiting"], 0 if sink is None else sink.queues - retrying)
        queues.add_metric([name, "retrying"], retrying)
        since = None if sink is None else sink.since
        oldest.add_metric([name], 0.0 if since is None else max(0.0, now - since))
        dead.add_metric([name], 0 if sink is None else sink.dead_letters)
    yield queues
    yield oldest
    yield dead


__all__ = ["EVENTS", "OTHER", "Metrics", "Standing"]

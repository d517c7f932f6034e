"""What is counted, for Prometheus.

Strategy: what happens is counted by an observer; what stands in the journal is read when somebody asks. No
repository and no sender is ever a label, and no name that a sender can make up. With several worker processes
the counts are in files that all of them write, in the folder that the environment names; the process that is
asked adds them up.

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

#: What stands in a label for a name that nobody has configured.
OTHER = "other"
#: How many names of events an endpoint may have; a handler may take any.
EVENTS = 50
ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMMITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Standing(msgspec.Struct, frozen=True):
    """What stands in the journal, when somebody asks.

    :param summary: None: the journal cannot be read.
    :param sinks: the names of all that are configured.
    :param last: when each endpoint last got a delivery, in seconds since the epoch.
    :param now: in seconds since the epoch.
    """

    summary: Summary | None
    sinks: Collection[str]
    last: Mapping[str, float]
    now: float


class Metrics(Observer):
    """Counts what happens.

    :param endpoints: gives the names of the endpoints that are configured.
    """

    def __init__(self, endpoints: Callable[[], Collection[str]]) -> None:
        self._endpoints = endpoints
        self._events: defaultdict[str, set[str]] = defaultdict(set)
        self._registry = registry = CollectorRegistry()
        self._deliveries = Counter(
            "change_hooks_deliveries",
            "Requests that were answered, by what became of them.",
            ["endpoint", "event", "outcome"],
            registry=registry,
        )
        self._answers = Histogram(
            "change_hooks_answer_seconds",
            "From a request to its answer.",
            buckets=ANSWERS,
            registry=registry,
        )
        self._changes = Counter(
            "change_hooks_changes", "Changes that were accepted.", ["endpoint"], registry=registry
        )
        self._recovered = Counter(
            "change_hooks_recovered",
            "Deliveries that never came, and were fetched.",
            ["endpoint", "way"],
            registry=registry,
        )
        self._attempts = Counter(
            "change_hooks_sink_attempts",
            "Attempts to hand something to a sink.",
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
        """All of it, in the format that a client accepts, and the format's media type.

        :param accept: what the client says that it accepts.
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
    """What stands in the journal, as metrics."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the metrics."""
        standing = self._standing
        yield InfoMetricFamily("change_hooks_build", "What runs.", value={"version": version("change-hooks")})
        last = GaugeMetricFamily(
            "change_hooks_last_delivery_timestamp_seconds",
            "When an endpoint last got a delivery that was not refused.",
            labels=["endpoint"],
        )
        for endpoint, moment in standing.last.items():
            last.add_metric([endpoint], moment)
        yield last
        if standing.summary is not None:
            yield from _of_sinks(standing.summary, standing.sinks, standing.now)


def _of_sinks(summary: Summary, names: Collection[str], now: float) -> Iterable[Metric]:
    queues = GaugeMetricFamily(
        "change_hooks_queues", "Queues in which something stands.", labels=["sink", "state"]
    )
    oldest = GaugeMetricFamily(
        "change_hooks_oldest_undelivered_seconds",
        "The age of the oldest delivery that a sink has not taken.",
        labels=["sink"],
    )
    dead = GaugeMetricFamily(
        "change_hooks_dead_letters",
        "Changes that were given up and are still in the journal.",
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

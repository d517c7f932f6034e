"""``/metrics``, parsed back and compared with what was sent."""

from __future__ import annotations

import sys
from pathlib import Path
from time import time
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers
from twisted.web.test.requesthelper import DummyRequest

from change_hooks import Change, ChangeHookService, EventHandler, HookHandler
from change_hooks.admin.exposed import metrics_page
from change_hooks.admin.last import LastDeliveries
from change_hooks.admin.metrics import EVENTS
from change_hooks.admin.settings import METRICS_FOLDER
from change_hooks.core.change import RECOVERED
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.journal.reader import Reader
from change_hooks.testing import Receiver

from ..support.operator import Operator, operator_of

BASE = {"change_hook_dialects": {"base": True}}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Counts:
    """What a page says."""

    def __init__(self, text: str, read: Any = read_text) -> None:
        self.samples = {
            (sample.name.removeprefix("change_hooks_"), *sorted(sample.labels.items())): sample.value
            for family in read(text)
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, *sorted(labels.items())))

    def names(self) -> set[str]:
        return {name for name, *_ in self.samples}


def counts(receiver: Receiver) -> Counts:
    return Counts(operator_of(receiver).get("metrics").text)


def nowhere(name: str) -> Delivery:
    return Delivery(b"POST", f"/change_hook/{name}".encode(), Headers(), b"")


class Catching(EventHandler):
    event_header = "X-Event"
    id_headers = ("X-Id",)
    otherwise = "handle_all"

    def handle_all(self, payload: Any, event: str) -> Any:
        return [Change(branch="main", category=event)], "git"


class Late(HookHandler):
    def getChanges(self, request: Any) -> Any:
        raise RuntimeError("a bug")


def test_what_was_sent_is_what_is_counted() -> None:
    www = {
        "change_hook_dialects": {"base": True, "broken": {"custom_class": Late}},
        "change_hook_sinks": {"a": {"sink": "command", "argv": ["true"]}, "b": lambda change: 1 / 0},
        "change_hook_attempts": 2,
    }
    with Receiver(www) as receiver:
        for revision in ("1", "2", "3"):
            assert receiver.post("base", form={"revision": revision}).status == 202
        assert receiver.post("base", form={}).status == 400
        assert receiver.post("broken").status == 500
        assert receiver.send(nowhere("nothing")).status == 404
        receiver.settle()
        found = counts(receiver)
    deliveries = {
        ("base", "accepted"): 3,
        ("base", "refused"): 1,
        ("broken", "broken"): 1,
        ("other", "refused"): 1,
    }
    for (endpoint, outcome), count in deliveries.items():
        labels = {"endpoint": endpoint, "event": "other", "outcome": outcome}
        assert found.of("deliveries_total", **labels) == count
    assert sum(found.samples[key] for key in found.samples if key[0] == "deliveries_total") == 6
    assert found.of("answer_seconds_count") == 5
    assert found.of("changes_total", endpoint="base") == 3
    assert found.of("sink_attempts_total", sink="a", outcome="taken") == 3
    assert found.of("sink_attempts_total", sink="b", outcome="failed") == 6
    assert found.of("dead_letters", sink="b") == 3
    assert found.of("dead_letters", sink="a") == 0
    assert found.of("queues", sink="b", state="waiting") == 0
    assert found.of("oldest_undelivered_seconds", sink="a") == 0
    assert (found.of("journal_commit_seconds_count") or 0) > 3
    assert found.of("last_delivery_timestamp_seconds", endpoint="base") == pytest.approx(time(), abs=60)
    (build,) = (key for key in found.samples if key[0] == "build_info")
    assert dict(build[1:])["version"]


def test_what_waits() -> None:
    def broken(change: Change) -> None:
        raise RuntimeError("down")

    with Receiver(BASE, sink=broken) as receiver:
        receiver.post("base", form={"revision": "1", "repository": "a"})
        receiver.post("base", form={"revision": "2", "repository": "b"})
        found = counts(receiver)
        assert found.of("queues", sink="sink", state="retrying") == 2
        assert found.of("queues", sink="sink", state="waiting") == 0
        assert 0 < (found.of("oldest_undelivered_seconds", sink="sink") or 0) < 60


def test_openmetrics_for_who_asks_for_it() -> None:
    with Receiver(BASE) as receiver:
        receiver.post("base", form={"revision": "1"})
        page = operator_of(receiver).get("metrics", accept=OPENMETRICS)
    assert page.type.startswith("application/openmetrics-text")
    found = Counts(page.text, read_openmetrics)
    assert found.of("deliveries_total", endpoint="base", event="other", outcome="accepted") == 1
    assert found.of("changes_total", endpoint="base") == 1


def test_only_names_that_are_known_become_labels() -> None:
    www = {"change_hook_dialects": {"x": {"custom_class": Catching}}}
    with Receiver(www) as receiver:
        for number in range(EVENTS + 10):
            receiver.post("x", f"event{number}", {}, id=str(number))
            receiver.send(nowhere(f"path{number}"))
        found = counts(receiver)
    labels = [dict(key[1:]) for key in found.samples if key[0] == "deliveries_total"]
    assert {each["endpoint"] for each in labels} == {"x", "other"}
    assert len({each["event"] for each in labels}) == EVENTS + 1
    assert found.of("deliveries_total", endpoint="x", event="other", outcome="accepted") == 10
    assert found.of("deliveries_total", endpoint="other", event="other", outcome="refused") == EVENTS + 10


def test_what_was_recovered_is_counted_by_its_way() -> None:
    with Receiver(BASE) as receiver:
        change = Change(revision="1", properties={RECOVERED: "fetch"})
        receiver.service.accept(Delivery(b"", b"", Headers(), b"", dialect="base", id="1"), [change])
        found = counts(receiver)
    assert found.of("recovered_total", endpoint="base", way="fetch") == 1


def test_a_duplicate_is_no_change_more() -> None:
    with Receiver({"change_hook_dialects": {"x": {"custom_class": Catching}}}) as receiver:
        for _ in range(3):
            receiver.post("x", "push", {}, id="1")
        found = counts(receiver)
    assert found.of("deliveries_total", endpoint="x", event="push", outcome="accepted") == 1
    assert found.of("changes_total", endpoint="x") == 1
    assert sum(v for k, v in found.samples.items() if k[0] == "deliveries_total") == 3


def test_a_journal_that_cannot_be_read_takes_only_its_own_metrics_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Reader) -> None:
        raise OSError("gone")

    with Receiver(BASE) as receiver:
        receiver.post("base", form={"revision": "1"})
        monkeypatch.setattr(Reader, "summary", broken)
        found = counts(receiver)
    assert found.of("changes_total", endpoint="base") == 1
    assert "queues" not in found.names()


def test_it_needs_the_password_where_there_is_one() -> None:
    checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
    with Receiver({**BASE, "change_hook_admin": {"auth": [checker]}}) as receiver:
        operator = operator_of(receiver)
        assert operator.get("metrics").status == 401
        assert operator.get("metrics", authorization="Basic YW5uOnNlY3JldA==").status == 200
        assert operator.get("healthz").status == 200


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "change_hooks.admin.metrics", None)
    with Receiver(BASE) as receiver:
        receiver.post("base", form={"revision": "1"})
        page = operator_of(receiver).get("metrics")
    assert (page.status, page.text) == (501, "metrics need: pip install 'change-hooks[metrics]'\n")


def test_who_goes_away_gets_nothing() -> None:
    with Receiver(BASE) as receiver:
        operator = operator_of(receiver)
        asked = operator.asks("metrics")
        asked.cancel()
        operator.flush()
        assert operator.get("metrics").status == 200
        asked.addErrback(lambda _: None)


def test_head_has_the_headers_alone() -> None:
    with Receiver(BASE) as receiver:
        assert operator_of(receiver).get("metrics", "HEAD").status == 200


def test_changes_that_were_found_after_the_answer_are_counted_when_they_are_stored() -> None:
    waiting: list[Deferred[Any]] = []

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    with Receiver({"change_hook_dialects": {"x": {"custom_class": Slow}}}) as receiver:
        assert "still being looked up" in receiver.post("x").text
        assert counts(receiver).of("changes_total", endpoint="x") is None
        waiting[0].callback(([{"revision": "1"}, {"revision": "2"}], None))
        receiver.settle()
        assert counts(receiver).of("changes_total", endpoint="x") == 2
        receiver.post("x")
        waiting[1].callback(([], None))
        assert counts(receiver).of("changes_total", endpoint="x") == 2


def test_without_a_journal_there_is_the_rest() -> None:
    service = ChangeHookService({"change_hook_journal": None, "change_hook_dialects": {}}, sink=print)
    found = Counts(Operator(service.admin).get("metrics").text)
    assert found.of("queues", sink="print", state="waiting") is None
    assert "build_info" in found.names()


def test_who_goes_away_while_the_journal_is_read_gets_nothing() -> None:
    reading: list[Deferred[Any]] = []

    class Slow:
        def read(self, look_up: Any) -> Deferred[Any]:
            reading.append(Deferred())
            return reading[-1]

    journal: Any = Slow()
    page, _ = metrics_page(tuple, journal, LastDeliveries(Clock()), ())
    request: Any = DummyRequest([b"metrics"])
    page.render(request)
    request.processingFailed(ConnectionError("gone"))
    reading[0].errback(Unavailable("not now"))
    assert (request.written, request.finished) == ([], 0)


def test_of_several_processes_the_counts_come_from_the_folder_that_they_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Receiver(BASE) as receiver:
        receiver.post("base", form={"revision": "1"})
        assert counts(receiver).of("changes_total", endpoint="base") == 1
        monkeypatch.setenv(METRICS_FOLDER, str(tmp_path))
        shared = counts(receiver)
        # Nobody has written there.
        assert shared.of("changes_total", endpoint="base") is None
        assert "last_delivery_timestamp_seconds" in shared.names()

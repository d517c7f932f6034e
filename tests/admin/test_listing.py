"""What the list says of every kind of delivery, and of the sinks."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks.admin.facts import EndpointFacts, Facts
from change_hooks.admin.listing import View, page, result, row
from change_hooks.admin.markup import written
from change_hooks.admin.query import Query
from change_hooks.journal import Listed, SinkSummary, StoredDelivery, Summary
from tests.support.listed import line

EMPTY = Summary(0, [], 2048)


def shown(summary: Summary = EMPTY, facts: Facts | None = None, *lines: StoredDelivery) -> str:
    facts = Facts() if facts is None else facts
    newest = lines[0].seq if lines else 0
    return page(View(Query(), facts, Listed(list(lines)), summary, newest, {})).decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"recovered": "api-replay"}, "recovered (api-replay)"),
        ({"duplicates": 1}, "1 duplicate<"),
        ({"duplicates": 2}, "2 duplicates<"),
        ({"state": "ignored", "duplicates": 1234}, "and 1,234 more like it"),
        ({"state": "refused", "status": 403}, "</span> 403"),
        ({"changes": 2, "reason": "<b>"}, '2 changes <span class="reason">&lt;b&gt;<'),
    ],
)
def test_the_result_says_what_became_of_it(fields: Any, said: str) -> None:
    assert said in written(result(line(**fields))).decode()


def test_what_is_not_known_of_a_delivery_leaves_no_empty_links() -> None:
    text = written(row(line(dialect="", event=""), Query(state="stored", before=3))).decode()
    assert text.count("<a ") == 1
    assert 'href="deliveries/7"' in text
    assert text.count(">-<") == 2
    text = written(row(line(repository="o/r"), Query(state="stored", before=3))).decode()
    assert 'href="./?state=stored&amp;endpoint=base"' in text
    assert 'href="./?state=stored&amp;repository=o%2Fr"' in text


def test_what_is_being_looked_up_is_counted_beside_the_sinks() -> None:
    text = shown(Summary(3, [], 0))
    assert '<a href="./?state=pending">pending</a> 3 deliveries being looked up' in text
    assert "No sink is configured" not in text
    assert "1 delivery being looked up" in shown(Summary(1, [], 0))


def test_without_sinks_that_is_said_and_so_is_the_size_of_the_journal() -> None:
    text = shown()
    assert "No sink is configured: changes are stored, but not delivered." in text
    assert "journal 2.0 KiB" in text


def test_what_waits_for_a_sink_and_since_when() -> None:
    waits = SinkSummary("a", 1, 4, 0, 0.0, 0)
    retries = SinkSummary("b", 2, 5, 1, 60.0, 2, "<down>", 3)
    text = shown(Summary(0, [waits, retries], 0), Facts(sinks=("a", "fine")))
    assert 'waiting</span> 4 deliveries since <time datetime="1970-01-01T00:00:00Z"' in text
    assert "retrying</span> 5 deliveries since " in text
    assert ": &lt;down&gt;" in text
    assert '<a href="./?state=failed&amp;sink=b" class="state failed">2 dead letters</a>' in text
    assert text.count("(not configured now)") == 1
    assert text.count('class="state ok"') == 1


def test_warnings_are_folded_up_with_their_number() -> None:
    text = shown(facts=Facts(warnings=("one <b>", "two")))
    assert "2 warnings about the configuration" in text
    assert "<li>one &lt;b&gt;</li>" in text
    assert "about the configuration" not in shown()


def test_where_no_endpoint_is_enabled_that_is_said() -> None:
    assert "No endpoint is enabled: see 'change_hook_dialects' in the configuration." in shown()


def test_a_line_to_copy_stands_beside_what_can_be_simulated_alone() -> None:
    endpoints = (EndpointFacts("github", "GitHub", simulated=True), EndpointFacts("my own"))
    text = shown(EMPTY, Facts(endpoints=endpoints, url="http://h/change_hook"), line())
    assert text.count("change-hooks simulate") == 1
    assert "change-hooks simulate github --to http://h/change_hook/github" in text
    assert "<code>http://h/change_hook/my own</code>" in text
    assert '<details class="endpoints">' in text
    assert 'open="open"' in shown(facts=Facts(endpoints=endpoints))

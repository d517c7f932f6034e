from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from change_hooks.core.change import Change
from change_hooks.core.push import Push
from change_hooks.core.sink_answers import SinkRefused
from change_hooks.hosts.buildbot import MasterSink
from change_hooks.hosts.fitting import FITTED, Limits, fitted
from tests.support.buildbot import database


def fit(change: Change, kind: str = "postgresql") -> dict[str, Any]:
    return fitted(change.as_dict(), Limits(SimpleNamespace(db=database(kind))))


def test_a_change_that_fits_stays_as_it_is() -> None:
    change = Change(
        author="a" * 128,
        branch="b" * 255,
        files=["f" * 1024],
        when_timestamp=2**31 - 1,
        properties={"p": [1]},
    )
    assert fit(change) == change.as_dict()


@pytest.mark.parametrize("field", ["branch", "revision", "repository", "project", "codebase", "category"])
def test_what_tells_what_to_fetch_is_never_cut(field: str) -> None:
    with pytest.raises(SinkRefused, match=f"{field} has 600 characters; Buildbot's database can store"):
        fit(Change(**{field: "x" * 600}))
    with pytest.raises(SinkRefused, match=f"{field} contains a zero character"):
        fit(Change(**{field: "x\0"}))


@pytest.mark.parametrize(("field", "length"), [("author", 128), ("committer", 255), ("revlink", 256)])
def test_what_decorates_a_change_is_cut_and_a_property_says_so(field: str, length: int) -> None:
    fields = fit(Change(**{field: "x" * 600}, properties={"p": 1}))
    assert fields[field] == "x" * (length - 1) + "…"
    assert fields["properties"] == {"p": 1, FITTED: [field]}


def test_zero_characters_are_replaced() -> None:
    fields = fit(Change(comments="a\0b", files=["c\0", "d" * 2000], properties={"e\0": "f\0"}))
    assert fields["comments"] == "a\ufffdb"
    assert fields["files"] == ["c\ufffd", "d" * 1023 + "…"]
    assert fields["properties"] == {"e\ufffd": "f\0", FITTED: ["comments", "files", "properties"]}


@pytest.mark.parametrize(
    ("when", "kind", "kept"),
    [
        (2**31, "postgresql", False),
        (2**31, "sqlite", True),
        (253_402_300_799, "sqlite", True),
        (-1, "sqlite", False),
        (0, "mysql", True),
    ],
)
def test_a_moment_far_away_is_not_known(when: int, kind: str, kept: bool) -> None:
    fields = fit(Change(when_timestamp=when), kind)
    assert fields["when_timestamp"] == (when if kept else None)
    assert fields["properties"] == ({} if kept else {FITTED: ["when_timestamp"]})


def test_sqlite_holds_texts_of_any_length() -> None:
    change = Change(branch="x" * 600, author="y" * 600, properties={"p" * 600: 1})
    assert fit(change, "sqlite") == change.as_dict()


def test_the_change_itself_stays_as_it_is_for_the_next_attempt() -> None:
    added: list[dict[str, Any]] = []

    def add(**fields: Any) -> None:
        for name in fields["properties"]:
            fields["properties"][name] = (fields["properties"][name], "Change")
        added.append(fields)

    updates = SimpleNamespace(addChange=add)
    sink = MasterSink(SimpleNamespace(db=database("sqlite"), data=SimpleNamespace(updates=updates)))
    change = Change(properties={"a": 1})
    for _ in range(2):
        sink.add_change(change, None)
    assert [fields["properties"] for fields in added] == [{"a": (1, "Change")}] * 2
    assert change.properties == {"a": 1}
    sink.add_change(Push.of([Change(), Change(revision="2")]), None)
    assert added[-1] == {**Change(revision="2").as_dict()}

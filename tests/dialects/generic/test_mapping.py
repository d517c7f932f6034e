from __future__ import annotations

from typing import Any

import pytest

from change_hooks.core.change import Change
from change_hooks.core.events import RefUpdate
from change_hooks.dialects.generic import mapping
from change_hooks.dialects.generic.mapping import NOT_FOUND, Mapper
from change_hooks.dialects.generic.selectors import Scope

A, B, Z = "a1" * 20, "b2" * 20, "0" * 40


def mapper(**tables: Any) -> Mapper:
    made = {name: getattr(mapping, name)(written) for name, written in tables.items()}
    return Mapper(
        **{name: made.get(name) for name in ("refs", "commits", "repository", "change", "properties")},
        src="git",
    )


def updates(payload: Any, **tables: Any) -> Any:
    return mapper(**tables).updates(Scope(payload, payload), "push")


def changes(payload: Any, **tables: Any) -> Any:
    return mapper(**tables).changes(Scope(payload, payload))


def change(payload: Any, **fields: Any) -> Change:
    (found,) = changes(payload, change=fields)
    assert isinstance(found, Change)
    return found


def update(payload: Any, **tables: Any) -> RefUpdate:
    (found,) = updates(payload, **tables)
    assert isinstance(found, RefUpdate)
    return found


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1795514400, 1795514400),
        (1795514400.7, 1795514400),
        (1795514400700, 1795514400),
        ("1795514400", 1795514400),
        ("1795514400.123", 1795514400),
        ("1795514400700", 1795514400),
        ("2026-11-24T10:00:00Z", 1795514400),
        (None, None),
        (True, None),
        ("soon", None),
        ("1" * 16, None),
        (1e300, None),
        ([], None),
    ],
)
def test_times(value: Any, when: int | None) -> None:
    assert change({"t": value, "b": "x"}, when_timestamp="t", branch="b").when_timestamp == when


@pytest.mark.parametrize(
    ("payload", "written", "files"),
    [
        ({"f": "one"}, "f", ["one"]),
        ({"f": ["one", 2, "three"]}, "f", ["one", "three"]),
        ({"f": {"one": "M"}}, "f", ["one"]),
        ({"f": ["one"], "g": ["two"]}, ["f", "g"], ["one", "two"]),
        ({"f": None, "g": ["two"]}, ["f", "g"], ["two"]),
        ({"f": [{"p": "one"}, {"p": "two"}]}, "f.*.p", ["one", "two"]),
    ],
)
def test_files(payload: Any, written: Any, files: list[str]) -> None:
    found = change(payload, files=written)
    assert found.files == files
    assert found.properties == {"change_hook_missing": ["comments"]}


@pytest.mark.parametrize("payload", [{"f": None}, {"f": 5}, {}])
def test_files_that_are_not_known_are_missing(payload: Any) -> None:
    found = change({**payload, "b": "x"}, files="f", branch="b")
    assert (found.files, found.properties["change_hook_missing"]) == ([], ["files", "comments"])
    assert found.properties.get(NOT_FOUND) == (None if payload.get("f", 0) is None else ["f"])


def test_text_of_a_number() -> None:
    assert change({"n": 5}, revision="n").revision == "5"


@pytest.mark.parametrize("value", [True, [], {}])
def test_a_value_of_another_type_costs_itself(value: Any) -> None:
    found = change({"r": value, "b": "main"}, revision="r", branch="b")
    assert (found.revision, found.branch, found.properties[NOT_FOUND]) == (None, "main", ["r"])


def test_properties() -> None:
    assert change({"p": {"x": 1}, "b": "x"}, properties="p", branch="b").properties["x"] == 1
    assert change({"p": [], "b": "x"}, properties="p", branch="b").properties[NOT_FOUND] == ["p"]
    (found,) = changes(
        {"n": 5, "list": [1], "p": {"n": 6}}, change={"properties": "p"}, properties={"n": "n", "all": "list"}
    )
    assert {**found.properties, "change_hook_missing": 0} == {"n": 6, "all": [1], "change_hook_missing": 0}


def test_items_without_anything_are_left_out() -> None:
    found = changes({"l": [5, None, "x", {"b": "main"}]}, change={"each": "l", "branch": "b"})
    assert [one.branch for one in found] == ["main"]


def test_a_list_that_is_null_or_missing() -> None:
    assert "not found" not in changes({"l": None}, change={"each": "l", "branch": "b"}).reason
    assert "not found: l" in changes({}, change={"each": "l", "branch": "b"}).reason


def test_skip() -> None:
    payload = {"l": [{"b": "a", "k": "delete"}, {"b": "c", "k": "make"}, {"b": "d"}]}
    found = changes(payload, change={"each": "l", "branch": "b", "skip": {"k": ["del*", "gone"]}})
    assert [one.branch for one in found] == ["c", "d"]


@pytest.mark.parametrize(
    ("before", "created", "old"), [(A, False, A), (Z, True, None), (None, True, None), ("", True, None)]
)
def test_before(before: Any, created: bool, old: str | None) -> None:
    found = update({"r": "main", "o": before, "n": B}, refs={"ref": "r", "before": "o", "after": "n"})
    assert (found.before, found.after, found.created) == (old, B, created)


def test_before_that_is_not_there_says_nothing_of_creation() -> None:
    found = update({"r": "main", "n": B}, refs={"ref": "r", "before": "o", "after": "n"})
    assert (found.before, found.created, found.properties) == (None, None, {NOT_FOUND: ["o"]})


@pytest.mark.parametrize("after", [None, Z, ""])
def test_after_that_is_null_or_zeros_is_a_deletion(after: Any) -> None:
    payload = {"r": "main", "o": A, "n": after, "c": [{"id": B}]}
    found = update(payload, refs={"ref": "r", "before": "o", "after": "n"}, commits={"each": "c", "id": "id"})
    assert (found.before, found.after) == (A, None)


def test_without_after_the_last_commit_counts() -> None:
    tables: Any = {"refs": {"ref": "r"}, "commits": {"each": "c", "id": "id"}}
    assert update({"r": "main", "c": [{"id": A}, {}, {"id": B}]}, **tables).after == B
    (nothing,) = updates({"r": "main", "c": []}, **tables)
    assert nothing.reason == "the payload does not say which commit the ref points to"


@pytest.mark.parametrize(("ref", "full"), [("v1", "refs/tags/v1"), ("refs/tags/v1", "refs/tags/v1")])
def test_tags(ref: str, full: str) -> None:
    found = update({"r": ref, "n": B, "t": True}, refs={"ref": "r", "after": "n", "tag": "t"})
    assert found.ref == full


def test_types_of_flags_and_counts() -> None:
    refs = {"ref": "r", "after": "n", "tag": "t", "forced": "f", "total": "c"}
    found = update({"r": "main", "n": B, "t": "no", "f": True, "c": 5}, refs=refs)
    assert (found.ref, found.forced, found.total, found.properties) == ("main", True, 5, {NOT_FOUND: ["t"]})
    assert update({"r": "main", "n": B, "c": True}, refs=refs).total is None


def test_a_ref_without_a_name_is_still_an_update() -> None:
    assert update({"n": B}, refs={"ref": "r", "after": "n"}).ref == ""


def test_repository_and_author() -> None:
    found = update(
        {
            "r": "main",
            "u": "ssh://x",
            "c": [{"id": A, "n": "Ann", "m": "a@b.c"}, {"id": B, "a": "B <b@c.d>"}],
        },
        repository={"url": "u", "html": "nothing", "src": {"value": "hg"}},
        refs={"ref": "r"},
        commits={"each": "c", "id": "id", "author": ["a"], "author_name": "n", "author_email": "m"},
    )
    assert [commit.author for commit in found.commits] == ["Ann <a@b.c>", "B <b@c.d>"]
    assert (found.repository.urls["usual"], found.repository.src) == ("ssh://x", "hg")


def test_without_tables_there_is_nothing() -> None:
    assert mapper().updates(Scope({}, {}), "push") == []
    assert mapper().changes(Scope({}, {})) == []


@pytest.mark.parametrize(
    ("table", "written", "message"),
    [
        ("refs", 5, "must be a dict of fields, not int"),
        ("refs", {}, "needs 'ref'"),
        ("refs", {"ref": "r", "aftre": "n"}, "'aftre'; did you mean 'after'"),
        ("refs", {"ref": 5}, "has a 'ref' that must be a path"),
        ("refs", {"ref": {"header": "X"}}, "has a 'ref' that reads a header; only 'event' and 'id' may"),
        ("refs", {"ref": "r", "each": ""}, "has a 'each' that"),
        ("commits", {"id": "i"}, "needs 'each'"),
        ("commits", {"each": "c"}, "needs 'id'"),
        ("commits", {"each": "c", "id": "i", "order": "newest"}, "the 'order' 'newest'"),
        ("repository", {"nam": "n"}, "'nam'; did you mean 'name'"),
        ("change", {"brnch": "n"}, "'brnch'; did you mean 'branch'"),
        ("change", {"files": ["a", 5]}, "has a 'files' that must be"),
        ("change", {"skip": 5}, "'skip' that is not a dict"),
        ("change", {"skip": {"a": 5}}, "'skip' whose patterns must be a list"),
        ("change", {"skip": {"a..b": "x"}}, "has a 'skip' that has the path"),
        ("properties", 5, "must be a dict of names and paths"),
        ("properties", {5: "a"}, "must be a dict of names and paths"),
    ],
)
def test_what_is_wrong_is_named(table: str, written: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(mapping, table)(written)


@pytest.mark.parametrize("id", [None, "", []])
def test_a_commit_without_its_id_is_noted_and_costs_no_other(id: object) -> None:
    payload = {"ref": "main", "new": B, "commits": [{"id": A}, {"id": id}, {"id": B}]}
    found = update(payload, refs={"ref": "ref", "after": "new"}, commits={"each": "commits", "id": "id"})
    assert [commit.id for commit in found.commits] == [A, B]
    assert found.properties == {NOT_FOUND: ["id"]}


def test_properties_have_so_much_room_in_all_changes_together() -> None:
    payload = {"all": [{"id": str(number)} for number in range(1000)], "large": "x" * 10_000}
    table = {"each": "all", "revision": "id"}
    for more in ({"change": table, "properties": {"p": "large"}}, {"change": {**table, "properties": "$"}}):
        found = changes(payload, **more)
        assert len(found) == 1000
        assert all("change_hook_left_out" in one.properties for one in found)

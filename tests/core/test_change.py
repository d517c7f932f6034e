from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import tzset
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.change import (
    DEEPEST,
    FIRST,
    LATEST,
    Change,
    InvalidChange,
    moment,
    person,
    well_formed,
)

BUILDBOT_KEYWORDS = {
    "author", "branch", "category", "codebase", "comments", "committer", "files", "project", "properties",
    "repository", "revision", "revlink", "src", "when_timestamp",
}  # fmt: skip


def test_as_dict_gives_all_keyword_arguments_of_add_change() -> None:
    change = Change(author="Ann <ann@example.com>", files=["a"], when_timestamp=1, properties={"x": [1]})
    assert set(change.as_dict()) == BUILDBOT_KEYWORDS
    assert change.as_dict()["author"] == "Ann <ann@example.com>"
    assert Change.from_mapping(change.as_dict()) == change


def test_what_is_done_with_one_dict_changes_nothing_else() -> None:
    properties: dict[str, Any] = {"event": "push"}
    first, second = (Change(files=["a"]).with_properties(properties) for _ in range(2))
    fields = first.as_dict()
    fields["properties"]["event"] = ("push", "Change")
    fields["files"].append("b")
    assert (first.properties, first.files) == ({"event": "push"}, ["a"])
    assert (second.as_dict()["properties"], second.files) == ({"event": "push"}, ["a"])


def test_a_change_cannot_be_altered() -> None:
    with pytest.raises(AttributeError):
        Change().author = "x"  # type: ignore[misc]


def test_two_changes_do_not_share_their_defaults() -> None:
    Change().files.append("x")
    assert Change().files == []
    assert Change().properties == {}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"author": 5}, "author"),
        ({"author": None}, "author"),
        ({"revision": 5}, "revision"),
        ({"files": ("a",)}, "files"),
        ({"files": ["a", 5]}, "files[1]"),
        ({"when_timestamp": 1.5}, "when_timestamp"),
        ({"when_timestamp": True}, "when_timestamp"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": {"b": [0, object()]}}}, "properties.a.b[1]"),
        ({"properties": {"a": float("nan")}}, "properties.a"),
        ({"properties": {"a": {1: 2}}}, "properties.a"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidChange) as caught:
        Change(**fields)
    assert caught.value.field == named
    assert named in str(caught.value)


@pytest.mark.parametrize("value", [None, "x"])
def test_an_unknown_key_is_refused_with_its_name(value: str | None) -> None:
    with pytest.raises(InvalidChange, match="'autor'"):
        Change.from_mapping({"autor": value})


def test_a_mapping_may_hold_what_request_args_gives() -> None:
    change = Change.from_mapping(
        {"revision": [b"abc"], "author": b"\xc3\x84nn", "repository": None, "files": [b"a\xff", "b"]}
    )
    assert (change.revision, change.author, change.repository) == ("abc", "\u00c4nn", "")
    assert change.files == ["a\ufffd", "b"]


@pytest.mark.parametrize(
    "when",
    [
        1338350336,
        1338350336.9,
        datetime(2012, 5, 30, 3, 58, 56),
        datetime(2012, 5, 30, 5, 58, 56, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_may_come_as_a_number_or_a_datetime(when: Any) -> None:
    assert Change.from_mapping({"when_timestamp": when}).when_timestamp == 1338350336


def test_of_a_mapping_an_infinite_time_is_left_out() -> None:
    assert Change.from_mapping({"when_timestamp": float("inf")}) == Change()


def test_files_that_are_no_list_are_refused() -> None:
    with pytest.raises(InvalidChange, match="files"):
        Change.from_mapping({"files": "a"})


def test_properties_may_be_any_mapping_and_are_copied() -> None:
    given_properties = {"a": ({"b": None}, True, 1.5, "\ud800")}
    change = Change.from_mapping({"properties": given_properties})
    assert change.properties == {"a": [{"b": None}, True, 1.5, "\ufffd"]}
    with pytest.raises(InvalidChange, match="properties"):
        Change.from_mapping({"properties": 1})
    assert Change.from_mapping({"properties": MappingProxyType({"a": 1})}).properties == {"a": 1}


def test_a_property_that_is_nested_too_deeply_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100):
        nested = [nested]
    with pytest.raises(InvalidChange, match="nested too deeply"):
        Change(properties={"x": nested})


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_a_property_may_be_nested_so_deeply_and_no_deeper(wrap: Any) -> None:
    value: Any = 1
    for _ in range(DEEPEST - 1):
        value = wrap(value)
    assert Change(properties={"x": value}).properties == {"x": value}
    with pytest.raises(InvalidChange, match="is nested too deeply"):
        Change(properties={"x": wrap(value)})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "JSON has neither infinite numbers nor NaN"),
        ({1: 2}, "every key must be a str"),
        ({1, 2}, "set is not JSON-able"),
    ],
)
def test_a_property_that_is_no_json_says_why(value: Any, why: str) -> None:
    with pytest.raises(InvalidChange, match=why):
        Change(properties={"x": [value]})


def test_a_change_of_the_wrong_type_says_what_it_should_be() -> None:
    with pytest.raises(InvalidChange, match="expected str, got int"):
        Change(author=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidChange, match="no such field; valid names are author, branch"):
        Change.from_mapping({"nothing": 1})


def test_a_copy_is_checked_again() -> None:
    assert Change(branch="a").replace(branch="b", revision="1") == Change(branch="b", revision="1")
    with pytest.raises(InvalidChange, match="branch"):
        Change().replace(branch=5)


anything = st.text(st.characters(exclude_categories=[]))


@given(anything, st.lists(anything, max_size=3), st.dictionaries(anything, anything, max_size=2))
def test_every_text_can_be_encoded(text: str, files: list[str], properties: dict[str, str]) -> None:
    change = Change(comments=text, branch=text, files=files, properties=properties)
    msgspec.json.encode(change)
    assert len(change.files) == len(files)
    if well_formed(text) == text:
        assert change.comments == text


def test_lone_surrogates_are_replaced_in_every_field() -> None:
    change = Change(author="\ud800a", branch="\udc00", files=["a", "b\udfff"], comments="\u00e4\ud83d")
    assert (change.author, change.branch, change.files) == ("\ufffda", "\ufffd", ["a", "b\ufffd"])
    assert (change.comments, change.revision) == ("\u00e4\ufffd", None)
    assert change == Change(**change.as_dict())


@pytest.mark.parametrize("when", [FIRST - 1, LATEST + 1, 10**400, -(2**70)])
def test_a_time_is_of_the_years_1_to_9999(when: int) -> None:
    with pytest.raises(InvalidChange, match="years 1 to 9999"):
        Change(when_timestamp=when)
    assert Change.from_mapping({"when_timestamp": when}).when_timestamp is None
    assert Change(when_timestamp=FIRST).when_timestamp == FIRST
    assert Change(when_timestamp=LATEST).when_timestamp == LATEST


@pytest.mark.parametrize("when", ["1", True, [1]])
def test_a_time_of_a_mapping_that_is_no_number_is_refused(when: Any) -> None:
    with pytest.raises(InvalidChange, match="when_timestamp"):
        Change.from_mapping({"when_timestamp": when})


def test_numbers_that_are_dates_have_one_rule() -> None:
    assert moment(1_700_000_000_999, 1000) == 1_700_000_000
    assert moment(1.9) == 1
    assert [moment(number) for number in (float("nan"), float("inf"), 1e300, 10**400)] == [None] * 4


def test_a_person_has_a_name_or_an_address_or_both() -> None:
    assert person(" Ann ", "a@b") == "Ann <a@b>"
    assert [person("Ann", ""), person(None, "a@b "), person(None, None)] == ["Ann", "a@b", ""]


def test_a_time_without_a_zone_is_of_greenwich_wherever_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        assert Change.from_mapping({"when_timestamp": datetime(1970, 1, 1, 0, 1)}).when_timestamp == 60
    finally:
        monkeypatch.undo()
        tzset()

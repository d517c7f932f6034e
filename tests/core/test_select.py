from __future__ import annotations

import json

import pytest

from change_hooks.core.select import (
    DEFAULT_SKIPS,
    LEFT_OUT,
    LONGEST_NAME,
    MOST_LISTED,
    MOST_PROPERTIES,
    compile_skips,
    is_skipped,
    listed_properties,
    matches,
    within,
)

SKIPS = compile_skips(DEFAULT_SKIPS)


@pytest.mark.parametrize(
    "message", ["x [skip ci]", "[ci skip]\n\nbody", "[ skip  ci ]", "body\n[skip ci]", "[Skip CI]"]
)
def test_the_usual_marks_skip(message: str) -> None:
    assert is_skipped(message, SKIPS)


@pytest.mark.parametrize("message", ["", None, "skip ci", "[skip]"])
def test_others_do_not(message: str | None) -> None:
    assert not is_skipped(message, SKIPS)


def test_no_patterns_skip_nothing() -> None:
    assert not is_skipped("[skip ci]", ())


def test_a_pattern_that_does_not_compile_is_named() -> None:
    with pytest.raises(ValueError, match=r"'\('"):
        compile_skips(["ok", "("])


def test_patterns_are_fnmatch_with_regard_to_case() -> None:
    assert matches("release/1.0", ["main", "release/*"])
    assert not matches("Main", ["main"])
    assert not matches(None, ["*"])
    assert not matches("x", [])


PAYLOAD = {"head": {"repo": {"name": "api"}, "sha": "c0ffee"}, "number": 7, "labels": [{"name": "x"}]}


def test_a_payload_is_flattened_with_dots_and_lists_stay() -> None:
    assert listed_properties("github", PAYLOAD, ["*"]) == {
        "github.head.repo.name": "api",
        "github.head.sha": "c0ffee",
        "github.number": 7,
        "github.labels": [{"name": "x"}],
    }


def test_the_names_and_the_number_of_properties_are_bounded() -> None:
    assert listed_properties("x", {"a" * LONGEST_NAME: 1, "b": 2}, ["*"]) == {"x.b": 2}
    assert listed_properties("x", {"a" * LONGEST_NAME: {"b": 2}}, ["*"]) == {}
    many = {str(number): number for number in range(MOST_PROPERTIES + 5)}
    assert len(listed_properties("x", many, ["*"])) == MOST_PROPERTIES


def test_only_listed_properties_are_taken() -> None:
    assert listed_properties("github", PAYLOAD, ["github.head.*", "*.number"]) == {
        "github.head.repo.name": "api",
        "github.head.sha": "c0ffee",
        "github.number": 7,
    }
    assert listed_properties("github", PAYLOAD, []) == {}


def test_listed_properties_have_so_much_room_in_all_changes_together() -> None:
    listed = {"a": 1, "large": "x" * 1000, "b": [2], "larger": ["y" * 1000] * 2}
    whole = sum(len(name) + len(json.dumps(value, separators=(",", ":"))) for name, value in listed.items())
    assert within(listed, MOST_LISTED // whole) is listed
    assert within(listed, MOST_LISTED // whole + 1) == {
        "a": 1,
        "b": [2],
        "large": "x" * 1000,
        LEFT_OUT: ["larger"],
    }
    assert within(listed, MOST_LISTED // 20) == {"a": 1, "b": [2], LEFT_OUT: ["large", "larger"]}
    many = {f"{number:099}": 1 for number in range(1000)}
    assert len(within(many, MOST_LISTED // 10_000)[LEFT_OUT]) == 50
    # Their names need room, too.
    assert len(within(many, MOST_LISTED // 1000)[LEFT_OUT]) == 10
    assert within(many, MOST_LISTED)[LEFT_OUT] == [f"{0:099}"]
    assert within({}, 0) == {}

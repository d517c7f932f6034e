from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Any, List, Literal, Optional, TypedDict  # noqa: UP035 (as users may write it)

import pytest

from change_hooks.core.errors import BadPayload
from change_hooks.core.lenient import DEEPEST, MOST_NAMED, fit
from change_hooks.core.payload import Shape, decode


class Inner(Shape):
    name: str
    size: int | None = None


class Outer(Shape):
    id: str
    inner: Inner | None = None
    items: list[Inner] | None = None
    table: dict[str, Inner] | None = None
    anything: Any = None
    on: bool | None = None
    off: bool = False
    ratio: float | None = None
    kind: Literal["a", "b"] | None = None
    either: int | str | None = None


class Part(Shape):
    id: str
    items: list[Inner] | None = None


class Lists(Shape):
    items: list[Inner] | None = None
    table: dict[str, Inner] | None = None
    parts: list[Part] | None = None
    part: Part | None = None


class Nest(Shape):
    inner: Nest | None = None


@pytest.mark.parametrize(
    ("name", "value", "fitted"),
    [
        ("id", 5, "5"),
        ("id", 1.5, "1.5"),
        ("inner", {"name": "x", "size": "3"}, Inner("x", 3)),
        ("inner", {"name": "x", "size": "many"}, Inner("x")),
        ("inner", {"name": []}, None),
        ("inner", {}, None),
        ("inner", "x", None),
        ("items", [{"name": "x"}, 5, {}, {"name": "y"}], [Inner("x"), Inner("y")]),
        ("items", {"name": "x"}, None),
        ("table", {"a": {"name": "x"}, "b": 5}, {"a": Inner("x")}),
        ("table", [], None),
        ("anything", object, object),
        ("on", True, True),
        ("on", 1, None),
        ("ratio", 2, 2.0),
        ("ratio", True, None),
        ("ratio", [], None),
        ("kind", "b", "b"),
        ("kind", "c", None),
        ("either", "x", "x"),
        ("either", [], None),
        ("either", None, None),
    ],
)
def test_what_does_not_fit_costs_only_itself(name: str, value: Any, fitted: Any) -> None:
    assert getattr(fit({"id": "1", name: value}, Outer), name) == fitted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, r"\$\.id: is missing"),
        ({"id": None}, r"\$\.id: expected str, got null"),
        ({"id": []}, r"\$\.id: expected str, got array"),
        ({"id": {}}, r"\$\.id: expected str, got object"),
        ({"id": True}, r"\$\.id: expected str, got bool"),
        ([], r"\$: expected object, got array"),
    ],
)
def test_what_is_required_and_cannot_be_had_is_named(value: Any, message: str) -> None:
    with pytest.raises(BadPayload, match=f"^{message}"):
        fit(value, Outer)


def test_what_is_required_deeper_is_named_with_its_path() -> None:
    class Whole(Shape):
        inner: Inner

    Whole.__annotations__["inner"] = Inner
    with pytest.raises(BadPayload, match=r"^\$\.inner\.name: is missing"):
        fit({"inner": {}}, Whole)


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        ({"items": [{"name": "x"}, 5, {}, {"name": "y"}]}, ["$.items[1]", "$.items[2].name"]),
        ({"table": {"a": {"name": "x"}, "b": {"name": []}}}, ["$.table[...].name"]),
        (
            {"parts": [{"id": "a", "items": [5]}, {"id": "b", "items": [5]}]},
            ["$.parts[0].items[0]", "$.parts[1].items[0]"],
        ),
        # What is left out as a whole is named as a whole, or, where it is no element, not at all.
        ({"parts": [{"items": [5], "id": []}]}, ["$.parts[0].id"]),
        ({"part": {"items": [5], "id": []}}, []),
        ({"items": "x"}, []),
        ({"items": [5] * (MOST_NAMED + 1)}, [f"$.items[{number}]" for number in range(MOST_NAMED)]),
    ],
)
def test_elements_that_were_left_out_are_named(value: Any, left_out: list[str]) -> None:
    named: list[str] = []
    fit(value, Lists, named)
    assert named == left_out


class Sure(Shape):
    decisive = ("new", "old")

    new: Inner | None = None
    old: str | None = None


class Sures(Shape):
    sure: Sure | None = None
    all: list[Sure] | None = None
    table: dict[str, Sure] | None = None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"new": "x"}, "$.new: expected object, got str"),
        ({"new": {}}, "$.new.name: is missing"),
        ({"new": {"name": None}}, "$.new.name: expected str, got null"),
        ({"old": {}}, "$.old: expected str, got object"),
    ],
)
def test_what_decides_must_fit_when_it_is_there(value: Any, message: str) -> None:
    for field, whole in (("", value), (".sure", {"sure": value}), (".all[1]", {"all": [{}, value]})):
        with pytest.raises(BadPayload) as caught:
            fit(whole, Sures if field else Sure)
        assert str(caught.value) == message.replace("$", f"${field}")
    with pytest.raises(BadPayload, match=r"\$\.table\[\.\.\.\]\."):
        fit({"table": {"a": value}}, Sures)
    assert fit({"new": None}, Sure) == Sure()


def test_what_is_yes_or_no_stays_that() -> None:
    fitted = fit({"id": "x", "off": True, "on": False, "ratio": True}, Outer)
    assert (fitted.off, fitted.on, fitted.ratio) == (True, False, None)
    assert fit({"id": "x", "off": 1}, Outer).off is False


def test_what_is_nested_too_deeply_is_left_out() -> None:
    value: dict[str, Any] = {}
    for _ in range(DEEPEST * 2):
        value = {"inner": value}
    fitted: Nest | None = fit(value, Nest)
    depth = 0
    while fitted is not None:
        fitted, depth = fitted.inner, depth + 1
    # What stands deeper is left out.
    assert depth == DEEPEST + 1


class Colour(Enum):
    RED = "red"


class Sized(TypedDict):
    size: int


class Own(Shape):
    """With types that no class of ours has."""

    odd: int | None = None
    old: Optional[List[Inner]] = None  # noqa: UP006, UP045
    some: Sequence[Inner] = ()
    all: Collection[str] = ()
    bare: list | None = None  # type: ignore[type-arg]
    mapped: Mapping[str, Inner] = {}
    pairs: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("", 0)
    names: frozenset[str] = frozenset()
    when: datetime | None = None
    colour: Colour | None = None
    sized: Sized | None = None
    number: int | str = 0
    text: str | int = ""


OWN = {
    "old": [{"name": "a"}],
    "some": [{"name": "b"}],
    "all": ["c"],
    "bare": ["d"],
    "mapped": {"k": {"name": "e"}},
    "pairs": [{"name": "f"}],
    "pair": ["g", 1],
    "names": ["h"],
    "when": "2020-01-01T00:00:00Z",
    "colour": "red",
    "sized": {"size": 1},
}


def test_types_of_a_users_own_are_read_as_where_all_fits() -> None:
    strict, left_out = decode(json.dumps(OWN).encode(), Own), list[str]()
    assert fit({**OWN, "odd": "five"}, Own, left_out) == strict
    assert left_out == []
    assert strict.when == datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert strict.colour is Colour.RED


@pytest.mark.parametrize("name", ["old", "some", "pairs"])
def test_what_does_not_fit_in_them_is_left_out(name: str) -> None:
    left_out: list[str] = []
    fitted = fit({**OWN, name: [{"name": "a"}, {"size": 1}]}, Own, left_out)
    assert [each.name for each in getattr(fitted, name)] == ["a"]
    assert left_out == [f"$.{name}[1].name"]


@pytest.mark.parametrize("name", ["pair", "names", "when", "colour", "sized"])
def test_what_does_not_fit_as_a_whole_is_its_default(name: str) -> None:
    assert getattr(fit({**OWN, name: {"no": "such"}}, Own), name) == getattr(Own(), name)


def test_the_types_of_a_union_are_tried_in_their_order() -> None:
    fitted = fit({"odd": "five", "number": "5", "text": "5"}, Own)
    assert (fitted.number, fitted.text) == (5, "5")

from __future__ import annotations

from typing import Any, Literal

import pytest

from change_hooks.core.errors import BadPayload
from change_hooks.core.lenient import DEEPEST, fit
from change_hooks.core.payload import Shape


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
    ratio: float | None = None
    kind: Literal["a", "b"] | None = None
    either: int | str | None = None


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


def test_what_is_nested_too_deeply_is_left_out() -> None:
    value: dict[str, Any] = {}
    for _ in range(DEEPEST * 2):
        value = {"inner": value}
    fitted: Nest | None = fit(value, Nest)
    depth = 0
    while fitted is not None:
        fitted, depth = fitted.inner, depth + 1
    assert depth <= DEEPEST + 1

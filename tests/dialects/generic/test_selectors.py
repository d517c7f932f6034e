from __future__ import annotations

from typing import Any

import pytest

from change_hooks.dialects.generic.selectors import MISSING, MOST_NOTED, Scope, selector

PAYLOAD = {
    "a": {"b": [{"c": 1}, {"c": 2}, {"d": 3}, {"c": None}]},
    "x.y": "dotted",
    "x": {"y": "nested", "z.w": {"v": "mixed"}},
    "null": None,
    "word": "yes",
    "lists": [{"l": [1, 2]}, {"l": [3]}],
    "by_name": {"one": {"n": 1}, "two": {"n": 2}},
}


def find(written: Any, payload: Any = PAYLOAD, **more: Any) -> Any:
    return selector(written).find(Scope(payload, PAYLOAD, **more))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.0.c", 1),
        ("a.b.-2.d", 3),
        ("a.b.9.c", MISSING),
        ("a.b.-9.c", MISSING),
        ("a.b.one", MISSING),
        ("a.b.0.c.more", MISSING),
        ("a.nothing", MISSING),
        ("x.y", "dotted"),
        ("x.z.w.v", "mixed"),
        ("null", None),
        ("null.more", MISSING),
        ("a.b.*.c", [1, 2]),
        ("lists.*.l", [1, 2, 3]),
        ("by_name.*.n", [1, 2]),
        ("word.*", MISSING),
        ("$", PAYLOAD),
        ("$.word", "yes"),
        ("@key", MISSING),
    ],
)
def test_a_path(path: str, value: Any) -> None:
    assert find(path) == value
    assert selector(path).name == path


def test_a_path_starts_at_the_item_or_with_a_dollar_at_the_root() -> None:
    assert find("c", {"c": 5}) == 5
    assert find("$.word", {"word": "no"}) == "yes"
    assert find("@key", {}, key="refs/heads/main") == "refs/heads/main"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"path": "word"}, "yes"),
        ({"value": 7}, 7),
        ({"value": None}, None),
        ({"path": "none", "default": 3}, 3),
        ({"path": "null", "default": 3}, 3),
        ({"path": "word", "default": 3}, "yes"),
        (["none", "null", "word"], "yes"),
        (["none", "null"], None),
        (["none", "neither"], MISSING),
        ({"path": ["none", "word"]}, "yes"),
        ({"path": ["word", "a.b.0.c"], "join": ":"}, "yes:1"),
        ({"path": ["word", "none"], "join": ":"}, MISSING),
        ({"path": ["word", "a"], "join": ":"}, MISSING),
        ({"path": "word", "map": {"yes": True}}, True),
        ({"path": "word", "map": {"no": True}}, "yes"),
        ({"path": "a.b.0.c", "map": {"no": True}}, 1),
        (lambda payload: payload["word"].upper(), "YES"),
        (lambda payload: payload["none"], MISSING),
    ],
)
def test_other_selectors(written: Any, value: Any) -> None:
    assert find(written) == value


def test_headers() -> None:
    sent = {"X-Event": "push", "X-Id": "7"}
    for written, value in (
        ({"header": "X-Event"}, "push"),
        ({"header": "X-Other"}, MISSING),
        ({"header": ["X-Other", "X-Id"]}, "7"),
        ({"header": ["X-Event", "X-Id"], "join": "/"}, "push/7"),
    ):
        assert find(written, header=sent.get) == value
    assert find({"header": "X-Event"}) is MISSING


@pytest.mark.parametrize(
    ("written", "name", "headers"),
    [
        ("a.b", "a.b", ()),
        ({"header": "X-Event"}, "X-Event", ("X-Event",)),
        ({"value": 1}, "value", ()),
        (["a", {"header": "X-B"}], "a or X-B", ("X-B",)),
        ({"header": ["A", "B"], "join": ""}, "A and B", ("A", "B")),
        ({"header": "A", "map": {}}, "A", ("A",)),
        (dict.fromkeys, "fromkeys()", ()),
    ],
)
def test_what_a_selector_is_called_and_reads(written: Any, name: str, headers: tuple[str, ...]) -> None:
    assert (selector(written).name, selector(written).headers) == (name, headers)


def test_a_callable_without_a_name_is_called_by_its_type() -> None:
    class Reader:
        def __call__(self, payload: Any) -> Any:
            return payload

    assert selector(Reader()).name == "Reader()"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (5, "must be a path, a callable, a list of them or a dict, not int"),
        ("a..b", "name is empty"),
        ("", "name is empty"),
        ([], "is an empty list"),
        ({"pathh": "a"}, "unknown name 'pathh'; did you mean 'path'"),
        ({"default": 1}, "needs one of 'path', 'header' and 'value'"),
        ({"path": "a", "value": 1}, "needs one of"),
        ({"path": "a", "join": ":"}, "needs a list in 'path'"),
        ({"path": ["a"], "join": 5}, "needs a list"),
        ({"header": 5}, "not the name of a header"),
        ({"header": "é"}, "not the name of a header"),
        ({"header": []}, "not the name of a header"),
        ({"path": "a", "map": 5}, "'map' that is not a dict"),
        ({"path": "a", "map": {1: 2}}, "'map' that is not a dict"),
    ],
)
def test_what_is_wrong_is_named(written: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        selector(written)


def test_few_of_the_names_of_what_is_missing_are_kept() -> None:
    scope = Scope({}, {})
    for number in range(MOST_NOTED + 5):
        scope.inside({}).note(f"n{number}")
    assert len(scope.noted) == MOST_NOTED

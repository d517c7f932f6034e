"""The document of a delivery is decoded once, and gives what it would give to each who decodes it alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from change_hooks.core import opened as module
from change_hooks.core import payload, pieces
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.opened import opened, opened_as
from change_hooks.core.payload import Shape, decode, json_text, with_json, without
from tests.conftest import delivery

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
NAMES = st.sampled_from(["id", "added", "commits", "repository", "moved", "when", "extra"])
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=30,
)


class Commit(Shape):
    id: str
    added: list[str] | None = None


class Push(Shape):
    ref: str = ""
    commits: list[Commit] | None = None
    moved: dict[str, Commit] | None = None
    repository: dict[str, str] | None = None
    extra: Any = None
    when: str | int | None = None


def read(sent: Delivery, shape: Any) -> Any:
    left_out: list[str] = []
    try:
        return opened_as(sent, shape, lambda: json_text(sent, form=False), left_out), left_out
    except BadPayload as error:
        return error.status, error.field, error.message


def decoded(sent: Delivery, shape: Any) -> Any:
    left_out: list[str] = []
    try:
        return decode(sent.body, shape, left_out), left_out
    except BadPayload as error:
        return error.status, error.field, error.message


@pytest.mark.parametrize("large", [False, True])
@given(document=JSON, shape=st.sampled_from([Any, Push]))
@example(document=[float("inf")], shape=Any)
@example(document={"ref": float("nan")}, shape=Push)
def test_it_gives_the_same_as_decoding_it_alone(large: bool, document: Any, shape: Any) -> None:
    sent = delivery(json.dumps(document).encode())
    expected = decoded(sent, shape)
    with pytest.MonkeyPatch.context() as patch:
        if large:
            patch.setattr(module, "LARGE", 0)
            patch.setattr(pieces, "FEW", 1)
        assert read(sent, shape) == expected
        assert read(sent, shape) == expected


def test_the_second_finds_it_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    for body, works in ((b'{"ref": "x"}', True), (b"{", False)):
        sent = delivery(body)
        first = read(sent, Push)
        assert (first == (Push("x"), [])) is works
        with monkeypatch.context() as patch:
            patch.setattr(module, "decode", None)
            copy = sent.replace(id="7", verification="signature")
            for each in (sent, copy):
                assert read(each, Push) == first
                assert read(each, Any) == (({"ref": "x"}, []) if works else first)
        copy.forget()
        assert not sent.is_opened


def test_another_body_or_header_is_another_document() -> None:
    sent = delivery(b'{"ref": "x"}')
    opened(sent, lambda: sent.body)
    for other in (sent.replace(body=b'{"ref": "y"}'), sent.replace(headers={"Content-Type": "text/plain"})):
        assert not other.is_opened
        other.forget()
    assert opened(sent.replace(body=b"5"), lambda: b"5") == 5
    assert opened(sent, lambda: b"") == {"ref": "x"}


@given(document=st.dictionaries(NAMES, JSON, max_size=4))
def test_what_is_kept_of_a_body_without_its_secrets_is_what_stands_in_it(document: Any) -> None:
    sent = delivery(json.dumps({**document, "password": "s3cret"}).encode())
    kept = without(sent, ("password",), form=False)
    assert b"s3cret" not in kept.body
    assert kept.is_opened
    assert opened(kept, lambda: b"") == decode(kept.body, Any)
    assert not sent.replace(body=sent.body).is_opened


def test_nothing_is_made_of_elements_that_are_long_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[Any] = []
    convert = pieces.msgspec.convert

    def counted(value: Any, shape: Any) -> Any:
        at_once.append(value)
        return convert(value, shape)

    monkeypatch.setattr(pieces.msgspec, "convert", counted)
    commit = {"id": "1", "added": ["x"] * (pieces.FEW + 1)}
    found = pieces.convert_in_pieces({"commits": [commit, {"id": "2"}, ["3"]], "other": 1}, Push)
    assert found == {"commits": [{"id": "1", "added": commit["added"]}, Commit("2"), ["3"]]}
    assert at_once == ["1", *commit["added"], {"id": "2"}, ["3"]]


def test_a_mapping_of_things_is_converted_one_by_one() -> None:
    moved = {"main": {"id": "1"}, "other": ["2"]}
    assert pieces.convert_in_pieces(moved, dict[str, Commit], 1) == {"main": Commit("1"), "other": ["2"]}


def test_a_form_has_it_too() -> None:
    sent = delivery(b"payload=%7B%22a%22%3A+1%7D", content_type=payload.FORM.encode())
    assert opened(with_json(sent, {"a": 2}), lambda: b"") == {"a": 2}
    assert opened(sent, lambda: json_text(sent, form=True)) == {"a": 1}


class Forgotten(dict[Any, Any]):
    """What another handler's thread has made and this one's forgets, at once."""

    def __setitem__(self, name: Any, value: Any) -> None:
        """Nothing stays."""


def test_what_is_forgotten_meanwhile_is_there_for_who_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delivery, "made", Forgotten())
    sent = delivery(b'{"ref": "main"}')
    assert opened(sent, lambda: sent.body) == {"ref": "main"}
    assert read(sent, Push) == (Push(ref="main"), [])
    wrong = delivery(b'{"ref": ')
    with pytest.raises(BadPayload):
        opened(wrong, lambda: wrong.body)

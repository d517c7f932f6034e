from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core import payload, pieces
from change_hooks.core.errors import BadPayload
from change_hooks.core.lenient import MOST_ELEMENTS
from change_hooks.core.payload import Shape, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "commits", "repository", "moved", "lists", "when"]), inner, max_size=4
        )
    ),
    max_leaves=30,
)


class Commit(Shape):
    id: str
    message: str | None = None
    added: list[str] | None = None


class Repository(Shape):
    name: str | None = None
    urls: dict[str, str] | None = None


class Push(Shape):
    ref: str = ""
    commits: list[Commit] | None = None
    repository: Repository | None = None
    extra: Any = None
    moved: dict[str, Commit] | None = None
    lists: dict[str, list[Commit]] | None = None
    when: str | int | None = None


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All documents are large, and nearly all parts of them are split."""
    monkeypatch.setattr(payload, "LARGE", 0)
    monkeypatch.setattr(pieces, "PIECE", 8)


def in_pieces(text: bytes, shape: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "LARGE", 0)
        patch.setattr(pieces, "PIECE", 8)
        left_out: list[str] = []
        return decoded(text, shape), left_out


def decoded(text: bytes, shape: Any) -> Any:
    left_out: list[str] = []
    try:
        return decode(text, shape, left_out), left_out
    except BadPayload as error:
        return error.status, error.field


@given(document=JSON, shape=st.sampled_from([Any, Push]), unicode=st.booleans())
def test_what_is_decoded_in_pieces_is_the_same(document: Any, shape: Any, unicode: bool) -> None:
    text = json.dumps(document, ensure_ascii=unicode).encode()
    assert in_pieces(text, shape)[0] == decoded(text, shape)


@pytest.mark.parametrize(
    "text",
    [
        b'\n {"ref": "refs/heads/main", "commits": [{"id": "1", "added": ["a", "b"]}, {"id": "2"}]}\n',
        b'{"commits": [{"id": "1"}, {"id": null}, {"id": "3", "message": 4, "added": [[], "b"]}, 5]}',
        b'{"commits": [{"id": "1", "message": "\\ud83d\\ude00 \\ud83d \\\\ud800 \\\\\\ud800"}], "extra": [{}, {}]}',
        b'{"commits": [{"id": "1", "message": "\xff\xfe"}], "repository": {"urls": {"https": "x", "ssh": 1}}}',
        b'{"moved": {"old": {"id": "1"}, "a": {"id": "2"}}, "lists": {"new": [{"id": "3"}], "b": [5]}}',
        b'{"when": 1795509021, "commits": [{"id": 1, "message": 5.0}], "repository": {"urls": {"https": 1}}}',
        b'{"commits": [{"id": "1"}, {"id": "2"]}',
        b'{"commits": [{"id": "1"}, {"id": "2"}]} {}',
        b'[{"commits": [{"id": "1"}, {"id": "2"}]}]',
        b'{"extra": %b1%b}' % (b'{"a": [' * 20, b"]}" * 20),
    ],
)
@pytest.mark.parametrize("shape", [Any, Push])
def test_also_what_is_not_as_it_should_be(text: bytes, shape: Any) -> None:
    assert in_pieces(text, shape)[0] == decoded(text, shape)


def test_a_field_that_nobody_asks_for_is_not_made(small: None) -> None:
    assert pieces.in_pieces(b'{"ref": "x", "other": {"many": "things"}}', Push) == {"ref": "x"}


def test_what_is_nested_is_split_only_so_often(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    decoder_for = pieces.decoder_for

    def counted(shape: Any) -> Any:
        read.append(1)
        return decoder_for(shape)

    monkeypatch.setattr(pieces, "decoder_for", counted)
    pieces.in_pieces(b"[" * 100 + b"]" * 100, Any)
    assert len(read) == pieces.SPLITS + 1


@pytest.mark.parametrize("pieced", [False, True])
def test_a_list_of_too_many_structures_is_refused_by_name(pieced: bool) -> None:
    commits = [{"id": 1}] * (MOST_ELEMENTS + 1)
    text = json.dumps({"commits": commits}).encode()
    assert (in_pieces(text, Push)[0] if pieced else decoded(text, Push)) == (400, "$.commits")
    files = {"commits": [{"id": "1", "added": [1] * (MOST_ELEMENTS + 1)}]}
    text = json.dumps(files).encode()
    assert (
        len((in_pieces(text, Push)[0] if pieced else decoded(text, Push))[0].commits[0].added) > MOST_ELEMENTS
    )


def test_lone_surrogates_are_replaced_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    text = rb'["\ud800", "x\uDFFFy", "\ud83d\ude00", "\\ud800", "\\\ud800", "\udc00\ud83d\ude00", "\ud83d\u0041"]'
    read = ["\ufffd", "x\ufffdy", "\U0001f600", "\\ud800", "\\\ufffd", "\ufffd\U0001f600", "\ufffdA"]
    assert decode(text, Any) == read
    # Also of a document that is too large for a second try.
    monkeypatch.setattr(payload, "SMALL", 0)
    assert decode(text, Any) == read

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.core.payload import (
    LONGEST_DATE,
    MOST_COMMAS,
    MOST_OBJECTS,
    SMALL,
    Shape,
    content_type,
    convert,
    decode,
    epoch,
    expect_mapping,
    is_json,
    json_text,
    raw_json,
    when,
    without,
)
from tests.conftest import delivery


class Author(Shape):
    name: str | None = None


class Push(Shape):
    ref: str
    author: Author | None = None


FORM = b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ("", "utf-8")),
        (b"application/json", ("application/json", "utf-8")),
        (b"application/json; charset=utf-8", ("application/json", "utf-8")),
        (b'Application/JSON ; Charset="UTF-16"; x', ("application/json", "utf-16")),
        (b"application/json; charset=", ("application/json", "utf-8")),
        (b"\xff", ("\u00ff", "utf-8")),
    ],
)
def test_the_content_type_and_its_charset(header: bytes | None, expected: tuple[str, str]) -> None:
    assert content_type(delivery(content_type=header)) == expected


def test_what_json_is_called() -> None:
    assert is_json("application/json")
    assert is_json("application/vnd.gitea+json")
    assert not is_json("text/json+json")
    assert not is_json("application/xml")


def test_a_json_body_with_and_without_a_content_type() -> None:
    for header in (None, b"application/json; charset=utf-8", b"application/x+json"):
        assert json_text(delivery(b"{}", content_type=header), form=False) == b"{}"


def test_a_byte_order_mark_is_dropped() -> None:
    assert json_text(delivery(b"\xef\xbb\xbf{}"), form=False) == b"{}"


def test_other_character_sets_are_decoded() -> None:
    utf16 = delivery('{"a": "\u00e4"}'.encode("utf-16"), content_type=b"application/json; charset=utf-16")
    assert decode(json_text(utf16, form=False), Any) == {"a": "\u00e4"}
    latin = delivery('{"a": "\u00e4"}'.encode("latin-1"), content_type=b"application/json; charset=latin-1")
    assert decode(json_text(latin, form=False), Any) == {"a": "\u00e4"}


@pytest.mark.parametrize("charset", [b"klingon", b"rot13", b"base64", b"undefined", b"\x00"])
def test_an_unknown_charset_is_415(charset: bytes) -> None:
    with pytest.raises(UnsupportedContentType):
        json_text(delivery(b"{}", content_type=b"application/json; charset=" + charset), form=False)


def test_a_form_holds_the_payload_exactly_once() -> None:
    assert json_text(delivery(b"payload=%7B%7D&x=1", content_type=FORM), form=True) == b"{}"
    for body in (b"", b"x=1", b"payload=1&payload=2"):
        with pytest.raises(BadPayload, match="payload"):
            json_text(delivery(body, content_type=FORM), form=True)


def test_the_payload_never_comes_from_the_query() -> None:
    forged = delivery(b"x=1", uri=b"/?payload=%7B%7D", content_type=FORM)
    with pytest.raises(BadPayload):
        json_text(forged, form=True)


@pytest.mark.parametrize(
    ("header", "takes", "named"),
    [
        (b"text/plain", {"form": True}, "application/json or application/x-www-form-urlencoded"),
        (FORM, {"form": False}, "application/json$"),
        (b"application/json", {"form": True, "json": False}, "must be application/x-www-form-urlencoded$"),
    ],
)
def test_another_content_type_is_415(header: bytes, takes: dict[str, bool], named: str) -> None:
    with pytest.raises(UnsupportedContentType, match=named):
        json_text(delivery(b"{}", content_type=header), **takes)


def test_a_shape_takes_what_it_names_and_ignores_the_rest() -> None:
    assert decode(b'{"ref": "r", "author": {"name": null, "x": [1]}, "y": 1e5}', Push) == Push("r", Author())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"ref": []}', "$.ref"),
        (b"{}", "$.ref"),
        (b"[]", "$"),
        (b'{"ref": null}', "$.ref"),
    ],
)
def test_another_shape_is_an_error_that_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(BadPayload) as caught:
        decode(body, Push)
    assert caught.value.field == field
    with pytest.raises(BadPayload) as caught:
        convert(json.loads(body), Push)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b'["\xff", x', b"\xff", b"NaN", b'{"a": NaN}', b'{"a": Infinity}', b"1" * 5000, b"1e999", b"1" * 400 + b"e",
        b"[" * 200_000, b'{"a":' * 200_000, b'"\\ud800' + b"[" * 200_000, b'["\\ud800",' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_bad_payload(body: bytes) -> None:
    with pytest.raises(BadPayload):
        decode(body, Any)


def test_huge_numbers_are_numbers() -> None:
    assert decode(b"123456789012345678901234567890", Any) is not None


def test_invalid_utf8_and_lone_surrogates_are_replaced() -> None:
    assert decode(b'{"ref": "a\xffb"}', Push).ref == "a\ufffdb"
    assert decode(b'{"ref": "a\\ud800b\\udc00"}', Push).ref == "a\ufffdb\ufffd"
    assert decode(b'{"ref": "\\ud83d\\ude00 \xff"}', Push).ref == "\U0001f600 \ufffd"


def test_a_repaired_payload_still_has_to_have_the_shape() -> None:
    with pytest.raises(BadPayload) as caught:
        decode(b'{"ref": [], "author": {"name": "\\ud800"}}', Push)
    assert caught.value.field == "$.ref"
    with pytest.raises(BadPayload) as caught:
        decode(b'{"author": {"name": "\\ud800"}, "ref": {}}', Push)
    assert caught.value.field == "$.ref"


@given(st.binary(max_size=200))
def test_any_body_gives_a_payload_or_a_bad_payload(body: bytes) -> None:
    for shape in (Any, Push):
        try:
            decode(body, shape)
        except BadPayload as error:
            assert error.status == 400


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.text(st.characters(exclude_categories=[])),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=15,
    )
)
def test_any_json_that_python_writes_is_read(value: Any) -> None:
    decoded = decode(json.dumps(value).encode(), Any)
    clean = (
        json.dumps(value, ensure_ascii=False)
        .encode("utf-16-le", "surrogatepass")
        .decode("utf-16-le", "replace")
    )
    assert decoded == json.loads(clean)


def test_convert_leaves_alone_what_has_the_shape() -> None:
    push = Push("r")
    assert convert(push, Push) is push
    assert convert({"ref": "r"}, Push) == push


def test_only_an_object_is_a_mapping() -> None:
    assert expect_mapping({"a": 1}) == {"a": 1}
    with pytest.raises(BadPayload):
        expect_mapping([])


@pytest.mark.parametrize(
    "text",
    [
        "2012-05-30T03:58:56Z", "2012-05-30T03:58:56z", "2012-05-30T05:58:56+02:00", "2012-05-30T05:58:56+0200",
        "2012-05-30 03:58:56 UTC", "2012-05-30 03:58:56+00:00", "2012-05-30T03:58:56.123Z", "2012-05-29T23:58:56.1-04:00",
        "2012-05-30 03:58:56", "2012-05-30 03:58:56 +0000", "2012-05-30T03:58:56.1234567+00:00", "2012-05-30 02:58:56 -0100",
    ],
)  # fmt: skip
def test_times_as_forges_write_them(text: str) -> None:
    assert epoch(text) == 1338350336


@pytest.mark.parametrize(
    "text",
    [None, "", "yesterday", "2012-13-30T03:58:56Z", " 0001-01-01 00:00:00 +2300", "2012-05-30 25:00:00 UTC"],
)
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert epoch(text) is None


def test_a_time_without_seconds() -> None:
    for text in ("2012-05-30T03:58Z", "2012-05-30 03:58 UTC", "2012-05-30 05:58 +02", "2012-05-30 03:58"):
        assert epoch(text) == 1338350280


@pytest.mark.parametrize(
    "text", ["1960-01-01T00:00:00.5Z", "1960-01-01T00:00:00.5", "1960-01-01 00:00:00.5 UTC"]
)
def test_a_fraction_of_a_second_is_left_out_before_1970_too(text: str) -> None:
    assert epoch(text) == -315619200


@pytest.mark.parametrize(("offset", "east"), [
    ("+00:00", 0), ("+05:45", 20700), ("-03:30", -12600), ("+13:59", 50340), ("-12:01", -43260), ("+23:59", 86340),
])  # fmt: skip
def test_offsets_have_hours_and_minutes(offset: str, east: int) -> None:
    for written in (offset, offset.replace(":", "")):
        for text in (f"2012-05-30T03:58:56{written}", f"2012-05-30 03:58:56.25 {written}"):
            assert epoch(text) == 1338350336 - east


def test_a_document_of_too_many_objects_is_refused() -> None:
    with pytest.raises(BadPayload, match="too many objects"):
        decode(b"[" + b"{}," * (MOST_OBJECTS + 1) + b"{}]", Any)
    with pytest.raises(BadPayload, match="too many objects"):
        decode(b"[" + b"0," * (MOST_COMMAS + 1) + b"0]", Any)


def test_what_is_large_and_malformed_is_not_decoded_twice() -> None:
    with pytest.raises(BadPayload, match="not valid JSON"):
        decode(b'["' + b"x" * SMALL, Any)


def test_a_long_text_is_no_date() -> None:
    date = "2026-11-24T12:00:00Z"
    assert epoch(date.ljust(LONGEST_DATE)) == epoch(date) == 1795521600
    assert epoch(date.ljust(LONGEST_DATE + 1)) is None


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "utf-16"])
def test_the_document_as_it_was_sent(charset: str) -> None:
    text = '{"payload": "\u00e4", "token": "t", "rest": [1]}'.encode(charset)
    kind = f"application/json; charset={charset}".encode()
    assert raw_json(delivery(text, content_type=kind), form=False) == (text, charset)
    form = delivery(b"payload=%ff", content_type=FORM)
    assert raw_json(form, form=True) == (b"\xff", "utf-8")
    kept = without(delivery(text, content_type=kind), ("token", "password"), form=False)
    assert decode(json_text(kept, form=False), Any) == {"payload": "\u00e4", "rest": [1]}


def test_a_field_of_a_form_is_left_out() -> None:
    sent = delivery(b"payload=%7B%22token%22:1,%22a%22:%22%26%22%7D", content_type=FORM)
    kept = without(sent, ("token",), form=True)
    assert decode(json_text(kept, form=True), Any) == {"a": "&"}
    assert without(kept, ("token",), form=True) is kept


def test_a_field_whose_name_is_escaped_is_left_out_too() -> None:
    sent = delivery(rb'{"\u0074oken": "t", "a": "\u003c"}')
    assert decode(json_text(without(sent, ("token",), form=False), form=False), Any) == {"a": "<"}
    without_it = delivery(rb'{"a": "\u003c"}')
    assert without(without_it, ("token",), form=False) is without_it


def test_what_is_no_object_has_no_field_to_leave_out() -> None:
    sent = delivery(b'["token"]')
    assert without(sent, ("token",), form=False) is sent


def test_a_date_may_be_a_number_digits_or_text() -> None:
    assert when(1_700_000_000) == when("1700000000") == when("2023-11-14T22:13:20Z") == 1_700_000_000
    assert when("1700000000123", 1000) == when(1_700_000_000_123, 1000) == 1_700_000_000
    assert [when(each) for each in (None, "", "\u00b2", "9" * 5000, "9" * 20, 10**30, "tomorrow")] == [
        None
    ] * 7

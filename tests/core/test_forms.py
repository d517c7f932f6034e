from __future__ import annotations

from urllib.parse import quote_plus

import pytest

from change_hooks.core.errors import BadPayload
from change_hooks.core.forms import (
    LONG,
    LONGEST_HEAD,
    MOST_FIELDS,
    only_argument,
    parse_multipart,
    parse_urlencoded,
    unquoted,
    with_argument,
)

KIND = b'multipart/form-data; boundary="XX"'


@pytest.mark.parametrize("filler", [0, LONG])
def test_long_and_short_texts_are_unquoted_alike(filler: int) -> None:
    text = "a+b=c % \u00e4 \r\n_." + "x" * filler
    assert unquoted(quote_plus(text).encode()) == text.encode()
    assert unquoted(b"100%" + b"x" * filler) == b"100%" + b"x" * filler
    assert unquoted(b"a=b" + b"x" * filler) == b"a=b" + b"x" * filler


def test_a_form() -> None:
    assert parse_urlencoded(b"") == {}
    assert parse_urlencoded(b"a=1&b=&c&a=2%26&x;y=3") == {b"a": [b"1", b"2&"], b"b": [b""], b"x;y": [b"3"]}


def test_the_number_of_fields_is_bounded() -> None:
    assert len(parse_urlencoded(b"&".join([b"a=1"] * MOST_FIELDS))[b"a"]) == MOST_FIELDS
    with pytest.raises(BadPayload, match="fields"):
        parse_urlencoded(b"&".join([b"a=1"] * (MOST_FIELDS + 1)))


def part(head: bytes, value: bytes = b"1") -> bytes:
    return b"--XX\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


def named(name: bytes) -> bytes:
    return b"Content-Disposition: form-data; name=" + name


def test_a_multipart_form() -> None:
    body = (
        b"preamble\r\n"
        + part(named(b'"a"'), b"1\r\n2")
        + part(b"Content-Type: text/plain\r\n" + named(b"b"))
        + part(named(b'"q\\"q"'))
        + part(b"Content-Type: text/plain")
        + part(b"Content-Disposition: form-data")
        + part(named(b'"long"') + b"x" * LONGEST_HEAD)
        + b"--XX\r\nno end of the head\r\n"
        + part(named(b'"a"'), b"")
        + part(named(b'"c"; filename="x: y"'), b"1\r\n\r\n2")
        + b"--XX--\r\n"
        + part(named(b'"epilogue"'))
    )
    assert parse_multipart(body, KIND) == {
        b"a": [b"1\r\n2", b""],
        b"b": [b"1"],
        b'q"q': [b"1"],
        b"c": [b"1\r\n\r\n2"],
    }
    assert parse_multipart(part(named(b"a")) + b"--XX--", b"multipart/form-data; boundary=XX") == {
        b"a": [b"1"]
    }
    assert parse_multipart(b"", KIND) == {}


def test_a_boundary_is_needed_and_the_number_of_parts_is_bounded() -> None:
    with pytest.raises(BadPayload, match="boundary"):
        parse_multipart(b"", b"multipart/form-data")
    assert len(parse_multipart(part(named(b"a")) * MOST_FIELDS + b"--XX--", KIND)[b"a"]) == MOST_FIELDS
    with pytest.raises(BadPayload, match="parts"):
        parse_multipart(part(named(b"a")) * (MOST_FIELDS + 2), KIND)


def test_only_an_ampersand_separates() -> None:
    assert parse_urlencoded(b"comments=fix; more&b=2") == {b"comments": [b"fix; more"], b"b": [b"2"]}


def test_an_argument_that_is_there_once() -> None:
    arguments = {b"a": [b"1"], b"b": [b"1", b"2"], b"c": []}
    assert [only_argument(arguments, name) for name in "abcd"] == [b"1", None, None, None]


def test_a_query_with_one_more_argument() -> None:
    assert with_argument(b"/x", "a b", b"1/2&") == b"/x?a%20b=1%2F2%26"
    assert with_argument(b"/x?y=1", "a", b"") == b"/x?y=1&a="
    assert with_argument(b"/x", "a/b", b"1") == b"/x?a%2Fb=1"

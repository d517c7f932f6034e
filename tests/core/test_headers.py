from __future__ import annotations

import pytest
from twisted.web.http_headers import Headers

from change_hooks.core.headers import HeaderFields


@pytest.fixture
def fields() -> HeaderFields:
    sent = Headers({"X-GitHub-Event": ["push"], "Accept": ["text/plain", "*/*"]})
    return HeaderFields.of(sent)


def test_a_field_is_found_by_its_name_in_any_case_as_bytes_or_text(fields: HeaderFields) -> None:
    assert fields[b"x-github-event"] == [b"push"]
    assert fields.getRawHeaders(b"X-GITHUB-EVENT") == [b"push"]
    assert fields.getRawHeaders("x-github-event") == ["push"]
    assert fields.getRawHeaders(b"accept") == [b"text/plain", b"*/*"]
    assert fields.getRawHeaders(b"cookie") is None
    assert fields.getRawHeaders("cookie", ["none"]) == ["none"]
    assert (fields.hasHeader("ACCEPT"), fields.hasHeader(b"cookie")) == (True, False)
    assert dict(fields.getAllRawHeaders()) == {
        b"x-github-event": [b"push"],
        b"accept": [b"text/plain", b"*/*"],
    }


def test_text_that_is_not_utf_8_is_shown_all_the_same() -> None:
    assert HeaderFields({b"x-a": [b"\xff"]}).getRawHeaders("x-a") == ["\ufffd"]


def test_ours_are_taken_as_they_are_and_others_are_copied(fields: HeaderFields) -> None:
    assert HeaderFields.of(fields) is fields
    sent = Headers({"x-a": ["1"]})
    copied = HeaderFields.of(sent)
    sent.addRawHeader("x-a", "2")
    assert copied == {b"x-a": [b"1"]}


def test_what_is_set_or_added_cannot_begin_another_line(fields: HeaderFields) -> None:
    fields.setRawHeaders("X-A", [b"1\r\nx-b: 2", "3\n4", "é"])
    fields.addRawHeader(b"X-A", "5\r6")
    fields.addRawHeader("X-C", b"7")
    assert fields[b"x-a"] == [b"1 x-b: 2", b"3 4", "é".encode(), b"5 6"]
    assert fields[b"x-c"] == [b"7"]
    fields.removeHeader("x-A")
    fields.removeHeader(b"x-a")
    assert b"x-a" not in fields


def test_a_copy_of_twisteds_kind_is_independent(fields: HeaderFields) -> None:
    copy = fields.as_headers()
    copy.addRawHeader(b"accept", b"text/html")
    assert copy.getRawHeaders("Accept") == ["text/plain", "*/*", "text/html"]
    assert fields[b"accept"] == [b"text/plain", b"*/*"]

"""How a page is answered when it breaks, and when nobody waits for it any more."""

from __future__ import annotations

from hmac import compare_digest
from io import BytesIO
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from change_hooks.admin.answering import Forms, NotThere, Page

from ..support.logs import logged


def test_the_token_of_a_form_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr("change_hooks.admin.answering.compare_digest", compare)
    forms = Forms()
    request: Any = DummyRequest([b""])
    request.requestHeaders.setRawHeaders(b"sec-fetch-site", [b"same-origin"])
    request.content = BytesIO(f"token={forms.token}".encode())
    assert forms.read(request) == {"token": [forms.token]}
    assert compared == [(forms.token.encode(), forms.token.encode())]


class Given(Page):
    """Answers with what it is given."""

    def __init__(self, html: Any) -> None:
        super().__init__()
        self.html = html

    def answer(self, request: Any) -> Any:
        return self.html() if callable(self.html) else self.html

    def problem(self, request: Any, status: int, message: str) -> bytes:
        return f"{status}: {message}".encode()


def ask(page: Page, method: bytes = b"GET") -> Any:
    request: Any = DummyRequest([b""])
    request.method = method
    assert page.render(request) is NOT_DONE_YET
    return request


def text(request: Any) -> str:
    return b"".join(request.written).decode()


def test_one_that_has_neither_an_answer_nor_a_page_for_problems_is_said_in_plain_text() -> None:
    with logged() as lines:
        request = ask(Page())
    assert (request.responseCode, request.finished) == (500, 1)
    assert text(request).startswith("this page broke (incident ")
    assert request.responseHeaders.getRawHeaders("content-type")[-1].startswith("text/plain;")
    assert "a page could not be sent" in lines.text
    assert "NotImplementedError" in lines.text


def test_head_has_the_length_alone() -> None:
    request = ask(Given(b"<p>"), b"HEAD")
    assert (text(request), request.finished) == ("", 1)
    assert request.responseHeaders.getRawHeaders("content-length") == ["3"]


def test_what_is_not_taken_or_not_there_keeps_its_status() -> None:
    def nothing() -> Any:
        raise NotThere("there is no such delivery")

    request = ask(Given(nothing))
    assert (request.responseCode, text(request)) == (404, "404: there is no such delivery")
    request = ask(Given(b""), b"PUT")
    assert request.responseCode == 405
    assert request.responseHeaders.getRawHeaders("allow") == ["GET, HEAD"]


def test_nothing_is_written_to_who_has_gone() -> None:
    later: Deferred[bytes] = Deferred()
    request = ask(Given(later))
    request.processingFailed(ConnectionError("gone"))
    later.callback(b"<p>")
    assert (request.written, request.finished) == ([], 0)


def test_nor_when_it_breaks_afterwards() -> None:
    later: Deferred[bytes] = Deferred()
    page = Given(later)
    page.problem = Page().problem  # type: ignore[method-assign]
    request = ask(page)
    request.processingFailed(ConnectionError("gone"))
    with logged() as lines:
        later.errback(NotThere("no"))
    assert (request.written, request.finished) == ([], 0)
    assert "a page could not be sent" in lines.text


def test_one_that_was_cancelled_is_empty() -> None:
    later: Deferred[bytes] = Deferred()
    request = ask(Given(later))
    later.errback(CancelledError())
    assert (text(request), request.responseCode, request.finished) == ("", None, 1)

"""The responses to requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from twisted.web.http_headers import Headers
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from change_hooks.core.errors import (
    DeliveryError,
    MethodNotAllowed,
    TooManyRequests,
    Unavailable,
    UnknownDialect,
)
from change_hooks.core.found import NOTHING_KNOWN, About
from change_hooks.core.headers import HeaderFields
from change_hooks.observer import Answered
from change_hooks.web.tracing import Tracer, no_trace, trace_refused


class Answer(msgspec.Struct, frozen=True):
    """A response.

    :param text: a message in one line.
    :param changes: the number of changes found.
    :param outcome: the outcome of the request.
    :param reason: why it gave no change, in our own words.
    :param about: what the request is about, as far as known.
    """

    status: int
    text: str
    changes: int = 0
    delivery: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    outcome: Answered = "refused"
    reason: str = ""
    about: About = NOTHING_KNOWN


def error_answer(error: DeliveryError, delivery: str | None = None) -> Answer:
    """The response to a refused delivery."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        headers = ((b"allow", ", ".join((*error.allowed, "OPTIONS")).encode()),)
    elif isinstance(error, (Unavailable, TooManyRequests)):
        headers = ((b"retry-after", b"%d" % error.retry_after),)
    outcome: Answered = (
        "refused" if error.status < 500 else "unavailable" if error.status == 503 else "broken"
    )
    return Answer(error.status, error.message, delivery=delivery, headers=headers, outcome=outcome)


def wants_json(accept: bytes) -> bool:
    """Whether an ``Accept`` header names JSON, with a weight other than zero."""
    for media_range in accept.decode("latin-1").lower().split(","):
        kind, _, parameters = media_range.partition(";")
        if kind.strip() == "application/json":
            weight = parameters.replace(" ", "").removeprefix("q=")
            return not (weight and weight.strip("0.") == "")
    return False


_PLAIN = b"text/plain; charset=utf-8"
_JSON = b"application/json"
_encode = msgspec.json.Encoder().encode


def write_answer(request: Any, answer: Answer) -> bytes:
    """Set status and headers of *request*, and return the body.

    A HEAD gets no body: with one, Twisted would log the request, including the secrets in its URL.
    """
    request.setResponseCode(answer.status)
    accept = request.requestHeaders.getRawHeaders(b"accept")
    json = accept is not None and wants_json(accept[-1])
    _set_headers(request.responseHeaders, _JSON if json else _PLAIN, answer.headers)
    if json:
        fields: dict[str, Any] = {"changes": answer.changes, "message": answer.text}
        if answer.delivery is not None:
            fields["delivery"] = answer.delivery
        return b"" if request.method == b"HEAD" else _encode(fields) + b"\n"
    return b"" if request.method == b"HEAD" else answer.text.encode("utf-8", "replace") + b"\n"


def _set_headers(
    headers: Headers | HeaderFields, content_type: bytes, more: Iterable[tuple[bytes, bytes]]
) -> None:
    if isinstance(headers, HeaderFields):
        # What is written here needs no check.
        headers[b"x-content-type-options"] = [b"nosniff"]
        headers[b"content-type"] = [content_type]
    else:
        headers.setRawHeaders(b"x-content-type-options", [b"nosniff"])
        headers.setRawHeaders(b"content-type", [content_type])
    # This would reveal the version of Twisted.
    headers.removeHeader(b"server")
    for name, value in more:
        headers.setRawHeaders(name, [value])


class Refusal(Resource):
    """A resource that responds to every request with the same error.

    :param tracer: keeps a trace of each request.
    :param dialect: the name of the endpoint in the trace.
    """

    isLeaf = True

    def __init__(self, error: DeliveryError, tracer: Tracer = no_trace, dialect: str = "") -> None:
        super().__init__()
        self._answer = error_answer(error)
        self._tracer = tracer
        self._dialect = dialect

    def render(self, request: IRequest) -> bytes:
        """See :meth:`twisted.web.resource.IResource.render`."""
        answer = self._answer
        trace_refused(self._tracer, request, answer.status, answer.text, dialect=self._dialect)
        return write_answer(request, answer)


def write_answer_with_length(request: Any, answer: Answer) -> bytes:
    """Like :func:`write_answer`, with the length of the body as a header."""
    body = write_answer(request, answer)
    request.setHeader(b"content-length", b"%d" % len(body))
    return body


NOT_FOUND = UnknownDialect("no such dialect is enabled here (change_hook_dialects)")

__all__ = ["NOT_FOUND", "Answer", "Refusal", "error_answer", "write_answer", "write_answer_with_length"]

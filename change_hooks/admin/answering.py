"""Responses of the pages: headers, errors, and the protection of forms.

Strategy: a page loads nothing from elsewhere, runs only our script, and cannot be framed by another site. A
form is accepted only from a page of this server, according to the browser, and with the token in the form,
which no other site can read.
"""

from __future__ import annotations

from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.admin.query import Fields, fields_of
from change_hooks.core.errors import CrossSiteRequest, DeliveryError, MethodNotAllowed
from change_hooks.incidents import report
from change_hooks.web.admission import refuse_cross_site

POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HTML = b"text/html; charset=utf-8"


def protect(request: Any, *, kind: bytes = HTML) -> None:
    """Set the headers of every response."""
    for name, value in (
        (b"content-type", kind),
        (b"content-security-policy", POLICY),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ):
        request.setHeader(name, value)


class NotThere(DeliveryError):
    """The page does not exist."""

    status = 404


class NotTaken(DeliveryError):
    """A form is invalid."""

    status = 400


class Forms:
    """The form token of this process, and its verification."""

    def __init__(self) -> None:
        self.token = token_urlsafe(32)

    def read(self, request: Any) -> Fields:
        """The fields of a form.

        :raises CrossSiteRequest: a page of another site sent it, or its origin is not known.
        :raises NotTaken: the form lacks the token.
        """
        headers = request.requestHeaders
        if not (headers.hasHeader(b"sec-fetch-site") or headers.hasHeader(b"origin")):
            raise CrossSiteRequest("send this form with a browser, from the page itself")
        refuse_cross_site(request)
        request.content.seek(0)
        try:
            fields = fields_of(request.content.read())
        except ValueError:
            raise NotTaken("the form has too many fields") from None
        given = fields.get("token", [""])[-1]
        if not compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise CrossSiteRequest(
                "the form is from before a restart; go back, reload the page, and send it again"
            )
        return fields


class Page(Resource):
    """A resource that responds with HTML."""

    isLeaf = True
    methods: tuple[str, ...] = ("GET", "HEAD")

    def answer(self, request: Any) -> Any:
        """The page's HTML, or a Deferred."""
        raise NotImplementedError

    def problem(self, request: Any, status: int, message: str) -> bytes:
        """The page that shows an error."""
        raise NotImplementedError

    def render(self, request: Any) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        protect(request)
        answered: Deferred[Any] = maybeDeferred(self._checked, request)
        answered.addErrback(self._failed, request)
        answered.addCallback(_send, request, gone)
        answered.addErrback(_not_sent, request, gone)
        return NOT_DONE_YET

    def _checked(self, request: Any) -> Any:
        if request.method.decode("latin-1") not in self.methods:
            raise MethodNotAllowed(self.methods)
        return self.answer(request)

    def _failed(self, failure: Failure, request: Any) -> bytes:
        failure.trap(Exception)
        error = failure.value
        if isinstance(error, MethodNotAllowed):
            request.setHeader(b"allow", ", ".join(error.allowed).encode())
        if isinstance(error, DeliveryError):
            return self._said(request, error.status, error.message)
        if failure.check(CancelledError):
            return b""
        incident = report("a page broke", failure)
        return self._said(request, 500, f"this page broke (incident {incident}); the log says why")

    def _said(self, request: Any, status: int, message: str) -> bytes:
        request.setResponseCode(status)
        return self.problem(request, status, message)


def _not_sent(failure: Failure, request: Any, gone: list[Failure]) -> None:
    incident = report("a page could not be sent", failure)
    if not gone:
        request.setResponseCode(500)
        protect(request, kind=b"text/plain; charset=utf-8")
        request.write(f"this page broke (incident {incident}); the log says why\n".encode())
        request.finish()


def _send(html: bytes, request: Any, gone: list[Failure]) -> None:
    if gone:
        return
    request.setHeader(b"content-length", b"%d" % len(html))
    if request.method != b"HEAD":
        request.write(html)
    request.finish()


__all__ = ["Forms", "NotTaken", "NotThere", "Page", "protect"]

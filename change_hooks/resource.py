"""The twisted.web shell: dispatch by path, limits, and answers.

Strategy: an :class:`Endpoint` stands between HTTP and one handler. What can be decided at once is
decided without a Deferred, since most deliveries are: the request is admitted, read into a
:class:`~change_hooks.delivery.Delivery`, given to the handler, and what the handler returns is handed
to an *intake* (a sink called inline, or the journal). Whatever goes wrong on the way is an error that
knows its status. Nothing that was sent gets into a header, and nothing but cleaned names into a body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from secrets import token_hex
from time import time
from traceback import format_tb
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.change import Change, InvalidChange, NoChange
from change_hooks.delivery import Delivery
from change_hooks.errors import (
    BodyTooLarge,
    CrossSiteRequest,
    DeliveryError,
    MethodNotAllowed,
    Unavailable,
    UnknownDialect,
)
from change_hooks.handler import as_deferred
from change_hooks.interfaces import IChangeSink

#: GitHub's own cap on a payload, in bytes.
DEFAULT_MAX_BODY = 25 * 1024 * 1024

log = Logger(namespace="change_hooks")


class Gate:
    """Counts the deliveries between their request and their answer, and closes for a shutdown."""

    def __init__(self) -> None:
        self._closed: str | None = None
        self._inside = 0
        self._empty: list[Deferred[None]] = []

    def enter(self) -> None:
        """A delivery comes in.

        :raises Unavailable: the gate is closed.
        """
        if self._closed is not None:
            raise Unavailable(f"{self._closed}; send it again later")
        self._inside += 1

    def leave(self) -> None:
        """A delivery has been answered."""
        self._inside -= 1
        if self._inside == 0:
            waiting, self._empty = self._empty, []
            for deferred in waiting:
                deferred.callback(None)

    def open(self) -> None:
        """Let deliveries in."""
        self._closed = None

    def close(self, why: str) -> Deferred[None]:
        """Refuse new deliveries. Fires when those inside have been answered.

        :param why: told to those who are refused.
        """
        self._closed = why
        if self._inside == 0:
            return succeed(None)
        deferred: Deferred[None] = Deferred()
        self._empty.append(deferred)
        return deferred


class Taken(msgspec.Struct, frozen=True):
    """What an intake made of a delivery.

    :param duplicate: it was accepted before; nothing was stored.
    :param postponed: it is stored, and its changes will be, when the handler knows them.
    """

    duplicate: bool = False
    postponed: bool = False


TAKEN = Taken()


class Intake(Protocol):
    """Takes the changes of a delivery before it is answered."""

    def in_time(self, delivery: Delivery, found: Deferred[Any]) -> Deferred[Any]:
        """Wait for a handler, but not for too long.

        :param found: fires with a list of changes.
        :returns: fires like *found*; or with a :class:`Taken`, when it does not fire in time and the delivery
            has been stored to be finished later.
        """

    def take(self, delivery: Delivery, changes: list[Change]) -> Any:
        """Take the changes.

        :returns: a :class:`Taken`, or a Deferred of it.
        :raises Unavailable: they cannot be taken now.
        """


class InlineIntake:
    """Calls a sink before the answer, one change after the other; the plain embedded resource.

    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes a change.
    """

    def __init__(self, sink: Any) -> None:
        self._call = sink_call(sink)

    def in_time(self, delivery: Delivery, found: Deferred[Any]) -> Deferred[Any]:
        """Nothing is stored, so there is no later: see :meth:`Intake.in_time`."""
        return found

    def take(self, delivery: Delivery, changes: list[Change]) -> Any:
        """See :meth:`Intake.take`."""
        remaining = iter(changes)
        try:
            for change in remaining:
                result = self._call(change, None)
                if result is not None:
                    return self._take_later(result, remaining)
        except Exception:
            raise self._refused(Failure()) from None
        return TAKEN

    def _take_later(self, first: Any, remaining: Iterable[Change]) -> Deferred[Taken]:
        @inlineCallbacks
        def one_by_one() -> Any:
            yield as_deferred(first)
            for change in remaining:
                yield as_deferred(self._call(change, None))
            return TAKEN

        return one_by_one().addErrback(self._refused_later)

    def _refused_later(self, failure: Failure) -> NoReturn:
        raise self._refused(failure)

    def _refused(self, failure: Failure) -> Unavailable:
        incident = report("the sink broke", failure)
        return Unavailable(f"the change could not be handed on (incident {incident})")


def sink_call(sink: Any) -> Callable[[Change, Any], Any]:
    """How to call a sink: its ``add_change`` with the key, or a plain callable with the change alone."""
    if IChangeSink.providedBy(sink):
        call: Callable[[Change, Any], Any] = sink.add_change
        return call
    if not callable(sink):
        raise TypeError("a sink is an IChangeSink provider, or a callable that takes one Change")
    return lambda change, key: sink(change)


def report(what: str, failure: Failure, **fields: Any) -> str:
    """Log a failure with where it happened, and give it an incident id.

    The log gets the error's own text as a literal on one line, so that nothing a sender wrote can
    forge a line.
    """
    incident = token_hex(6)
    log.error(
        "{what}: incident {incident}: {kind}: {message}\n{trace}",
        what=what,
        incident=incident,
        kind=failure.type.__name__ if failure.type is not None else "",
        message=ascii(failure.getErrorMessage()[:1000]),
        trace="".join(format_tb(failure.getTracebackObject())).rstrip(),
        **fields,
    )
    return incident


class Answer(msgspec.Struct, frozen=True):
    """What is sent back.

    :param text: for people; one line.
    :param changes: how many there were.
    """

    status: int
    text: str
    changes: int = 0
    delivery: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


def error_answer(error: DeliveryError, delivery: str | None = None) -> Answer:
    """The answer to a refused delivery."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        headers = ((b"allow", ", ".join((*error.allowed, "OPTIONS")).encode()),)
    elif isinstance(error, Unavailable):
        headers = ((b"retry-after", b"%d" % error.retry_after),)
    return Answer(error.status, error.message, delivery=delivery, headers=headers)


def wants_json(accept: bytes) -> bool:
    """True when an ``Accept`` header names JSON, and not with a weight of zero."""
    for media_range in accept.decode("latin-1").lower().split(","):
        kind, _, parameters = media_range.partition(";")
        if kind.strip() == "application/json":
            weight = parameters.replace(" ", "").removeprefix("q=")
            return not (weight and weight.strip("0.") == "")
    return False


_PLAIN = [b"text/plain; charset=utf-8"]
_JSON = [b"application/json"]
_NOSNIFF = [b"nosniff"]
_encode = msgspec.json.Encoder().encode


def write_answer(request: Any, answer: Answer) -> bytes:
    """Set status and headers of *request*, and return the body."""
    request.setResponseCode(answer.status)
    headers = request.responseHeaders
    headers.setRawHeaders(b"x-content-type-options", _NOSNIFF)
    for name, value in answer.headers:
        headers.setRawHeaders(name, [value])
    accept = request.requestHeaders.getRawHeaders(b"accept")
    if accept is not None and wants_json(accept[-1]):
        headers.setRawHeaders(b"content-type", _JSON)
        fields: dict[str, Any] = {"changes": answer.changes, "message": answer.text}
        if answer.delivery is not None:
            fields["delivery"] = answer.delivery
        return _encode(fields) + b"\n"
    headers.setRawHeaders(b"content-type", _PLAIN)
    return answer.text.encode("utf-8", "replace") + b"\n"


class Refusal(Resource):
    """A resource that answers every request with one error."""

    isLeaf = True

    def __init__(self, error: DeliveryError) -> None:
        super().__init__()
        self._answer = error_answer(error)

    def render(self, request: IRequest) -> bytes:
        """See :meth:`twisted.web.resource.IResource.render`."""
        return write_answer(request, self._answer)


NOT_FOUND = UnknownDialect("no such dialect is enabled here (change_hook_dialects)")


class Endpoint(Resource):
    """One dialect at one address.

    :param name: the URL's segment, and the ``dialect`` of its deliveries.
    :param handler: an :class:`~change_hooks.interfaces.IHookHandler`, or a class instance of the same form.
    :param intake: where the changes go before the answer.
    :param gate: counts what is in flight.
    :param max_body: the largest body taken, in bytes.
    """

    def __init__(self, name: str, handler: Any, intake: Intake, gate: Gate, max_body: int) -> None:
        super().__init__()
        self.name = name
        self.handler = handler
        self.retired = False
        self._intake = intake
        self._gate = gate
        self._max_body = max_body
        self._delivery_id: Callable[[Delivery], str | None] = getattr(handler, "delivery_id", lambda _: None)
        self.methods: tuple[str, ...] = tuple(getattr(handler, "methods", ("POST",)))
        self._taken_methods = frozenset(method.encode() for method in self.methods)
        self._signed = bool(getattr(handler, "signed", False))

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """Only the address itself, with or without a slash at its end."""
        return self if path == b"" and not request.postpath else Refusal(NOT_FOUND)

    def render(self, request: Any) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        method = request.method
        if method == b"OPTIONS" or (method == b"HEAD" and "GET" in self.methods):
            return self._describe(request)
        started = time()
        try:
            self._admit(request)
            delivery = Delivery.from_request(request, dialect=self.name, received=started)
            self._gate.enter()
        except DeliveryError as error:
            return self._refuse(request, error)
        answer = self._process(delivery)
        if isinstance(answer, Deferred):
            return self._answer_later(request, delivery, answer, started)
        self._gate.leave()
        self._log(request, delivery, answer, started)
        return write_answer(request, answer)

    def _describe(self, request: Any) -> bytes:
        allowed = list(self.methods)
        if "GET" in allowed:
            allowed.append("HEAD")
        request.setResponseCode(204)
        request.setHeader(b"allow", ", ".join([*allowed, "OPTIONS"]).encode())
        return b""

    def _admit(self, request: Any) -> None:
        if self.retired:
            raise Unavailable("the configuration has just changed; send it again", retry_after=1)
        if request.method not in self._taken_methods:
            raise MethodNotAllowed((*self.methods, "HEAD") if "GET" in self.methods else self.methods)
        if not self._signed:
            refuse_cross_site(request)
        request.content.seek(0, 2)
        if request.content.tell() > self._max_body:
            raise BodyTooLarge(self._max_body)

    def _process(self, delivery: Delivery) -> Any:
        """The answer, or a Deferred of it; never fails."""
        try:
            delivery.stamp(safe_id(self._delivery_id(delivery)))
            result = self.handler.getChanges(delivery)
            if result.__class__ is tuple:
                return self._take(delivery, normal_changes(result))
        except Exception:
            return self._failed(Failure(), delivery)
        found = as_deferred(result).addCallback(normal_changes)
        later = self._intake.in_time(delivery, found)
        later.addCallback(lambda done: self._take(delivery, done))
        later.addErrback(self._failed, delivery)
        return later

    def changes_again(self, delivery: Delivery) -> Deferred[list[Change]]:
        """The changes of a delivery that came to this endpoint before, from the handler as it is now."""
        try:
            return as_deferred(self.handler.getChanges(delivery)).addCallback(normal_changes)
        except Exception:
            return fail(Failure())

    def _take(self, delivery: Delivery, found: list[Change] | Taken) -> Any:
        if isinstance(found, Taken):
            return self._taken(found, delivery, 0)
        if not found:
            reason = found.reason if isinstance(found, NoChange) else ""
            return Answer(202, f"no change found{': ' + reason if reason else ''}", 0, delivery.id)
        taken = self._intake.take(delivery, found)
        if isinstance(taken, Deferred):
            return taken.addCallbacks(
                self._taken, self._failed, callbackArgs=(delivery, len(found)), errbackArgs=(delivery,)
            )
        return self._taken(taken, delivery, len(found))

    def _taken(self, taken: Taken, delivery: Delivery, count: int) -> Answer:
        if taken.duplicate:
            return Answer(202, f"duplicate of {delivery.id}", 0, delivery.id)
        if taken.postponed:
            return Answer(202, "accepted; its changes are still being looked up", 0, delivery.id)
        return Answer(202, "1 change found" if count == 1 else f"{count} changes found", count, delivery.id)

    def _failed(self, failure: Failure, delivery: Delivery) -> Answer:
        error = failure.value
        if isinstance(error, DeliveryError):
            return error_answer(error, delivery.id)
        incident = report(f"the handler of {self.name} broke", failure, delivery=delivery.id)
        if isinstance(error, ValueError) and not isinstance(error, InvalidChange):
            # Handlers made for Buildbot refuse a delivery with a ValueError; its text may be the sender's.
            return Answer(400, f"the handler refuses this delivery (incident {incident})", 0, delivery.id)
        return Answer(500, f"the handler broke (incident {incident}); the log says why", 0, delivery.id)

    def _answer_later(self, request: Any, delivery: Delivery, later: Deferred[Any], started: float) -> Any:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        later.addCallback(self._send, request, delivery, started, gone)
        return NOT_DONE_YET

    def _send(
        self, answer: Answer, request: Any, delivery: Delivery, started: float, gone: list[Failure]
    ) -> None:
        try:
            self._log(request, delivery, answer, started)
            if not gone:
                request.write(write_body_headers(request, answer))
                request.finish()
        except Exception:
            report("an answer could not be sent", Failure())
        finally:
            self._gate.leave()

    def retire(self) -> None:
        """Take nothing more; another configuration has replaced this one."""
        self.retired = True

    def _refuse(self, request: Any, error: DeliveryError) -> bytes:
        self._log(request, None, error_answer(error), time())
        return write_answer(request, error_answer(error))

    def _log(self, request: Any, delivery: Delivery | None, answer: Answer, started: float) -> None:
        now = time()
        # What Logger.info makes, without its way there: this is the one line for every delivery.
        log.observer(
            {
                "log_logger": log,
                "log_level": LogLevel.info,
                "log_namespace": log.namespace,
                "log_source": None,
                "log_format": "{dialect} {delivery} from {client}: {status} {text} ({seconds:.3f} s)",
                "log_time": now,
                "dialect": self.name,
                "delivery": "-" if delivery is None else delivery.id,
                "client": getattr(request.client, "host", "-"),
                "status": answer.status,
                "text": answer.text,
                "changes": answer.changes,
                "seconds": now - started,
            }
        )


def write_body_headers(request: Any, answer: Answer) -> bytes:
    """Like :func:`write_answer`, with the length of the body as a header."""
    body = write_answer(request, answer)
    request.setHeader(b"content-length", b"%d" % len(body))
    return body


def normal_changes(result: Any) -> list[Change]:
    """What a handler returned, as changes; an empty list as it is, since it may say why.

    :raises InvalidChange: one of them is none.
    """
    found, src = result
    if not found:
        return found if isinstance(found, NoChange) else []
    if found.__class__ is list:
        for change in found:
            if change.__class__ is not Change or change.src is None:
                break
        else:
            return found
    return [normal_change(change, src) for change in found]


def normal_change(found: Any, src: str | None) -> Change:
    """A :class:`~change_hooks.change.Change` of what a handler returned, with its *src*.

    :raises InvalidChange: it is none.
    """
    if isinstance(found, Change):
        change = found
    elif isinstance(found, Mapping):
        change = Change.from_mapping(found)
    else:
        raise InvalidChange("-", f"expected a mapping or a Change, got {type(found).__name__}")
    if src is not None and change.src is None:
        return change.with_src(src)
    return change


def safe_id(sent: str | None) -> str:
    """A delivery id that can be shown, logged and stored: the sender's, a digest of one that is long
    or strange, or a new one when there is none.
    """
    if not sent:
        return token_hex(16)
    if _SAFE_ID.fullmatch(sent):
        return sent
    return "sha256:" + sha256(sent.encode("utf-8", "replace")).hexdigest()


_SAFE_ID = re.compile(r"[A-Za-z0-9_.:{}+=/-]{1,200}")


def refuse_cross_site(request: Any) -> None:
    """Refuse what a browser sends on behalf of another site's page.

    :raises CrossSiteRequest: the browser says so, or the request's ``Origin`` is not its ``Host``.

    Source: Fetch Metadata Request Headers, "Sec-Fetch-Site"; Fetch, "Origin header".
    """
    headers = request.requestHeaders
    site = headers.getRawHeaders(b"sec-fetch-site")
    if site and site[-1].strip().lower() == b"cross-site":
        raise CrossSiteRequest("a page of another site may not send this")
    origin = headers.getRawHeaders(b"origin")
    if origin:
        host = headers.getRawHeaders(b"host", [b""])[-1]
        if _authority(origin[-1]) != host.strip().lower():
            raise CrossSiteRequest("a page of another site may not send this")


def _authority(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.strip().lower()).netloc
    except ValueError:
        return b""


class ChangeHookResource(Resource):
    """What is mounted at ``change_hook``: a child for each dialect; the address itself is ``base``.

    :param endpoints: the resources of the dialects, by name: an :class:`Endpoint`, or one wrapped in
        what asks for a password.
    """

    def __init__(self, endpoints: Mapping[str, IResource]) -> None:
        super().__init__()
        self._endpoints = {name.encode(): endpoint for name, endpoint in endpoints.items()}

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """The endpoint whose name is exactly *path*."""
        if path == b"" and not request.postpath:
            path = b"base"
        return self._endpoints.get(path) or Refusal(NOT_FOUND)

    def render(self, request: IRequest) -> Any:
        """The address without a dialect means ``base``."""
        return (self._endpoints.get(b"base") or Refusal(NOT_FOUND)).render(request)


__all__ = [
    "DEFAULT_MAX_BODY",
    "TAKEN",
    "Answer",
    "ChangeHookResource",
    "Endpoint",
    "Gate",
    "InlineIntake",
    "Intake",
    "Refusal",
    "Taken",
    "normal_changes",
    "report",
    "sink_call",
]

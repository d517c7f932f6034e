"""The twisted.web shell: dispatch by path, limits, and answers.

Strategy: an :class:`Endpoint` stands between HTTP and one handler. What can be decided at once is
decided without a Deferred, since most deliveries are: the request is admitted, read into a
:class:`~change_hooks.core.delivery.Delivery`, given to the handler, and what the handler returns is handed
to an *intake* (a sink called inline, or the journal). Whatever goes wrong on the way is an error that
knows its status. Nothing that was sent gets into a header, and nothing but cleaned names into a body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_hex
from time import time
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.core.change import Change, InvalidChange, NoChange
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import (
    BodyTooLarge,
    DeliveryError,
    MethodNotAllowed,
    Unavailable,
    UnknownDialect,
)
from change_hooks.flow import as_deferred
from change_hooks.incidents import report
from change_hooks.intake.receipt import Intake, Taken
from change_hooks.web.admission import Gate, refuse_cross_site
from change_hooks.web.answers import Answer, Refusal, error_answer, write_answer, write_body_headers

#: GitHub's own cap on a payload, in bytes.
DEFAULT_MAX_BODY = 25 * 1024 * 1024

log = Logger()


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
    """A :class:`~change_hooks.core.change.Change` of what a handler returned, with its *src*.

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


__all__ = ["DEFAULT_MAX_BODY", "ChangeHookResource", "Endpoint", "normal_changes"]

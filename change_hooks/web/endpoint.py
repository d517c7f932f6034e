"""One dialect at one URL: from a request to its response.

Strategy: a delivery is processed in one straight line, :meth:`Endpoint._line`: admit, verify, find (the
handler: parse, enrich, decide), accept (the intake), answer. Every failure on the way is an error that has a
status. Nothing that was sent gets into a response header, and only cleaned names into a response body.
"""

from __future__ import annotations

from collections.abc import Collection
from time import time
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.core.change import InvalidChange
from change_hooks.core.delivery import ClientAddress, Delivery, Verification
from change_hooks.core.errors import (
    BodyTooLarge,
    DeliveryError,
    MethodNotAllowed,
    NotAuthenticated,
    Unavailable,
)
from change_hooks.core.found import About, Found, normal_changes
from change_hooks.core.known_ids import known_id
from change_hooks.core.options import Allow
from change_hooks.core.shown import short_name
from change_hooks.core.stored import ALL
from change_hooks.dialects.handler import HookHandler
from change_hooks.flow import Steps, as_deferred, is_later, proceed
from change_hooks.incidents import report
from change_hooks.intake.receipt import Intake, Receipt, ignored
from change_hooks.journal import Trace
from change_hooks.observer import NOBODY, Answered, Observer
from change_hooks.web.admission import Gate, refuse_cross_site, refuse_encoding, refuse_foreign_host
from change_hooks.web.answers import (
    NOT_FOUND,
    Answer,
    Refusal,
    error_answer,
    write_answer,
    write_answer_with_length,
)
from change_hooks.web.delivery_ids import UNVERIFIED, safe_id
from change_hooks.web.room import SMALL
from change_hooks.web.senders import Allowed, Rate
from change_hooks.web.tracing import Tracer, no_trace, telling

#: How long a user's callable may take to return a secret, in seconds.
SECRET_WITHIN = 4.0

EVERYWHERE = Allowed(Allow())
AGAIN = "'change-hooks replay' processes it again"

log = Logger()


class Endpoint(Resource):
    """One dialect at one URL.

    :param name: the segment in the URL, and the ``dialect`` of its deliveries.
    :param handler: an :class:`~change_hooks.interfaces.IHookHandler`, or an object with the same methods.
    :param intake: accepts the changes before the response.
    :param gate: counts the deliveries in flight.
    :param max_body: the largest body accepted, in bytes.
    :param clock: the reactor, or a clock in tests.
    :param protected: HTTP Basic authentication protects the endpoint.
    :param signatures: store signatures over bodies.
    :param hosts: see :func:`~change_hooks.web.admission.refuse_foreign_host`.
    :param allowed: the addresses from which deliveries are accepted.
    :param rate: limits unverified requests.
    :param observer: notified of each response.
    :param tracer: keeps a trace of each request without changes.
    """

    def __init__(
        self,
        name: str,
        handler: Any,
        intake: Intake,
        gate: Gate,
        max_body: int,
        *,
        clock: IReactorTime,
        protected: bool = False,
        signatures: bool = False,
        hosts: Collection[str] = (),
        allowed: Allowed = EVERYWHERE,
        rate: Rate | None = None,
        observer: Observer = NOBODY,
        tracer: Tracer = no_trace,
    ) -> None:
        super().__init__()
        self.name = name
        self.handler = handler
        self.retired = False
        self._intake = intake
        self._gate = gate
        self._max_body = max_body
        self._clock = clock
        self._hosts = hosts
        self._senders = allowed
        self._rate = rate or Rate(None, clock)
        self._observer = observer
        self._tracer = tracer
        self._refusals = telling(tracer, observer)
        self._unverified: Verification = "password" if protected else "none"
        self._ours = handler if isinstance(handler, HookHandler) else None
        self._others = not type(handler).__module__.startswith("change_hooks.")
        self._broken = 500 if self._ours is None else self._ours.broken
        stored = ALL if self._ours is None else self._ours.stored()
        self._stored = msgspec.structs.replace(stored, signatures=signatures)
        self.methods: tuple[str, ...] = tuple(getattr(handler, "methods", ("POST",)))
        self._allowed = frozenset(method.encode() for method in self.methods)
        self._signed = self._ours is not None and self._ours.signed
        self._can_verify = self._ours is not None and self._ours.can_verify

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """The endpoint itself, for its own URL with or without trailing slashes; it has no other children."""
        return self if path == b"" else Refusal(NOT_FOUND, self._refusals, self.name)

    def render(self, request: Any) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        method = request.method
        if method == b"OPTIONS" or (method == b"HEAD" and "GET" in self.methods):
            return self._describe(request)
        started = time()
        try:
            delivery = self._admit(request, started)
        except DeliveryError as error:
            return self.refuse(request, error)
        answer_to_come = proceed(self._line(delivery))
        if is_later(answer_to_come):
            gone: list[Failure] = []
            request.notifyFinish().addErrback(gone.append)
            answer_to_come.addCallback(self._send, request, started, gone)
            return NOT_DONE_YET
        self._gate.leave()
        delivery, answer = answer_to_come
        self._record(request, delivery, answer, started)
        return write_answer(request, answer)

    def early_answer(self, request: Any) -> bytes | None:
        """The response to a request whose body has not arrived; None: the body is needed.

        Called by :mod:`change_hooks.web.front`; other sites pass complete requests to a resource.

        :param request: its ``length`` is that of the body, None if the body is sent in chunks.
        """
        if request.method in (b"OPTIONS", b"HEAD"):
            return None
        try:
            self._admit_head(request)
            if self._ours is not None and (request.length is None or request.length > SMALL):
                self._ours.check_head(
                    Delivery(request.method, request.uri, request.requestHeaders, b"", received=time())
                )
        except DeliveryError as error:
            return self.refuse(request, error)
        return None

    def refuse(self, request: Any, error: DeliveryError) -> bytes:
        """Respond with an error, and record that."""
        answer = error_answer(error)
        self._record(request, None, answer, time())
        return write_answer(request, answer)

    def _describe(self, request: Any) -> bytes:
        allowed = list(self.methods)
        if "GET" in allowed:
            allowed.append("HEAD")
        request.setResponseCode(204)
        request.responseHeaders.removeHeader(b"server")
        request.setHeader(b"allow", ", ".join([*allowed, "OPTIONS"]).encode())
        return b""

    def _admit_head(self, request: Any) -> None:
        if self.retired:
            raise Unavailable("the configuration has just changed; send it again", retry_after=1)
        self._senders.check(request.getClientAddress())
        if request.method not in self._allowed:
            raise MethodNotAllowed((*self.methods, "HEAD") if "GET" in self.methods else self.methods)
        if not self._signed:
            refuse_cross_site(request)
            if self._unverified == "none":
                refuse_foreign_host(request, self._hosts)
        refuse_encoding(request)

    def _admit(self, request: Any, now: float) -> Delivery:
        """Make a delivery from a request, and admit it through the gate."""
        self._admit_head(request)
        if _size(request) > self._max_body:
            raise BodyTooLarge(self._max_body)
        delivery = Delivery.from_request(request, dialect=self.name, received=now, stored=self._stored)
        self._gate.enter()
        return delivery

    def _line(self, delivery: Delivery) -> Steps[tuple[Delivery, Answer]]:
        """Process a delivery that has been admitted. Never raises."""
        try:
            delivery = yield from self._counted(delivery)
            receipt = self._accept(delivery)
            if is_later(receipt):
                receipt = yield receipt
            return delivery, self._answer(receipt, delivery)
        except GeneratorExit:
            raise  # Nobody waits for it any more.
        except BaseException as error:
            return delivery, self._refused(error, delivery)

    def _counted(self, delivery: Delivery) -> Steps[Delivery]:
        """The verified delivery. The rate limit counts only unverified requests.

        :raises TooManyRequests: there were too many from this address.
        """
        try:
            verified = yield from self._verify(delivery)
        except NotAuthenticated:
            self._rate.count(delivery.client)
            raise
        if (verified.verification or self._unverified) == "none":
            self._rate.count(delivery.client)
        return verified

    def _verify(self, delivery: Delivery) -> Steps[Delivery]:
        """The delivery with its id, and with how its sender was verified."""
        if self._ours is None:
            name, handler = safe_id(known_id(delivery)), self.handler
            return delivery.replace(id=name, verification=self._unverified, verifier=handler)
        verified = proceed(self._ours.verified(delivery))
        if is_later(verified):
            try:
                verified = yield verified.addTimeout(SECRET_WITHIN, self._clock)
            except DeferredTimeout:
                raise Unavailable("verifying the sender takes too long; send it again") from None
        if not self._can_verify and self._ours.claims_signature(verified):
            self._observer.signature_unchecked(self.name)
        sent = self._ours.identified(verified)
        if is_later(sent):
            sent = yield sent
        name = safe_id(sent or (known_id(verified) if self._others else None))
        if (verified.verification or self._unverified) == "none" and self._can_verify:
            name = UNVERIFIED + name
        digest = self._ours.digest(verified)
        if is_later(digest):
            digest = yield digest
        return verified.replace(id=name, digest=digest, verifier=self._ours)

    def _accept(self, delivery: Delivery) -> Receipt | Deferred[Receipt]:
        found = self.found(delivery)
        if is_later(found):
            return self._intake.accept_late(delivery, found)
        return self._intake.accept(delivery, found) if found else ignored(found)

    def found(self, delivery: Delivery) -> Found | Deferred[Found]:
        """What the current handler finds in a verified delivery."""
        result = self.handler.getChanges(delivery)
        return as_deferred(result).addCallback(normal_changes) if is_later(result) else normal_changes(result)

    def _answer(self, receipt: Receipt, delivery: Delivery) -> Answer:
        if receipt.outcome == "duplicate":
            text = f"duplicate of {receipt.id or delivery.id}, which was accepted before; {AGAIN}"
        elif receipt.outcome == "postponed":
            text = "accepted; its changes are still being looked up"
        elif receipt.outcome == "ignored":
            text = f"no change found{': ' + receipt.reason if receipt.reason else ''}"
        else:
            text = "1 change found" if receipt.changes == 1 else f"{receipt.changes} changes found"
        outcome: Answered = "accepted" if receipt.outcome == "postponed" else receipt.outcome
        return Answer(
            202,
            text,
            receipt.changes,
            receipt.id or delivery.id,
            outcome=outcome,
            reason=receipt.reason,
            about=receipt.about,
        )

    def _refused(self, error: BaseException, delivery: Delivery) -> Answer:
        if isinstance(error, DeliveryError):
            return error_answer(error, delivery.id)
        if isinstance(error, RecursionError):
            return Answer(400, "the payload is nested too deeply", 0, delivery.id)
        incident = report(f"the handler of {self.name} broke", Failure(error), delivery=delivery.id)
        if isinstance(error, ValueError) and not isinstance(error, InvalidChange):
            # Handlers written for Buildbot refuse a delivery with a ValueError, which may quote the sender.
            return Answer(400, f"the handler refuses this delivery (incident {incident})", 0, delivery.id)
        text = f"the handler broke (incident {incident}); the log says why"
        headers = ((b"retry-after", b"30"),) if self._broken == 503 else ()
        return Answer(self._broken, text, 0, delivery.id, headers, outcome="broken")

    def _send(
        self, answered: tuple[Delivery, Answer], request: Any, started: float, gone: list[Failure]
    ) -> None:
        delivery, answer = answered
        try:
            self._record(request, delivery, answer, started)
            if not gone:
                request.write(write_answer_with_length(request, answer))
                request.finish()
        except Exception:
            report("a response could not be sent", Failure())
        finally:
            self._gate.leave()

    def _trace(self, request: Any, delivery: Delivery | None, answer: Answer, started: float) -> None:
        """Keep a trace of a request without changes. Content is kept only if it was verified."""
        about = answer.about
        given = "" if delivery is None else delivery.id or self._claimed(delivery)
        ignored = answer.outcome == "ignored"
        self._tracer(
            Trace(
                dialect=self.name,
                received=started,
                status=answer.status,
                state="ignored" if ignored else "refused",
                reason=answer.reason if ignored else answer.text,
                event=about.event,
                repository=about.repository,
                branch=about.branch,
                author=about.author,
                client=ClientAddress.of(request.getClientAddress()).host,
                delivery=given,
                bytes=_size(request) if delivery is None else len(delivery.body),
                verification="none" if delivery is None else delivery.verification or "none",
            )
        )

    def _claimed(self, delivery: Delivery) -> str:
        """The id that an unverified delivery claims; its body is not read."""
        claimed = None if self._ours is None else self._ours.claimed_id(delivery)
        return safe_id(claimed) if claimed else ""

    def retire(self) -> None:
        """Accept nothing more, since another configuration has replaced this one."""
        self.retired = True

    def _record(self, request: Any, delivery: Delivery | None, answer: Answer, started: float) -> None:
        seconds = time() - started
        about = answer.about
        self._observer.delivery_answered(self.name, about.event, answer.outcome, seconds, answer.changes)
        if answer.outcome not in _STORED:
            self._trace(request, delivery, answer, started)
        log.emit(
            LogLevel.info if answer.status < 400 else LogLevel.warn,
            "{dialect} {delivery} from {client}: {status} {text} ({seconds:.3f} s){place}",
            dialect=self.name,
            delivery="-" if delivery is None else delivery.id or "-",
            client=getattr(request.client, "host", "-"),
            status=answer.status,
            text=answer.text,
            changes=answer.changes,
            seconds=seconds,
            place=_place(about),
            repository=about.repository,
            branch=about.branch,
        )


#: The outcomes of requests that are stored, or counted on a stored delivery.
_STORED = frozenset({"accepted", "duplicate"})


def _place(about: About) -> str:
    """What a request is about, for the end of a log line."""
    repository, branch = short_name(about.repository), short_name(about.branch)
    if repository and branch:
        return f": {repository} {branch}"
    return f": {repository or branch}" if repository or branch else ""


def _size(request: Any) -> int:
    """The length of the body as received, in bytes."""
    size: int = request.content.seek(0, 2)
    return size


__all__ = ["Endpoint"]

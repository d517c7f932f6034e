"""What every dialect shares: options, and the way from a delivery to changes.

Strategy: :class:`EventHandler` fixes the order in which a delivery is looked at. The proof comes first,
over the raw bytes; then the event's name; then the payload, decoded straight to the shape that the
event's method asks for; and after the method, what the user's options say about every change alike.
A dialect fills in the steps.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, wraps
from time import time
from typing import Any, ClassVar, TypeVar

import msgspec
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from change_hooks.core.change import MISSING, Change, NoChange
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, ConfigurationError, SignatureMismatch
from change_hooks.core.options import ForgeOptions, Options, nearest, option_names, read_options
from change_hooks.core.payload import convert, decode, expect_mapping, json_text
from change_hooks.core.select import is_skipped, listed_properties, matches
from change_hooks.core.verification import as_secrets, verify_hmac
from change_hooks.flow import then
from change_hooks.interfaces import IHookHandler

#: More changes than any forge puts into one delivery; a delivery with more is refused, because
#: working through it would hold the reactor.
MAX_CHANGES = 20_000
#: A body of more bytes is checked in a thread: it would hold the reactor.
LARGE = 2 * 1024 * 1024
#: How many names of events are remembered with their methods.
REMEMBERED_EVENTS = 64

Changes = tuple[list[Any], "str | None"]


def check_options(handler: type, written: Any, *, protected: bool = False) -> tuple[list[str], list[str]]:
    """What is wrong, and what is doubtful, in what a user wrote for a handler class.

    :param protected: HTTP Basic authentication stands before it.

    A class that declares ``Options`` in its own body takes no others. One that does not may read
    names of its own, so an unknown one is doubtful, unless it looks like a mistyped known one.
    """
    if not issubclass(handler, HookHandler) or handler.Options is None:
        return [], []
    declared = handler.Options
    _, problems, unknown = read_options(declared, written if isinstance(written, Mapping) else {})
    doubts: list[str] = []
    names = option_names(declared)
    for name in unknown:
        message = f"unknown option {name!r}{nearest(name, names)}"
        certain = "Options" in vars(handler) or get_close_matches(name, names, 1, 0.8)
        (problems if certain else doubts).append(message)
    problems += handler.conflicts(written if isinstance(written, Mapping) else {})
    return problems, doubts + handler.doubts(written if isinstance(written, Mapping) else {}, protected)


# Handlers -----------------------------------------------------------------------------------------


@implementer(IHookHandler)
class HookHandler:
    """The base of every handler class.

    :param master: what the embedding program passes as *master*; in Buildbot, the master.
    :param options: what the user wrote for this dialect; True and None mean no options.
    :raises ConfigurationError: an option that the class declares is wrong, or one is unknown.
    """

    #: The options that the class takes, a subclass of :class:`Options`; None: it reads them itself.
    Options: ClassVar[type[Options] | None] = None
    #: The HTTP methods that the dialect takes.
    methods: tuple[str, ...] = ("POST",)
    #: The header with the hexadecimal HMAC-SHA256 of the body, and what stands before the digits.
    signature_header: ClassVar[str] = "X-Hub-Signature"
    signature_prefix: ClassVar[str] = "sha256="
    #: A treq ``HTTPClient`` for requests to the forge; set by the resource.
    http: Any = None
    #: The reactor, or a clock in tests; set by the resource.
    clock: Any = None
    #: The :class:`~change_hooks.interfaces.IPoller` providers of the host; set by the resource.
    pollers: Any = ()
    #: HTTP Basic authentication stands before it; set by the resource.
    protected: bool = False

    def __init__(self, master: Any, options: Any) -> None:
        self.master = master
        self.options: Mapping[str, Any] = options if isinstance(options, Mapping) else {}
        self.settings: Any = None
        if self.Options is not None:
            problems, _ = check_options(type(self), self.options)
            if problems:
                raise ConfigurationError(problems)
            self.settings = read_options(self.Options, self.options)[0]

    def getChanges(self, request: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        raise NotImplementedError(f"{type(self).__name__}.getChanges")

    @property
    def signed(self) -> bool:
        """True when every delivery is proved genuine by a signature or token before it is read."""
        return bool(getattr(self.settings, "secret", None))

    def check(self, delivery: Delivery, secrets: tuple[bytes, ...]) -> None:
        """Prove that one of *secrets* was used. Not called without any, and for a large body
        (:data:`LARGE`) in a thread.

        :raises ProofError: it was not.
        """
        verify_hmac(
            delivery.body,
            delivery.getHeader(self.signature_header.encode("ascii")),
            secrets,
            prefix=self.signature_prefix,
        )

    def prove(self, delivery: Delivery) -> Any:
        """Prove who sent a delivery, when the option ``secret`` says how, and mark it.

        :returns: None, or a Deferred when the secret has to be fetched, or the body is large.
        :raises ProofError: it is not genuine.
        """
        known = getattr(self.settings, "secret", None)
        if known and not delivery.verified:
            if callable(known):
                return then(known(delivery), partial(self._check_found, delivery))
            return self._check(delivery, known)
        delivery.mark_verified()
        return None

    def _check(self, delivery: Delivery, secrets: tuple[bytes, ...]) -> Any:
        if len(delivery.body) > LARGE:
            return deferToThread(self.check, delivery, secrets).addCallback(
                lambda _: delivery.mark_verified()
            )
        self.check(delivery, secrets)
        delivery.mark_verified()
        return None

    def _check_found(self, delivery: Delivery, found: Any) -> Any:
        secrets = tuple(as_secrets(found))
        if not secrets:
            raise SignatureMismatch("there is no secret for this sender")
        return self._check(delivery, secrets)

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The sender's name for the delivery; a redelivery has the same. None: it gives none."""
        return None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong in how these options go together."""
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """What a user should be warned of: doors left open by these options.

        :param protected: HTTP Basic authentication stands before it.
        """
        return []


F = TypeVar("F", bound=Callable[..., Any])


class shaped:  # noqa: N801 (a decorator)
    """Declare the payload type of a ``handle_<event>`` method.

    The payload is decoded straight to it. A caller that has the payload as a mapping (a subclass that
    takes plain objects) may pass that.

    :param shape: a :class:`~change_hooks.core.payload.Shape`.
    """

    def __init__(self, shape: type) -> None:
        self.shape = shape

    def __call__(self, method: F) -> F:
        """Decorate *method*."""

        @wraps(method)
        def converting(handler: Any, payload: Any, *event: Any) -> Any:
            return method(handler, convert(payload, self.shape), *event)

        converting.shape = self.shape  # type: ignore[attr-defined]
        return converting  # type: ignore[return-value]


@dataclass(frozen=True)
class _EventMethod:
    call: Callable[..., Any]
    shape: Any
    takes_event: bool


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]")
_NOT_ECHOED = re.compile(r"[^A-Za-z0-9_.: /-]")


def method_name(event: str) -> str:
    """The name of the method for an event: ``pr:opened`` is handled by ``handle_pr_opened``."""
    return "handle_" + _NOT_IN_NAMES.sub("_", event)


def printable(event: str) -> str:
    """An event's name, fit to be shown: nothing but letters, digits and a few marks, and short."""
    return _NOT_ECHOED.sub("?", event[:64])


class EventHandler(HookHandler):
    """The base of the forges: a delivery names its event, and a method handles it.

    Methods are called ``handle_<event>`` and take ``(payload)`` or ``(payload, event)``. *payload* is the
    decoded JSON object, or what :class:`shaped` declares. They return ``(changes, src)``, a Deferred of
    it, or are coroutines. An event without a method gives no change and is no error.
    """

    Options: ClassVar[type[Options] | None] = ForgeOptions
    #: The forge's short name: the prefix of its properties.
    forge: ClassVar[str] = ""
    #: The header that names the event.
    event_header: ClassVar[str] = ""
    #: The headers that together name the delivery.
    id_headers: ClassVar[tuple[str, ...]] = ()
    #: True when the JSON may come in the field ``payload`` of a form; and as the body itself.
    takes_form: ClassVar[bool] = False
    takes_json: ClassVar[bool] = True
    #: The version control system when a method does not say.
    src: ClassVar[str | None] = "git"

    def __init__(self, master: Any, options: Any) -> None:
        super().__init__(master, options)
        self._methods: dict[str, _EventMethod] = {}
        self._by_event: dict[str, _EventMethod] = {}
        for name in dir(type(self)):
            if name.startswith("handle_"):
                self._methods[name] = _event_method(getattr(self, name))
        self._whitelist: tuple[str, ...] = getattr(self.settings, f"{self.forge}_property_whitelist", ())
        self._plain = (
            self.settings.project is None
            and self.settings.codebase is None
            and not callable(self.settings.repository_url)
            and not self._whitelist
        )

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when nothing tells who sends."""
        if protected or options.get("secret"):
            return []
        return [
            "takes deliveries from anybody: set 'secret' (and the same on the forge), or change_hook_auth"
        ]

    # The steps, in order. A dialect overrides what is different there.

    def document(self, delivery: Delivery) -> bytes:
        """The JSON document, from the signed body.

        :raises UnsupportedContentType: the body is of another type.
        """
        return json_text(delivery, form=self.takes_form, json=self.takes_json)

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name.

        :raises BadPayload: there is none.
        """
        name = delivery.header(self.event_header)
        if not name:
            raise BadPayload("is missing; it names the event", f"header {self.event_header}")
        return name

    def property_source(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of the payload that the property whitelist is matched against."""
        return payload

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The values of :attr:`id_headers`, joined; None unless all are there."""
        values = [delivery.header(name) or "" for name in self.id_headers]
        return ":".join(values) if values and all(values) else None

    def names(self, payload: Any) -> tuple[Iterable[str | None], Iterable[str | None]]:
        """What the options ``repositories`` and ``branches`` are matched against, beside the changes' own
        ``repository``, ``project`` and ``branch``.

        :param payload: what the event's method was given.
        """
        return (), ()

    def complete(self, delivery: Delivery, payload: Any, result: Changes) -> Any:
        """Add what the payload lacks; the place for requests to the forge.

        :param payload: what the event's method was given.
        :param result: what it returned.
        :returns: the same, or a Deferred or coroutine of it.
        """
        return result

    # What the methods use.

    def skipped(self, message: str | None) -> NoChange | None:
        """No change, when the head commit's *message* matches one of the option ``skips``."""
        if is_skipped(message, self.settings.skips):
            return NoChange("the commit message asks to skip it (option 'skips')")
        return None

    def address(self, usual: str, /, **addresses: str | None) -> str:
        """The repository's address of the kind that the option ``repository_url`` names.

        :param usual: the kind used when the option does not say, or the forge does not send that kind.
        :param addresses: what the forge sent, by kind: ``https``, ``ssh``, ``html``.
        """
        wanted = self.settings.repository_url
        chosen = addresses.get(wanted) if isinstance(wanted, str) else None
        return chosen or addresses.get(usual) or next(filter(None, addresses.values()), "")

    # The way of a delivery.

    def getChanges(self, request: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`.

        Given a live ``twisted.web`` request (in a host that has no deliveries) the changes are plain
        dicts.
        """
        if isinstance(request, Delivery):
            return self._prove(request)
        return then(self._prove(Delivery.from_request(request, received=time())), as_dicts)

    def _prove(self, delivery: Delivery) -> Any:
        return then(self.prove(delivery), partial(self._read, delivery))

    def _read(self, delivery: Delivery, _: None) -> Any:
        document = self.document(delivery)
        event = self.event(delivery, document)
        method = self._by_event.get(event)
        if method is None:
            method = self._methods.get(method_name(event))
        if method is None:
            return NoChange(f"the event {printable(event)!r} is not handled"), self.src
        payload = decode(document, method.shape)
        if method.shape is Any:
            expect_mapping(payload)
        if len(self._by_event) < REMEMBERED_EVENTS:
            self._by_event[event] = method
        result = method.call(payload, event) if method.takes_event else method.call(payload)
        if result.__class__ is tuple:
            result = self.complete(delivery, payload, self._wanted(payload, result))
            if result.__class__ is tuple:
                return self._finish(delivery, document, event, result)
            return then(result, partial(self._finish, delivery, document, event))
        wanted = then(result, partial(self._wanted, payload))
        completed = then(wanted, partial(self.complete, delivery, payload))
        return then(completed, partial(self._finish, delivery, document, event))

    def _wanted(self, payload: Any, result: Changes) -> Changes:
        changes, src = result
        if len(changes) > MAX_CHANGES:
            raise BadPayload(f"more than {MAX_CHANGES} changes in one delivery")
        settings = self.settings
        if not changes or (settings.repositories is None and settings.branches is None):
            return result
        names, branches = self.names(payload)
        normal = [change if isinstance(change, Change) else Change.from_mapping(change) for change in changes]
        kept: list[Any] = normal
        if settings.repositories is not None:
            kept = [
                change
                for change in kept
                if _any_matches((change.repository, change.project, *names), settings.repositories)
            ]
            if not kept:
                return NoChange("the repository is not among those wanted (option 'repositories')"), src
        if settings.branches is not None:
            kept = [
                change
                for change in kept
                if _any_matches((*_branch_names(change.branch), *branches), settings.branches)
            ]
            if not kept:
                return NoChange("the branch is not among those wanted (option 'branches')"), src
        return kept, src

    def _finish(self, delivery: Delivery, document: bytes, event: str, result: Changes) -> Changes:
        changes, src = result
        if not changes or (self._plain and b"?" not in delivery.uri):
            return changes, src
        query = delivery.query
        payload = _Lazy(document)
        updates: dict[str, Any] = {}
        for name in ("project", "codebase"):
            chosen = _query_text(query, name)
            if chosen is None:
                chosen = getattr(self.settings, name)
                if callable(chosen):
                    chosen = chosen(payload.value)
            if chosen is not None:
                updates[name] = chosen
        properties: dict[str, Any] = {}
        if self._whitelist:
            properties = listed_properties(
                self.forge, self.property_source(event, payload.value), self._whitelist
            )
        finished: list[Any] = []
        for change in changes:
            normal = change if isinstance(change, Change) else Change.from_mapping(change)
            if properties:
                updates["properties"] = {**properties, **normal.properties}
            if callable(self.settings.repository_url):
                updates["repository"] = self.settings.repository_url(payload.value)
            finished.append(msgspec.structs.replace(normal, **updates) if updates else normal)
        return finished, src


class _Lazy:
    """The payload as plain objects, decoded when it is asked for."""

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The payload."""
        if self._value is None:
            self._value = decode(self._document, Any)
        return self._value


def _any_matches(values: Iterable[str | None], patterns: tuple[str, ...]) -> bool:
    return any(matches(value, patterns) for value in values)


def _branch_names(branch: str | None) -> tuple[str | None, ...]:
    """A ref, whole and short."""
    return (branch, (branch or "").removeprefix("refs/heads/").removeprefix("refs/tags/") or None)


def not_told(*names: str) -> dict[str, Any]:
    """The property that says that the sender told nothing of these fields."""
    return {MISSING: list(names)}


def _query_text(query: Mapping[bytes, list[bytes]], name: str) -> str | None:
    values = query.get(name.encode("ascii"))
    return values[0].decode("utf-8", "replace") if values and values[0] else None


def as_dicts(result: Changes) -> Changes:
    """The same with plain dicts, for a host that knows no :class:`~change_hooks.core.change.Change`.

    Such a host takes the version control system beside the changes, and in them not.
    """
    changes, src = result
    dicts: list[Any] = []
    for change in changes:
        if isinstance(change, Change):
            fields = change.as_dict()
            src = src or fields["src"]
            del fields["src"]
            dicts.append(fields)
        else:
            dicts.append(change)
    return dicts, src


def _event_method(method: Callable[..., Any]) -> _EventMethod:
    kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
    positional = sum(kind in _POSITIONAL for kind in kinds)
    shape = getattr(method, "shape", Any)
    # A payload that was decoded to the shape needs no conversion.
    direct = method if shape is Any else partial(method.__wrapped__, method.__self__)  # type: ignore[attr-defined]
    return _EventMethod(
        call=direct,
        shape=shape,
        takes_event=positional > 1 or inspect.Parameter.VAR_POSITIONAL in kinds,
    )


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

__all__ = [
    "EventHandler",
    "HookHandler",
    "as_dicts",
    "check_options",
    "not_told",
    "shaped",
]

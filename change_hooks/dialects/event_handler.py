"""The base of the forges' handlers: from a delivery to what it reports.

Strategy: the order of the steps is fixed here. Verification comes first, over the raw bytes; then the event's
name; then the payload, decoded straight to the shape that the event's method declares. The method returns
what the forge reported, as neutral events. The forge's :class:`~change_hooks.interfaces.Enricher` looks up
what they lack, and :class:`~change_hooks.core.policy.Policy` applies the user's options to them. A dialect
fills in the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from typing_extensions import TypeVar

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, ConfigurationError
from change_hooks.core.events import Action, Comment, Event, PullRequest, RefUpdate
from change_hooks.core.fetched import events_in, is_fetched
from change_hooks.core.found import About, Found, is_pair, normal_changes
from change_hooks.core.opened import opened_as
from change_hooks.core.options import ForgeOptions, Options
from change_hooks.core.payload import json_text
from change_hooks.core.policy import Policy
from change_hooks.core.screening import Kept
from change_hooks.core.stored import Stored
from change_hooks.core.style import Style
from change_hooks.core.verdicts import Verdict
from change_hooks.dialects.asking import without_effect
from change_hooks.dialects.handler import Answer, HookHandler, Request, apart, is_large
from change_hooks.dialects.lookups import Lookups
from change_hooks.dialects.methods import PREFIX, Method, method_name, printable
from change_hooks.dialects.overrides import refuse_unused
from change_hooks.dialects.source import (
    NOTHING_LISTED,
    DeliverySource,
    Whitelist,
    as_dicts,
    payload_of,
)
from change_hooks.flow import Steps, is_later, proceed
from change_hooks.plugins import FORGE_GROUPS, installed

if TYPE_CHECKING:
    from twisted.web.iweb import IRequest

    from change_hooks.interfaces import Enricher, ForgeApi

Forge = TypeVar("Forge", bound=ForgeOptions, default=ForgeOptions)
#: The result of a handler written for Buildbot: changes, and the version control system.
Changes = tuple[Sequence["Change | Mapping[str, Any]"], "str | None"]
#: The result of a method.
Result = Event | Sequence[Event] | Changes


#: The steps that see the request.
_LOOKING = ("getChanges", "find", "document", "event", "delivery_id")


class EventHandler(HookHandler[Forge]):
    """The base of the forges' handlers: a delivery names its event, and a method handles it.

    Methods are called ``handle_<event>`` and take ``(payload)`` or ``(payload, event)``. *payload* is the
    decoded JSON object, or the shape that :func:`shaped` declares. They return neutral events (one, several,
    :class:`~change_hooks.core.events.Ignored`), or ``(changes, src)``, or a Deferred with one of these; they
    may also be coroutine functions. An event without a method gives no change, and is not an error.
    """

    Options: ClassVar[type[Options] | None] = ForgeOptions
    #: The forge's short name, which is also the name of its API in the group ``change_hooks.forges``.
    forge: ClassVar[str] = ""
    #: The prefix of the names of listed properties, and of the option that lists them; by default *forge*.
    prefix: ClassVar[str] = ""
    #: The header that names the event.
    event_header: ClassVar[str] = ""
    #: The headers that together identify the delivery.
    id_headers: ClassVar[tuple[str, ...]] = ()
    #: The method for events without one of their own; empty: such an event gives no change.
    otherwise: ClassVar[str] = ""
    #: Whether the JSON may be in the field ``payload`` of a form; and whether it may be the body itself.
    takes_form: ClassVar[bool] = False
    takes_json: ClassVar[bool] = True
    #: The version control system, unless a method returns another one.
    src: ClassVar[str | None] = "git"
    #: The options of every forge.
    arguments: ClassVar[tuple[str, ...] | None] = ("project", "codebase")
    #: The form of the changes.
    style: ClassVar[Style] = Style()
    #: The event under which :meth:`property_source` treats all pull requests, including those of events that
    #: a subclass passes to its method; empty: each under its own event.
    pull_event: ClassVar[str] = ""
    #: Events that always report the same action of a pull request.
    event_actions: ClassVar[Mapping[str, Action]] = {}
    #: The user's options contain functions, which must run in the reactor's thread.
    calls: bool = False
    #: Look up what a pull request lacks even without the option ``complete``.
    completes_pulls: ClassVar[bool] = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if not cls.as_upstream:
            refuse_unused(cls, cls.forge)

    def __init__(self, master: object, options: object) -> None:
        super().__init__(master, options)
        #: None of the class's code was written by a user.
        self._own = type(self).__module__.startswith("change_hooks.")
        self._methods: dict[str, Method] = {}
        for name in dir(type(self)):
            if name.startswith(PREFIX):
                self._methods[name] = Method.of(getattr(self, name))

    def take_options(self, options: object) -> None:
        """See :meth:`HookHandler.take_options`."""
        super().take_options(options)
        prefix = self.prefix or self.forge
        patterns: tuple[str, ...] = getattr(self.settings, f"{prefix}_property_whitelist", ())
        self._whitelist = Whitelist(prefix, patterns, self.property_source)
        self._policy = Policy(self.settings, self.style)
        #: The user's options read the whole payload, whatever the shape of the method.
        self._looks = self._whitelist.asks or self._policy.asks
        self._enricher: Enricher | None = None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A strict endpoint needs a secret."""
        if options.get("strict") is True and not options.get("secret"):
            return ["option 'strict' needs a 'secret', the same as at the forge"]
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn if senders are not authenticated, and of options that need an API that does not exist."""
        doubts = []
        if not (protected or options.get("secret")):
            doubts.append(
                "accepts unauthenticated deliveries: set 'secret' (the same at the forge),"
                " or change_hook_auth"
            )
        if options.get("replay") is False and not (protected or options.get("secret")):
            doubts.append("'replay': False has no effect without a 'secret': nothing is verified")
        return [*doubts, *without_effect(cls.forge, options)]

    def stored(self) -> Stored:
        """The headers that name the event and the delivery, and those that the class declares. For a class
        that reads the request itself and declares nothing, those that it has read.
        """
        declared = super().stored()
        own = (getattr(type(self), name) is not getattr(EventHandler, name) for name in _LOOKING)
        if self.headers is None and any(own):
            return declared
        named = {name.lower().encode() for name in (self.event_header, *self.id_headers) if name}
        return replace(declared, headers=frozenset(named | (declared.headers or set())))

    # The steps, in order. A dialect overrides those that are different.

    def document(self, delivery: Delivery) -> bytes:
        """The JSON document, from the signed body. Like :meth:`event`, called in a thread for a large body.

        :raises UnsupportedContentType: the body has another type.
        """
        return json_text(delivery, form=self.takes_form, json=self.takes_json)

    def opened(self, delivery: Delivery, shape: Any = Any) -> Any:
        """The JSON document in a shape, or as plain objects, which must not be changed. It is decoded once
        for each delivery. For :meth:`event` and :meth:`delivery_id` of a forge whose body names them;
        unverified bodies are not decoded.

        :raises BadPayload: the document is not valid JSON, or does not fit.
        """
        return opened_as(delivery, shape, lambda: self.document(delivery), [])

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name.

        :raises BadPayload: the event is not named.
        """
        name = delivery.header(self.event_header)
        if not name:
            raise BadPayload("is missing; it names the event", f"header {self.event_header}")
        return name

    def property_source(self, event: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        """The part of the payload that the property whitelist is matched against."""
        return payload

    async def files(self, payload: Mapping[str, object]) -> Sequence[object]:
        """The files of a pull request as the API lists them: an object for each. A subclass may leave some
        out, or return paths. They become the change's files.

        :raises NotImplementedError: this forge's files cannot be looked up in this way.
        """
        raise NotImplementedError(f"{type(self).__name__}.files")

    @property
    def _own_files(self) -> bool:
        return not type(self).files.__module__.startswith("change_hooks.")

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The values of :attr:`id_headers`, joined; None unless all are present."""
        return self.claimed_id(delivery)

    def claimed_id(self, delivery: Delivery) -> str | None:
        """See :meth:`HookHandler.claimed_id`."""
        values = [*filter(None, map(delivery.header, self.id_headers))]
        return ":".join(values) if values and len(values) == len(self.id_headers) else None

    def can_want(self, event: str) -> bool:
        """Whether an event can give a change at all, according to the class's methods and the options."""
        method = self._method_of(event)
        return method is not None and self._policy.can_want(method.reports, self.event_actions.get(event))

    @property
    def handled(self) -> list[str]:
        """The parts of its methods' names after ``handle_``."""
        return sorted(name.removeprefix(PREFIX) for name in self._methods)

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The headers of :attr:`event_header` and :attr:`id_headers`."""
        names = dict.fromkeys(self.id_headers, id)
        return {self.event_header: event, **names} if self.event_header and event else names

    @property
    def api(self) -> ForgeApi:
        """The forge's API, with the option ``token``.

        :raises ConfigurationError: there is no client for this forge's API.
        """
        forge = self._forge()
        if forge is None:
            raise ConfigurationError([f"there is no client for the API of {self.forge!r}"])
        return forge.requests

    # Processing a delivery.

    def getChanges(self, request: Request) -> Answer:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`.

        For a live ``twisted.web`` request (in a host that has no deliveries), the changes are plain dicts.
        """
        if isinstance(request, Delivery):
            return proceed(self._way(request))
        return proceed(self._hosted(request))

    def _way(self, delivery: Delivery) -> Steps[tuple[Found, str | None]]:
        if not delivery.is_verified_for(self):
            delivery = yield from self.verified(delivery)
        found = yield from self.find(delivery)
        return found, self.src

    def _hosted(self, request: IRequest) -> Steps[tuple[list[dict[str, Any]], str | None]]:
        delivery = Delivery.from_request(request, received=time(), stored=self.stored())
        found, src = yield from self._way(delivery)
        return as_dicts(found, src)

    def find(self, delivery: Delivery) -> Steps[Found]:
        """The changes of a verified delivery, or the reason why there are none.

        :raises BadPayload: the payload is not valid in this dialect.
        """
        if is_fetched(delivery):
            return self._decided_on_fetched(delivery)
        try:
            found: Found = yield from self._found(delivery)
        finally:
            delivery.forget()
        return found

    def _found(self, delivery: Delivery) -> Steps[Found]:
        large = is_large(delivery)
        named = self.named(delivery)
        document, name = (yield named) if is_later(named) else named
        method = self._method_of(name)
        if method is None:
            return Found((), _not_handled(name))
        unread: list[str] = []
        opens = self._looks or delivery.is_opened
        to_open = (delivery if opens else None, document, method.shape, unread)
        payload = (yield apart(delivery, payload_of, *to_open)) if large else payload_of(*to_open)
        if (method.shape is Any and not self._own) or not self._looks:
            # The document may be large, and a user's method may change it.
            delivery.forget()
        arguments = (payload, name) if method.takes_event else (payload,)
        # A user's code may use objects that belong to the reactor's thread.
        inside = self._own and not self.calls
        result = apart(delivery, method.call, *arguments) if large and inside else method.call(*arguments)
        if is_later(result):
            result = yield result
        source = DeliverySource(delivery, document, name, self._whitelist, unread)
        if is_pair(result):
            changes = normal_changes(result)
            if self.context.judged is not None:
                for verdicts in self._policy.verdicts_of_changes(changes):
                    self.context.judged(verdicts)
            return self._policy.select(changes, source, name) if changes else changes
        events: Sequence[Event] = result if isinstance(result, (list, tuple)) else [result]
        lacks = False
        for event in events:
            if self.pull_event and isinstance(event, PullRequest):
                source.event = self.pull_event
            lacks = lacks or (self._lacks(event) and self._policy.refusal(event) is None)
        if lacks and delivery.verification != "none":
            events = yield from self._lookups().enriched(events, source)
        if large and self._policy.asks:
            yield apart(delivery, source.read)
        elif large and self._own:
            decided: Found = yield apart(delivery, self._decided, events, source, name)
            return decided
        return self._decided(events, source, name)

    def named(self, delivery: Delivery) -> tuple[bytes, str] | Deferred[tuple[bytes, str]]:
        """The document, and the event's name."""
        return apart(delivery, self._named, delivery)

    def _named(self, delivery: Delivery) -> tuple[bytes, str]:
        document = self.document(delivery)
        return document, self.event(delivery, document)

    def _method_of(self, event: str) -> Method | None:
        methods = self._methods
        # Most events have the same name as in the method; the other names are converted first.
        return methods.get(PREFIX + event) or methods.get(method_name(event)) or methods.get(self.otherwise)

    def kept(self, about: About) -> Kept:
        """The tests of a delivery whose body was not stored."""
        kept = self._policy.kept(about)
        if not about.event:
            return kept
        refused = "" if self._method_of(about.event) is not None else _not_handled(about.event)
        verdict = Verdict("event", ("one that is handled",), (about.event,), not refused, refused)
        return replace(kept, verdicts=[verdict, *kept.verdicts])

    def _decided_on_fetched(self, delivery: Delivery) -> Found:
        """The changes of events that were found at the forge; nothing more is looked up."""
        events = events_in(delivery)
        if not events:
            return Found((), "what was pushed is gone")
        name = getattr(events[0], "name", "")
        return self._decided(events, DeliverySource(delivery, delivery.body, name, NOTHING_LISTED), name)

    def _decided(self, events: Sequence[Event], source: DeliverySource, name: str) -> Found:
        if self.context.reported is not None:
            self.context.reported(events)
        if self.context.judged is not None:
            for event in events:
                self.context.judged(self._policy.verdicts(event))
        found = self._policy.decide(events, source, name)
        if not self._own:
            # Commits made by a user's code are checked; those decoded to our own shapes are valid.
            found[:] = map(replace, found)
        return found

    def _lacks(self, event: Event) -> bool:
        """Whether there is something to look up about an event."""
        complete = self.settings.complete
        if not self.settings.look_up:
            return False
        if isinstance(event, RefUpdate):
            return complete and not event.is_complete
        if isinstance(event, PullRequest):
            unknown = event.files is None or (self._own_files and event.head_commit is None)
            return unknown and (complete or self.completes_pulls)
        return isinstance(event, Comment) and self._policy.command(event) is not None

    def _lookups(self) -> Lookups:
        return Lookups(
            api=self._forge(),
            complete=self.settings.complete,
            policy=self._policy,
            lacks=self._lacks,
            files=self.files if self._own_files else None,
        )

    def _forge(self) -> Enricher | None:
        if self._enricher is None:
            try:
                factory = installed(FORGE_GROUPS).load(self.forge)
            except KeyError:
                return None
            self._enricher = factory(self.settings, self.context.http, self.context.clock)
        return self._enricher


def _not_handled(event: str) -> str:
    return f"the event {printable(event)!r} is not handled"


__all__ = ["Changes", "EventHandler", "Result"]

"""The common base of the classes in this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from datetime import datetime, timezone
from time import time
from typing import Any, ClassVar

from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from typing_extensions import TypeVar

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.found import is_pair
from change_hooks.core.options import ForgeOptions
from change_hooks.core.payload import decode, expect_mapping
from change_hooks.core.select import listed_properties
from change_hooks.core.stored import Stored
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.handler import HookHandler
from change_hooks.dialects.methods import method_name, printable
from change_hooks.dialects.overrides import mentions
from change_hooks.flow import Steps, followed

Forge = TypeVar("Forge", bound=ForgeOptions, default=ForgeOptions)


#: The delivery being handled. Subclasses pass payloads around, and copy them; the delivery stays available.
_handled: ContextVar[Delivery | None] = ContextVar("change_hooks.upstream.delivery", default=None)


def handled() -> Delivery | None:
    """The delivery being handled. It is verified, unless the handler does that itself. It is available until
    the method for its event waits for something.
    """
    return _handled.get()


def within(delivery: Delivery | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call *function* while *delivery* is handled."""
    context = copy_context()
    context.run(_handled.set, delivery)
    return context.run(function, *arguments)


class Listed(list[dict[str, Any]]):
    """Changes as dicts, which may be edited.

    :param reason: why there are no changes.
    """

    def __init__(self, changes: Iterable[dict[str, Any]] = (), reason: str = "") -> None:
        super().__init__(changes)
        self.reason = reason


class Origin:
    """See :class:`change_hooks.core.policy.Source`."""

    def __init__(self, payload: Mapping[str, Any], listed: Mapping[str, Any]) -> None:
        self.payload = payload
        self.listed = listed
        #: A subclass gets plain objects; values that our methods leave out are not reported.
        self.unread: Sequence[str] = ()
        self.adds = True

    def argument(self, name: str) -> str | None:
        """An argument of the URL."""
        return argument(name)


def argument(name: str) -> str | None:
    """An argument of the URL of the delivery being handled."""
    delivery = handled()
    values = None if delivery is None else delivery.query.get(name.encode())
    return values[0].decode("utf-8", "replace") if values and values[0] else None


def as_delivery(request: Delivery | IRequest) -> Delivery:
    """The delivery; for a live request, with all its contents."""
    if isinstance(request, Delivery):
        return request
    return Delivery.from_request(request, received=time())


def as_dict(change: Change) -> dict[str, Any]:
    """A change as Buildbot's handlers return it: with a datetime, and without the fields that they omit."""
    fields = change.as_dict()
    del fields["src"]
    if change.when_timestamp is not None:
        fields["when_timestamp"] = datetime.fromtimestamp(change.when_timestamp, timezone.utc)
    for name in ("codebase", "committer"):
        if fields[name] is None:
            del fields[name]
    return fields


class Upstream(EventHandler[Forge]):
    """The base of the classes with a method for each event, or for each kind of event.

    Attributes that a constructor may set (``_codebase``, ``_secret`` …) are used as options after it has run.
    Of the options that Buildbot does not have, those that need no look-up work here.
    """

    as_upstream: ClassVar[bool] = True
    #: The prefix of the names of listed properties.
    property_basename: ClassVar[str] = ""
    external_property_whitelist: Sequence[str] = []
    external_property_denylist: Sequence[str] = []
    #: True if subclasses may rely on results being plain values rather than Deferreds.
    at_once: ClassVar[bool] = False

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """Classes written for Buildbot look nothing up automatically."""
        return super().conflicts(options) + [
            f"option {name!r} has no effect on a class written for Buildbot"
            for name in ("complete", "commands")
            if options.get(name)
        ]

    def attributes(self) -> Mapping[str, Any]:
        """The options that a subclass may set as attributes."""
        return {}

    def settle(self) -> None:
        """Use what the constructor of a subclass has set."""
        changed = {
            name: value for name, value in self.attributes().items() if value != self.options.get(name)
        }
        if changed:
            self.take_options({**self.options, **changed})

    def begin(self, options: Any) -> None:
        """See :meth:`HookHandler.begin`."""
        super().begin(options)
        self.settle()

    def also(self, options: Mapping[str, Any]) -> None:
        """Apply the options that Buildbot does not pass to its classes."""
        self.take_options({**options, **self.attributes()})

    def stored(self) -> Stored:
        """See :meth:`HookHandler.stored`: what a subclass has read."""
        return HookHandler.stored(self)

    # Verification.

    @property
    def authenticates_itself(self) -> bool:
        """True when a subclass reads payloads by itself, without ours: then it verifies them, too."""
        kind = type(self)
        return _replaces(kind, "_get_payload") or _replaces(kind, "process", "process", "_get_payload")

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """See :meth:`HookHandler.verified`. Of one that does it by itself it is not known, so that it still
        is verified where our :meth:`_get_payload` is called after all.
        """
        return delivery if self.authenticates_itself else (yield from super().verified(delivery))

    # Processing a request.

    def getChanges(self, request: Any) -> Any:
        """``(changes, src)``, or a Deferred with it."""
        return self.process(request)

    def process(self, request: Any) -> Any:
        """``(changes, src)``, or a Deferred with it. Calls :meth:`_get_payload`, and the event's method."""
        return self._run(self._processing(request))

    def _get_payload(self, request: Any) -> Any:
        """The verified payload of a request, or a Deferred with it."""
        return self._run(self._reading(request))

    def extractProperties(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The properties that the whitelist selects from *payload*."""
        listed, denied = self.external_property_whitelist, tuple(self.external_property_denylist)
        patterns = [listed] if isinstance(listed, str) else list(listed or ())
        found = listed_properties(self.property_basename, payload, patterns)
        return {
            name: value
            for name, value in found.items()
            if name not in denied and not name.startswith(tuple(f"{denial}." for denial in denied))
        }

    def _run(self, steps: Steps[Any]) -> Any:
        return followed(steps) if not self.at_once else now(steps)

    def _reading(self, request: Any) -> Steps[dict[str, Any]]:
        delivery = as_delivery(request)
        delivery = yield from super().verified(delivery)
        return dict(expect_mapping(decode(self.document(delivery), Any)))

    def _processing(self, request: Any) -> Steps[Any]:
        self.settle()
        delivery = yield from self.verified(as_delivery(request))
        payload = yield self._get_payload(delivery)
        name = self.event(delivery, self.document(delivery))
        method = self._methods.get(method_name(name))
        if method is None:
            return Listed((), f"the event {printable(name)!r} is not handled"), self.src
        arguments = (payload, name) if method.takes_event else (payload,)
        result = yield within(delivery, method.call, *arguments)
        return result if is_pair(result) else (yield within(delivery, self._listed, result, payload, name))

    def _listed(self, events: Any, payload: Mapping[str, Any], name: str) -> tuple[Listed, str | None]:
        listed = self.extractProperties(self.property_source(name, payload))
        return self.decided(events, payload, name, listed=listed), self.src

    def decided(
        self,
        events: Any,
        payload: Mapping[str, Any],
        name: str,
        *,
        listed: Mapping[str, Any] | None = None,
    ) -> Listed:
        """Apply the options to neutral events, and return changes as dicts.

        :param events: one event, or several.
        :param listed: additional properties.
        """
        self.settle()
        several = events if isinstance(events, (list, tuple)) else [events]
        found = self._policy.decide(several, Origin(payload, listed or {}), name)
        return Listed(map(as_dict, found), found.reason)


def _replaces(handler: type, name: str, *ours: str) -> bool:
    """True when a subclass has its own method *name*, which calls none of *ours*; by default the one that it
    overrides.
    """
    for cls in handler.__mro__:
        method = vars(cls).get(name)
        if method is not None:
            own = not cls.__module__.startswith("change_hooks.")
            return own and not any(mentions(method, each) for each in ours or (name,))
    return False


def now(steps: Steps[Any]) -> Any:
    """What *steps* return; a Deferred only if they have to wait."""
    later = followed(steps)
    if not later.called:
        return later
    found: list[Any] = []
    later.addBoth(found.append)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


__all__ = ["Listed", "Origin", "Upstream", "argument", "as_delivery", "as_dict", "handled", "now", "within"]

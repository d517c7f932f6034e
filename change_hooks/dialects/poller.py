"""The ``poller`` dialect: makes the host's pollers poll now.

For commit hooks: ``curl -s -F poller=NAME http://localhost:8010/change_hook/poller``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Ignored
from change_hooks.core.options import Options, option
from change_hooks.dialects.handler import HookHandler, Request
from change_hooks.flow import as_deferred
from change_hooks.incidents import report

log = Logger()


def names(value: Any) -> tuple[str, ...]:
    """Accept a list of names, str or bytes."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, (str, bytes)) for item in value):
        raise TypeError("must be a list of pollers' names")
    return tuple(as_name(item) for item in value)


def as_name(value: str | bytes) -> str:
    """A poller's name as str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class PollerOptions(Options):
    """The options of ``poller``."""

    allowed: tuple[str, ...] | None = option(None, names)


class PollingHandler(HookHandler[PollerOptions]):
    """Polls with the pollers that ``poller`` names, or with all that are allowed if it names none."""

    sender = "anybody who wants a poller to poll now"
    verified_by = "HTTP Basic"
    Options: ClassVar[type[Options] | None] = PollerOptions
    methods = ("GET", "POST")

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when anybody may start polls."""
        return [] if protected else ["lets anybody start polls: set change_hook_auth, or 'auth'"]

    def getChanges(self, request: Request) -> tuple[Ignored | list[Change], None]:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`. The changes come from the pollers.

        :raises BadPayload: a name is not that of an allowed poller.
        """
        if isinstance(request, Delivery):
            return self._poll(request), None
        self._poll(Delivery.from_request(request))
        return [], None

    def _poll(self, delivery: Delivery) -> Ignored:
        allowed = self.settings.allowed
        pollers: dict[str, Any] = {}
        for poller in self.context.pollers or polling_sources(self.master):
            name = as_name(poller.name)
            if allowed is None or name in allowed:
                pollers[name] = poller
        wanted = [as_name(name) for name in delivery.args.get(b"poller", [])]
        if not all(name in pollers for name in wanted):
            known = ", ".join(sorted(pollers)) or "none"
            log.warn("the request names no poller that it may poll; valid names are {known}", known=known)
            raise BadPayload(
                "there is no such poller (option 'allowed'); the server's log names them", "poller"
            )
        for name in dict.fromkeys(wanted or pollers):
            maybeDeferred(_force, pollers[name]).addErrback(partial(_failed, name))
        count = len(set(wanted or pollers))
        return Ignored(f"polling with {count} poller{'' if count == 1 else 's'}")


def polling_sources(master: Any) -> list[Any]:
    """The change sources of a Buildbot master that can be forced to poll; none for any other *master*."""
    sources = getattr(master, "change_svc", ())
    return [source for source in sources if callable(getattr(source, "force", None))]


def _force(poller: Any) -> Any:
    return as_deferred(poller.force())


def _failed(name: str, failure: Any) -> None:
    report(f"the poller {name} failed", failure, name=name)


__all__ = ["PollerOptions", "PollingHandler", "polling_sources"]

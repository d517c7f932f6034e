"""Finds the event's name and the delivery's id in a payload of ``generic``, before anything else.

Strategy: the options may contain a user's functions, which may use objects that belong to the reactor's
thread. So they are called only in that thread, even for a large body, which was decoded in another thread.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.opened import opened
from change_hooks.core.payload import expect_mapping
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.generic.options import MAPPING, GenericOptions, has_callable
from change_hooks.dialects.generic.selectors import Scope, Selector
from change_hooks.dialects.handler import apart
from change_hooks.flow import Steps, proceed


class Looking(EventHandler[GenericOptions]):
    """Finds names in payloads, as the options say."""

    def __init__(self, master: object, options: object) -> None:
        super().__init__(master, options)
        self.calls = any(has_callable(self.options.get(name)) for name in MAPPING)

    def identified(self, delivery: Delivery) -> str | Deferred[str | None] | None:
        """See :meth:`HookHandler.identified`."""
        return proceed(self._identified(delivery)) if self.calls else super().identified(delivery)

    def _identified(self, delivery: Delivery) -> Steps[str | None]:
        yield apart(delivery, self._open, delivery)
        return self.delivery_id(delivery)

    def named(self, delivery: Delivery) -> tuple[bytes, str] | Deferred[tuple[bytes, str]]:
        """See :meth:`EventHandler.named`."""
        return proceed(self._named_here(delivery)) if self.calls else super().named(delivery)

    def _named_here(self, delivery: Delivery) -> Steps[tuple[bytes, str]]:
        document: bytes = yield apart(delivery, self._open, delivery)
        return document, self.event(delivery, document)

    def _open(self, delivery: Delivery) -> bytes:
        document = self.document(delivery)
        with suppress(BadPayload):
            opened(delivery, lambda: document)
        return document

    def _look(self, where: Selector, delivery: Delivery) -> Any:
        """The value that a selector finds in a delivery.

        :raises BadPayload: the payload is not an object.
        """
        payload = expect_mapping(self.opened(delivery))
        return where.find(Scope(payload, payload, header=delivery.header))


__all__ = ["Looking"]

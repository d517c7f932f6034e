"""Finds the event's name and the delivery's id in a payload of ``generic``, before anything else.

Strategy: the options may contain a user's functions, which may use objects that belong to the reactor's
thread. So they are called only in that thread, even for a large body, which was decoded in another thread.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.opened import opened
from change_hooks.core.payload import expect_mapping
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.generic.options import MAPPING, GenericOptions, has_callable
from change_hooks.dialects.generic.selectors import Scope, Selector
from change_hooks.dialects.handler import apart
from change_hooks.flow import Steps


class Looking(EventHandler[GenericOptions]):
    """Finds names in payloads, as the options say."""

    def __init__(self, master: object, options: object) -> None:
        super().__init__(master, options)
        self.calls = any(has_callable(self.options.get(name)) for name in MAPPING)

    def identified(self, delivery: Delivery) -> Steps[str | None]:
        """See :meth:`HookHandler.identified`."""
        if not self.calls:
            return (yield from super().identified(delivery))
        yield apart(delivery, self._open, delivery)
        return self.delivery_id(delivery)

    def named(self, delivery: Delivery) -> Steps[tuple[bytes, str]]:
        """See :meth:`EventHandler.named`."""
        if not self.calls:
            return (yield from super().named(delivery))
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

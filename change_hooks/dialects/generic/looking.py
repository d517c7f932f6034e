"""What ``generic`` looks up in a payload before anything is made of it: the names of event and delivery.

Strategy: a user's functions may be in the options, and may touch what belongs to the reactor's thread. So
they are called in that alone, also for a large body, which has been decoded in another one by then.
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
    """Looks into payloads, as the options say."""

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
        """What a selector finds in a delivery.

        :raises BadPayload: the payload is no object.
        """
        payload = expect_mapping(self.opened(delivery))
        return where.find(Scope(payload, payload, header=delivery.header))


__all__ = ["Looking"]

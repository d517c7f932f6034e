"""A line of the list of deliveries."""

from __future__ import annotations

from typing import Any

from change_hooks.journal import StoredDelivery


def line(**more: Any) -> StoredDelivery:
    fields: dict[str, Any] = {
        **dict(seq=7, dialect="base", delivery="1", event="push", repository="", branch="", author=""),
        **dict(received=5.0, client="", status=202, state="stored", reason="", verification="none"),
        **dict(changes=0, bytes=8, duplicates=0, recovered="", sinks={}),
    }
    return StoredDelivery(**{**fields, **more})

"""What to say of found changes."""

from __future__ import annotations

from typing import Any


def none_for(found: Any) -> bool:
    """True when there is no change, and a reason for it."""
    return len(found) == 0 and bool(found.reason)

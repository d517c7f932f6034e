"""The ids under which deliveries are stored, logged and shown."""

from __future__ import annotations

import re
from hashlib import sha256
from secrets import token_hex

#: The prefix of the id of a delivery that could have been verified and was not, so that it never conflicts
#: with a verified one.
UNVERIFIED = "unverified:"

_SAFE = re.compile(r"[A-Za-z0-9_.:{}+=/-]{1,200}")


def safe_id(sent: str | None) -> str:
    """A delivery id that can be shown, logged and stored: the sender's, a digest of a long or strange one, or
    a new one if there is none.
    """
    if not sent:
        return token_hex(16)
    if _SAFE.fullmatch(sent):
        return sent
    return "sha256:" + sha256(sent.encode("utf-8", "replace")).hexdigest()


__all__ = ["UNVERIFIED", "safe_id"]

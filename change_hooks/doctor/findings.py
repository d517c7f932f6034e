"""What was found."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["good", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    :param topic: ``configuration``, ``journal``, ``disk``, ``certificate``, ``webhook``, ``reach`` or
        ``clock``.
    :param said: what it is like, and what to do.
    """

    topic: str
    verdict: Verdict
    said: str


__all__ = ["Finding", "Verdict"]

"""The results of a diagnosis."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["good", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    :param topic: ``configuration``, ``journal``, ``disk``, ``certificate``, ``webhook``, ``reach`` or
        ``clock``.
    :param said: what was found, and what to do about it.
    """

    topic: str
    verdict: Verdict
    said: str


__all__ = ["Finding", "Verdict"]

"""The rate limits that a forge's responses announce."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from change_hooks.http_answers import Answer, retry_after

#: How long to wait for a forge that names no time, in seconds.
#: Source: GitHub, "Rate limits for the REST API".
UNTOLD_WAIT = 60.0


def asked_to_wait(answer: Answer, now: float) -> float:
    """How long to send no more requests, in seconds; 0: the response announces no limit.

    Source: GitHub, "Rate limits for the REST API"; GitLab, "Rate limits"; Azure DevOps, "Rate and usage
    limits".
    """
    told = answer.header("retry-after")
    if told is not None and answer.status in (200, 403, 429):
        return max(1.0, retry_after(told, now))
    remaining = answer.header("x-ratelimit-remaining") or answer.header("ratelimit-remaining")
    reset = answer.header("x-ratelimit-reset") or answer.header("ratelimit-reset")
    if remaining == "0" and reset is not None and reset.isascii() and reset.isdigit():
        return max(1.0, float(reset[:12]) - now)
    return UNTOLD_WAIT if answer.status == 429 else 0.0


def date_of(answer: Answer) -> float | None:
    """When the response was created, in seconds since the epoch; None: not known.

    Source: RFC 9110, section 6.6.1.
    """
    try:
        return parsedate_to_datetime(answer.header("date") or "").timestamp()
    except (ValueError, OverflowError):
        return None


__all__ = ["asked_to_wait", "date_of"]

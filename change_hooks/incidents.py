"""What broke, in the log: where it happened, under an incident id that the sender is told."""

from __future__ import annotations

from secrets import token_hex
from traceback import format_tb
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()


def report(what: str, failure: Failure, **fields: Any) -> str:
    """Log a failure with where it happened, and give it an incident id.

    The log gets the error's own text as a literal on one line, so that nothing a sender wrote can
    forge a line.
    """
    incident = token_hex(6)
    log.error(
        "{what}: incident {incident}: {kind}: {message}\n{trace}",
        what=what,
        incident=incident,
        kind=failure.type.__name__ if failure.type is not None else "",
        message=ascii(failure.getErrorMessage()[:1000]),
        trace="".join(format_tb(failure.getTracebackObject())).rstrip(),
        **fields,
    )
    return incident


__all__ = ["report"]

"""Unexpected errors in the log: where each happened, with an incident id that the sender gets too.

Strategy: a line of source code may hold a secret (a configuration is source code), and so may a traceback
that quotes it. What is logged says where each frame is, and quotes nothing.
"""

from __future__ import annotations

from secrets import token_hex
from traceback import walk_tb
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.shown import shown_error

#: The most frames that are logged, half of them from each end.
MOST_FRAMES = 40

log = Logger()


def report(what: str, failure: Failure | None = None, **fields: Any) -> str:
    """Log a failure and where it happened, and give it an incident id.

    The log gets the error's own text on one line, so that nothing a sender wrote can forge a line.

    :param failure: by default, that of the exception being handled.
    """
    incident = token_hex(6)
    broken = failure or Failure()
    log.error(
        "{what}: incident {incident}: {error}\n{trace}",
        what=what,
        incident=incident,
        error=shown_error(broken.value, 1000),
        trace=frames(broken),
        **fields,
    )
    return incident


def frames(failure: Failure) -> str:
    """Where a failure came from: file, line and function of each frame, outermost first."""
    lines = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in walk_tb(failure.getTracebackObject())
    ]
    if len(lines) > MOST_FRAMES:
        half = MOST_FRAMES // 2
        lines[half:-half] = [f"  ... {len(lines) - MOST_FRAMES} more"]
    return "\n".join(lines)


__all__ = ["frames", "report"]

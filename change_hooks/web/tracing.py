"""Keeps a trace of each request without changes, wherever it was refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time
from typing import Any

from twisted.logger import Logger

from change_hooks.core.delivery import ClientAddress
from change_hooks.journal import Trace
from change_hooks.observer import Answered, Observer

#: A segment that could be an endpoint's name; nothing else is kept of a path that does not exist.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")

log = Logger()

#: Keeps a trace. It never fails, and never waits.
Tracer = Callable[[Trace], None]


def no_trace(trace: Trace) -> None:
    """Keep nothing, since there is no journal."""


def trace_refused(tracer: Tracer, request: Any, status: int, reason: str, *, dialect: str = "") -> None:
    """Keep a trace of a request that reached no endpoint.

    :param reason: the reason, in our own words.
    :param dialect: the endpoint's name, or the segment in its place.
    """
    client = ClientAddress.of(request.getClientAddress())
    tracer(Trace(dialect, time(), status, "refused", reason, client=client.host))


def telling(tracer: Tracer, observer: Observer) -> Tracer:
    """A tracer for requests that reached no endpoint: it also logs them, and notifies the observer."""

    def trace(trace: Trace) -> None:
        outcome: Answered = "unavailable" if trace.status == 503 else "refused"
        observer.delivery_answered(trace.dialect, "", outcome, None, 0)
        log.warn(
            "{dialect} - from {client}: {status} {text}",
            dialect=trace.dialect or "-",
            client=trace.client or "-",
            status=trace.status,
            text=trace.reason,
        )
        tracer(trace)

    return trace


def name_in(segment: bytes) -> str:
    """A segment of a path if it could be an endpoint's name, otherwise empty."""
    name = segment.decode("latin-1")
    return name if _NAME.fullmatch(name) else ""


__all__ = ["Tracer", "name_in", "no_trace", "telling", "trace_refused"]

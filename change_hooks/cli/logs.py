"""Sends the log to standard error, as text or as one JSON object per line."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone
from typing import Any, TextIO

from constantly import NamedConstant  # type: ignore[import-untyped]
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    eventAsText,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer, provider

from change_hooks.cli.common import json_line
from change_hooks.core.shown import shown_error
from change_hooks.incidents import frames

#: The levels by their names on the command line.
LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}
_PLAIN = (str, int, float, bool)
#: Twisted's messages about ports, which we replace by our own, and about connections.
_CONNECTIONS = re.compile(r"\(.* Port .* Closed\)|.* starting on .*|(?:Starting|Stopping) factory .*")


@implementer(ILogObserver)
class JSONLines:
    """Writes each event as one line: ``time`` (RFC 3339, UTC), ``level``, ``namespace``,
    ``message``, and the event's own fields.

    :param file: where to write.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, event: LogEvent) -> None:
        """Write *event*."""
        fields: dict[str, Any] = {
            "time": _moment(event.get("log_time") or 0.0),
            "level": getattr(event.get("log_level"), "name", "info"),
            "namespace": event.get("log_namespace"),
            "message": formatEvent(event),
        }
        for name, value in event.items():
            if not name.startswith("log_") and name not in fields and isinstance(value, _PLAIN):
                fields[name] = value
        if event.get("log_failure") is not None:
            fields["traceback"] = what_broke(event["log_failure"])
        self._file.write(json_line(fields) + "\n")
        self._file.flush()


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"


def what_broke(failure: Failure) -> str:
    """A failure that other code has logged, without the source lines that Twisted quotes."""
    return f"{shown_error(failure.value, 1000)}\n{frames(failure)}"


def _as_text(event: LogEvent) -> str | None:
    text = eventAsText(event, includeTraceback=False)
    if event.get("log_failure") is not None:
        text = f"{text}\n{what_broke(event['log_failure'])}"
    return text.replace("\n", "\n\t") + "\n" if text else None


def begin_logging(log_format: str, least: str = "info") -> None:
    """Send the log to standard error.

    :param log_format: ``text`` or ``json``.
    :param least: the lowest level, one of :data:`LEVELS`.
    """
    observer: ILogObserver = (
        JSONLines(sys.stderr) if log_format == "json" else FileLogObserver(sys.stderr, _as_text)
    )
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(LEVELS[least]))
    filtered = FilteringLogObserver(observer, [predicate, _not_of_connections])
    globalLogBeginner.beginLoggingTo([filtered], redirectStandardIO=False)


@provider(ILogFilterPredicate)
def _not_of_connections(event: LogEvent) -> NamedConstant:
    of_twisted = str(event.get("log_namespace")).startswith(("log_legacy", "twisted."))
    if of_twisted and event.get("log_level") is LogLevel.info and _CONNECTIONS.fullmatch(formatEvent(event)):
        return PredicateResult.no
    return PredicateResult.maybe


__all__ = ["LEVELS", "JSONLines", "begin_logging"]

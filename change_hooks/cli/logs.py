"""Where the log goes: text, or one JSON object per line, on standard error."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import msgspec
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
    textFileLogObserver,
)
from zope.interface import implementer

_PLAIN = (str, int, float, bool)


@implementer(ILogObserver)
class JSONLines:
    """Writes each event as one line: ``time`` (seconds since the epoch), ``level``, ``namespace``,
    ``message``, and the event's own fields.

    :param file: where to.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, event: LogEvent) -> None:
        """Write *event*."""
        fields: dict[str, Any] = {
            "time": event.get("log_time"),
            "level": getattr(event.get("log_level"), "name", "info"),
            "namespace": event.get("log_namespace"),
            "message": formatEvent(event),
        }
        for name, value in event.items():
            if not name.startswith("log_") and name not in fields and isinstance(value, _PLAIN):
                fields[name] = value
        if event.get("log_failure") is not None:
            fields["traceback"] = event["log_failure"].getTraceback()
        self._file.write(msgspec.json.encode(fields).decode() + "\n")
        self._file.flush()


def begin_logging(log_format: str) -> None:
    """Send the log to standard error.

    :param log_format: ``text`` or ``json``.
    """
    observer = JSONLines(sys.stderr) if log_format == "json" else textFileLogObserver(sys.stderr)
    informative = LogLevelFilterPredicate(LogLevel.info)
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, [informative])], redirectStandardIO=False
    )


__all__ = ["JSONLines", "begin_logging"]

from __future__ import annotations

import io
import json
from datetime import datetime
from time import time
from typing import Any

import pytest
from twisted.logger import Logger, LogPublisher, globalLogBeginner
from twisted.python.failure import Failure

from change_hooks.cli.logs import JSONLines, begin_logging


def test_an_event_is_one_json_object_on_one_line() -> None:
    file = io.StringIO()
    log = Logger(namespace="test", observer=LogPublisher(JSONLines(file)))
    log.info("{dialect}: {text}", dialect="github", text="a\nb", changes=2, other=object())
    log.failure("broke", Failure(RuntimeError("x")))
    first, second = map(json.loads, file.getvalue().splitlines())
    assert first["message"] == "github: a\nb"
    assert (first["dialect"], first["changes"], first["level"], first["namespace"]) == (
        "github",
        2,
        "info",
        "test",
    )
    assert abs(datetime.fromisoformat(first["time"].replace("Z", "+00:00")).timestamp() - time()) < 3600
    assert "other" not in first
    assert "RuntimeError" in second["traceback"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_others_log_is_without_lines_of_source(monkeypatch: pytest.MonkeyPatch, log_format: str) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    begun: list[Any] = []
    monkeypatch.setattr(globalLogBeginner, "beginLoggingTo", lambda to, **_: begun.extend(to))
    begin_logging(log_format)
    log = Logger(namespace="test", observer=LogPublisher(*begun))
    try:
        raise RuntimeError("why\nnot")  # a line of source
    except RuntimeError:
        log.failure("broke")
    log.info("more")
    log.info("")
    written = file.getvalue()
    assert "RuntimeError: why not" in written
    assert "test_logs.py" in written
    assert "a line of source" not in written
    assert "more" in written


def test_what_twisted_says_of_connections_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    begun: list[Any] = []
    monkeypatch.setattr(globalLogBeginner, "beginLoggingTo", lambda to, **_: begun.extend(to))
    begin_logging("text")
    legacy = Logger(namespace="log_legacy", observer=LogPublisher(*begun))
    factory = Logger(namespace="twisted.web.client._HTTP11ClientFactory", observer=LogPublisher(*begun))
    factory.info("{text}", text="Starting factory _HTTP11ClientFactory(<function f at 0x7f2>)")
    for message in ("(TCP Port 8010 Closed)", "HookSite starting on 8010", "Stopping factory <x>"):
        legacy.info("{text}", text=message)
    legacy.error("{text}", text="(TCP Port 1 Closed)")
    legacy.info("from an older program")
    assert [line.partition("] ")[2] for line in file.getvalue().splitlines()] == [
        "(TCP Port 1 Closed)",
        "from an older program",
    ]

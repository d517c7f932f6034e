from __future__ import annotations

import io
import json

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

from change_hooks.cli.logs import JSONLines


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
    assert isinstance(first["time"], float)
    assert "other" not in first
    assert "RuntimeError" in second["traceback"]

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread

import pytest

from change_hooks.vcs.tools import Interruption, ToolError, run

WAITS = "import pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\nwhile True: time.sleep(1)"


def test_a_tool_that_runs_can_be_interrupted(tmp_path: Path) -> None:
    interruption, begun, errors = Interruption(), tmp_path / "begun", []

    def work() -> None:
        with interruption.covers_this_thread():
            try:
                run([sys.executable, "-c", WAITS, str(begun)])
            except ToolError as error:
                errors.append(str(error))

    thread = Thread(target=work)
    thread.start()
    while not begun.exists():
        thread.join(0.01)
    interruption.interrupt()
    thread.join(60)
    assert errors == ["interrupted"]


def test_nothing_is_started_after_an_interruption() -> None:
    interruption = Interruption()
    interruption.interrupt()
    with interruption.covers_this_thread(), pytest.raises(ToolError, match="interrupted"):
        run([sys.executable, "-c", ""])
    assert run([sys.executable, "-c", "print(1)"]) == b"1\n"

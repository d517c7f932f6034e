"""Clocks that are wrong, or are set."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, eventually, program
from .books import journal_in, states
from .load import change, www
from .recorder import Recorder


def with_clock(folder: Path) -> tuple[Path, list[str]]:
    """A file that says how wrong the clock is, as ``+30d``; and how to serve with that clock."""
    clock = folder / "clock"
    clock.write_text("+0")
    return clock, [
        "env",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1",
        program("faketime"),
        "-f",
        "+0",
        program("change-hooks"),
        "serve",
    ]


def test_a_clock_that_is_set_back_and_forth_delays_nothing(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    clock, command = with_clock(tmp_path)
    journal = journal_in(tmp_path)
    recorder.refuses = True
    running = server(www(recorder.url), command=command)
    for number, jump in enumerate(("-30d", "+30d", "+0")):
        recorder.busy.clear()
        change(running.port, str(number))
        recorder.busy.wait()
        clock.write_text(jump)
    recorder.refuses = False
    # What failed is tried again after a second or a few, not after thirty days.
    eventually(lambda: states(journal) == ["delivered"] * 3)
    assert recorder.revisions == ["0", "1", "2"]
    # And after a restart, with another idea of the time.
    recorder.refuses = True
    clock.write_text("+30d")
    recorder.busy.clear()
    change(running.port, "3")
    recorder.busy.wait()
    running.signal(signal.SIGTERM)
    running.wait()
    clock.write_text("-30d")
    recorder.refuses = False
    running.start()
    eventually(lambda: states(journal) == ["delivered"] * 4)

"""Clocks that are wrong, or are set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, eventually
from .books import journal_in, states
from .clocks import with_clock
from .databases import PostgreSQL, let_leases_run_out
from .load import change, www
from .recorder import Recorder


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
    assert running.stop() == 0
    clock.write_text("-30d")
    recorder.refuses = False
    running.start()
    eventually(lambda: states(journal) == ["delivered"] * 4)


def test_a_receiver_whose_clock_is_ahead_delays_nobody(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    clock, command = with_clock(tmp_path)
    clock.write_text("+1h")
    recorder.refuses = True
    running = server(www(recorder.url, postgresql.url), command=command)
    change(running.port, "0")
    # What has failed is to be tried again, by a clock that is an hour ahead.
    eventually(lambda: "retrying in" in running.log.read_text())
    running.kill()
    let_leases_run_out(postgresql.url)
    recorder.refuses = False
    clock.write_text("+0")
    running.start()
    eventually(lambda: states(postgresql.url) == ["delivered"])
    assert running.stop() == 0

"""Servers with a wrong clock."""

from __future__ import annotations

from pathlib import Path

from ..support.programs import program
from ..support.services import missing


def with_clock(folder: Path) -> tuple[Path, list[str]]:
    """A file that says how wrong the clock is, as ``+30d``; and how to serve with that clock.

    The program ``faketime`` is not used: it would stand between a server and the signals that are for it.
    """
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("libfaketime")
    clock = folder / "clock"
    clock.write_text("+0")
    return clock, [
        "env",
        f"LD_PRELOAD={library}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1",
        program("change-hooks"),
        "serve",
    ]

"""Bytes to changes: at random, and led by coverage where atheris is; longer with ``nox -s fuzz``."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from random import Random

import pytest

from ..support.programs import missing
from .targets import RUNS, SEED, random_changes


@pytest.mark.parametrize("part", range(4))
def test_no_body_breaks_a_handler(part: int) -> None:
    for number in range(RUNS // 4):
        seed = f"{SEED}.{part}.{number}"
        try:
            random_changes(Random(seed))
        except Exception as error:
            error.add_note(f"seed {seed}") if hasattr(error, "add_note") else None
            raise


def test_no_body_that_coverage_leads_to_breaks_a_handler() -> None:
    if find_spec("atheris") is None:
        missing("atheris is not installed")
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.guided",
        f"-runs={RUNS}",
        f"-seed={int(SEED, 16)}",
        "-max_len=4096",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done" in done.stderr

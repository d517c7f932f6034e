"""The ``www`` dict with odd values in every place: an error that says what is wrong, and nothing else."""

from __future__ import annotations

from random import Random

import pytest

from .targets import ODD, RUNS, SEED, configuration, places, try_www


@pytest.mark.parametrize("index", range(len(ODD)))
def test_every_place_takes_or_refuses_every_odd_value(index: int) -> None:
    for place in places():
        try_www(place(ODD[index]))


def test_no_odd_configuration_breaks_what_reads_it() -> None:
    for number in range(RUNS):
        configuration(Random(f"{SEED}.{number}"))

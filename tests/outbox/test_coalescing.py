from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.change import Change
from change_hooks.journal import ChangeKey, Entry
from change_hooks.outbox.coalescing import Coalesced, Moments, Queued, Quiet, Unit


def queued(seq: int, *groups: str, received: float = 0.0) -> Queued:
    """An entry with a unit of one change for each group."""
    changes = [(ChangeKey("x", str(seq), index), Change()) for index in range(len(groups))]
    units = [Unit(group, [change]) for group, change in zip(groups, changes, strict=True)]
    return Queued(Entry(seq, changes, None, received), units)


def coalesced(*entries: Queued) -> Coalesced:
    made = Coalesced()
    for entry in entries:
        made.add(entry)
    return made


@given(st.lists(st.lists(st.sampled_from(["", "main", "next"]), max_size=3), max_size=8))
def test_each_group_keeps_its_newest_and_nothing_else_is_superseded(groups: list[list[str]]) -> None:
    entries = [queued(seq, *names) for seq, names in enumerate(groups, 1)]
    made = coalesced(*entries)
    ready = made.ready(None, lambda entry: 0.0)
    wanted = [
        (entry.seq, unit.last, unit.group)
        for entry, units, _ in ready.now
        for unit in units
        if made.wants(entry, unit)
    ]
    every = [(entry.seq, unit.last, unit.group) for entry, units, _ in entries for unit in units]
    newest = {group: (seq, last) for seq, last, group in every}
    assert wanted == [
        (seq, last, group) for seq, last, group in every if not group or newest[group] == (seq, last)
    ]
    assert sorted(entry.seq for entry, _, _ in [*ready.now, *ready.superseded]) == list(
        range(1, len(groups) + 1)
    )
    assert (made.superseded, made.wanted) == (len(ready.superseded), len(ready.now))
    assert (ready.waiting, ready.wait) == ([], None)


def test_an_entry_waits_until_all_of_its_groups_are_quiet() -> None:
    ages = {1: 70.0, 2: 50.0}
    ready = coalesced(queued(1, "main", "next"), queued(2, "next")).ready(
        Quiet(60, 600), lambda entry: ages[entry.seq]
    )
    assert [entry.seq for entry, _, _ in ready.now] == [1]
    assert ([entry.seq for entry in ready.waiting], ready.wait) == ([2], 10)


def test_an_entry_waits_also_for_less_than_a_second() -> None:
    ages = {1: 59.5, 2: 60.0}
    ready = coalesced(queued(1, "main"), queued(2, "next")).ready(
        Quiet(60, 600), lambda entry: ages[entry.seq]
    )
    assert [entry.seq for entry, _, _ in ready.now] == [2]
    assert ([entry.seq for entry in ready.waiting], ready.wait) == ([1], 0.5)


def test_an_age_goes_by_the_calendar_or_by_the_own_clock() -> None:
    moments = Moments()
    entry = queued(1, received=100.0).entry
    assert moments.age(entry, 5.0, 130.0) == 30
    assert moments.age(entry, 15.0, 120.0) == 40
    assert moments.age(entry, 16.0, 200.0) == 100
    moments.keep([])
    assert not moments
    assert moments.age(entry, 0.0, 90.0) == 0
    moments.keep([entry])
    assert moments

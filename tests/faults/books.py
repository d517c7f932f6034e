"""What must be true of a journal and a sink at the end, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from change_hooks.journal import TRACES, StoredDelivery, postgresql, sqlite
from change_hooks.journal.address import Address
from change_hooks.journal.reader import Reader

from ..support.programs import eventually
from .recorder import Key, Recorder, Taken


def stored(address: Address) -> list[StoredDelivery]:
    """The deliveries that were accepted, oldest first."""
    session = (
        sqlite.connect_to_read(address) if isinstance(address, Path) else postgresql.connect_to_read(address)
    )
    with closing(session):
        found = list(Reader(session).deliveries())[::-1]
    return [each for each in found if each.state not in TRACES]


def states(address: Address) -> list[str]:
    """Their states."""
    return [each.state for each in stored(address)]


def wait_until_delivered(address: Address) -> None:
    """Wait as long as there is progress, until all is delivered: what is stuck fails the test."""
    before = Counter(states(address))
    while set(before) != {"delivered"}:
        # Whoever looks too often takes the time from the sink, which is in this process.
        eventually(lambda seen=before: Counter(states(address)) != seen, every=0.3)
        before = Counter(states(address))


class Books:
    """The accounts of a run: what was acknowledged, what is stored, and what was handed over.

    :param acknowledged: the ids of deliveries that were answered 202.
    :param changes: how many each of them has.
    """

    def __init__(
        self, acknowledged: Iterable[str], address: Address, recorder: Recorder, changes: int = 2
    ) -> None:
        self.places = {each.delivery: each.seq for each in stored(address)}
        counted = Counter(each.delivery for each in stored(address))
        handed = Counter(taken.key for taken in recorder.taken)
        expected = {Key("github", name, index) for name in counted for index in range(changes)}
        self.lost = sorted(set(acknowledged) - set(counted))
        self.doubled = sorted(name for name, times in counted.items() if times > 1)
        self.stuck = sorted(expected - set(handed))
        self.invented = sorted(set(handed) - expected)
        self.repeated = {key: times for key, times in handed.items() if times > 1}
        self.disordered = self._disordered(recorder.taken)

    def _disordered(self, taken: list[Taken]) -> list[Key]:
        """Changes that came for the first time after a later one of their repository."""
        seen: set[Key] = set()
        newest: dict[str, tuple[int, int]] = {}
        found = []
        for key, repository, _ in taken:
            place = (self.places.get(key.delivery, 0), key.index)
            if key not in seen and place < newest.get(repository, (0, 0)):
                found.append(key)
            seen.add(key)
            newest[repository] = max(place, newest.get(repository, (0, 0)))
        return found

    def assert_right(self, *, repeated: int | None = None) -> None:
        """Nothing is lost, stored twice, stuck, or out of order.

        :param repeated: how many hand-overs may be repetitions; None: any number.
        """
        assert not self.lost, f"acknowledged, and not stored: {self.lost}"
        assert not self.doubled, f"stored more than once: {self.doubled}"
        assert not self.stuck, f"stored, and never handed over: {self.stuck}"
        assert not self.invented, f"handed over, and not stored: {self.invented}"
        assert not self.disordered, f"handed over after a later one: {self.disordered}"
        if repeated is not None:
            assert sum(self.repeated.values()) - len(self.repeated) <= repeated, self.repeated


def assert_nothing_is_lost(
    acknowledged: Iterable[str], address: Address, recorder: Recorder, changes: int = 2
) -> Books:
    """Wait until all is delivered, and look into the books."""
    wait_until_delivered(address)
    books = Books(acknowledged, address, recorder, changes)
    books.assert_right()
    return books


def journal_in(folder: Path) -> Path:
    """The journal of a server in *folder* that is told nothing else."""
    return folder / "change-hooks.sqlite"

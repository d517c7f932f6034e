from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.core.found import Found
from change_hooks.intake.journalled import JournalIntake
from change_hooks.journal import NOWHERE, Appended, Routes
from tests.conftest import delivery, result_of

TO_A_PROGRAM = Routes(("program",))


class Parts:
    """A journal that answers as it is told, and a dispatcher that is woken."""

    def __init__(self, appended: Deferred[Appended], routes: Routes = TO_A_PROGRAM) -> None:
        self.appended = appended
        self.routed = routes
        self.woken = 0
        parts: Any = self
        self.intake = JournalIntake(parts, parts, parts)

    def append(self, *_: object, **__: object) -> Deferred[Appended]:
        return self.appended

    def routes(self, *_: object) -> object:
        return self.routed

    def wake(self) -> None:
        self.woken += 1

    def accept(self) -> Any:
        found = Found([Change(repository="api")])
        return result_of(self.intake.accept(delivery(id="1", dialect="base"), found))  # type: ignore[arg-type]


def test_what_is_stored_is_handed_over() -> None:
    parts = Parts(succeed(Appended(duplicate=False, seq=1)))
    assert (parts.accept().outcome, parts.woken) == ("accepted", 1)


def test_what_no_sink_wants_wakes_nobody() -> None:
    parts = Parts(succeed(Appended(duplicate=False, seq=1)), NOWHERE)
    assert (parts.accept().outcome, parts.woken) == ("accepted", 0)


def test_a_duplicate_gives_nothing_to_hand_over() -> None:
    parts = Parts(succeed(Appended(duplicate=True)))
    assert (parts.accept().outcome, parts.woken) == ("duplicate", 0)


def test_what_may_be_stored_although_nobody_heard_of_it_is_looked_for() -> None:
    parts = Parts(fail(Unavailable("the answer was lost")))
    with pytest.raises(Unavailable):
        parts.accept()
    assert parts.woken == 1

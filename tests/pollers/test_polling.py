from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IPoller
from change_hooks.journal import Whole
from change_hooks.pollers import Poller
from change_hooks.pollers.base import Found, Looked, changes_in, is_polled
from change_hooks.pollers.polling import FOLDER, LEASE, Polling
from change_hooks.testing import MemoryJournal
from change_hooks.vcs.tools import ToolError, run
from tests.conftest import has_fired, result_of

#: What the journal calls where the poller was.
NAME = "poller poller repo"


class Reactor(Clock):
    """A clock, and threads that run when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[Any] = []

    def getThreadPool(self) -> Any:
        return self

    def callInThreadWithCallback(self, done: Any, function: Any, *arguments: Any) -> None:
        def run() -> None:
            try:
                result = function(*arguments)
            except Exception:
                done(False, Failure())
            else:
                done(True, result)

        self.threads.append(run)

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        function(*arguments)

    def run(self) -> None:
        while self.threads:
            self.threads.pop(0)()


class Counting(Poller):
    """Finds a commit at each look after the first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.looks: list[Any] = []
        self.broken: Exception | None = None
        self.problems: list[str] = []
        self.notes: list[str] = []

    def look(self, state: Any, folder: Path) -> Any:
        self.looks.append((state, folder))
        if self.broken is not None:
            raise self.broken
        if state is None:
            return Looked([], 0)
        found = [Found(str(state), [Change(revision=str(state))])]
        return Looked(found, state + 1, self.problems, self.notes)


class Pollers:
    """Pollers at work, and the journal where they store what they find."""

    def __init__(self, folder: Path, *pollers: Poller, by_itself: bool = True) -> None:
        self.reactor = Reactor()
        self.journal = MemoryJournal(clock=self.reactor.seconds)
        result_of(self.journal.open())
        self.full = False
        self.polling = Polling(folder, self.reactor, by_itself=by_itself)
        self.polling.use(pollers)
        self.polling.start(self)
        self.reactor.run()

    def accept(self, delivery: Delivery, changes: list[Change]) -> Deferred[Any]:
        return fail(Unavailable("disk full")) if self.full else self.journal.append(delivery, changes, [])

    def advance(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.reactor.run()

    def force(self) -> None:
        (running,) = self.polling
        running.force()

    def stored(self) -> list[Whole]:
        """Oldest first."""
        reader = self.journal.reader()
        return [reader.whole(line.seq) for line in reader.after(0)]

    def revisions(self) -> list[str | None]:
        return [change.revision for whole in self.stored() for change in whole.changes]

    def state(self) -> Any:
        """Where the next look begins."""
        return result_of(self.journal.recall(NAME))

    def another(self) -> MemoryJournal:
        """The journal, as another receiver has it."""
        other = MemoryJournal(self.journal.store, clock=self.reactor.seconds)
        result_of(other.open())
        return other


def test_it_looks_at_its_interval_and_remembers_where_it_was(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    pollers = Pollers(tmp_path, poller)
    assert poller.looks == []
    pollers.advance(60)
    pollers.advance(60)
    pollers.advance(60)
    assert poller.looks == [
        (None, tmp_path / FOLDER),
        (0, tmp_path / FOLDER),
        (1, tmp_path / FOLDER),
    ]
    assert pollers.revisions() == ["0", "1"]
    assert pollers.state() == b"2"


def test_what_it_finds_is_a_delivery_with_a_name_of_its_own(tmp_path: Path) -> None:
    pollers = Pollers(tmp_path, Counting("repo", pollInterval=60, pollAtLaunch=True))
    pollers.advance(60)
    pollers.advance(60)
    first, second = (whole.delivery for whole in pollers.stored())
    assert first is not None and second is not None
    assert is_polled(first)
    assert (first.dialect, first.uri, first.verification) == ("poller", b"repo", "none")
    assert first.id != second.id
    assert changes_in(first) == [Change(revision="0")]


def test_it_looks_when_it_is_told_to_and_one_look_at_a_time(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=0)
    pollers = Pollers(tmp_path, poller)
    pollers.advance(10_000)
    assert poller.looks == []
    (running,) = pollers.polling
    assert IPoller.providedBy(running)
    assert running.name == "repo"
    running.force()
    running.force()
    running.force()
    assert len(pollers.reactor.threads) == 1
    pollers.reactor.run()
    # The second and third came while the first was looking: one more look is enough for both.
    assert len(poller.looks) == 2


@pytest.mark.parametrize("error", [ToolError("git: no such host"), RuntimeError("a bug")])
def test_one_that_fails_looks_again_next_time(error: Exception, tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    poller.broken = error
    pollers = Pollers(tmp_path, poller)
    poller.broken = None
    pollers.advance(60)
    pollers.advance(60)
    assert pollers.revisions() == ["0"]


def test_a_password_is_not_logged(tmp_path: Path) -> None:
    poller = Counting("https://ann:s3cret@git.example/x", pollInterval=60, pollAtLaunch=True)
    poller.broken = ToolError(f"git: fatal: unable to access '{poller.repourl}'")
    with capturedLogs() as events:
        Pollers(tmp_path, poller)
    (event,) = [event for event in events if event["log_level"] is LogLevel.warn]
    said = formatEvent(event)
    assert said == "https://git.example/x: git: fatal: unable to access 'https://git.example/x'"


def test_what_cannot_be_stored_is_found_again(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    pollers = Pollers(tmp_path, poller)
    pollers.full = True
    pollers.advance(60)
    assert pollers.state() == b"0"
    pollers.full = False
    pollers.advance(60)
    assert pollers.revisions() == ["0"]


def test_the_end_waits_for_a_look_that_is_going_on(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    pollers = Pollers(tmp_path, poller)
    pollers.force()
    stopped: Deferred[Any] = pollers.polling.stop()
    assert not has_fired(stopped)
    pollers.reactor.run()
    assert has_fired(stopped)
    pollers.advance(1000)
    assert len(poller.looks) == 1
    assert list(pollers.polling) == []


def test_other_pollers_take_the_place_of_those_before(tmp_path: Path) -> None:
    old, new = Counting("old", pollInterval=60), Counting("new", pollInterval=60)
    pollers = Pollers(tmp_path, old)
    (running,) = pollers.polling
    pollers.polling.use([new])
    pollers.advance(60)
    running.force()
    pollers.reactor.run()
    assert (len(old.looks), len(new.looks)) == (0, 1)


def test_without_a_journal_nothing_is_looked_for(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    pollers = Pollers(tmp_path, poller)
    pollers.journal = None  # type: ignore[assignment]
    pollers.advance(60)
    assert poller.looks == []


def test_beside_another_process_it_looks_only_when_it_is_told_to(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    pollers = Pollers(tmp_path, poller, by_itself=False)
    pollers.advance(1000)
    assert poller.looks == []
    pollers.force()
    pollers.reactor.run()
    assert len(poller.looks) == 1


def said(events: list[Any], level: LogLevel) -> list[str]:
    return [str(formatEvent(event)) for event in events if event["log_level"] is level]


def test_a_look_that_fails_again_and_again_is_loud(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    poller.broken = ToolError("git: no such host")
    pollers = Pollers(tmp_path, poller)
    with capturedLogs() as events:
        for _ in range(3):
            pollers.advance(60)
    assert said(events, LogLevel.warn) == ["repo: git: no such host"] * 2
    assert said(events, LogLevel.error) == ["repo: git: no such host (3 polls in a row)"]


def test_what_is_wrong_with_one_commit_is_said_and_so_is_what_gives_no_change(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    pollers = Pollers(tmp_path, poller)
    poller.problems, poller.notes = ["the commit 1 cannot be read"], ["revision 2 is on no branch"]
    with capturedLogs() as events:
        pollers.advance(60)
    assert pollers.revisions() == ["0"]
    assert said(events, LogLevel.warn) == [
        "repo: the commit 1 cannot be read",
        "repo: revision 2 is on no branch",
    ]


def test_one_receiver_looks_at_a_time(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    pollers = Pollers(tmp_path, poller)
    other = pollers.another()
    assert result_of(other.lease(NAME, 1000))
    pollers.advance(60)
    assert poller.looks == []
    # One that was told to look does so as soon as the other receiver is done.
    pollers.force()
    pollers.advance(5)
    result_of(other.release(NAME))
    pollers.advance(5)
    assert len(poller.looks) == 1
    assert result_of(other.lease(NAME, LEASE))


def test_a_lease_is_renewed_and_nothing_is_stored_when_it_was_lost(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=600, pollAtLaunch=True)
    pollers = Pollers(tmp_path, poller)
    pollers.force()
    other = pollers.another()
    for _ in range(4):
        pollers.reactor.advance(LEASE / 3)
        assert not result_of(other.lease(NAME, LEASE))
    # As in a process that was stopped for so long.
    pollers.reactor.rightNow += LEASE
    assert result_of(other.lease(NAME, LEASE))
    pollers.reactor.advance(LEASE / 3)
    with capturedLogs() as events:
        pollers.reactor.run()
    assert pollers.revisions() == []
    assert any("another receiver is polling now" in line for line in said(events, LogLevel.warn))


def test_another_process_with_the_same_folder_is_let_finish(tmp_path: Path) -> None:
    from fcntl import LOCK_EX, flock

    poller = Counting("repo", pollInterval=60)
    pollers = Pollers(tmp_path, poller)
    (tmp_path / FOLDER).mkdir()
    with poller.work_folder(tmp_path / FOLDER).with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        pollers.advance(60)
        assert poller.looks == []
    pollers.advance(60)
    assert len(poller.looks) == 1


def test_its_folder_is_private(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(mode=0o755)
    Pollers(tmp_path, Counting("repo", pollAtLaunch=True))
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


def test_a_look_is_broken_off_when_polling_stops(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            stopped.append(pollers.polling.stop())
            run([sys.executable, "-c", ""])

    stopped: list[Any] = []
    pollers = Pollers(tmp_path, Slow("repo", pollInterval=60))
    with capturedLogs() as logged:
        pollers.advance(60)
    assert has_fired(stopped[0])
    assert [event["log_level"] for event in logged] == [LogLevel.debug]
    pollers.advance(600)
    assert len(stopped) == 1


def test_a_reconfiguration_lets_a_look_end(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            pollers.polling.use([])
            run([sys.executable, "-c", ""])
            return super().look(5, folder)

    pollers = Pollers(tmp_path, Slow("repo", pollInterval=60))
    pollers.advance(60)
    assert pollers.revisions() == ["5"]


def test_a_look_of_an_earlier_configuration_is_broken_off_at_the_end_too(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            pollers.polling.use([])
            stopped.append(pollers.polling.stop())
            assert not has_fired(stopped[0])
            run([sys.executable, "-c", ""])

    stopped: list[Any] = []
    pollers = Pollers(tmp_path, Slow("repo", pollInterval=60))
    pollers.advance(60)
    assert has_fired(stopped[0])
    assert pollers.stored() == []

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IPoller
from change_hooks.pollers import Poller
from change_hooks.pollers.base import Found, Looked, changes_in, is_polled
from change_hooks.pollers.polling import FOLDER, Polling
from change_hooks.vcs.tools import ToolError, run

from ..conftest import has_fired


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


class Host:
    """A journal's memory, and what was accepted."""

    def __init__(self) -> None:
        self.memory: dict[str, bytes] = {}
        self.accepted: list[Delivery] = []
        self.full = False
        self.held = False
        self.leases = 0

    @property
    def journal(self) -> Any:
        return self

    def recall(self, name: str) -> Any:
        return succeed(self.memory.get(name))

    def lease(self, name: str, seconds: float) -> Any:
        self.leases += 1
        return succeed(not self.held)

    def release(self, name: str) -> Any:
        self.leases = 0
        return succeed(None)

    def remember(self, name: str, value: bytes) -> Any:
        self.memory[name] = value
        return succeed(None)

    def accept(self, delivery: Delivery, changes: list[Change]) -> Any:
        if self.full:
            return fail(Unavailable("disk full"))
        self.accepted.append(delivery)
        return succeed(None)


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


class Rig:
    def __init__(self, folder: Path, *pollers: Poller) -> None:
        self.reactor, self.host = Reactor(), Host()
        self.folder = folder
        self.polling = Polling(folder, self.reactor)
        self.polling.use(pollers)
        self.polling.start(self.host)
        self.reactor.run()

    def advance(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.reactor.run()

    def force(self) -> None:
        (running,) = self.polling
        running.force()


def revisions(host: Host) -> list[str | None]:
    return [change.revision for each in host.accepted for change in changes_in(each)]


def test_it_looks_at_its_interval_and_remembers_where_it_was(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    rig = Rig(tmp_path, poller)
    assert poller.looks == []
    rig.advance(60)
    rig.advance(60)
    rig.advance(60)
    assert poller.looks == [
        (None, tmp_path / FOLDER),
        (0, tmp_path / FOLDER),
        (1, tmp_path / FOLDER),
    ]
    assert revisions(rig.host) == ["0", "1"]
    assert rig.host.memory == {"poller poller repo": b"2"}


def test_what_it_finds_is_a_delivery_with_a_name_of_its_own(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Counting("repo", pollInterval=60, pollAtLaunch=True))
    rig.advance(60)
    rig.advance(60)
    first, second = rig.host.accepted
    assert is_polled(first)
    assert (first.dialect, first.uri, first.verification) == ("poller", b"repo", "none")
    assert first.id != second.id
    head, body = first.dump()
    again = Delivery.restore(head, body, id=first.id, dialect="poller")
    assert changes_in(again) == [Change(revision="0")]


def test_it_looks_when_it_is_told_to_and_one_look_at_a_time(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=0)
    rig = Rig(tmp_path, poller)
    rig.advance(10_000)
    assert poller.looks == []
    (running,) = rig.polling
    assert IPoller.providedBy(running)
    assert running.name == "repo"
    running.force()
    running.force()
    running.force()
    assert len(rig.reactor.threads) == 1
    rig.reactor.run()
    # The second and third came while the first was looking: one more look is enough for both.
    assert len(poller.looks) == 2


@pytest.mark.parametrize("error", [ToolError("git: no such host"), RuntimeError("a bug")])
def test_one_that_fails_looks_again_next_time(error: Exception, tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    poller.broken = error
    rig = Rig(tmp_path, poller)
    poller.broken = None
    rig.advance(60)
    rig.advance(60)
    assert revisions(rig.host) == ["0"]


def test_a_password_is_not_logged(tmp_path: Path) -> None:
    poller = Counting("https://ann:s3cret@git.example/x", pollInterval=60, pollAtLaunch=True)
    poller.broken = ToolError(f"git: fatal: unable to access '{poller.repourl}'")
    with capturedLogs() as events:
        Rig(tmp_path, poller)
    (event,) = [event for event in events if event["log_level"] is LogLevel.warn]
    said = formatEvent(event)
    assert said == "https://git.example/x: git: fatal: unable to access 'https://git.example/x'"


def test_what_cannot_be_stored_is_found_again(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    rig = Rig(tmp_path, poller)
    rig.host.full = True
    rig.advance(60)
    assert rig.host.memory == {"poller poller repo": b"0"}
    rig.host.full = False
    rig.advance(60)
    assert revisions(rig.host) == ["0"]


def test_the_end_waits_for_a_look_that_is_going_on(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    rig = Rig(tmp_path, poller)
    rig.force()
    stopped: Deferred[Any] = rig.polling.stop()
    assert not has_fired(stopped)
    rig.reactor.run()
    assert has_fired(stopped)
    rig.advance(1000)
    assert len(poller.looks) == 1
    assert list(rig.polling) == []


def test_other_pollers_take_the_place_of_those_before(tmp_path: Path) -> None:
    old, new = Counting("old", pollInterval=60), Counting("new", pollInterval=60)
    rig = Rig(tmp_path, old)
    (running,) = rig.polling
    rig.polling.use([new])
    rig.advance(60)
    running.force()
    rig.reactor.run()
    assert (len(old.looks), len(new.looks)) == (0, 1)


def test_without_a_journal_nothing_is_looked_for(tmp_path: Path) -> None:
    class NoJournal(Host):
        @property
        def journal(self) -> Any:
            return None

    poller = Counting("repo", pollAtLaunch=True)
    reactor = Reactor()
    polling = Polling(tmp_path, reactor)
    polling.use([poller])
    polling.start(NoJournal())
    reactor.run()
    assert poller.looks == []


def test_beside_another_process_it_looks_only_when_it_is_told_to(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    reactor = Reactor()
    polling = Polling(tmp_path, reactor, by_itself=False)
    polling.use([poller])
    polling.start(Host())
    reactor.advance(1000)
    reactor.run()
    assert poller.looks == []
    (running,) = polling
    running.force()
    reactor.run()
    assert len(poller.looks) == 1


def said(events: list[Any], level: LogLevel) -> list[str]:
    return [str(formatEvent(event)) for event in events if event["log_level"] is level]


def test_a_look_that_fails_again_and_again_is_loud(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    poller.broken = ToolError("git: no such host")
    rig = Rig(tmp_path, poller)
    with capturedLogs() as events:
        for _ in range(3):
            rig.advance(60)
    assert said(events, LogLevel.warn) == ["repo: git: no such host"] * 2
    assert said(events, LogLevel.error) == ["repo: git: no such host (3 polls in a row)"]


def test_what_is_wrong_with_one_commit_is_said_and_so_is_what_gives_no_change(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60, pollAtLaunch=True)
    rig = Rig(tmp_path, poller)
    poller.problems, poller.notes = ["the commit 1 cannot be read"], ["revision 2 is on no branch"]
    with capturedLogs() as events:
        rig.advance(60)
    assert revisions(rig.host) == ["0"]
    assert said(events, LogLevel.warn) == [
        "repo: the commit 1 cannot be read",
        "repo: revision 2 is on no branch",
    ]


def test_one_receiver_looks_at_a_time(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=60)
    rig = Rig(tmp_path, poller)
    rig.host.held = True
    rig.advance(60)
    assert poller.looks == []
    # One that was told to look does so as soon as the other receiver is done.
    rig.force()
    rig.advance(5)
    rig.host.held = False
    rig.advance(5)
    assert len(poller.looks) == 1
    assert rig.host.leases == 0


def test_a_lease_is_renewed_and_nothing_is_stored_when_it_was_lost(tmp_path: Path) -> None:
    poller = Counting("repo", pollInterval=600, pollAtLaunch=True)
    rig = Rig(tmp_path, poller)
    rig.force()
    rig.reactor.advance(20)
    assert rig.host.leases == 2
    rig.host.held = True
    rig.reactor.advance(20)
    with capturedLogs() as events:
        rig.reactor.run()
    assert revisions(rig.host) == []
    assert any("another receiver looks now" in line for line in said(events, LogLevel.warn))


def test_another_process_with_the_same_folder_is_let_finish(tmp_path: Path) -> None:
    from fcntl import LOCK_EX, flock

    poller = Counting("repo", pollInterval=60)
    rig = Rig(tmp_path, poller)
    (tmp_path / FOLDER).mkdir()
    with poller.work_folder(tmp_path / FOLDER).with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        rig.advance(60)
        assert poller.looks == []
    rig.advance(60)
    assert len(poller.looks) == 1


def test_its_folder_is_private(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(mode=0o755)
    Rig(tmp_path, Counting("repo", pollAtLaunch=True))
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


def test_a_look_is_broken_off_when_polling_stops(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            stopped.append(rig.polling.stop())
            run([sys.executable, "-c", ""])

    stopped: list[Any] = []
    rig = Rig(tmp_path, Slow("repo", pollInterval=60))
    with capturedLogs() as logged:
        rig.advance(60)
    assert has_fired(stopped[0])
    assert [event["log_level"] for event in logged] == [LogLevel.debug]
    rig.advance(600)
    assert len(stopped) == 1


def test_a_reconfiguration_lets_a_look_end(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            rig.polling.use([])
            run([sys.executable, "-c", ""])
            return super().look(5, folder)

    rig = Rig(tmp_path, Slow("repo", pollInterval=60))
    rig.advance(60)
    assert revisions(rig.host) == ["5"]


def test_a_look_of_an_earlier_configuration_is_broken_off_at_the_end_too(tmp_path: Path) -> None:
    class Slow(Counting):
        def look(self, state: Any, folder: Path) -> Any:
            rig.polling.use([])
            stopped.append(rig.polling.stop())
            assert not has_fired(stopped[0])
            run([sys.executable, "-c", ""])

    stopped: list[Any] = []
    rig = Rig(tmp_path, Slow("repo", pollInterval=60))
    rig.advance(60)
    assert has_fired(stopped[0])
    assert rig.host.accepted == []

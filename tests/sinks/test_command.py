from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.interfaces import IChangeSink, SinkError
from change_hooks.journal import ChangeKey
from change_hooks.sinks import Command

from ..conftest import has_fired, result_of

KEY = ChangeKey("github", "guid", 3)


class Processes(Clock):
    """A reactor that starts no real process."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []

    def spawnProcess(self, protocol: Any, program: str, argv: Any, env: Any, cwd: Any) -> None:
        run = SimpleNamespace(
            protocol=protocol, argv=argv, env=env, cwd=cwd, input=b"", signals=[], gone=False
        )

        def signal(name: str) -> None:
            if run.gone:
                raise ProcessExitedAlready
            run.signals.append(name)

        def write(data: bytes) -> None:
            run.input += data

        protocol.transport = SimpleNamespace(write=write, closeStdin=lambda: None, signalProcess=signal)
        self.started.append(run)
        protocol.connectionMade()

    def end(self, number: int, reason: Exception) -> None:
        self.started[number].protocol.processEnded(Failure(reason))


def test_the_change_is_on_standard_input_and_in_the_environment() -> None:
    reactor = Processes()
    sink = Command(["build", "--quick"], cwd="/srv", env={"MORE": "x"}, reactor=reactor)
    assert IChangeSink.providedBy(sink)
    taken = sink.add_change(Change(branch="\u00e4; rm -rf /", comments="a\0b", files=["x y"]), KEY)
    (run,) = reactor.started
    assert (run.argv, run.cwd, run.env["MORE"]) == (("build", "--quick"), "/srv", "x")
    fields = json.loads(run.input)
    assert (fields["branch"], fields["delivery"], fields["index"]) == ("\u00e4; rm -rf /", "guid", 3)
    assert run.env["CHANGE_HOOK_BRANCH"] == "\u00e4; rm -rf /"
    assert run.env["CHANGE_HOOK_COMMENTS"] == "a\ufffdb"
    assert run.env["CHANGE_HOOK_FILES"] == '["x y"]'
    assert run.env["CHANGE_HOOK_INDEX"] == "3"
    assert "CHANGE_HOOK_CATEGORY" not in run.env
    assert not has_fired(taken)
    reactor.end(0, ProcessDone(0))
    assert result_of(taken) is None


def test_what_is_too_long_for_the_environment_is_on_standard_input_only() -> None:
    reactor = Processes()
    Command(["build"], reactor=reactor).add_change(Change(comments="\u00e4" * 20_000), None)
    assert "CHANGE_HOOK_COMMENTS" not in reactor.started[0].env
    assert len(json.loads(reactor.started[0].input)["comments"]) == 20_000


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (ProcessTerminated(exitCode=3), "exit status 3: no space"),
        (ProcessTerminated(signal=9), "signal 9: no space"),
    ],
)
def test_another_exit_status_is_a_failure(reason: Exception, message: str) -> None:
    reactor = Processes()
    taken = Command(["build"], reactor=reactor).add_change(Change(), KEY)
    reactor.started[0].protocol.errReceived(b"x" * 600 + b"\n" * 500 + b"no space\n")
    reactor.end(0, reason)
    with pytest.raises(SinkError, match=message):
        result_of(taken)


def test_only_so_many_run_at_once() -> None:
    reactor = Processes()
    sink = Command(["build"], concurrency=2, reactor=reactor)
    for index in range(3):
        sink.add_change(Change(), KEY._replace(index=index))
    assert len(reactor.started) == 2
    reactor.end(0, ProcessDone(0))
    assert len(reactor.started) == 3


@pytest.mark.parametrize("gone", [False, True])
def test_one_that_takes_too_long_is_killed(gone: bool) -> None:
    reactor = Processes()
    sink = Command(["build"], time_limit=5, concurrency=1, reactor=reactor)
    taken = sink.add_change(Change(), KEY)
    sink.add_change(Change(), KEY)
    reactor.started[0].gone = gone
    reactor.advance(5)
    with pytest.raises(Exception, match="5"):
        result_of(taken)
    assert reactor.started[0].signals == ([] if gone else ["KILL"])
    reactor.end(0, ProcessTerminated(signal=9))
    assert len(reactor.started) == 2


@pytest.mark.parametrize("argv", ["build", [], [5]])
def test_the_program_is_a_list_of_words(argv: Any) -> None:
    with pytest.raises(TypeError, match="argv"):
        Command(argv)

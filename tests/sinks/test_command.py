from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from change_hooks.core.change import Change
from change_hooks.core.push import Push, PushKey
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import SinkError, SinkOutput, SinkRefused
from change_hooks.interfaces import IAlarmSink, IChangeSink
from change_hooks.journal import ChangeKey
from change_hooks.sinks import Command
from change_hooks.sinks.command import EX_DATAERR, REASON_KEPT
from change_hooks.sinks.program import Ended
from tests.conftest import has_fired, result_of

KEY = ChangeKey("github", "guid", 3)


class Programs:
    """Starts no real program."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.started: list[Any] = []
        self.missing = False
        options.setdefault("argv", ["build"])
        self.sink = Command(**options, reactor=self.clock, start=self._start)

    def _start(self, argv: Any, **how: Any) -> Any:
        if self.missing:
            raise FileNotFoundError(2, "No such file or directory", "build")
        program = SimpleNamespace(argv=argv, **how, asked_to_end=0)

        def end() -> None:
            program.asked_to_end += 1

        program.end = end
        self.started.append(program)
        return program

    def add(self, change: Change | None = None, key: Any = KEY) -> Any:
        return self.sink.add_change(change or Change(), key)

    def end(
        self, number: int, status: int | None = 0, signal: int | None = None, output: bytes = b""
    ) -> None:
        self.started[number].ended(Ended(status, signal, output))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if "line" in event:
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_the_change_is_on_standard_input_and_in_the_environment() -> None:
    programs = Programs(argv=["build", "--quick"], cwd="/srv", env={"MORE": "x"})
    assert IChangeSink.providedBy(programs.sink)
    taken = programs.add(Change(branch="\u00e4; rm -rf /", comments="a\0b", files=["x y"]))
    (run,) = programs.started
    assert (run.argv, run.cwd, run.env["MORE"]) == (("build", "--quick"), "/srv", "x")
    assert run.stdin.endswith(b"}\n")
    fields = json.loads(run.stdin)
    assert (fields["branch"], fields["delivery"], fields["index"]) == ("\u00e4; rm -rf /", "guid", 3)
    assert run.env["CHANGE_HOOK_BRANCH"] == "\u00e4; rm -rf /"
    assert run.env["CHANGE_HOOK_COMMENTS"] == "a\ufffdb"
    assert run.env["CHANGE_HOOK_FILES"] == '["x y"]'
    assert "CHANGE_HOOK_REVISION" not in run.env
    assert "PATH" in run.env
    programs.end(0, output=b"done\n")
    assert result_of(taken) == SinkOutput("done\n")


def test_a_push_is_its_newest_change_with_all_of_them() -> None:
    programs = Programs()
    assert programs.sink.per == "push"
    push = Push.of([Change(revision="1"), Change(revision="2")])
    programs.add(push, PushKey("github", "guid", "main"))
    fields = json.loads(programs.started[0].stdin)
    assert (fields["revision"], fields["ref"]) == ("2", "main")
    assert [change["revision"] for change in fields["changes"]] == ["1", "2"]
    assert programs.started[0].env["CHANGE_HOOK_REF"] == "main"
    assert "CHANGE_HOOK_CHANGES" not in programs.started[0].env


def test_the_users_variables_go_before_those_of_the_change() -> None:
    programs = Programs(env={"CHANGE_HOOK_BRANCH": "mine", "PATH": "/nowhere"})
    programs.add(Change(branch="its"))
    assert programs.started[0].env["CHANGE_HOOK_BRANCH"] == "mine"
    assert programs.started[0].env["PATH"] == "/nowhere"


def test_what_is_too_long_is_on_standard_input_alone() -> None:
    programs = Programs()
    programs.add(Change(comments="\u00e4" * 20_000), None)
    assert "CHANGE_HOOK_COMMENTS" not in programs.started[0].env
    assert len(json.loads(programs.started[0].stdin)["comments"]) == 20_000


@pytest.mark.parametrize(
    ("status", "signal", "message"), [(3, None, "exit status 3: no space"), (None, 9, "signal 9: no space")]
)
def test_another_exit_status_is_a_failure(status: int | None, signal: int | None, message: str) -> None:
    programs = Programs()
    taken = programs.add()
    output = b"x" * 600 + b"\n" * REASON_KEPT + b"no space\n"
    programs.end(0, status, signal, output)
    with pytest.raises(SinkError) as caught:
        result_of(taken)
    assert str(caught.value) == message
    assert not isinstance(caught.value, SinkRefused)
    assert caught.value.output == output.decode()


def test_an_exit_status_of_65_refuses_for_good() -> None:
    programs = Programs()
    taken = programs.add()
    programs.end(0, EX_DATAERR)
    with pytest.raises(SinkRefused, match=r"^exit status 65$"):
        result_of(taken)


def test_a_program_that_cannot_be_started_is_a_failure_and_the_next_one_runs() -> None:
    programs = Programs(concurrency=1)
    programs.missing = True
    with pytest.raises(SinkError, match="cannot run 'build': No such file or directory: build"):
        result_of(programs.add())
    programs.missing = False
    programs.add()
    assert len(programs.started) == 1
    assert len(programs.clock.getDelayedCalls()) == 1


def test_whatever_keeps_a_program_from_starting_is_a_failure_and_takes_no_place() -> None:
    def breaks(argv: Any, **more: Any) -> Any:
        raise ValueError("embedded null byte")

    command = Command(["build"], concurrency=1, reactor=Clock(), start=breaks)
    for _ in range(2):
        with pytest.raises(SinkError, match="cannot run 'build': ValueError: embedded null byte"):
            result_of(command.add_change(Change(), None))


def test_only_so_many_run_at_once() -> None:
    programs = Programs(concurrency=2)
    for index in range(3):
        programs.add(key=KEY._replace(index=index))
    assert len(programs.started) == 2
    programs.end(0)
    assert len(programs.started) == 3


def test_one_that_takes_too_long_is_ended_and_keeps_its_place_until_it_has() -> None:
    programs = Programs(time_limit=5, concurrency=1)
    assert programs.sink.time_limit is None
    taken, waiting = programs.add(), programs.add()
    programs.clock.advance(5)
    assert programs.started[0].asked_to_end == 1
    assert not has_fired(taken)
    assert len(programs.started) == 1
    programs.end(0, 0)
    with pytest.raises(SinkError, match="did not end within 5 s"):
        result_of(taken)
    assert len(programs.started) == 2
    programs.end(1)
    result_of(waiting)
    assert programs.clock.getDelayedCalls() == []


def test_one_that_is_not_wanted_any_more_is_ended() -> None:
    programs = Programs(concurrency=1)
    running, waiting = programs.add(), programs.add()
    for each in (waiting, running):
        each.cancel()
        with pytest.raises(CancelledError):
            result_of(each)
    assert programs.started[0].asked_to_end == 1
    programs.end(0, None, 15)
    programs.add()
    assert len(programs.started) == 2


def test_closing_ends_what_runs_and_starts_nothing_more() -> None:
    programs = Programs(concurrency=1)
    running, waiting = programs.add(), programs.add()
    closed = programs.sink.close()
    assert programs.started[0].asked_to_end == 1
    assert not has_fired(closed)
    with pytest.raises(SinkError, match="shutting down"):
        result_of(waiting)
    programs.end(0, None, 15)
    with pytest.raises(SinkError, match="the server was shutting down"):
        result_of(running)
    assert has_fired(closed)
    with pytest.raises(SinkError, match="shutting down"):
        result_of(programs.add())
    assert has_fired(programs.sink.close())


def test_what_was_closed_runs_programs_again_when_it_is_opened() -> None:
    programs = Programs()
    result_of(programs.sink.close())
    programs.sink.open()
    taken = programs.sink.add_change(Change(), KEY)
    assert len(programs.started) == 1
    programs.end(0)
    assert result_of(taken) == SinkOutput("")


def test_the_output_is_logged_line_by_line_without_what_a_terminal_obeys(logged: list[str]) -> None:
    programs = Programs(name="site")
    programs.add()
    programs.end(0, output=b"one\tx\n\x1b[31mtwo\xff\n")
    assert logged == ["site | one\tx", "site | \ufffd[31mtwo\ufffd"]


def test_the_output_goes_to_a_file(tmp_path: Path, logged: list[str]) -> None:
    programs = Programs(output="build.log", base=tmp_path)
    (tmp_path / "build.log").write_bytes(b"before\n")
    programs.add()
    programs.started[0].write(b"one\n")
    programs.started[0].write(b"two\n")
    programs.end(0, output=b"one\ntwo\n")
    assert (tmp_path / "build.log").read_bytes() == b"before\none\ntwo\n"
    assert logged == []


def test_a_file_that_cannot_be_opened_is_a_failure(tmp_path: Path) -> None:
    programs = Programs(output=str(tmp_path / "missing" / "build.log"))
    with pytest.raises(SinkError, match=r"No such file or directory: .*build\.log"):
        result_of(programs.add())


def test_a_file_that_is_full_does_not_stop_the_program() -> None:
    programs = Programs(output="/dev/full")
    taken = programs.add()
    programs.started[0].write(b"one\n")
    programs.started[0].write(b"two\n")
    programs.end(0)
    result_of(taken)


def test_without_output_nothing_is_logged(logged: list[str]) -> None:
    programs = Programs(output=None)
    taken = programs.add()
    programs.started[0].write(b"one\n")
    programs.end(0, output=b"one\n")
    assert (logged, result_of(taken)) == ([], SinkOutput("one\n"))


def test_a_relative_folder_starts_from_the_configuration(tmp_path: Path) -> None:
    programs = Programs(cwd="site", base=tmp_path)
    programs.add()
    assert programs.started[0].cwd == str(tmp_path / "site")


@pytest.mark.parametrize("argv", ["build", [], [5]])
def test_the_program_is_a_list_of_words(argv: Any) -> None:
    with pytest.raises(TypeError, match="argv"):
        Command(argv)


@pytest.mark.parametrize("env", [{"A": 5}, {5: "A"}])
def test_variables_are_text(env: Any) -> None:
    with pytest.raises(TypeError, match="env"):
        Command(["build"], env=env)


@pytest.mark.parametrize(
    ("argv", "env"),
    [(["a\0b"], {}), (["a"], {"A\0": "b"}), (["a"], {"A": "\0"}), (["a"], {"A=B": "c"}), (["a"], {"": "c"})],
)
def test_what_the_system_does_not_take_is_refused_at_once(argv: Any, env: Any) -> None:
    with pytest.raises(ValueError, match="env"):
        Command(argv, env=env)


def test_an_alarm_is_on_standard_input_and_in_the_environment() -> None:
    programs = Programs()
    assert IAlarmSink.providedBy(programs.sink)
    taken = programs.sink.add_alarm(ReceiverAlarm("dead_letter", "build", "1 change", 5.0, "17", count=1))
    (run,) = programs.started
    assert json.loads(run.stdin)["event"] == "dead_letter"
    assert (run.env["CHANGE_HOOK_EVENT"], run.env["CHANGE_HOOK_SUBJECT"]) == ("dead_letter", "build")
    assert (run.env["CHANGE_HOOK_TEXT"], run.env["CHANGE_HOOK_COUNT"]) == ("1 change", "1")
    programs.end(0)
    assert result_of(taken) == SinkOutput("")

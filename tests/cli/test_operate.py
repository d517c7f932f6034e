from __future__ import annotations

import json
from pathlib import Path
from time import time
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.internet.defer import Deferred, fail, succeed

import change_hooks.cli as cli
import change_hooks.cli.replaying as replaying
from change_hooks.core.errors import Unavailable
from change_hooks.dialects.handler import HookHandler
from change_hooks.journal import Attempt, DeadLetter, Outcome, Trace, Wish
from change_hooks.journal.reader import Reader

from ..support.command import CommandLine


def names(lines: list[Any]) -> list[str]:
    return [line["delivery"] for line in lines]


def test_deliveries_are_chosen(command_line: CommandLine) -> None:
    command_line.fill("1")
    command_line.fill("2", dialect="other", received=1_700_000_000.0)
    command_line.deliver(2)
    assert names(command_line.lines("deliveries")) == ["2", "1"]
    assert names(command_line.lines("deliveries", "--state", "delivered")) == ["2"]
    assert names(command_line.lines("deliveries", "--dialect", "base")) == ["1"]
    assert names(command_line.lines("deliveries", "--repository", "nothing")) == []
    assert names(command_line.lines("deliveries", "--since", "2023-01-01")) == ["2"]
    assert names(command_line.lines("deliveries", "--until", "2023-01-01T00:00:00Z")) == ["1"]
    assert names(command_line.lines("deliveries", "--since", "1d")) == []
    refused = command_line.run("deliveries", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "is not a valid time" in refused.stderr


def test_a_delivery_is_shown_whole_and_without_secrets(command_line: CommandLine) -> None:
    headers = {"X-Gitlab-Token": "s3cret", "Authorization": "Basic eDp5", "X-A": "b\x1b[2J"}
    command_line.fill("1", b'{"a": "\xc3\xa9\\u001b"}', headers=headers)
    command_line.write(lambda journal: journal.record([Outcome("a", "", [(1, 0)], [], 2, 100.0, "refused")]))
    (shown,) = command_line.lines("show", "1")
    assert shown["payload"] == {"a": "\u00e9\x1b"}
    (state,) = shown["sinks"]
    assert state.pop("due") == pytest.approx(time() + 100, abs=20)
    assert state == {
        "sink": "a",
        "state": "retrying",
        "repository": "",
        "index": 0,
        "attempts": 2,
        "error": "refused",
    }
    assert shown["changes"][0]["revision"] == "old"
    text = command_line.run("show", "base/1").output
    assert "POST /change_hook/x" in text
    assert "2 attempts failed, next at 20" in text
    for output in (text, json.dumps(shown)):
        assert "s3cret" not in output
        assert "Basic" not in output
    assert "\x1b" not in text


def test_a_form_is_shown_as_it_came_and_dead_letters_with_their_error(command_line: CommandLine) -> None:
    command_line.fill("1", b"a=\xff")
    command_line.deliver(1, DeadLetter(1, 0, "gone"))
    assert "a=\ufffd" in command_line.run("show", "1").output
    assert "sink a: gave up delivering change 0: gone" in command_line.run("show", "1").output
    command_line.fill("2")
    assert "sink a: waits for change 0 and those after it\n" in command_line.run("show", "2").output


def test_what_is_not_there_is_said(command_line: CommandLine) -> None:
    assert "there is no journal" in command_line.run("deliveries").stderr
    command_line.fill("1")
    assert "no delivery '7'" in command_line.run("show", "7").stderr
    assert "which delivery?" in command_line.run("show").stderr
    assert "which deliveries?" in command_line.run("replay").stderr
    command_line.configure(change_hook_journal=None)
    assert "nothing is stored" in command_line.run("deliveries").stderr


def test_the_configuration_may_be_left_out(command_line: CommandLine, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.main, ["show", "1"])
    assert f"there is no journal at {tmp_path}/change-hooks.sqlite" in result.stderr


def test_a_failed_delivery_is_replayed_through_the_handler(command_line: CommandLine) -> None:
    for name in ("1", "2", "3"):
        command_line.fill(name)
    command_line.deliver(1, DeadLetter(1, 0, "gone"))
    command_line.deliver(2)
    result = command_line.run("replay", "--failed")
    assert (result.exit_code, result.output) == (0, "Replayed 1 delivery; none failed.\n")
    states = {line["delivery"]: line["state"] for line in command_line.lines("deliveries")}
    assert states == {"1": "waiting", "2": "delivered", "3": "waiting"}
    assert [line["revision"] for line in command_line.lines("changes")] == ["1", "old", "old"]


def test_a_dry_run_says_what_would_be_replayed_and_replays_nothing(command_line: CommandLine) -> None:
    command_line.fill("1")
    command_line.fill("2")
    before = command_line.run("deliveries", "--json").output
    result = command_line.run("replay", "1", "2", "--dry-run")
    assert result.output == "base/1  a waiting\nbase/2  a waiting\n2 deliveries would be replayed\n"
    assert json.loads(command_line.run("replay", "2", "--dry-run", "--json").output) == {
        "dialect": "base",
        "delivery": "2",
        "sinks": {"a": "waiting"},
    }
    assert command_line.run("deliveries", "--json").output == before


def test_deliveries_are_replayed_by_id_and_what_is_on_its_way_is_left_alone(
    command_line: CommandLine,
) -> None:
    command_line.fill("1")
    command_line.fill("2")
    command_line.deliver(2)
    result = command_line.run("replay", "1", "2", "--json")
    assert result.exit_code == 1
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert (first["delivery"], second["delivery"]) == ("1", "2")
    assert "still waiting to be delivered" in first["error"]
    assert "error" not in second
    assert "base/1: it is still waiting to be delivered" in result.stderr


def two_sinks(command_line: CommandLine) -> None:
    """Sink a has taken a delivery, and b has not."""
    command_line.configure(change_hook_sinks={name: {"sink": "command", "argv": ["true"]} for name in "ab"})
    command_line.fill("1", sinks=("a", "b"))
    command_line.deliver(1)
    dead = [DeadLetter(1, 0, "gone")]
    command_line.write(lambda journal: journal.record([Outcome("b", "", [(1, None)], dead)]))


def sinks_of(command_line: CommandLine) -> dict[str, str]:
    (line,) = command_line.lines("deliveries")
    sinks: dict[str, str] = line["sinks"]
    return sinks


def test_only_the_sinks_that_have_not_taken_it_get_it_again(command_line: CommandLine) -> None:
    two_sinks(command_line)
    assert command_line.run("replay", "1").output == "Replayed 1 delivery; none failed.\n"
    assert sinks_of(command_line) == {"a": "taken", "b": "waiting"}


@pytest.mark.parametrize(
    ("option", "sinks"),
    [
        (["--sink", "a"], {"a": "waiting", "b": "failed"}),
        (["--all-sinks"], {"a": "waiting", "b": "waiting"}),
    ],
)
def test_or_those_that_are_asked_for(
    command_line: CommandLine, option: list[str], sinks: dict[str, str]
) -> None:
    two_sinks(command_line)
    assert command_line.run("replay", "1", *option).exit_code == 0
    assert sinks_of(command_line) == sinks


def test_a_sink_that_is_not_there_is_an_error(command_line: CommandLine) -> None:
    two_sinks(command_line)
    result = command_line.run("replay", "1", "--sink", "c")
    assert result.exit_code == 1
    assert "there is no sink 'c' in the configuration; valid names are a, b" in result.stderr
    assert sinks_of(command_line) == {"a": "taken", "b": "failed"}


def test_what_was_not_kept_cannot_be_replayed(command_line: CommandLine) -> None:
    command_line.write(
        lambda journal: succeed(journal.trace(Trace("base", 5.0, 202, "ignored", "a ping", delivery="9")))
    )
    result = command_line.run("replay", "9")
    assert result.exit_code == 1
    assert "base/9: nothing of it is stored that could be replayed" in result.stderr


def test_the_program_that_has_the_sinks_is_asked_and_waited_for(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_sinks(command_line)
    command_line.configure(change_hook_sinks=None)
    monkeypatch.setattr(replaying, "PATIENCE", 0.0)
    result = command_line.run("replay", "1")
    assert result.exit_code == 1
    assert "base/1: no program with the sinks has done this within a minute" in result.stderr
    asked: list[Any] = []
    wish = Reader.wish

    def look(reader: Reader, seq: int) -> Any:
        asked.append(wish(reader, seq))
        return None

    monkeypatch.setattr(Reader, "wish", look)
    assert (
        command_line.run("replay", "1", "--sink", "elsewhere").output == "Replayed 1 delivery; none failed.\n"
    )
    assert (
        command_line.run("replay", "1", "--all-sinks", "--json").output
        == '{"dialect":"base","delivery":"1"}\n'
    )
    assert [each.sinks for each in asked] == [("elsewhere",), ("a", "b")]


def test_and_what_it_says_is_shown(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    two_sinks(command_line)
    command_line.configure(change_hook_sinks=None)
    answers = [Wish(1, (), 0.0), Wish(1, (), 0.0, "no handler")]
    monkeypatch.setattr(Reader, "wish", lambda *_: answers.pop(0))
    monkeypatch.setattr(replaying, "deferLater", lambda *_: succeed(None))
    result = command_line.run("replay", "1")
    assert result.exit_code == 1
    assert "base/1: no handler" in result.stderr


def test_what_the_handler_refuses_now_stays_as_it_is(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_line.fill("1", dialect="gone")
    command_line.fill("2", b"nothing=1")
    for seq in (1, 2):
        command_line.deliver(seq, DeadLetter(seq, 0, "no"))
    result = command_line.run("replay", "--failed", "--since", "1970-01-01")
    assert result.exit_code == 1
    assert "gone/1: its dialect is no longer enabled" in result.stderr
    assert "base/2: " in result.stderr
    assert result.stdout.endswith("Replayed 0 deliveries; 2 failed.\n")

    def broken(self: Any, request: Any) -> Any:
        raise RuntimeError("boom\n")

    monkeypatch.setattr("change_hooks.dialects.base.BaseHookHandler.getChanges", broken)
    assert "base/2: the handler broke: RuntimeError: boom" in command_line.run("replay", "2").stderr


def test_a_progress_bar_for_people(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.fill("1")
    command_line.deliver(1)
    monkeypatch.setattr(replaying, "for_people", lambda: True)
    result = command_line.run("replay", "1")
    assert result.exit_code == 0
    assert "replaying" in result.stderr
    assert result.stdout == "Replayed 1 delivery; none failed.\n"


def test_a_journal_that_cannot_be_written_now_is_said(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_line.fill("1")
    command_line.deliver(1)
    monkeypatch.setattr(
        "change_hooks.journal.sqlite.SQLiteStore.transact",
        lambda *_: (_ for _ in ()).throw(OSError("locked")),
    )
    for command in (("replay", "1"), ("prune",)):
        result = command_line.run(*command)
        assert result.exit_code == 1
        assert "error: the journal cannot be written now" in result.stderr


def test_old_deliveries_are_pruned(command_line: CommandLine) -> None:
    command_line.fill("1")
    command_line.fill("2")
    command_line.fill("3")
    command_line.deliver(1)
    command_line.deliver(2, DeadLetter(2, 0, "no"))
    assert command_line.run("prune", "--older-than", "100000").output == "pruned 0 deliveries\n"
    assert command_line.run("prune").output == "pruned 1 delivery\n"
    assert command_line.lines("prune", "--failed") == [{"pruned": 1}]
    assert names(command_line.lines("deliveries")) == ["3"]
    command_line.configure(change_hook_keep=None)
    assert "--older-than DAYS" in command_line.run("prune").stderr


def test_check_as_json(command_line: CommandLine) -> None:
    (checked,) = command_line.lines("check")
    assert checked["endpoints"] == {"base": "change_hooks.dialects.base.BaseHookHandler"}
    assert checked["journal"].endswith("j.sqlite")
    assert (checked["sinks"], checked["admin"]) == (["a"], None)
    command_line.configure(change_hook_journal="postgresql://me:s3cret@127.0.0.1:1/hooks")
    refused = command_line.run("check", "--json")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: change_hook_journal: postgresql://127.0.0.1:1/hooks: ")
    assert "s3cret" not in refused.output


def test_what_a_handler_cannot_do_now_is_said(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(self: HookHandler, request: Any) -> Deferred[Any]:
        return fail(Unavailable("not now"))

    command_line.fill("1")
    command_line.deliver(1)
    monkeypatch.setattr("change_hooks.dialects.base.BaseHookHandler.getChanges", later)
    assert "base/1: not now" in command_line.run("replay", "1").stderr


def test_so_many_at_most(command_line: CommandLine) -> None:
    for name in ("1", "2", "3"):
        command_line.fill(name)
    assert names(command_line.lines("deliveries", "--limit", "2")) == ["3", "2"]
    assert command_line.run("deliveries", "--limit", "0").exit_code == 2
    assert "  1 change, 10 bytes" in command_line.run("deliveries", "--limit", "1").output


def test_the_journal_can_be_named_instead_of_a_configuration(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a program whose configuration only it can read: a Buildbot master's with ``util.Secret``."""
    command_line.fill("1")
    command_line.deliver(1, DeadLetter(1, 0, "gone"))
    command_line.config.write_text("from nowhere import secrets")
    assert command_line.run("deliveries").exit_code == 1
    named = ["--journal", "sqlite:///j.sqlite"]

    def run(command: str, *arguments: str) -> Any:
        return CliRunner().invoke(cli.main, [command, *named, *arguments])

    assert "base/1" in run("deliveries").output
    assert "revision=1" in run("show", "1").output
    assert "old" in run("changes").output
    assert "1 dead letter" in run("status").output
    monkeypatch.setattr(replaying, "PATIENCE", 0.0)
    assert "no program with the sinks has done this" in run("replay", "--failed").stderr
    assert "give --older-than DAYS" in run("prune").stderr
    for name in ("2", "3"):
        command_line.fill(name, sinks=())
    assert run("prune", "--older-than", "1").output == "pruned 1 delivery\n"
    assert "give CONFIG or --journal, not both" in command_line.run("deliveries", *named).stderr
    wrong = CliRunner().invoke(cli.main, ["deliveries", "--journal", "mysql://x"])
    assert wrong.exit_code == 2
    assert "change_hook_journal must be 'sqlite:///path'" in wrong.stderr


def test_a_refused_request_of_the_same_name_is_not_replayed(command_line: CommandLine) -> None:
    command_line.write(
        lambda journal: succeed(journal.trace(Trace("base", 5.0, 403, "refused", "no", delivery="1")))
    )
    command_line.fill("1")
    command_line.deliver(2)
    assert command_line.run("replay", "1").output == "Replayed 1 delivery; none failed.\n"


def test_what_a_program_printed_is_shown(command_line: CommandLine) -> None:
    command_line.fill("1")
    made = Attempt("a", "", 0, 7.0, 0.5, "failed", "it ended with 1", "one\x1b[2J\ntwo\n", seq=1)
    command_line.write(
        lambda journal: journal.record([Outcome("a", "", [], [], 1, 5.0, "it ended with 1", [made])])
    )
    text = command_line.run("show", "1").output
    assert "sink a: change 0 failed in 0.500 s: it ended with 1\n    | one\ufffd[2J\n    | two\n" in text

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import change_hooks.cli as cli
import change_hooks.cli.operate as operate
from change_hooks.cli.common import json_line
from change_hooks.config import read_www
from change_hooks.core.change import Change
from change_hooks.journal.sqlite import sqlite_journal

from ..conftest import delivery, result_of


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "hooks.cfg"
    path.write_text(
        "c = {'www': {'change_hook_journal': 'sqlite:///j.sqlite', 'change_hook_dialects': {'base': True}}}"
    )
    return str(path)


def fill(path: Path, *changes: Change, name: str = "1", received: float = 5.0) -> None:
    journal = sqlite_journal(path, lambda function, *arguments: function(*arguments))
    appended = journal.append(delivery(b"{}", id=name, dialect="base", received=received), list(changes), ())
    journal.writer.run_group()
    result_of(appended)


CHANGE = Change(
    author="\u00c4nn",
    revision="1c9f",
    repository="api",
    branch="main",
    comments="one\x1b[2J\ntwo",
    when_timestamp=0,
)


def test_changes_as_json_have_all_fields_and_their_delivery(config: str, tmp_path: Path) -> None:
    fill(tmp_path / "j.sqlite", CHANGE, Change(revision="2"))
    lines = [json.loads(line) for line in run("changes", config, "--json").stdout.splitlines()]
    assert lines[0] == {**CHANGE.as_dict(), "delivery": "1", "dialect": "base"}
    assert lines[1]["revision"] == "2"


def test_changes_for_people_hold_nothing_that_a_terminal_acts_on(config: str, tmp_path: Path) -> None:
    fill(tmp_path / "j.sqlite", CHANGE, Change())
    first, second = run("changes", config).stdout.splitlines()
    assert first == "1970-01-01T00:00:00Z  base/1#0  api main 1c9f  \u00c4nn: one\ufffd[2J"
    assert second.split() == ["-", "base/1#1", "-", "-", "-", "-:"]


def test_following_goes_on_with_what_comes(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "j.sqlite", CHANGE)

    def sleep(seconds: float) -> None:
        if len(slept) == 1:
            raise KeyboardInterrupt
        slept.append(seconds)
        fill(tmp_path / "j.sqlite", Change(revision="2"), name="2")

    slept: list[float] = []
    monkeypatch.setattr(operate, "sleep", sleep)
    lines = run("changes", config, "--json", "--follow").stdout.splitlines()
    assert [json.loads(line)["revision"] for line in lines if line.startswith("{")] == ["1c9f", "2"]


def test_deliveries(config: str, tmp_path: Path) -> None:
    fill(tmp_path / "j.sqlite", CHANGE)
    assert run("deliveries", config).stdout == "1970-01-01T00:00:05Z  stored     base/1  1 change, 2 bytes\n"
    (line,) = run("deliveries", config, "--json").stdout.splitlines()
    assert json.loads(line) == {
        "seq": 1, "dialect": "base", "delivery": "1", "event": "", "repository": "", "branch": "", "author": "",
        "received": 5.0, "client": "", "status": 202, "state": "stored", "reason": "", "verification": "none",
        "changes": 1, "bytes": 2, "duplicates": 0, "recovered": "", "sinks": {},
    }  # fmt: skip


@pytest.mark.parametrize("command", ["changes", "deliveries"])
def test_there_is_nothing_to_print_without_a_journal(command: str, config: str, tmp_path: Path) -> None:
    result = run(command, config)
    assert (result.exit_code, "there is no journal at" in result.stderr) == (1, True)
    Path(config).write_text("c = {'www': {'change_hook_journal': None}}")
    result = run(command, config)
    assert (result.exit_code, "nothing is stored" in result.stderr) == (1, True)


def test_without_a_configuration_it_is_the_embedded_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "change-hooks.sqlite", CHANGE)
    assert len(run("changes").stdout.splitlines()) == 1


def test_check_tells_what_is_served_and_which_doors_are_open(config: str, tmp_path: Path) -> None:
    result = run("check", config)
    assert result.exit_code == 0
    assert (
        "endpoint: http://localhost:8010/change_hook/base  change_hooks.dialects.base.BaseHookHandler"
        in result.stdout
    )
    assert f"journal: {tmp_path}/j.sqlite" in result.stdout
    assert "warning: dialect 'base': accepts unauthenticated changes" in result.stderr


def test_check_prints_all_errors(config: str) -> None:
    Path(config).write_text("c = {'www': {'change_hook_x': 1, 'change_hook_dialects': {'bas': True}}}")
    result = run("check", config)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].startswith("error: unknown key 'change_hook_x'")
    assert len(result.stderr.splitlines()) == 2
    assert run("check", "/no/such/file").exit_code == 1


def test_check_makes_every_handler(config: str) -> None:
    Path(config).write_text(
        "class Broken:\n"
        "    def __init__(self, master, options): 1 / 0\n"
        "    def getChanges(self, request): pass\n"
        "c = {'www': {'change_hook_dialects': {'base': True, 'x': {'custom_class': Broken}}}}"
    )
    result = run("check", config)
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "error: dialect 'x': could not create its handler: ZeroDivisionError: division by zero\n"
    )


def test_the_version() -> None:
    assert run("--version").stdout.startswith("change-hooks, version ")


def test_serve_refuses_a_wrong_configuration(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.cli.serving.begin_logging", lambda *_: None)
    Path(config).write_text("c = {'www': {'change_hook_dialects': {'bas': True}}}")
    result = run("serve", config)
    assert (result.exit_code, "error: dialect 'bas'" in result.stderr) == (1, True)
    assert read_www({}).endpoints == ()


def test_a_line_of_json_holds_nothing_that_a_terminal_could_act_on() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x3000 * 8), 0xE0001, 0x10FFFF]))
    line = json_line({"text": every, "m\u009bore": ["\u202e"]})
    assert line.isprintable()
    assert json.loads(line) == {"text": every, "m\u009bore": ["\u202e"]}
    assert json_line({"a": "\u00e4"}) == '{"a":"\u00e4"}'


@pytest.mark.parametrize("command", ["init", "send", "notify", "completion"])
def test_a_command_that_needs_no_twisted_starts_without_it(command: str) -> None:
    code = (
        f"import sys, change_hooks.cli.{command}; print([name for name in sys.modules if 'twisted' in name])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


#: What takes long to load. Only what listens, or sends requests, needs it.
HEAVY = frozenset(
    [
        "OpenSSL",
        "cryptography.x509",
        "treq",
        "twisted.web.client",
        "twisted.web.server",
        "twisted.internet.endpoints",
        "twisted.internet.reactor",
        "change_hooks.service",
        "change_hooks.upstream",
        "change_hooks.forges.github",
        "change_hooks.http_client",
        "change_hooks.pollers",
    ]
)


def loaded_by(*commands: list[str], folder: Path, among: frozenset[str] = HEAVY) -> set[str]:
    """Which of some modules are loaded after commands in a new process."""
    code = (
        "import contextlib, io, sys; from change_hooks.cli import main\n"
        f"for command in {commands!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        main(command, standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=folder)
    return set(among.intersection(printed.split()))


def test_the_help_of_every_command_loads_little(tmp_path: Path) -> None:
    subcommands = [["hook", name, "--help"] for name in ("ensure", "check", "rotate")]
    assert loaded_by(*([name, "--help"] for name in cli.COMMANDS), *subcommands, folder=tmp_path) == set()


def test_what_only_reads_a_journal_loads_neither_a_server_nor_a_client(tmp_path: Path) -> None:
    fill(tmp_path / "j.sqlite", Change(revision="1"), name="one")
    (tmp_path / "hooks.cfg").write_text("""c = {"www": {
        "change_hook_journal": "sqlite:///j.sqlite",
        "change_hook_admin": {"port": 8011},
        "change_hook_dialects": {"base": True, "github": {"secret": "a long enough secret", "strict": True}},
        "change_hook_sinks": {"a": {"sink": "http", "url": "https://ci.example.org/"}},
    }}""")
    commands = [[name, "hooks.cfg"] for name in ("deliveries", "changes", "status")]
    assert loaded_by(*commands, ["show", "hooks.cfg", "one"], folder=tmp_path) == set()


def test_a_simulated_delivery_needs_no_receiver_and_no_other_dialect(tmp_path: Path) -> None:
    command = ["simulate", "github", "push", "--secret", "x", "--dry-run", "--to", "http://127.0.0.1:1/"]
    others = frozenset({"change_hooks.dialects.gitea", "change_hooks.dialects.gitlab"})
    assert loaded_by(command, folder=tmp_path, among=HEAVY | others) == set()


def interrupted(folder: Path, missing: str, *, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    """What becomes of a command when Ctrl-C is pressed while it loads the module that is missing."""
    (folder / f"{missing}.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    command = [sys.executable, "-m", "change_hooks", "check", "missing.cfg"]
    if ignored:
        command = ["sh", "-c", f"trap '' INT; exec {shlex.join(command)}"]
    environment = {"PYTHONPATH": str(folder)}
    return subprocess.run(command, check=False, env=environment, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("missing", ["click", "service_identity"])
def test_ctrl_c_is_silent_while_modules_are_loaded(tmp_path: Path, missing: str) -> None:
    done = interrupted(tmp_path, missing)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_program_that_ctrl_c_is_not_meant_for_goes_on(tmp_path: Path) -> None:
    assert "SIGINT" not in interrupted(tmp_path, "service_identity", ignored=True).stderr
    assert interrupted(tmp_path, "service_identity", ignored=True).returncode != -signal.SIGINT

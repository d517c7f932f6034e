"""The command and its commands: how they are found, completed, and interrupted."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from change_hooks import cli
from change_hooks.cli import COMMANDS, main
from change_hooks.cli.common import fitted, say
from change_hooks.cli.completion import PLACES


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help
    inner = command.commands if isinstance(command, click.Group) else {}
    for each in (command, *inner.values()):
        unexplained = [
            option.name for option in each.params if isinstance(option, click.Option) and not option.help
        ]
        assert unexplained == []
    for words in ([name], *([name, each] for each in inner)):
        shown = CliRunner().invoke(main, [*words, "--help"])
        assert shown.exit_code == 0
        assert "\b" not in shown.output
        assert "\\b" not in shown.output


@pytest.mark.parametrize("width", [60, 100, 200])
def test_no_summary_is_cut(width: int) -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=width).output
    for name, lazy in COMMANDS.items():
        assert lazy.summary.endswith(".")
        assert name in shown
        assert lazy.summary.split()[-1] in shown
    assert "..." not in shown.partition("Commands:")[2]


def test_an_unknown_command_is_wrong_use() -> None:
    assert CliRunner().invoke(main, ["serv"]).exit_code == 2


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", lambda name: type("Module", (), {"changes": interrupted}))
    done = CliRunner().invoke(main, ["changes"])
    assert (done.exit_code, done.output) == (130, "")


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["notify", "git"]])
def test_help_fits_a_narrow_terminal(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = CliRunner().invoke(main, [*words, "--help"]).output
    # Names of options, and examples, stay whole.
    wrapped = [line for line in shown.splitlines() if not line.startswith(("  --", "  -", "  exec"))]
    assert [line for line in wrapped if len(line) > 40] == []


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["notify", "git"], ["hook", "ensure"]])
def test_help_breaks_no_name_at_a_hyphen(words: list[str]) -> None:
    # Of 80 columns, Click uses 78.
    shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=78).output.splitlines()
    assert [line for line in shown if line.endswith("-") or len(line) > 80] == []


def test_a_line_is_broken_between_words_and_indented() -> None:
    line = f"one  {click.style('two', fg='red')} three   four-and-a-half five"
    assert [click.unstyle(each) for each in fitted(line, 12).split("\n")] == [
        "one  two",
        "    three",
        "    four-and-a-half",
        "    five",
    ]
    assert fitted(line, 80) == line


@pytest.mark.parametrize(
    ("name", "value", "color"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", None), ("TERM", "dumb", False), ("TERM", "xterm", None)],
)
def test_no_color_is_followed(monkeypatch: pytest.MonkeyPatch, name: str, value: str, color: Any) -> None:
    @click.command()
    @click.pass_context
    def show(ctx: click.Context) -> None:
        click.echo(repr(ctx.find_root().color))

    for each in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "import_module", lambda name: type("Module", (), {"changes": show}))
    assert CliRunner().invoke(main, ["changes"]).output == f"{color!r}\n"


@pytest.mark.parametrize("shell", PLACES)
def test_completions_are_printed_and_installed(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    printed = CliRunner().invoke(main, ["completion", shell]).output
    assert "_CHANGE_HOOKS_COMPLETE" in printed
    done = CliRunner().invoke(main, ["completion", shell, "--install"])
    path = tmp_path / PLACES[shell]
    assert done.output == f"wrote {path}; it takes effect in the next shell\n"
    assert path.read_text().strip() == printed.strip()
    (tmp_path / "file").touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "file")
    refused = CliRunner().invoke(main, ["completion", shell, "--install"])
    assert (refused.exit_code, "Not a directory" in refused.output) == (1, True)


@pytest.mark.parametrize("command", [["--help"], ["completion", "bash"], ["init"]])
def test_output_that_cannot_be_written_is_said(command: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "change_hooks", *command],
            check=False,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.endswith("Error: the output cannot be written: No space left on device\n")


def test_nobody_has_to_read_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = f"{shlex.quote(sys.executable)} -m change_hooks init >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False, cwd=tmp_path).returncode == 0
    monkeypatch.setattr("sys.stdout", None)  # As it is then.
    say("the configuration is good")

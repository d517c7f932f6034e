"""What can be seen on this machine."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from change_hooks.config import read_www
from change_hooks.doctor.local import LONG, look_at_disk, look_at_journal, look_at_port
from change_hooks.journal import DeadLetter
from tests.support.certificates import certificate
from tests.support.command import CommandLine

NOW = 1_800_000_000.0
MIB = 2**20
Usage = namedtuple("Usage", "total used free")


def hooks(folder: Path, journal: str | None = "sqlite:///j.sqlite") -> Any:
    return read_www({"change_hook_journal": journal, "change_hook_dialects": {"base": True}}, base=folder)


def said(found: Any) -> list[tuple[str, str]]:
    return [(finding.verdict, finding.said) for finding in found]


def test_without_a_journal_or_before_the_first_run_there_is_a_warning(tmp_path: Path) -> None:
    (finding,) = look_at_journal(hooks(tmp_path, None), NOW)
    assert (finding.verdict, finding.topic) == ("warning", "journal")
    (finding,) = look_at_journal(hooks(tmp_path), NOW)
    assert (finding.verdict, "does not exist yet" in finding.said) == ("warning", True)


def test_a_journal_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").write_text("this is not a database, and long enough to be taken for one" * 50)
    (finding,) = look_at_journal(hooks(tmp_path), NOW)
    assert finding.verdict == "problem"


def test_what_waits_for_long_is_a_problem_and_dead_letters_are_a_warning(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path)
    command_line.fill("1")
    assert said(look_at_journal(hooks(tmp_path), 5.0 + LONG)) == [
        ("good", f"{tmp_path / 'j.sqlite'}; nothing has waited for long")
    ]
    assert said(look_at_journal(hooks(tmp_path), 5.0 + 2 * LONG)) == [
        ("problem", "sink a: 1 delivery has been waiting for 120 minutes")
    ]
    command_line.deliver(1, DeadLetter(1, 0, "it failed"))
    assert said(look_at_journal(hooks(tmp_path), 5.0 + 2 * LONG)) == [
        ("warning", "sink a: 1 dead letter; 'change-hooks replay' delivers them again")
    ]


@pytest.mark.parametrize(("free", "verdict"), [(600 * MIB, "good"), (100 * MIB, "warning"), (MIB, "problem")])
def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    assert said(look_at_disk(hooks(tmp_path))) == [(verdict, f"{free // MIB} MiB free in {tmp_path}")]


def test_a_disk_that_is_not_there_and_a_journal_that_is_elsewhere(tmp_path: Path) -> None:
    (finding,) = look_at_disk(hooks(tmp_path, "sqlite:///away/j.sqlite"))
    assert finding.verdict == "problem"
    assert list(look_at_disk(hooks(tmp_path, None))) == []


@pytest.mark.parametrize(("days", "verdict"), [(90, "good"), (5, "warning"), (-2, "problem")])
def test_the_certificate_of_the_server(tmp_path: Path, days: int, verdict: str) -> None:
    made = certificate(days, NOW)
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (finding,) = look_at_port("ssl:8443:privateKey=key.pem:certKey=cert.pem", tmp_path, NOW)
    assert finding.verdict == verdict
    assert f"{made.not_valid_after_utc:%Y-%m-%d}" in finding.said


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    port = "ssl:8443:certKey=cert.pem"
    (finding,) = look_at_port(port, tmp_path, NOW)
    assert finding.verdict == "problem"
    (tmp_path / "cert.pem").write_text("x")
    (finding,) = look_at_port(port, tmp_path, NOW)
    assert finding.verdict == "problem"
    for other in ("tcp:8010", "ssl:8443"):
        assert list(look_at_port(other, tmp_path, NOW)) == []

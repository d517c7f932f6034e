"""What would stand in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from change_hooks import inspection
from change_hooks.config import read_www
from change_hooks.inspection import Found, inspect
from change_hooks.journal.sqlite import connect
from change_hooks.standalone_settings import inside, standalone_settings

GOOD = """
c = {"www": {
    "port": "tcp:8010:interface=127.0.0.1",
    "change_hook_dialects": {"github": {"secret": {"env": "HOOK_SECRET"}, "strict": True}},
    "change_hook_sinks": {"run": {"sink": "command", "argv": ["sh", "-c", "true"]}},
}}
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "correct horse battery staple")


def found(folder: Path, more: str = "", reactor: Any = None) -> Found:
    """What is found in a good configuration and what follows it."""
    path = folder / "hooks.cfg"
    path.write_text(f"{GOOD}\n{more}\n")
    with inside(path) as entered:
        settings = standalone_settings(entered)
        return inspect(settings, read_www(settings.www, base=settings.base), reactor or MemoryReactorClock())


def test_a_good_configuration(tmp_path: Path) -> None:
    before = Path.cwd()
    assert found(tmp_path) == Found((), ())
    assert Path.cwd() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hooks.cfg"]


class Busy(MemoryReactorClock):
    """A reactor that cannot listen."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def listenTCP(self, port: int, *arguments: Any, **more: Any) -> Any:
        raise CannotListenError("127.0.0.1", port, OSError(self.number, os.strerror(self.number)))  # type: ignore[no-untyped-call]


def test_a_port_that_is_in_use_may_be_the_servers_own(tmp_path: Path) -> None:
    more = 'c["www"]["change_hook_admin"] = {"port": 8011}'
    assert found(tmp_path, more, Busy(errno.EADDRINUSE)) == Found(
        (),
        (
            "c['www']['port']: tcp:8010:interface=127.0.0.1 is in use; is the server running?",
            "change_hook_admin: option 'port': tcp:8011:interface=127.0.0.1 is in use; is the server running?",
        ),
    )


def test_a_port_that_cannot_be_opened(tmp_path: Path) -> None:
    assert found(tmp_path, reactor=Busy(errno.EACCES)).problems == (
        "c['www']['port']: cannot listen on tcp:8010:interface=127.0.0.1: Permission denied",
    )


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("'tpc:8010'", "'tpc:8010' cannot be used: Unknown endpoint type: 'tpc'"),
        ("'ssl:8443:privateKey=no.pem:certKey=no.pem'", "no.pem"),
        ("'tcp:eighty'", "'tcp:eighty' cannot be used: "),
    ],
)
def test_an_endpoint_string_that_cannot_be_used(tmp_path: Path, port: str, said: str) -> None:
    (problem,) = found(tmp_path, f"c['www']['port'] = {port}").problems
    assert problem.startswith("c['www']['port']: ")
    assert said in problem


@pytest.mark.parametrize(
    ("port", "is_open"),
    [
        ("8010", True),
        ("'tcp:8010'", True),
        ("'tcp:8010:interface=0.0.0.0'", True),
        ("r'tcp6:8010:interface=\\:\\:'", True),
        ("r'tcp6:8010:interface=\\:\\:1'", False),
        ("'tcp:8010:interface=127.0.0.2'", False),
        ("'unix:socket'", False),
    ],
)
def test_a_port_that_others_can_reach_without_tls_is_doubtful(
    tmp_path: Path, port: str, is_open: bool
) -> None:
    doubts = found(tmp_path, f"c['www']['port'] = {port}").doubts
    assert ["without TLS" in doubt for doubt in doubts] == [True] * is_open


def test_password_files_are_read(tmp_path: Path) -> None:
    more = """
from twisted.cred import strcred
missing = [strcred.makeChecker("file:missing.passwd")]
c["www"]["change_hook_auth"] = missing
c["www"]["change_hook_dialects"]["base"] = {"auth": missing}
c["www"]["change_hook_admin"] = {"port": 8011, "auth": [strcred.makeChecker("file:there.passwd")]}
"""
    (tmp_path / "there.passwd").write_text("ann:x")
    assert found(tmp_path, more).problems == (
        "change_hook_auth: missing.passwd cannot be read: No such file or directory",
        "dialect 'base': option 'auth': missing.passwd cannot be read: No such file or directory",
    )


def test_programs_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = """
from change_hooks.pollers import GitPoller
c["change_source"] = GitPoller("https://example.com/r.git")
c["www"]["change_hook_sinks"] = {
    "x": {"sink": "command", "argv": ["./no-such-program"]},
    "y": {"sink": "command", "argv": ["there"], "env": {"PATH": "bin"}},
    "z": print,
}
"""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "there").touch(mode=0o755)
    which = inspection.shutil.which
    monkeypatch.setattr(
        inspection.shutil,
        "which",
        lambda program, path=None: None if program == "git" else which(program, path=path),
    )
    assert found(tmp_path, more).problems == (
        "change_hook_sinks: 'x': './no-such-program' is not an executable program",
        "change_source: https://example.com/r.git: 'git' is not installed",
    )


def test_the_journal_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = 'c["www"]["change_hook_journal"] = "sqlite:///missing/j.sqlite"'
    (problem,) = found(tmp_path, more).problems
    assert problem == f"change_hook_journal: {tmp_path}/missing/j.sqlite: No such file or directory"
    (tmp_path / "change-hooks.sqlite").write_text("this is no database" * 100)
    (problem,) = found(tmp_path).problems
    assert "change-hooks.sqlite: file is not a database" in problem
    more = 'c["www"]["change_hook_journal"] = "postgresql://127.0.0.1:1/hooks"'
    (problem,) = found(tmp_path, more).problems
    assert problem.startswith("change_hook_journal: postgresql://127.0.0.1:1/hooks: ")
    more = 'c["www"].update(change_hook_journal=None, change_hook_sinks={"x": print})'
    assert found(tmp_path, more).problems == ()


def test_a_folder_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: Any, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(inspection.fcntl, "lockf", no_locks)
    (problem,) = found(tmp_path).problems
    assert problem.endswith("No locks available")


def test_a_secret_that_others_can_read_is_doubtful(tmp_path: Path) -> None:
    more = """
c["www"]["change_hook_dialects"]["gitlab"] = {"secret": ["another good secret", b"and a third one, as long"], "strict": True}
"""
    (doubt,) = found(tmp_path, more).doubts
    assert doubt.startswith("dialect 'gitlab': option 'secret' is in hooks.cfg, which others can read;")
    (tmp_path / "hooks.cfg").chmod(0o600)
    assert found(tmp_path, more).doubts == ()
    (tmp_path / "hooks.cfg").chmod(0o644)
    assert found(tmp_path, 'c["www"]["change_hook_dialects"] = None').doubts[:1] != ()


def test_a_secret_of_the_environment_does_not_stand_there(tmp_path: Path) -> None:
    more = """
import os
c["www"]["change_hook_dialects"]["github"] = {"secret": os.environ["HOOK_SECRET"], "strict": True}
"""
    assert found(tmp_path, more).doubts == ()


def test_without_a_sink_nothing_is_handed_on(tmp_path: Path) -> None:
    more = 'c["www"]["change_hook_sinks"] = {}'
    assert found(tmp_path, more).doubts == (
        "change_hook_sinks is empty: changes are stored, but delivered nowhere",
    )
    assert found(tmp_path, f"{more}\nc['builders'] = []").doubts == ()


@pytest.mark.parametrize("name", ["change_sources", "pollers"])
def test_pollers_in_another_place_are_not_read(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, f"c[{name!r}] = []").doubts == (
        f"c['{name}'] is not used; list the pollers in c['change_source']",
    )


def test_the_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = standalone_settings(None)
    result = inspect(settings, read_www(settings.www, base=settings.base), MemoryReactorClock())
    assert result.problems == ()


def test_files_that_others_can_read_change_or_exchange_are_doubtful(tmp_path: Path) -> None:
    names = ("journal.sqlite", "passwords", "secret", "real")
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).write_text("user:password\n" if name == "passwords" else "correct horse battery")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "journal.sqlite").unlink()
    more = """
from twisted.cred.strcred import makeChecker
c["www"]["change_hook_journal"] = "sqlite:///journal.sqlite"
c["www"]["change_hook_dialects"]["a"] = {"dialect": "gitlab", "secret": [{"file": "secret"}, {"file": "linked"}]}
c["www"]["change_hook_dialects"]["b"] = {"dialect": "base", "auth": [makeChecker("file:passwords")]}
"""
    (doubt,) = found(tmp_path, more).doubts
    assert "linked is a symbolic link" in doubt
    connect(tmp_path / "journal.sqlite").close()
    for name in ("journal.sqlite", "passwords", "secret"):
        for mode in (0o666, 0o604, 0o620):
            (tmp_path / name).chmod(mode)
            doubts = [each for each in found(tmp_path, more).doubts if "by others" in each]
            assert len(doubts) == 1
            assert f"{name} can be read or changed by others (mode {mode:o})" in doubts[0]
        (tmp_path / name).chmod(0o640)
    assert len(found(tmp_path, more).doubts) == 1

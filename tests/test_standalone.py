"""A server of its own: its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from change_hooks.standalone_settings import enter, inside, standalone_settings


def configured(folder: Path, journal: str) -> Path:
    path = folder / "hooks.cfg"
    path.write_text(
        f"c = {{'www': {{'change_hook_journal': {journal!r}, 'change_hook_dialects': {{'base': True}}}}}}"
    )
    return path


@pytest.mark.parametrize(
    ("journal", "there"),
    [
        ("sqlite:///j.sqlite", "sqlite:////var/lib/x/j.sqlite"),
        ("sqlite:////srv/j.sqlite", "sqlite:////srv/j.sqlite"),
        ("postgresql://db/hooks", "postgresql://db/hooks"),
        (None, None),
        ("sqlite:///", "sqlite:///"),
    ],
)
def test_what_is_kept_is_in_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str, there: str
) -> None:
    path = configured(tmp_path, journal)
    settings = standalone_settings(path)
    assert (settings.www["change_hook_journal"], settings.state) == (journal, tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/x:/var/lib/y")
    settings = standalone_settings(path)
    assert (settings.www["change_hook_journal"], settings.state) == (there, Path("/var/lib/x"))
    assert settings.base == tmp_path


def test_so_is_the_journal_of_the_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert standalone_settings(None).www["change_hook_journal"] == f"sqlite:///{tmp_path}/change-hooks.sqlite"


def test_the_folder_of_the_file_is_entered_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    configured(tmp_path / "etc", "sqlite:///j.sqlite")
    monkeypatch.chdir(tmp_path)
    with inside(Path("etc/hooks.cfg")) as path:
        assert path == tmp_path / "etc" / "hooks.cfg"
        assert Path.cwd() == tmp_path / "etc"
    assert Path.cwd() == tmp_path
    with pytest.raises(ZeroDivisionError), inside(Path("etc/hooks.cfg")):
        raise ZeroDivisionError
    assert Path.cwd() == tmp_path
    assert enter(None) is None
    assert enter(Path("missing/x.cfg")) == tmp_path / "missing" / "x.cfg"
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("asked", "port"),
    [
        (None, "tcp:8010:interface=127.0.0.1"),
        ("9000", "tcp:9000:interface=127.0.0.1"),
        ("tcp:9000:interface=127.0.0.2", "tcp:9000:interface=127.0.0.2"),
    ],
)
def test_the_port_of_the_embedded_default(asked: str | None, port: str) -> None:
    assert standalone_settings(None, asked).port == port


def test_a_port_that_is_asked_for_goes_before_the_files(tmp_path: Path) -> None:
    path = configured(tmp_path, "sqlite:///j.sqlite")
    assert standalone_settings(path).port == "tcp:8010"
    assert standalone_settings(path, "9000").port == "tcp:9000"
    assert standalone_settings(path, "unix:socket").port == "unix:socket"

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from psycopg.conninfo import conninfo_to_dict

from change_hooks.config import read_www
from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.address import check_journal, is_valid, make_journal, open_reader, shown
from change_hooks.journal.sqlite import SQLiteStore

URL = "postgresql://me:s3cret@db.example:5433/hooks"


def test_a_path_is_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    check_journal(path)
    assert list(open_reader(path).deliveries()) == []
    assert isinstance(make_journal(path, lambda: None).writer.store, SQLiteStore)
    with pytest.raises(ConfigurationError, match=r"change_hook_journal: .*missing"):
        check_journal(tmp_path / "missing" / "j.sqlite")


def test_without_its_package_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "change_hooks.journal.postgresql", raising=False)
    monkeypatch.delattr("change_hooks.journal.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    asks: list[Any] = [check_journal, open_reader, lambda url: make_journal(url, print)]
    for ask in asks:
        with pytest.raises(ConfigurationError, match=r"pip install 'change-hooks\[postgres\]'"):
            ask(URL)


def test_a_password_is_not_shown() -> None:
    assert shown(URL) == "postgresql://db.example:5433/hooks"
    assert shown("postgres:///hooks") == "postgresql:///hooks"
    several = "postgresql://me:s3cret@a.example:5432,b.example:5433/hooks"
    assert shown(several) == "postgresql://a.example:5432,b.example:5433/hooks"
    assert shown(Path("/x.sqlite")) == "/x.sqlite"


@pytest.mark.parametrize(
    "password",
    ["p/w", "p?w", "p#w", "p@w", "[p", "[p]", "p%zz", "p w", "1/2", "1?a=b", "p?a=b", "%00", "\u2100"],
)
def test_a_password_that_is_not_encoded_is_neither_shown_nor_quoted(password: str) -> None:
    url = f"postgresql://me:s3cr3t{password}s3cr3t@db.example/hooks"
    assert "s3cr3t" not in shown(url)
    try:
        read_www({"change_hook_journal": url})
    except ConfigurationError as error:
        assert "not a valid PostgreSQL URL" in str(error)
        assert "s3cr3t" not in str(error)
    else:
        assert conninfo_to_dict(url)["password"] == f"s3cr3t{unquote(password)}s3cr3t"


def test_what_stands_before_a_slash_may_be_a_password() -> None:
    for url in ("postgresql://me:12/34@db.example/hooks", "postgresql://me:p@w@db.example/hooks"):
        assert not is_valid(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "postgresql:///hooks?user=a@b",
            "postgresql://a:1,b:2/hooks",
            "postgres://me:p%2Fw@[::1]:5432/hooks",
        ),
        "postgresql://me@/hooks?host=/run/postgresql&port=5433",
    ],
)
def test_a_url_of_postgresql_is_valid(url: str) -> None:
    assert is_valid(url)


def test_without_its_package_every_url_may_be_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert is_valid(URL)
    assert shown(None) == "none"

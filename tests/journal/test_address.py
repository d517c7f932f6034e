from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.address import check_journal, make_journal, open_reader, shown
from change_hooks.journal.sqlite import SQLiteStore

URL = "postgresql://me:s3cret@db.example:5433/hooks"


def test_a_path_is_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    check_journal(path)
    assert list(open_reader(path).deliveries()) == []
    assert isinstance(make_journal(path, lambda: None).writer._store, SQLiteStore)
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
    assert shown(None) == "none"

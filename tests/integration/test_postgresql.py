"""The PostgreSQL journal: what every journal has to do, and what only this one has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from change_hooks.core.change import Change
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal import Appended
from change_hooks.journal.address import check_journal, make_journal, open_reader
from change_hooks.journal.postgresql import PostgreSQLStore, connect, connect_to_read, postgresql_journal
from change_hooks.journal.reader import Reader
from change_hooks.journal.schema import SchemaError
from change_hooks.journal.sqlite import connect as connect_to_sqlite

from ..conftest import delivery, result_of
from ..journal.sightings import *  # noqa: F403
from ..journal.suite import *  # noqa: F403
from ..journal.suite import API, Journal
from ..support.services import database


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    connect(url).close()
    made: list[Any] = []

    def make(service: str = "") -> Any:
        made.append(postgresql_journal(url, call, service=service))
        return made[-1]

    yield Journal(make(), lambda: Reader(connect_to_read(url)), make)
    for each in made:
        each.writer.store.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA change_hooks CASCADE")


def test_a_server_that_has_cut_the_connection_is_connected_anew(journal: Journal, url: str) -> None:
    journal.append("1", API)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'change-hooks' AND datname = current_database()"
        )
    with pytest.raises(Unavailable):
        journal.append("2", API)
    assert not journal.append("2", API).duplicate


def test_receivers_that_begin_at_once_make_the_tables_once(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS change_hooks CASCADE")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(connect, url) for _ in range(8)]:
            done.result().close()
    assert open_reader(url).find("1") == []


def test_many_receivers_accept_each_delivery_once(journal: Journal) -> None:
    receivers = [journal, *(journal.other() for _ in range(3))]
    names = [str(number) for number in range(50)]

    def receive(receiver: Journal, names: list[str]) -> int:
        stored = [
            receiver.journal.append(
                delivery(id=name, dialect="base"), [Change(repository=str(int(name) % 7))], ("sink",)
            )
            for name in names
        ]
        receiver.journal.writer.run_submitted()
        results: list[Appended] = [result_of(each) for each in stored]
        return sum(not appended.duplicate for appended in results)

    with ThreadPoolExecutor(4) as pool:
        accepted = [
            pool.submit(receive, receiver, names[::step])
            for receiver, step in zip(receivers, (1, -1, 1, -1), strict=True)
        ]
        assert sum(done.result() for done in accepted) == len(names)
    claimed = [work.repository for receiver in receivers for work in receiver.claim().works]
    assert sorted(claimed) == sorted(set(claimed))
    assert len(claimed) == 7


def test_a_commit_is_durable_whatever_the_server_says(journal: Journal, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        (shown,) = journal.run(
            journal.journal.writer.submit(
                lambda session: session.execute("SHOW synchronous_commit").fetchall()
            )
        )
        assert shown == {"synchronous_commit": "on"}
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")


def set_version(url: str, version: int, compatible: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE change_hooks.schema_version SET version = %s, compatible = %s", (version, compatible)
        )


def test_tables_of_a_newer_version_are_left_alone(journal: Journal, url: str) -> None:
    set_version(url, 99, 99)
    with pytest.raises(SchemaError, match="upgrade"):
        connect(url)
    for ask in (check_journal, open_reader):
        with pytest.raises(ConfigurationError, match="upgrade"):
            ask(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE change_hooks.schema_version DROP COLUMN compatible")
    for ask in (check_journal, open_reader):
        with pytest.raises(ConfigurationError, match="never released"):
            ask(url)


def test_a_newer_version_says_whether_this_one_may_go_on(journal: Journal, url: str) -> None:
    set_version(url, 99, 1)
    assert not journal.other().append("1", API).duplicate
    assert [line.delivery for line in open_reader(url).deliveries()] == ["1"]


def test_both_databases_have_the_same_tables(journal: Journal, url: str, tmp_path: Path) -> None:
    kinds = {
        "INTEGER": {"integer", "bigint"},
        "REAL": {"double precision"},
        "TEXT": {"text"},
        "BLOB": {"bytea"},
    }
    with closing(connect_to_sqlite(tmp_path / "x.sqlite")) as sqlite, psycopg.connect(url) as postgresql:
        tables = [row[0] for row in sqlite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        ours = {
            (table, row["name"]): (row["type"], bool(row["notnull"] or row["pk"]))
            for table in tables
            for row in sqlite.execute(f"PRAGMA table_info({table})")
        }
        theirs = {
            (table, name): (kind, nullable == "NO")
            for table, name, kind, nullable in postgresql.execute(
                "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
                " WHERE table_schema = 'change_hooks'"
            )
        }
        indexes = "SELECT {} FROM {} WHERE {} ORDER BY 1"
        sqlite_indexes = indexes.format("name", "sqlite_schema", "type = 'index' AND sql IS NOT NULL")
        postgresql_indexes = indexes.format(
            "indexname", "pg_indexes", "schemaname = 'change_hooks' AND indexname NOT LIKE '%pkey'"
        )
        assert [tuple(row) for row in sqlite.execute(sqlite_indexes)] == postgresql.execute(
            postgresql_indexes
        ).fetchall()
    assert ours.keys() == theirs.keys()
    for column, (kind, filled) in ours.items():
        assert theirs[column][0] in kinds[kind], column
        assert theirs[column][1] == filled, column


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    nowhere = "postgresql://someone:s3cret@127.0.0.1:1/x"
    errors = {check_journal: Unavailable, open_reader: ConfigurationError}
    for ask, error in errors.items():
        with pytest.raises(error, match=r"postgresql://127\.0\.0\.1:1/x") as caught:
            ask(nowhere)
        assert "s3cret" not in str(caught.value)
    journal = make_journal(nowhere, call)
    stored = journal.append(delivery(id="1", dialect="base"), [API], ())
    journal.writer.run_group()
    with pytest.raises(Unavailable):
        result_of(stored)


def test_there_is_nothing_to_read_before_there_is_a_journal(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS change_hooks CASCADE")
    with pytest.raises(FileNotFoundError, match="change-hooks serve"):
        open_reader(url)


def test_the_journal_of_a_url(url: str) -> None:
    check_journal(url)
    journal = make_journal(url, call)
    assert isinstance(journal.writer.store, PostgreSQLStore)

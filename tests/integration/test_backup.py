"""Backups and the rights that PostgreSQL asks for, as the page on deployment has them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from ..support.programs import curl
from ..support.services import database
from .conftest import Server, program

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md").read_text()
BASE = "'change_hook_dialects': {'base': True}"


def from_the_page(program_name: str) -> list[str]:
    """A command of the page, in words."""
    (written,) = re.findall(rf"`({program_name} [^`]*)`", PAGE)
    return shlex.split(written)


def send(running: Server, revision: str) -> None:
    assert curl("-d", f"revision={revision}", f"{running.url}/base") == (202, "1 change found\n")


def revisions(folder: Path) -> list[str]:
    command = [program("change-hooks"), "changes", "hooks.cfg", "--json"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return [json.loads(line)["revision"] for line in done.stdout.splitlines()]


def test_a_sqlite_journal_is_backed_up_while_it_runs_and_restored(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(BASE)
    send(running, "1")
    name, path, statement = from_the_page("sqlite3")
    journal = tmp_path / Path(path).name
    subprocess.run([program(name), str(journal), statement], cwd=tmp_path, check=True)
    send(running, "2")
    assert running.stop() == 0
    assert revisions(tmp_path) == ["1", "2"]
    shutil.copyfile(tmp_path / "backup.sqlite", journal)
    for end in ("-wal", "-shm"):
        journal.with_name(f"{journal.name}{end}").unlink(missing_ok=True)
    running.start()
    send(running, "3")
    assert revisions(tmp_path) == ["1", "3"]


@pytest.fixture
def owned() -> Iterator[tuple[str, str]]:
    """A database of somebody else, and the name of a role that may create schemas in it."""
    role = f"hooks_{uuid4().hex}"
    with database() as url, psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'a long enough password'")
        admin.execute(f"GRANT CREATE ON DATABASE {urlsplit(url).path[1:]} TO {role}")
        try:
            yield url, role
        finally:
            admin.execute(f"DROP OWNED BY {role} CASCADE")
            admin.execute(f"DROP ROLE {role}")


def test_a_postgresql_journal_needs_the_right_to_create_once_and_is_restored(
    server: Callable[..., Server], tmp_path: Path, owned: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, role = owned
    name = urlsplit(url).path[1:]
    monkeypatch.setenv("PGPASSWORD", "a long enough password")
    own = urlsplit(url)._replace(netloc=f"{role}@{urlsplit(url).netloc.rpartition('@')[2]}").geturl()
    running = server(f"{BASE}, 'change_hook_journal': {own!r}")
    send(running, "1")
    assert running.stop() == 0
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"REVOKE CREATE ON DATABASE {name} FROM {role}")
    running.start()
    send(running, "2")

    dump, *options = from_the_page("pg_dump")
    assert options[-1] == "hooks"
    backup = tmp_path / "backup"
    with backup.open("wb") as file:
        subprocess.run([program(dump), *options[:-1], url], stdout=file, check=True, env=dict(os.environ))
    send(running, "3")
    assert running.stop() == 0
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP SCHEMA change_hooks CASCADE")
    subprocess.run([program("pg_restore"), "-d", url, str(backup)], check=True, env=dict(os.environ))
    running.start()
    send(running, "4")
    assert revisions(tmp_path) == ["1", "2", "4"]

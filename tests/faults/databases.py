"""Servers of a test's own, which it may stop, freeze and break: PostgreSQL, and a pooler before it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from ..support.programs import eventually, free_port, program
from ..support.services import answers, missing


def as_postgres(folder: Path) -> dict[str, Any]:
    """How to start a program that refuses to run as root, with *folder* for its files: see
    :func:`~tests.support.programs.folder_for_others`.
    """
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid}


class PostgreSQL:
    """A PostgreSQL server.

    :param folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        pg_ctl = str(found[-1]) if found else shutil.which("pg_ctl")
        if pg_ctl is None:
            missing("PostgreSQL's pg_ctl")
        self._pg_ctl = pg_ctl
        self._folder = folder
        self._user = as_postgres(folder)
        self.port = free_port()
        self.url = self.url_at(self.port)
        self._run("init", "-o", "-A trust -U postgres --no-sync")

    def url_at(self, port: int) -> str:
        """Its URL, by way of something that listens at another port."""
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def __enter__(self) -> PostgreSQL:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process_id() is not None:
            self.thaw()
            self.stop("immediate")

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [self._pg_ctl, "-s", "-w", "-D", str(self._folder / "data"), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **self._user,
        )

    def start(self, *settings: str) -> None:
        """Start it. *settings*: each ``name=value``."""
        all_settings = ["listen_addresses=127.0.0.1", *settings]
        options = f"-p {self.port} -k {self._folder} " + " ".join(f"-c {each}" for each in all_settings)
        self._run("-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, mode: str) -> None:
        """Stop it: ``fast`` tells its clients, ``immediate`` is a crash."""
        self._run("-m", mode, "stop")

    def _process_id(self) -> int | None:
        try:
            return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return None

    def _signal(self, number: int) -> None:
        postmaster = self._process_id()
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for process in (postmaster, *map(int, children)):
            # A child may have ended meanwhile.
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def freeze(self) -> None:
        """Stop all of its processes: it says nothing, and closes nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def execute(self, statement: str) -> list[Any]:
        """Run a statement; its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []


def let_leases_run_out(url: str) -> None:
    """As if half a minute had passed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE change_hooks.queues SET lease = 0")
        connection.execute("UPDATE change_hooks.deliveries SET lease = 0 WHERE state = 'pending'")


class PgBouncer:
    """A pooler in transaction mode, with fewer connections than clients.

    :param server: the PostgreSQL server behind it.
    :param folder: an empty one.
    """

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.port = free_port()
        self.url = server.url_at(self.port)
        self._folder = folder
        self._server = server

    def __enter__(self) -> PgBouncer:
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\nserver_round_robin = 1\n"
        )
        user = as_postgres(self._folder)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program("pgbouncer"), str(settings)], stdout=log, stderr=log, cwd="/", **user
            )
        eventually(lambda: answers("127.0.0.1", self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

"""PostgreSQL and RabbitMQ, where a variable of the environment names them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from uuid import uuid4

from . import programs

#: Their addresses; empty: none may be used.
POSTGRESQL = os.environ.get("CHANGE_HOOKS_TEST_POSTGRESQL", "")
AMQP = os.environ.get("CHANGE_HOOKS_TEST_AMQP", "")


def missing(what: str) -> NoReturn:
    """A service that a test needs is not here."""
    programs.missing(f"{what} does not run here")


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new database, dropped at the end."""
    import psycopg

    if not POSTGRESQL:
        missing("PostgreSQL, which CHANGE_HOOKS_TEST_POSTGRESQL has to name,")
    try:
        admin = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=5)
    except psycopg.Error:
        missing("PostgreSQL")
    name = f"change_hooks_{uuid4().hex}"
    admin.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
    finally:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()

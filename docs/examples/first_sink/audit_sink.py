"""Keep a table of what was pushed."""

import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet.threads import deferToThread
from zope.interface import implementer

from change_hooks import IChangeSink, SinkRefused


@implementer(IChangeSink)
class Audit:
    """Writes one row for every change."""

    concurrency = 1

    def __init__(self, path, *, name="audit", base=None):
        self.name = name
        self._path = Path(base or ".") / path
        with closing(sqlite3.connect(self._path)) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS pushed (key TEXT PRIMARY KEY, author, branch, revision)"
            )

    def add_change(self, change, key):
        if change.revision is None:
            raise SinkRefused("it has no revision")
        return deferToThread(self._write, "|".join(map(str, key)), change)

    def _write(self, key, change):
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute(
                "INSERT INTO pushed VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (key, change.author, change.branch, change.revision),
            )

"""Fossil repositories.

Source: fossil-scm.org, "fossil sql"; "The Fossil repository schema" (``event``, ``mlink``, ``tagxref``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from change_hooks.vcs import Commit
from change_hooks.vcs.tools import ToolError, lines_of, run

#: How many check-ins are read at once: an argument of a program is limited to 128 KiB.
AT_ONCE = 500
#: The name of an artifact: SHA-1 or SHA3-256.
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Printed as hexadecimal digits, because Fossil's shell would quote anything else.
_SQL = """
SELECT hex(json_object(
  'id', b.uuid,
  'author', coalesce(e.euser, e.user, ''),
  'message', coalesce(e.ecomment, e.comment, ''),
  'when', CAST(round((e.mtime - 2440587.5) * 86400) AS INTEGER),
  'branch', (SELECT x.value FROM tagxref x JOIN tag t USING (tagid)
             WHERE t.tagname = 'branch' AND x.rid = b.rid AND x.tagtype > 0),
  'files', (SELECT json_group_array(f.name) FROM
             (SELECT DISTINCT n.name FROM mlink m JOIN filename n ON n.fnid = m.fnid
              WHERE m.mid = b.rid AND NOT m.isaux ORDER BY n.name) f)))
FROM blob b JOIN event e ON e.objid = b.rid AND e.type = 'ci'
WHERE b.uuid IN ({names}) ORDER BY e.mtime, b.rid;
"""


class _Row(msgspec.Struct):
    id: str
    author: str
    message: str
    when: int | None
    branch: str | None
    files: list[str]


def checkins(repository: str, names: Sequence[str]) -> list[Commit]:
    """Check-ins, oldest first; those that are not in the repository are left out.

    :param repository: the repository's file.
    :param names: the full hashes.
    :raises ToolError: the repository cannot be read.
    """
    found: list[Commit] = []
    for first in range(0, len(names), AT_ONCE):
        part = [name for name in names[first : first + AT_ONCE] if HASH.fullmatch(name)]
        sql = _SQL.format(names=", ".join(f"'{name}'" for name in part))
        printed = run(["fossil", "sql", "-R", repository, "--readonly", sql])
        found += [_commit(line) for line in lines_of(printed)]
    return found


def _commit(line: bytes) -> Commit:
    try:
        row = msgspec.json.decode(bytes.fromhex(line.strip(b"' \r").decode("ascii")), type=_Row)
    except ValueError:
        raise ToolError("fossil: unexpected output") from None
    return Commit(row.id, row.author, "", row.when, row.message, row.files, row.branch)


__all__ = ["AT_ONCE", "HASH", "checkins"]

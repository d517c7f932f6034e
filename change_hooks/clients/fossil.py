"""What an ``after-receive`` hook of a Fossil repository sends to a receiver.

Source: fossil-scm.org, "fossil hook".
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from change_hooks.clients.git import Told
from change_hooks.vcs import as_change
from change_hooks.vcs.fossil import HASH, checkins


def read_artifacts(written: bytes) -> tuple[list[str], list[str]]:
    """Parse Fossil's output to the hook: one line per artifact, with its hash and its kind.

    :returns: the hashes of the check-ins, and the lines that do not have that form.
    """
    found: list[str] = []
    strange: list[str] = []
    for line in written.decode("utf-8", "replace").splitlines():
        name, _, kind = line.strip().partition(" ")
        if HASH.fullmatch(name) is None:
            strange.append(line)
        elif kind.startswith("check-in"):
            found.append(name)
    return found, strange


def changes_of(repository: str, names: Sequence[str], branches: Sequence[str] = ("*",)) -> Told:
    """One change for each check-in.

    :param repository: the repository's file.
    :param names: the check-ins' hashes.
    :param branches: fnmatch patterns; check-ins on other branches are not sent.
    :raises ToolError: the repository cannot be read.
    """
    told = Told([], [], [])
    found = checkins(repository, names)
    for commit in found:
        if any(fnmatchcase(commit.branch or "", pattern) for pattern in branches):
            told.changes.append(as_change(commit, "fossil", properties={"event": "check-in"}))
        else:
            told.notes.append(f"check-in {commit.id} is on {commit.branch}, which is not wanted (--branches)")
    there = {commit.id for commit in found}
    told.problems.extend(f"check-in {name} is not in the repository" for name in names if name not in there)
    return told


__all__ = ["changes_of", "read_artifacts"]

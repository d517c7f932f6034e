"""Access to version control systems through their own command-line tools."""

from __future__ import annotations

from typing import Any

import msgspec

from change_hooks.core.change import MISSING, Change


class Commit(msgspec.Struct, frozen=True):
    """A commit, with the data that every tool provides.

    :param id: its id in the version control system.
    :param when: seconds since the epoch; None: not known.
    :param files: the paths that it touches; None: not known.
    :param branch: None if the commit itself belongs to no branch.
    :param deleted: those of *files* that it deletes, if the tool reports them.
    :param closes: whether it closes its branch.
    """

    id: str
    author: str
    committer: str
    when: int | None
    message: str
    files: list[str] | None
    branch: str | None = None
    deleted: frozenset[str] = frozenset()
    closes: bool = False


def as_change(commit: Commit, src: str, **more: Any) -> Change:
    """The change of a commit.

    :param src: the version control system.
    :param more: other fields, and values that override the commit's own.
    """
    fields: dict[str, Any] = {
        "author": commit.author,
        "committer": commit.committer or None,
        "files": commit.files or [],
        "comments": commit.message,
        "revision": commit.id,
        "when_timestamp": commit.when,
        "branch": commit.branch,
        "src": src,
        **more,
    }
    if commit.files is None and "files" not in more:
        fields["properties"] = {**fields.get("properties", {}), MISSING: ["files"]}
    return Change(**fields)


__all__ = ["Commit", "as_change"]

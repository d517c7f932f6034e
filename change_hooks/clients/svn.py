"""What a ``post-commit`` hook of a Subversion repository tells a receiver.

Source: Subversion book, "post-commit".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from change_hooks.core.change import Change
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.svn import by_branch, split_file_branches


def changes_of(commit: Commit, split_file: Callable[[str], Any] = split_file_branches) -> list[Change]:
    """One change for each branch that a revision touches.

    :param split_file: the branch of a path in the repository, and the path in that branch; None: not wanted.
    """
    return [
        as_change(commit, "svn", files=files, branch=branch, properties={"event": "commit"})
        for branch, files in by_branch(commit.files, split_file).items()
    ]


__all__ = ["changes_of"]

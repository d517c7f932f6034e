"""What a ``post-commit`` hook of a Subversion repository sends to a receiver.

Source: Subversion book, "post-commit".
"""

from __future__ import annotations

from change_hooks.clients.git import Told
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.svn_layout import SplitFile, laid_out, split_file_branches


def changes_of(commit: Commit, split_file: SplitFile = split_file_branches) -> Told:
    """One change for each branch that a revision touches; none for a branch that it deletes.

    :param split_file: returns the branch of a path in the repository, and the path in that branch; None: not
        wanted.
    """
    layout = laid_out(commit, split_file)
    told = Told([], layout.problems, [f"revision {commit.id} deletes {name}" for name in layout.deleted])
    for on in layout.branches:
        more = {**on.about, "files": on.files, "properties": {"event": "commit"}}
        told.changes.append(as_change(commit, "svn", **more))
    if not (told.changes or told.problems or told.notes):
        first = (commit.files or ["nothing"])[0]
        told.problems.append(f"revision {commit.id} is on no branch ({first}); see --layout")
    return told


__all__ = ["changes_of"]

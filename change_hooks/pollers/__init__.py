"""Pollers for a server of its own: they look for commits that no hook reports.

``c['change_source']`` is one, or a list of them. They use the version control tools' own command lines, in
threads; what they find goes into the journal as a delivery goes, and so does where they were.
"""

from change_hooks.pollers.base import Found, Looked, Poller
from change_hooks.pollers.git import GitPoller
from change_hooks.pollers.hg import HgPoller
from change_hooks.pollers.svn import SVNPoller
from change_hooks.vcs.svn_layout import (
    split_file_alwaystrunk,
    split_file_branches,
    split_file_projects_branches,
)

__all__ = [
    "Found",
    "GitPoller",
    "HgPoller",
    "Looked",
    "Poller",
    "SVNPoller",
    "split_file_alwaystrunk",
    "split_file_branches",
    "split_file_projects_branches",
]

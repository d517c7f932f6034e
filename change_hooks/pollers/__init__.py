"""Pollers for a server of its own: they look for commits that nobody tells of.

``c['change_source']`` is one, or a list of them. They use the version control tools' own command lines, in
threads; what they find goes into the journal as a delivery goes, and so does where they were.
"""

from change_hooks.pollers.base import Poller
from change_hooks.pollers.git import GitPoller
from change_hooks.pollers.hg import HgPoller
from change_hooks.pollers.svn import SVNPoller
from change_hooks.vcs.svn import split_file_alwaystrunk, split_file_branches

__all__ = [
    "GitPoller",
    "HgPoller",
    "Poller",
    "SVNPoller",
    "split_file_alwaystrunk",
    "split_file_branches",
]

"""Pollers for the standalone server: they look for commits that no hook reports.

``c['change_source']`` is a poller, or a list of them. They run the version control systems' own command-line
tools, in threads; their findings are stored in the journal like deliveries, and so are their positions.
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

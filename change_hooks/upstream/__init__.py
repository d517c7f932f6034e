"""Base classes for handlers that were written as subclasses of Buildbot's.

Strategy: these have the names, constructors and methods that subclasses of Buildbot's classes call and
override, and return changes as dicts that can be edited. The dialects read the payloads and apply the
options, and do not depend on this package. In such a subclass, only the import line changes::

    from change_hooks.upstream import GitHubEventHandler    # was: from buildbot.www.hooks.github import …

Source: the documentation of Buildbot's change hooks; ``buildbot/www/hooks/``.
"""

from collections.abc import Mapping

from change_hooks.core.select import DEFAULT_SKIPS
from change_hooks.dialects.poller import PollingHandler
from change_hooks.upstream.base import BaseHookHandler
from change_hooks.upstream.bitbucket import (
    BitbucketCloudEventHandler,
    BitBucketHandler,
    BitbucketServerEventHandler,
)
from change_hooks.upstream.github import DEFAULT_API as DEFAULT_GITHUB_API_URL
from change_hooks.upstream.github import GitHubEventHandler, GitHubHandler
from change_hooks.upstream.gitlab import GitLabHandler
from change_hooks.upstream.gitorious import GitoriousHandler

#: What subclasses import besides the classes.
DEFAULT_SKIPS_PATTERN = list(DEFAULT_SKIPS)
GIT_BRANCH_REF = "refs/heads/{}"
GIT_MERGE_REF = "refs/pull-requests/{}/merge"
GIT_TAG_REF = "refs/tags/{}"

#: The names in ``buildbot.plugins.webhooks``.
BY_NAME: Mapping[str, type] = {
    "base": BaseHookHandler,
    "bitbucket": BitBucketHandler,
    "bitbucketcloud": BitbucketCloudEventHandler,
    "bitbucketserver": BitbucketServerEventHandler,
    "github": GitHubHandler,
    "gitlab": GitLabHandler,
    "gitorious": GitoriousHandler,
    "poller": PollingHandler,
}
__all__ = [
    "BY_NAME",
    "DEFAULT_GITHUB_API_URL",
    "DEFAULT_SKIPS_PATTERN",
    "GIT_BRANCH_REF",
    "GIT_MERGE_REF",
    "GIT_TAG_REF",
    "BaseHookHandler",
    "BitBucketHandler",
    "BitbucketCloudEventHandler",
    "BitbucketServerEventHandler",
    "GitHubEventHandler",
    "GitHubHandler",
    "GitLabHandler",
    "GitoriousHandler",
    "PollingHandler",
]

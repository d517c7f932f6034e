"""Recorded deliveries that many tests vary: a pull request that says hello, at each forge."""

from __future__ import annotations

from typing import Any

from tests.support.recorded import load

#: The commit of its branch, and the one of the branch it goes to.
SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
OTHER = "95d60b3c4a2f8d1e0b9a87c6f5e4d3c2b1a09f8e"
ZEROS = "0" * 40

GITHUB_PULL_REQUEST: dict[str, Any] = load("github/pull_request__a_greeting").payload
GITLAB_MERGE_REQUEST: dict[str, Any] = load("gitlab/merge_request__a_greeting").payload
GITLAB_MERGE: dict[str, Any] = GITLAB_MERGE_REQUEST["object_attributes"]
GITLAB_PROJECT: dict[str, Any] = GITLAB_MERGE_REQUEST["project"]
GITLAB_NOTE: dict[str, Any] = load("gitlab/note__on_a_greeting").payload
CLOUD_PULL_REQUEST: dict[str, Any] = load("bitbucketcloud/pullrequest_fulfilled__a_greeting").payload
CLOUD_OLD_PULL_REQUEST: dict[str, Any] = load("bitbucketcloud/pullrequest_created__of_long_ago").payload
SERVER_PULL_REQUEST: dict[str, Any] = load("bitbucketserver/pr_opened__a_greeting").payload
SERVER_ADD_ON_PUSH: dict[str, Any] = load("bitbucketserver/repo_push__of_the_add_on").payload
SERVER_ADD_ON_PULL_REQUEST: dict[str, Any] = load(
    "bitbucketserver/pullrequest_created__of_the_add_on"
).payload

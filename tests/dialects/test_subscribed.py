"""Which events can give a change, by the methods of a class and the options: what webhooks subscribe to."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks.dialects.azuredevops import AzureDevOpsHandler
from change_hooks.dialects.bitbucketcloud import BitbucketCloudEventHandler
from change_hooks.dialects.bitbucketserver import BitbucketServerEventHandler
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.gitea import GiteaHandler
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.gitlab import GitLabHandler

COMMANDS = {"commands": {"regex": "!go"}}
COMMENT = "ms.vss-code.git-pullrequest-comment-event"


@pytest.mark.parametrize(
    ("handler", "options", "wanted", "unwanted"),
    [
        (
            GitHubEventHandler,
            {},
            ["push", "pull_request"],
            ["ping", "issue_comment", "merge_group", "release", ""],
        ),
        (GitHubEventHandler, COMMANDS, ["issue_comment"], ["ping"]),
        (GitHubEventHandler, {"actions": ["queued"]}, ["merge_group"], []),
        # In GitLab, comments give changes without commands, too.
        (GitLabHandler, {}, ["push", "tag_push", "merge_request", "note"], ["issue"]),
        (GitLabHandler, COMMANDS, ["note"], []),
        (
            GiteaHandler,
            {},
            ["push", "pull_request", "gogs:create"],
            ["create", "delete", "issue_comment", "pull_request_approved"],
        ),
        (GiteaHandler, COMMANDS, ["issue_comment", "pull_request_approved"], ["create", "delete"]),
        (
            BitbucketCloudEventHandler,
            {},
            ["repo:push", "pullrequest:created", "pullrequest:fulfilled"],
            ["pullrequest:approved", "pullrequest:comment_created"],
        ),
        (
            BitbucketCloudEventHandler,
            {**COMMANDS, "actions": ["opened", "updated"]},
            ["pullrequest:updated", "pullrequest:comment_created"],
            ["pullrequest:fulfilled", "pullrequest:comment_updated"],
        ),
        (
            BitbucketServerEventHandler,
            {"actions": ["opened", "updated"]},
            ["repo:refs_changed", "pr:opened", "pr:from_ref_updated"],
            ["pr:merged", "pr:modified", "pr:comment:added", "pr:comment:edited", "diagnostics:ping"],
        ),
        (BitbucketServerEventHandler, COMMANDS, ["pr:comment:added"], ["pr:comment:edited"]),
        (
            AzureDevOpsHandler,
            {},
            ["git.push", "git.pullrequest.created", "git.pullrequest.updated"],
            ["git.pullrequest.merged", COMMENT],
        ),
        (AzureDevOpsHandler, {**COMMANDS, "actions": ["merged"]}, ["git.pullrequest.merged", COMMENT], []),
    ],
)
def test_what_can_give_a_change(
    handler: type[EventHandler[Any]], options: dict[str, Any], wanted: list[str], unwanted: list[str]
) -> None:
    made = handler(None, options)
    assert [event for event in (*wanted, *unwanted) if made.can_want(event)] == wanted


def test_a_method_of_ones_own_can() -> None:
    class Own(GitHubEventHandler):
        def handle_issue_comment(self, payload: Any) -> Any:
            return [], "git"

    made = Own(None, {})
    assert made.can_want("issue_comment")
    assert made.handled == ["issue_comment", "merge_group", "ping", "pull_request", "push"]


def test_a_class_with_a_method_for_every_event_can_want_every_event() -> None:
    class Everything(GitHubEventHandler):
        otherwise = "handle_any"

        def handle_any(self, payload: Any) -> Any:
            return [], "git"

    assert Everything(None, {}).can_want("release")

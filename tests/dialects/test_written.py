"""What a user wrote, with values that Buildbot renders."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.process.properties import Interpolate, Secret, renderer
from twisted.internet.defer import Deferred

from change_hooks.core.errors import ConfigurationError
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.gitlab import GitLabHandler
from change_hooks.dialects.handler import check_options
from tests.conftest import result_of

VALUE = Interpolate("value")


@pytest.mark.parametrize(
    "name",
    ["secret", "token", "project", "codebase", "branches", "skips", "github_property_whitelist", "strict"],
)
def test_every_option_may_be_rendered(name: str) -> None:
    written = {"secret": "a long enough secret", "strict": True, name: VALUE}
    assert check_options(GitHubEventHandler, written) == ([], [])
    assert check_options(GitHubEventHandler, {**written, name: [VALUE, "more"]})[0] == []


def test_an_unknown_option_is_unknown_whatever_its_value() -> None:
    (problem,), _ = check_options(GitHubEventHandler, {"projekt": VALUE})
    assert "did you mean 'project'?" in problem


def test_secrets_are_rendered_when_they_are_needed_and_the_rest_before() -> None:
    written = {"secret": [VALUE, "b"], "token": Interpolate("t-%(prop:full_name)s"), "project": VALUE}
    handler = GitHubEventHandler(None, {**written, "branches": [VALUE, "main"]})
    assert result_of(handler.settings.secret(object())) == ["value", "b"]
    assert result_of(handler.settings.token({"full_name": "o/r"})) == "t-o/r"
    assert handler.settings.project == "value"
    assert handler.settings.branches == ("value", "main")
    assert handler.options["secret"] == [VALUE, "b"]


def test_what_is_inside_a_token_of_several_parts_is_rendered_before() -> None:
    handler = GitHubEventHandler(None, {"token": {"app": VALUE, "key": "k"}})
    assert handler.settings.token == {"app": "value", "key": "k"}


def test_without_a_receiver_that_waits_rendering_may_not_take_time() -> None:
    waiting: Deferred[Any] = Deferred()
    with pytest.raises(ConfigurationError, match="takes time to be rendered"):
        GitLabHandler(None, {"project": renderer(lambda properties: waiting)})


def test_what_cannot_be_rendered_is_named() -> None:
    with pytest.raises(ConfigurationError, match="option 'branches' cannot be rendered: AttributeError"):
        GitLabHandler(None, {"branches": [Secret("x")]})

"""Methods of Buildbot's classes that nothing here would call."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest

from change_hooks.core.errors import ConfigurationError
from change_hooks.dialects.bitbucketcloud import BitbucketCloudEventHandler
from change_hooks.dialects.bitbucketserver import BitbucketServerEventHandler
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.gitlab import GitLabHandler
from change_hooks.dialects.gitorious import GitoriousHandler
from change_hooks.dialects.overrides import REPLACED, mentions

CLASSES: dict[str, type[EventHandler[Any]]] = {
    "github": GitHubEventHandler,
    "gitlab": GitLabHandler,
    "bitbucketcloud": BitbucketCloudEventHandler,
    "bitbucketserver": BitbucketServerEventHandler,
    "gitorious": GitoriousHandler,
}


@pytest.mark.parametrize(("forge", "name"), [(forge, name) for forge in REPLACED for name in REPLACED[forge]])
def test_an_override_that_nothing_calls_is_an_error_that_names_the_seam(forge: str, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        type("Mine", (CLASSES[forge],), {name: lambda self, *arguments: None})
    (problem,) = caught.value.problems
    assert problem.startswith(f"Mine.{name} would never be called: use {REPLACED[forge][name]} instead")
    assert "change_hooks.upstream" in problem


def test_all_are_named_and_those_of_a_mixin_too() -> None:
    class Mixin:
        def _has_skip(self, msg: str) -> bool:
            return False

    with pytest.raises(ConfigurationError, match=r"(?s)_process_change.*_has_skip"):

        class Mine(Mixin, GitHubEventHandler):
            def _process_change(self) -> None:
                """Never called."""


def test_what_a_class_calls_by_itself_is_its_own_business() -> None:
    class Mine(GitLabHandler):
        def handle_push(self, payload: Any, event: str = "push") -> Any:
            return [self._process_change(revision) for revision in ("1",)], "git"

        def _process_change(self, revision: str) -> Any:
            return {"revision": revision}

    assert Mine(None, {}).handle_push({}) == ([{"revision": "1"}], "git")


def test_a_handler_of_a_forge_of_ones_own_may_have_any_names() -> None:
    class Mine(EventHandler):
        def process(self, request: Any) -> None:
            """Something else."""

    assert Mine.forge == ""


def test_what_a_function_mentions() -> None:
    def outer() -> Any:
        return [inner.wanted for inner in ()]

    @wraps(outer)
    def wrapping() -> None:
        """Nothing."""

    assert mentions(outer, "wanted")
    assert mentions(wrapping, "wanted")
    assert not mentions(outer, "other")
    assert not mentions(5, "wanted")

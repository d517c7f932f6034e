from __future__ import annotations

from typing import Any

import pytest
from buildbot.www.hooks import github, gitlab

from change_hooks.hosts.buildbot import own_keys
from change_hooks.hosts.patched import patched_class, with_patched


class Mine(gitlab.GitLabHandler):
    """An operator's own."""


def test_what_is_as_buildbot_has_it_is_ours() -> None:
    dialects = {"github": True, "gitlab": {"secret": "x"}, "base": {}, "nobody": True}
    assert with_patched(dialects) == (dialects, [])


def test_a_class_in_the_place_of_buildbots_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitlab, "gitlab", Mine)
    dialects = {"gitlab": {"secret": "x"}, "github": True}
    found, (warning,) = with_patched(dialects)
    assert found == {"gitlab": {"secret": "x", "custom_class": Mine}, "github": True}
    assert "buildbot.www.hooks.gitlab has been changed" in warning
    assert "'custom_class'" in warning
    assert own_keys({"change_hook_dialects": dialects, "port": 1}) == {"change_hook_dialects": found}
    assert with_patched({"gitlab": True})[0] == {"gitlab": {"custom_class": Mine}}


def test_a_method_that_was_set_on_buildbots_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle_push(self: Any, payload: Any, event: str) -> Any:
        return [], "git"

    monkeypatch.setattr(github.GitHubEventHandler, "handle_push", handle_push)
    assert patched_class("github") is github.GitHubHandler
    assert patched_class("gitlab") is None


def test_what_the_configuration_says_itself_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitlab, "gitlab", Mine)
    for own in ({"custom_class": Mine}, {"dialect": "gitlab"}):
        assert with_patched({"gitlab": own}) == ({"gitlab": own}, [])

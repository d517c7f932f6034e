from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest

from change_hooks.dialects.base import BaseHookHandler
from change_hooks.dialects.gitea import GiteaHandler
from change_hooks.plugins import DIALECT_GROUPS, PluginError, Registry, installed, webhooks

OURS, BUILDBOTS = DIALECT_GROUPS
BASE = "change_hooks.dialects.base:BaseHookHandler"


def entry(name: str, value: str, group: str = OURS) -> EntryPoint:
    return EntryPoint(name, value, group)


def test_the_installed_dialects_are_found() -> None:
    assert "base" in installed().names()
    assert installed().load("base") is BaseHookHandler


def test_ours_comes_before_buildbots() -> None:
    registry = Registry([entry("base", BASE), entry("base", "no.such.module:base", BUILDBOTS)])
    assert registry.load("base") is BaseHookHandler


def test_a_plugin_made_for_buildbot_is_found() -> None:
    assert (
        Registry([entry("gitea", "collections:OrderedDict", BUILDBOTS)]).load("gitea").__name__
        == "OrderedDict"
    )


def test_two_packages_that_claim_one_name_are_reported_and_take_no_other_down() -> None:
    registry = Registry([entry("x", "a:B"), entry("x", "c:D"), entry("base", BASE)])
    with pytest.raises(PluginError, match=r"'x' is claimed by .*a:B.* and .*c:D.*custom_class"):
        registry.load("x")
    assert registry.load("base") is BaseHookHandler


def test_the_same_entry_twice_is_one() -> None:
    assert Registry([entry("base", BASE), entry("base", BASE)]).load("base") is BaseHookHandler


def test_the_names_of_a_class_are_known_without_importing_what_else_is_installed() -> None:
    registry = Registry(
        [entry("b", BASE), entry("a", BASE), entry("c", "no.such:C"), entry("d", "re:exported")]
    )
    assert registry.names_of(BaseHookHandler) == ["a", "b"]


@pytest.mark.parametrize("value", ["no_such_module:X", "collections:no_such_name"])
def test_an_entry_point_that_cannot_be_imported_is_reported_and_takes_no_other_down(value: str) -> None:
    registry = Registry([entry("broken", value), entry("base", BASE)])
    with pytest.raises(PluginError, match=f"'broken' of .*{value}.*cannot be imported"):
        registry.load("broken")
    assert registry.load("base") is BaseHookHandler
    assert registry.names() == ["base", "broken"]


def test_webhooks_has_an_attribute_for_each_dialect() -> None:
    assert issubclass(webhooks.base, BaseHookHandler)
    assert webhooks.gitea is GiteaHandler
    assert "base" in dir(webhooks)
    with pytest.raises(AttributeError, match="nothing"):
        _ = webhooks.nothing


@pytest.mark.parametrize("group", ["change_hooks.dialects", "change_hooks.forges", "change_hooks.sinks"])
def test_without_metadata_the_built_in_names_are_still_ours(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {entry.name: entry.load() for entry in entry_points(group=group)}
    monkeypatch.setattr("change_hooks.plugins.entry_points", lambda: EntryPoints())
    found = installed([group])
    assert {name: found.load(name) for name in found.names()} == listed


def test_without_our_metadata_others_do_not_take_our_names(monkeypatch: pytest.MonkeyPatch) -> None:
    others = EntryPoints([entry("base", "collections:OrderedDict", BUILDBOTS)])
    monkeypatch.setattr("change_hooks.plugins.entry_points", lambda: others)
    assert installed().load("base") is BaseHookHandler

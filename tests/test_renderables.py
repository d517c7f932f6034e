"""Values that Buildbot renders."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.process.properties import Interpolate, Secret, WithProperties
from buildbot.secrets.manager import SecretManager
from buildbot.secrets.secret import SecretDetails

from change_hooks.core.errors import Unavailable
from change_hooks.renderables import is_renderable, render, when_needed
from tests.conftest import result_of

TEXT = Interpolate("t-%(prop:full_name)s")


@pytest.mark.parametrize(
    "value", [TEXT, WithProperties("x"), ["a", TEXT], ("a", [TEXT]), {"key": {"inner": TEXT}}]
)
def test_renderables_are_found_at_any_depth(value: object) -> None:
    assert is_renderable(value)


@pytest.mark.parametrize("value", ["a", b"a", 1, None, ["a"], ("a", {}), {"key": "value"}, print])
def test_plain_values_are_none(value: object) -> None:
    assert not is_renderable(value)


def test_without_buildbot_nothing_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "buildbot.interfaces")
    assert not is_renderable(TEXT)


def test_text_of_a_mapping_can_be_interpolated() -> None:
    assert result_of(render([TEXT, "b"], None, {"full_name": "o/r", "id": 5})) == ["t-o/r", "b"]
    assert result_of(when_needed(TEXT, None)({"full_name": "o/r"})) == "t-o/r"
    assert result_of(when_needed(WithProperties("x"), None)(object())) == "x"


def test_a_value_that_cannot_be_had_asks_the_sender_to_come_again() -> None:
    with pytest.raises(Unavailable):
        result_of(when_needed(Secret("hook"), SimpleNamespace(namedServices={}))({}))


def test_a_secret_is_the_masters() -> None:
    manager: Any = SecretManager()
    manager.get = lambda name: SecretDetails("test", name, f"value of {name}")
    master = SimpleNamespace(namedServices={"secrets": manager})
    assert result_of(when_needed(Secret("hook"), master)(None)) == "value of hook"

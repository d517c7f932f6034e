"""Repeated deliveries to handlers that do not say how theirs are named."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks import HookHandler
from change_hooks.dialects.base import BaseHookHandler
from change_hooks.testing import Receiver

NAMED = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "a-name"}


class OfAnother:
    def __init__(self, master: Any, options: Any) -> None:
        """Any options will do."""

    def getChanges(self, request: Any) -> Any:
        return [{"revision": "1", "author": "a", "comments": "", "files": []}], None


class OfOurs(OfAnother, HookHandler):
    Options = None

    def __init__(self, master: Any, options: Any) -> None:
        HookHandler.__init__(self, master, options)


class Base(OfAnother, BaseHookHandler):
    def __init__(self, master: Any, options: Any) -> None:
        BaseHookHandler.__init__(self, master, options)


@pytest.mark.parametrize("handler", [OfAnother, OfOurs, Base])
def test_the_forges_own_names_recognise_them(handler: type) -> None:
    with Receiver({"change_hook_dialects": {"x": {"custom_class": handler}}}) as receiver:
        assert receiver.post("x", form={"a": "b"}, headers=NAMED).changes
        again = receiver.post("x", form={"a": "b"}, headers=NAMED)
        assert again.reason.startswith("duplicate of a-name")
        assert receiver.post("x", form={"a": "b"}, headers={**NAMED, "X-GitHub-Delivery": "another"}).changes
        assert receiver.post("x", form={"a": "b"}).changes


def test_a_dialect_of_ours_that_has_no_names_takes_everything() -> None:
    with Receiver({"change_hook_dialects": {"base": True}}) as receiver:
        for _ in range(2):
            assert receiver.post("base", form={"revision": "1"}, headers=NAMED).changes

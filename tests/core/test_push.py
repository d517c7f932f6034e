from __future__ import annotations

from change_hooks.core.change import Change
from change_hooks.core.push import Push, PushKey, newest_of, push_key, pushes


def test_a_push_is_its_newest_change_and_all_of_them() -> None:
    first, second = Change(revision="1", files=["a"]), Change(revision="2", branch="main")
    push = Push.of([first, second])
    assert isinstance(push, Change)
    assert (push.revision, push.branch, push.changes) == ("2", "main", [first, second])
    assert push.as_dict() == {**second.as_dict(), "changes": [first.as_dict(), second.as_dict()]}
    assert newest_of(push) == newest_of(second) == second.as_dict()


def test_changes_of_one_ref_are_one_push() -> None:
    changes = [
        Change(branch="main", category="push"),
        Change(branch="v1", category="tag"),
        Change(branch="main", category="push"),
        Change(branch="main", category="tag"),
    ]
    assert pushes(changes) == [[1], [0, 2], [3]]
    assert pushes([]) == []


def test_a_push_is_called_by_its_delivery_and_its_ref() -> None:
    for change, ref in (
        (Change(branch="main", category="push"), "main"),
        (Change(branch="main"), "main"),
        (Change(branch="v1", category="tag"), "tag v1"),
        (Change(category="tag"), "tag"),
        (Change(), ""),
    ):
        assert push_key(change, "github", "guid") == PushKey("github", "guid", ref)

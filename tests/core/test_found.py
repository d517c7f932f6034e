from __future__ import annotations

import pytest

from change_hooks.core.change import Change, InvalidChange
from change_hooks.core.events import Ignored
from change_hooks.core.found import About, Found, is_pair, normal_change, normal_changes


def test_no_change_is_an_empty_list_that_says_why() -> None:
    nothing = Found((), "the branch was deleted")
    assert nothing == []
    assert nothing.reason == "the branch was deleted"
    assert nothing.about == About()


def test_what_a_method_may_return() -> None:
    assert normal_changes(Ignored("x")).reason == "x"
    assert normal_changes((Ignored("x"), "git")).reason == "x"
    for nothing in ((None, "git"), ([], None), (Found(), "git")):
        assert (normal_changes(nothing), normal_changes(nothing).reason) == ([], "")
    assert normal_changes((Found((), "x"), None)).reason == "x"
    assert normal_changes(([{}], None)).reason == ""
    found = Found([Change(branch="m")])
    assert normal_changes((found, None)) is found
    found = normal_changes(([{"branch": "m", "author": "Ann"}, Change(branch="n", src="hg")], "git"))
    assert [(change.branch, change.src) for change in found] == [("m", "git"), ("n", "hg")]
    assert found.about == About("", "", "n", "")


def test_a_pair_may_be_a_list_and_its_src_bytes() -> None:
    assert is_pair(([], "git"))
    assert is_pair([[], None])
    assert not is_pair([Ignored("x"), Ignored("y")])
    assert not is_pair([[]])
    assert not is_pair({"changes": []})
    assert normal_changes([[{"branch": "m"}], b"git"])[0].src == "git"
    assert normal_changes([[{"branch": "m"}], b"g\xff"])[0].src == "g\ufffd"


def test_what_is_not_a_change_is_refused() -> None:
    with pytest.raises(InvalidChange, match="'src': expected str or None, got int"):
        normal_change(Change(), 5)
    with pytest.raises(InvalidChange, match="expected a mapping or a Change, got int"):
        normal_change(5, "git")

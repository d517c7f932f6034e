"""Recorded deliveries as files."""

from pathlib import Path

import pytest

from change_hooks.testing import Recorded, recorded

PUSH = Recorded("github/push__x", b'{"ref": "\xc3\xbc"}', {"X-GitHub-Event": "push"}, [{"branch": "\u00fc"}])


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    other = Recorded("gitlab/tag__y", b"{}", {}, {"reason": "no"}, "?a=b", {"strict": True}, 7.0)
    written = [
        path.relative_to(tmp_path).as_posix() for each in (PUSH, other) for path in each.save(tmp_path)
    ]
    assert written == [
        "github/push__x.json",
        "github/push__x.headers.json",
        "github/push__x.changes.json",
        "gitlab/tag__y.json",
        "gitlab/tag__y.headers.json",
        "gitlab/tag__y.changes.json",
    ]
    assert list(recorded(tmp_path)) == [PUSH, other]
    assert list(recorded(tmp_path, "gitlab")) == [other]
    assert list(recorded(tmp_path, event="push")) == [PUSH]
    assert PUSH.payload == {"ref": "\u00fc"}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    PUSH.save(tmp_path)
    (tmp_path / "github" / "push__x.json").unlink()
    with pytest.raises(FileExistsError, match=r"push__x\.headers\.json already exists"):
        PUSH.save(tmp_path)
    assert not (tmp_path / "github" / "push__x.json").exists()


def test_a_document_may_be_sent_in_a_form() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = Recorded("bitbucket/push__x", b'{"a": 1}', form, []).delivery(headers={"X-More": "1"})
    assert sent.args == {b"payload": [b'{"a": 1}']}
    assert sent.getHeader("x-more") == "1"

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.dialects.gitorious import GitoriousHandler
from tests.conftest import delivery
from tests.support.changes import none_for
from tests.support.forges import example
from tests.support.payloads import ZEROS

FORM = b"application/x-www-form-urlencoded"


def push(**fields: Any) -> Any:
    body = urlencode({"payload": json.dumps({**example("gitorious"), **fields})}).encode()
    return GitoriousHandler(None, True).getChanges(delivery(body, content_type=FORM))[0]


def test_a_branch_without_new_commits() -> None:
    (change,) = push(commits=[])
    assert (change.revision, change.author, change.branch) == (
        example("gitorious")["after"],
        "jason",
        "new_look",
    )
    with pytest.raises(BadPayload, match="after"):
        push(commits=[], after=None)


def test_a_deletion() -> None:
    assert none_for(push(after=ZEROS, commits=[]))


def test_only_forms_are_taken() -> None:
    with pytest.raises(UnsupportedContentType):
        GitoriousHandler(None, True).getChanges(delivery(b"{}"))

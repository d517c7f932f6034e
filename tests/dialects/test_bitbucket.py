from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.dialects.bitbucket import BitBucketHandler
from tests.conftest import delivery
from tests.support.forges import example

FORM = b"application/x-www-form-urlencoded"


def push(**fields: Any) -> Any:
    body = urlencode({"payload": json.dumps({**example("bitbucket"), **fields})}).encode()
    return BitBucketHandler(None, True).getChanges(delivery(body, content_type=FORM))


def test_several_commits_some_without_a_branch() -> None:
    (commit,) = example("bitbucket")["commits"]
    bare = {"node": "702c70160afc", "author": "marcus", "branch": None}
    changes, src = push(commits=[commit, bare])
    assert [change.branch for change in changes] == ["master", None]
    assert (changes[1].author, changes[1].revision, src) == ("marcus", "702c70160afc", "git")
    assert changes[1].properties == {"event": "push", "change_hook_missing": ["files"]}


def test_a_commit_without_a_name_is_said_and_costs_no_other() -> None:
    (commit,) = example("bitbucket")["commits"]
    ((change,), _) = push(commits=[{"message": "x"}, commit])
    assert change.properties["change_hook_unread"] == ["$.commits[0].raw_node"]


def test_without_the_address_of_the_server_there_is_no_page() -> None:
    ((change,), _) = push(canon_url=None)
    assert change.revlink == ""


def test_mercurial_and_no_commits() -> None:
    repository = {**example("bitbucket")["repository"], "scm": "hg"}
    assert push(repository=repository, commits=[])[0] == []


def test_a_form_with_exactly_one_payload() -> None:
    handler = BitBucketHandler(None, True)
    for body in (b"", b"x=1", b"payload={}&payload={}"):
        with pytest.raises(BadPayload, match="payload"):
            handler.getChanges(delivery(body, content_type=FORM, uri=b"/?payload={}"))
    with pytest.raises(UnsupportedContentType):
        handler.getChanges(delivery(b"{}"))

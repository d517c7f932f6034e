"""A push of each forge that Buildbot knows too, as it is recorded, and how it is sent."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.conftest import delivery
from tests.support.recorded import load

FORMS = ("bitbucket", "gitorious")
EVENT_HEADERS = {
    "github": "X-GitHub-Event",
    "gitlab": "X-Gitlab-Event",
    "bitbucketcloud": "X-Event-Key",
    "bitbucketserver": "X-Event-Key",
}
EVENTS = {
    "github": "push",
    "gitlab": "Push Hook",
    "bitbucketcloud": "repo:push",
    "bitbucketserver": "repo:refs_changed",
}
FORGES = (*EVENTS, *FORMS)
#: The push that each dialect's page shows.
PUSHES = {
    "github": "github/push__one_commit",
    "gitlab": "gitlab/push__one_commit",
    "bitbucketcloud": "bitbucketcloud/repo_push__one_commit",
    "bitbucketserver": "bitbucketserver/repo_refs_changed__update",
    "bitbucket": "bitbucket/push__git",
    "gitorious": "gitorious/push__one_commit",
}


def example(name: str) -> Any:
    """The payload of a push."""
    return load(PUSHES[name]).payload


def sent(name: str, event: str, payload: Any, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """A delivery of *payload*, as the forge sends it."""
    body, kind = json.dumps(payload).encode(), b"application/json; charset=utf-8"
    if name in FORMS:
        body, kind = urlencode({"payload": body}).encode(), b"application/x-www-form-urlencoded"
    named = {EVENT_HEADERS[name]: event} if name in EVENT_HEADERS else {}
    return delivery(body, content_type=kind, headers={**named, **(headers or {})}, **more)

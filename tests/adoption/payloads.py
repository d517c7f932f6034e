"""What forges send, in the forms that Buildbot's classes read."""

from __future__ import annotations

import hmac
import json
from typing import Any
from urllib.parse import urlencode

A, B, C, ZERO = ("a" * 40, "b" * 40, "c" * 40, "0" * 40)
REPOSITORY = {
    "name": "app",
    "full_name": "acme/app",
    "html_url": "https://github.com/acme/app",
    "clone_url": "https://github.com/acme/app.git",
    "ssh_url": "git@github.com:acme/app.git",
}


def github_commit(revision: str, message: str = "One change", **more: Any) -> dict[str, Any]:
    person = {"name": "Ann", "email": "ann@acme.example", "username": "ann"}
    return {
        "id": revision,
        "message": message,
        "timestamp": "2026-03-04T05:06:07+01:00",
        "url": f"https://github.com/acme/app/commit/{revision}",
        "author": person,
        "committer": person,
        "distinct": True,
        "added": ["new.py"],
        "modified": ["src/app.py"],
        "removed": ["old.py"],
        **more,
    }


def github_push(*messages: str, ref: str = "refs/heads/main", **more: Any) -> dict[str, Any]:
    commits = [github_commit(r, m) for r, m in zip((B, C), messages or ("One change",), strict=False)]
    return {
        "ref": ref,
        "before": A,
        "after": commits[-1]["id"],
        "created": False,
        "deleted": False,
        "forced": False,
        "compare": "https://github.com/acme/app/compare/a...b",
        "commits": commits,
        "head_commit": commits[-1],
        "repository": REPOSITORY,
        "pusher": {"name": "ann", "email": "ann@acme.example"},
        "sender": {"login": "ann"},
        **more,
    }


def github_pull(action: str = "opened", title: str = "A title", **more: Any) -> dict[str, Any]:
    page = "https://github.com/acme/app/pull/7"
    return {
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7,
            "title": title,
            "body": "A body",
            "commits": 2,
            "html_url": page,
            "_links": {"html": {"href": page}},
            "created_at": "2026-03-04T05:06:07Z",
            "updated_at": "2026-03-04T05:06:07Z",
            "head": {"sha": B, "ref": "topic", "repo": REPOSITORY},
            "base": {"sha": A, "ref": "main", "repo": REPOSITORY},
            "user": {"login": "eve"},
            "labels": [],
            "merged": False,
            "draft": False,
            **more,
        },
        "repository": REPOSITORY,
        "sender": {"login": "eve"},
    }


def gitlab_commit(revision: str, message: str = "One change") -> dict[str, Any]:
    return {
        "id": revision,
        "message": message,
        "timestamp": "2026-03-04T05:06:07+01:00",
        "url": f"https://gitlab.example/acme/app/-/commit/{revision}",
        "author": {"name": "Ann", "email": "ann@acme.example"},
        "added": ["new.py"],
        "modified": ["src/app.py"],
        "removed": ["old.py"],
    }


GITLAB_PROJECT = {
    "id": 5,
    "name": "App",
    "path_with_namespace": "acme/app",
    "web_url": "https://gitlab.example/acme/app",
    "git_http_url": "https://gitlab.example/acme/app.git",
    "git_ssh_url": "git@gitlab.example:acme/app.git",
}


def gitlab_push(
    *messages: str, ref: str = "refs/heads/main", kind: str = "push", **more: Any
) -> dict[str, Any]:
    commits = [gitlab_commit(r, m) for r, m in zip((B, C), messages or ("One change",), strict=False)]
    return {
        "object_kind": kind,
        "before": A,
        "after": commits[-1]["id"],
        "checkout_sha": commits[-1]["id"],
        "ref": ref,
        "user_name": "Ann",
        "user_username": "ann",
        "project": GITLAB_PROJECT,
        "repository": {"name": "App", "url": "git@gitlab.example:acme/app.git"},
        "commits": commits,
        "total_commits_count": len(commits),
        **more,
    }


def gitlab_merge(action: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "object_kind": "merge_request",
        "user": {"name": "Ann", "username": "ann"},
        "project": GITLAB_PROJECT,
        "object_attributes": merge_request(action, **more),
    }


def merge_request(action: str | None, **more: Any) -> dict[str, Any]:
    fields = {
        "id": 99,
        "iid": 7,
        "title": "A title",
        "description": "A description",
        "state": "opened",
        "source_branch": "topic",
        "target_branch": "main",
        "source_project_id": 6,
        "target_project_id": 5,
        "source": {**GITLAB_PROJECT, "id": 6, "git_http_url": "https://gitlab.example/eve/app.git"},
        "target": GITLAB_PROJECT,
        "last_commit": gitlab_commit(B),
        "url": "https://gitlab.example/acme/app/-/merge_requests/7",
        "updated_at": "2026-03-04T05:06:07Z",
        **more,
    }
    return fields if action is None else {**fields, "action": action}


def gitlab_note(note: str = "please build") -> dict[str, Any]:
    return {
        "object_kind": "note",
        "user": {"name": "Ann", "username": "ann"},
        "project": GITLAB_PROJECT,
        "object_attributes": {"id": 3, "note": note, "noteable_type": "MergeRequest"},
        "merge_request": merge_request(None),
    }


def bitbucket_push(**new: Any) -> dict[str, Any]:
    target = {"hash": B}
    return {
        "actor": {"display_name": "Ann", "nickname": "ann", "displayName": "Ann", "username": "ann"},
        "repository": {
            "scm": "git",
            "scmId": "git",
            "name": "app",
            "full_name": "acme/app",
            "slug": "app",
            "project": {"key": "P", "name": "Project"},
            "links": {
                "self": {"href": "https://bitbucket.org/acme/app"},
                "html": {"href": "https://bitbucket.org/acme/app"},
            },
        },
        "push": {
            "changes": [{"new": {"type": "branch", "name": "main", "target": target, **new}, "old": None}]
        },
    }


def bitbucket_pull() -> dict[str, Any]:
    """As Bitbucket's add-on and Buildbot's class have it."""
    push = bitbucket_push()
    return {
        "actor": push["actor"],
        "repository": push["repository"],
        "pullrequest": {
            "id": 7,
            "title": "A title",
            "link": "https://bitbucket.org/acme/app/pull-requests/7",
            "fromRef": {"branch": {"name": "topic"}, "commit": {"hash": B}},
            "toRef": {"branch": {"name": "main"}, "commit": {"hash": A}},
        },
    }


def as_server(payload: dict[str, Any]) -> dict[str, Any]:
    repository = payload["repository"]
    links = {"self": [{"href": "https://bb.example/projects/P/repos/app/browse"}]}
    return {**payload, "repository": {**repository, "links": links}}


def old_bitbucket() -> dict[str, Any]:
    return {
        "canon_url": "https://bitbucket.org",
        "user": "ann",
        "repository": {"absolute_url": "/acme/app/", "name": "App", "slug": "app", "scm": "hg"},
        "commits": [
            {
                "author": "ann",
                "raw_author": "Ann <ann@acme.example>",
                "branch": "default",
                "files": [{"file": "a.py", "type": "modified"}],
                "message": "One change",
                "node": B[:12],
                "raw_node": B,
                "utctimestamp": "2026-03-04 05:06:07+00:00",
            }
        ],
    }


def gitorious() -> dict[str, Any]:
    return {
        "after": B,
        "before": A,
        "ref": "main",
        "pushed_by": "ann",
        "pushed_at": "2026-03-04T05:06:07+00:00",
        "project": {"name": "project", "slug": "project"},
        "repository": {"name": "app", "url": "http://gitorious.example/app", "owner": {"name": "ann"}},
        "commits": [
            {
                "id": B,
                "message": "One change",
                "timestamp": "2026-03-04T05:06:07+00:00",
                "url": f"http://gitorious.example/app/commit/{B}",
                "author": {"name": "Ann", "email": "ann@acme.example"},
            }
        ],
    }


class Sent:
    """A request as a forge makes it."""

    method = "POST"

    def __init__(self, path: str, body: bytes, **headers: str) -> None:
        self.path, self.body = path, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


#: Of the requests of :func:`github`.
SECRET = "a long enough secret"


def github(event: str, payload: Any, **headers: str) -> Sent:
    body = json.dumps(payload).encode()
    signature = "sha1=" + hmac.new(SECRET.encode(), body, "sha1").hexdigest()
    named = {"X_GitHub_Event": event, "Content_Type": "application/json", "X_Hub_Signature": signature}
    return Sent("github", body, **named, **headers)


def gitlab(payload: Any, query: str = "", **headers: str) -> Sent:
    body = json.dumps(payload).encode()
    return Sent(
        f"gitlab{query}", body, X_Gitlab_Event="Push Hook", Content_Type="application/json", **headers
    )


def bitbucket(path: str, event: str, payload: Any) -> Sent:
    return Sent(path, json.dumps(payload).encode(), X_Event_Key=event, Content_Type="application/json")


def form(path: str, **fields: str) -> Sent:
    return Sent(path, urlencode(fields).encode(), Content_Type="application/x-www-form-urlencoded")

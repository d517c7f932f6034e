"""Deliveries as the forges make them, from a repository on this machine.

So a configuration can be tried before the forge knows its address. Each has the fields that the forge
documents and a receiver may use, and is signed as the forge signs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from time import time
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import msgspec

from change_hooks.core.verification import sign_hmac, sign_standard_webhook, signing_key
from change_hooks.vcs import Commit

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Push(msgspec.Struct, frozen=True):
    """A push to tell of.

    :param address: the repository's, as a web page: ``https://forge.example/owner/name``.
    :param before: the commit before the first one.
    """

    commits: list[Commit]
    branch: str
    address: str
    before: str

    @property
    def after(self) -> str:
        """The commit that the branch is on now."""
        return self.commits[-1].id

    @property
    def path(self) -> str:
        """``owner/name``."""
        return urlsplit(self.address).path.strip("/")

    @property
    def name(self) -> str:
        """The repository's own name."""
        return self.path.rpartition("/")[2]

    @property
    def ssh(self) -> str:
        """The address for SSH."""
        return f"git@{urlsplit(self.address).netloc}:{self.path}.git"


class Simulated(msgspec.Struct, frozen=True):
    """A delivery to be sent."""

    body: bytes
    headers: dict[str, str]


def _date(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds or 0, timezone.utc).isoformat()


def _split(author: str) -> dict[str, str]:
    name, _, email = author.partition(" <")
    return {"name": name, "email": email.rstrip(">")}


def _commit(commit: Commit, url: str) -> dict[str, Any]:
    """A commit as GitHub, and GitLab with fewer fields, tells it; what was added, and what removed, a log of
    names does not tell.
    """
    return {
        "id": commit.id,
        "message": commit.message,
        "timestamp": _date(commit.when),
        "url": url,
        "author": _split(commit.author),
        "added": [],
        "removed": [],
        "modified": commit.files or [],
    }


def _github(push: Push) -> Any:
    commits = [
        {
            **_commit(commit, f"{push.address}/commit/{commit.id}"),
            "committer": _split(commit.committer),
            "distinct": True,
        }
        for commit in push.commits
    ]
    return {
        "ref": f"refs/heads/{push.branch}",
        "before": push.before,
        "after": push.after,
        "created": False,
        "deleted": False,
        "forced": False,
        "compare": f"{push.address}/compare/{push.before[:12]}...{push.after[:12]}",
        "commits": commits,
        "head_commit": commits[-1],
        "pusher": commits[-1]["committer"],
        "repository": {
            "name": push.name,
            "full_name": push.path,
            "html_url": push.address,
            "clone_url": f"{push.address}.git",
            "ssh_url": push.ssh,
        },
    }


def _gitlab(push: Push) -> Any:
    pusher = _split(push.commits[-1].committer)
    addresses = {
        "name": push.name,
        "git_ssh_url": push.ssh,
        "git_http_url": f"{push.address}.git",
        "homepage": push.address,
        "url": push.ssh,
    }
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": push.before,
        "after": push.after,
        "ref": f"refs/heads/{push.branch}",
        "checkout_sha": push.after,
        "user_name": pusher["name"],
        "user_email": pusher["email"],
        "project": {**addresses, "web_url": push.address, "path_with_namespace": push.path},
        "repository": addresses,
        # GitLab lists the last twenty.
        "commits": [_commit(commit, f"{push.address}/-/commit/{commit.id}") for commit in push.commits[-20:]],
        "total_commits_count": len(push.commits),
    }


def _bitbucketcloud(push: Push) -> Any:
    last = push.commits[-1]
    target = {
        "type": "commit",
        "hash": last.id,
        "author": {"type": "author", "raw": last.author},
        "message": last.message,
        "date": _date(last.when),
        "links": {"html": {"href": f"{push.address}/commits/{last.id}"}},
    }
    old = {"type": "branch", "name": push.branch, "target": {"type": "commit", "hash": push.before}}
    change = {
        "created": False,
        "closed": False,
        "forced": False,
        # Bitbucket lists the last five.
        "truncated": len(push.commits) > 5,
        "old": old,
        "new": {"type": "branch", "name": push.branch, "target": target},
        "commits": [{"type": "commit", "hash": commit.id} for commit in reversed(push.commits[-5:])],
    }
    return {
        "actor": {"type": "user", "display_name": _split(last.committer)["name"]},
        "repository": {
            "type": "repository",
            "full_name": push.path,
            "name": push.name,
            "scm": "git",
            "project": {"type": "project", "name": push.path.partition("/")[0]},
            "links": {
                "self": {"href": f"https://api.bitbucket.org/2.0/repositories/{push.path}"},
                "html": {"href": push.address},
            },
        },
        "push": {"changes": [change]},
    }


def _bitbucketserver(push: Push) -> Any:
    last = push.commits[-1]
    who = _split(last.committer)
    ref = {"id": f"refs/heads/{push.branch}", "displayId": push.branch, "type": "BRANCH"}
    update = {
        "ref": ref,
        "refId": ref["id"],
        "fromHash": push.before,
        "toHash": push.after,
        "type": "UPDATE",
    }
    base = f"{urlsplit(push.address).scheme}://{urlsplit(push.address).netloc}"
    key = push.path.partition("/")[0].upper()
    return {
        "eventKey": "repo:refs_changed",
        "date": _date(last.when),
        "actor": {"name": who["name"], "emailAddress": who["email"], "displayName": who["name"]},
        "repository": {
            "slug": push.name,
            "name": push.name,
            "scmId": "git",
            "project": {"key": key, "name": key.lower()},
            "links": {
                "clone": [
                    {"href": push.ssh, "name": "ssh"},
                    {"href": f"{base}/scm/{push.path}.git", "name": "http"},
                ],
                "self": [{"href": f"{base}/projects/{key}/repos/{push.name}/browse"}],
            },
        },
        "changes": [update],
    }


def _bitbucket(push: Push) -> Any:
    parts = urlsplit(push.address)
    return {
        "canon_url": f"{parts.scheme}://{parts.netloc}",
        "commits": [
            {
                "author": _split(commit.author)["name"],
                "raw_author": commit.author,
                "branch": push.branch,
                "files": [{"file": file, "type": "modified"} for file in commit.files or []],
                "message": commit.message,
                "node": commit.id[:12],
                "raw_node": commit.id,
                "utctimestamp": _date(commit.when).replace("T", " "),
            }
            for commit in push.commits
        ],
        "repository": {"absolute_url": f"/{push.path}/", "name": push.name, "scm": "git"},
        "user": _split(push.commits[-1].committer)["name"],
    }


def _gitorious(push: Push) -> Any:
    return {
        "before": push.before,
        "after": push.after,
        "ref": push.branch,
        "pushed_by": _split(push.commits[-1].committer)["name"],
        "pushed_at": _date(push.commits[-1].when),
        "project": {"name": push.path.partition("/")[0]},
        "repository": {"name": push.name, "url": push.address},
        "commits": [_commit(commit, f"{push.address}/commit/{commit.id}") for commit in push.commits],
    }


def _base(push: Push) -> Any:
    last = push.commits[-1]
    return {
        "author": last.author,
        "committer": last.committer,
        "comments": last.message,
        "revision": last.id,
        "when": last.when,
        "files": last.files,
        "branch": push.branch,
        "repository": push.address,
        "project": push.name,
        "src": "git",
    }


def _no_headers(body: bytes, secret: str | None) -> dict[str, str]:  # noqa: ARG001 (it has no proof)
    return {}


def _base_headers(body: bytes, secret: str | None) -> dict[str, str]:
    return {"X-Hub-Signature-256": sign_hmac(body, secret.encode())} if secret else {}


def _github_headers(body: bytes, secret: str | None) -> dict[str, str]:
    names = {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid4())}
    if not secret:
        return names
    sha1 = sign_hmac(body, secret.encode(), "sha1", "sha1=")
    return {**names, "X-Hub-Signature": sha1, **_base_headers(body, secret)}


def _gitlab_headers(body: bytes, secret: str | None) -> dict[str, str]:
    headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": str(uuid4())}
    if not secret:
        return headers
    if signing_key(secret.encode()) is None:
        return {**headers, "X-Gitlab-Token": secret}
    name, now = f"msg_{uuid4().hex}", int(time())
    return {
        **headers,
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": sign_standard_webhook(body, name, now, secret.encode()),
    }


def _cloud_headers(body: bytes, secret: str | None) -> dict[str, str]:
    signature = {"X-Hub-Signature": sign_hmac(body, secret.encode())} if secret else {}
    return {"X-Event-Key": "repo:push", "X-Request-UUID": str(uuid4()), **signature}


def _server_headers(body: bytes, secret: str | None) -> dict[str, str]:
    signature = {"X-Hub-Signature": sign_hmac(body, secret.encode())} if secret else {}
    return {"X-Event-Key": "repo:refs_changed", "X-Request-Id": str(uuid4()), **signature}


class _Forge(msgspec.Struct, frozen=True):
    payload: Callable[[Push], Any]
    headers: Callable[[bytes, str | None], dict[str, str]]
    content_type: str = JSON


FORGES: Mapping[str, _Forge] = {
    "base": _Forge(_base, _base_headers),
    "bitbucket": _Forge(_bitbucket, _no_headers, FORM),
    "bitbucketcloud": _Forge(_bitbucketcloud, _cloud_headers),
    "bitbucketserver": _Forge(_bitbucketserver, _server_headers),
    "github": _Forge(_github, _github_headers),
    "gitlab": _Forge(_gitlab, _gitlab_headers),
    "gitorious": _Forge(_gitorious, _no_headers, FORM),
}


def simulate(dialect: str, push: Push, secret: str | None) -> Simulated:
    """A push as a forge tells of it.

    :param dialect: one of :data:`FORGES`.
    :param secret: the one that the receiver knows.
    """
    forge = FORGES[dialect]
    body = json.dumps(forge.payload(push), ensure_ascii=False).encode()
    if forge.content_type == FORM:
        body = urlencode({"payload": body}).encode()
    return Simulated(body, {"Content-Type": forge.content_type, **forge.headers(body, secret)})


__all__ = ["FORGES", "Push", "Simulated", "simulate"]

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
from change_hooks.plugins import installed
from change_hooks.vcs import Commit

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


#: What can be simulated.
EVENTS = ("push", "new-branch", "tag", "forced-push", "deletion", "ping")
_NOTHING = "0" * 40


class Push(msgspec.Struct, frozen=True):
    """A push to be simulated.

    :param branch: the branch, or the tag.
    :param address: the repository's, as a web page: ``https://forge.example/owner/name``.
    :param parent: the commit before the first one.
    :param event: one of :data:`EVENTS`.
    """

    commits: list[Commit]
    branch: str
    address: str
    parent: str
    event: str = "push"

    @property
    def ref(self) -> str:
        """``refs/heads/main``, or ``refs/tags/v1``."""
        return f"refs/{'tags' if self.event == 'tag' else 'heads'}/{self.branch}"

    @property
    def created(self) -> bool:
        """The ref is new."""
        return self.event in ("new-branch", "tag")

    @property
    def deleted(self) -> bool:
        """The ref was deleted."""
        return self.event == "deletion"

    @property
    def forced(self) -> bool:
        """What the branch was on is no part of what it is on."""
        return self.event == "forced-push"

    @property
    def before(self) -> str:
        """What the ref was on; zeros for a new one."""
        if self.created:
            return _NOTHING
        return "f" * 40 if self.forced else self.commits[-1].id if self.deleted else self.parent

    @property
    def after(self) -> str:
        """The commit that the ref is on now; zeros for one that was deleted."""
        return _NOTHING if self.deleted else self.commits[-1].id

    @property
    def listed(self) -> list[Commit]:
        """The commits that forges list: none for a tag and a deletion."""
        return [] if self.deleted or self.event == "tag" else self.commits

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

    @property
    def id(self) -> str:
        """The delivery's id; empty where the forge gives none."""
        return next((value for name, value in self.headers.items() if name.lower() in _ID_HEADERS), "")


_ID_HEADERS = ("x-github-delivery", "x-gitlab-event-uuid", "x-request-uuid", "x-request-id")


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
    if push.event == "ping":
        return {"zen": "Design for failure.", "hook_id": 1, "hook": {"type": "Repository", "id": 1}}
    commits = [
        {
            **_commit(commit, f"{push.address}/commit/{commit.id}"),
            "committer": _split(commit.committer),
            "distinct": True,
        }
        for commit in push.commits
    ]
    return {
        "ref": push.ref,
        "before": push.before,
        "after": push.after,
        "created": push.created,
        "deleted": push.deleted,
        "forced": push.forced,
        "compare": f"{push.address}/compare/{push.before[:12]}...{push.after[:12]}",
        "commits": commits if push.listed else [],
        "head_commit": None if push.deleted else commits[-1],
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
        "object_kind": "tag_push" if push.event == "tag" else "push",
        "event_name": "tag_push" if push.event == "tag" else "push",
        "before": push.before,
        "after": push.after,
        "ref": push.ref,
        "checkout_sha": None if push.deleted else push.after,
        "user_name": pusher["name"],
        "user_email": pusher["email"],
        "project": {**addresses, "web_url": push.address, "path_with_namespace": push.path},
        "repository": addresses,
        # GitLab lists the last twenty.
        "commits": [_commit(commit, f"{push.address}/-/commit/{commit.id}") for commit in push.listed[-20:]],
        "total_commits_count": len(push.listed),
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
    kind = "tag" if push.event == "tag" else "branch"
    old = {"type": kind, "name": push.branch, "target": {"type": "commit", "hash": push.before}}
    change = {
        "created": push.created,
        "closed": push.deleted,
        "forced": push.forced,
        # Bitbucket lists the last five.
        "truncated": len(push.listed) > 5,
        "old": None if push.created else old,
        "new": None if push.deleted else {"type": kind, "name": push.branch, "target": target},
        "commits": [{"type": "commit", "hash": commit.id} for commit in reversed(push.listed[-5:])],
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
    if push.event == "ping":
        return {"test": True}
    last = push.commits[-1]
    who = _split(last.committer)
    kind = "TAG" if push.event == "tag" else "BRANCH"
    ref = {"id": push.ref, "displayId": push.branch, "type": kind}
    update = {
        "ref": ref,
        "refId": ref["id"],
        "fromHash": push.before,
        "toHash": push.after,
        "type": "ADD" if push.created else "DELETE" if push.deleted else "UPDATE",
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


def _no_headers(body: bytes, secret: str | None, event: str) -> dict[str, str]:  # noqa: ARG001 (unsigned)
    return {}


def _base_headers(body: bytes, secret: str | None, event: str = "push") -> dict[str, str]:  # noqa: ARG001
    return {"X-Hub-Signature-256": sign_hmac(body, secret.encode())} if secret else {}


def _github_headers(body: bytes, secret: str | None, event: str) -> dict[str, str]:
    names = {"X-GitHub-Event": "ping" if event == "ping" else "push", "X-GitHub-Delivery": str(uuid4())}
    if not secret:
        return names
    sha1 = sign_hmac(body, secret.encode(), "sha1", "sha1=")
    return {**names, "X-Hub-Signature": sha1, **_base_headers(body, secret)}


def _gitlab_headers(body: bytes, secret: str | None, event: str) -> dict[str, str]:
    name = "Tag Push Hook" if event == "tag" else "Push Hook"
    headers = {"X-Gitlab-Event": name, "X-Gitlab-Event-UUID": str(uuid4())}
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


def _cloud_headers(body: bytes, secret: str | None, event: str) -> dict[str, str]:  # noqa: ARG001
    signature = {"X-Hub-Signature": sign_hmac(body, secret.encode())} if secret else {}
    return {"X-Event-Key": "repo:push", "X-Request-UUID": str(uuid4()), **signature}


def _server_headers(body: bytes, secret: str | None, event: str) -> dict[str, str]:
    signature = {"X-Hub-Signature": sign_hmac(body, secret.encode())} if secret else {}
    key = "diagnostics:ping" if event == "ping" else "repo:refs_changed"
    return {"X-Event-Key": key, "X-Request-Id": str(uuid4()), **signature}


class _Forge(msgspec.Struct, frozen=True):
    payload: Callable[[Push], Any]
    headers: Callable[[bytes, str | None, str], dict[str, str]]
    content_type: str = JSON
    events: tuple[str, ...] = ("push",)


_OF_REFS = ("push", "new-branch", "tag", "forced-push", "deletion")


FORGES: Mapping[str, _Forge] = {
    "base": _Forge(_base, _base_headers),
    "bitbucket": _Forge(_bitbucket, _no_headers, FORM),
    "bitbucketcloud": _Forge(_bitbucketcloud, _cloud_headers, events=_OF_REFS),
    "bitbucketserver": _Forge(_bitbucketserver, _server_headers, events=EVENTS),
    "github": _Forge(_github, _github_headers, events=EVENTS),
    "gitlab": _Forge(_gitlab, _gitlab_headers, events=_OF_REFS),
    "gitorious": _Forge(_gitorious, _no_headers, FORM),
}


class CannotSimulate(ValueError):
    """There is no such dialect or event here."""


def simulate(dialect: str, push: Push, secret: str | None) -> Simulated:
    """A push, or another event, as a forge sends it.

    :param dialect: one of :data:`FORGES`; or an installed one whose handler class has an attribute
        ``simulation``: a callable of the push and the secret that returns a :class:`Simulated`.
    :param secret: the one that the receiver knows.
    :raises CannotSimulate: nobody knows how.
    """
    forge = FORGES.get(dialect)
    if forge is None:
        return _own_simulation(dialect)(push, secret)
    if push.event not in forge.events:
        raise CannotSimulate(f"{dialect} has no {push.event}; valid events are {', '.join(forge.events)}")
    body = json.dumps(forge.payload(push), ensure_ascii=False).encode()
    if forge.content_type == FORM:
        body = urlencode({"payload": body}).encode()
    return Simulated(body, {"Content-Type": forge.content_type, **forge.headers(body, secret, push.event)})


def _own_simulation(dialect: str) -> Callable[[Push, str | None], Simulated]:
    try:
        simulation = getattr(installed().load(dialect), "simulation", None)
    except KeyError:
        simulation = None
    if simulation is None:
        raise CannotSimulate(f"{dialect!r} cannot be simulated; valid names are {', '.join(sorted(FORGES))}")
    own: Callable[[Push, str | None], Simulated] = simulation
    return own


__all__ = ["EVENTS", "FORGES", "CannotSimulate", "Push", "Simulated", "simulate"]

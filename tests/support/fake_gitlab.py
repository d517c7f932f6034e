"""A small GitLab: one project, its commits, and the log of its webhook.

Source: GitLab, "Project webhooks API", "Commits API", "Projects API", "Merge requests API".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.fake_api import NOT_FOUND, Asked, FakeApi, Say, page_of

REDACTED = "[REDACTED]"


def sha(number: int) -> str:
    return f"{number:040x}"


def commit(number: int) -> dict[str, Any]:
    return {
        "id": sha(number),
        "message": f"commit {number}\n",
        "author_name": "Änne",
        "author_email": "aenne@example.com",
        "committer_name": "Änne",
        "committer_email": "aenne@example.com",
        "created_at": "2026-11-20T10:00:00.000+01:00",
        "web_url": f"https://gitlab.example/g/sub/p/-/commit/{sha(number)}",
    }


def push(number: int) -> dict[str, Any]:
    """The payload of a push of one commit, as the log has it."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": sha(number - 1),
        "after": sha(number),
        "ref": "refs/heads/main",
        "user_name": "Änne",
        "user_email": REDACTED,
        "project": {
            "id": 7,
            "name": "p",
            "path_with_namespace": "g/sub/p",
            "web_url": "https://gitlab.example/g/sub/p",
            "git_http_url": "https://gitlab.example/g/sub/p.git",
            "git_ssh_url": "git@gitlab.example:g/sub/p.git",
        },
        "repository": {"name": "p", "url": "git@gitlab.example:g/sub/p.git"},
        "commits": [
            {
                "id": sha(number),
                "message": f"commit {number}\n",
                "timestamp": "2026-11-20T10:00:00+01:00",
                "author": {"name": "Änne", "email": REDACTED},
                "added": [],
                "modified": ["a.c"],
                "removed": [],
            }
        ],
        "total_commits_count": 1,
    }


class FakeGitLab(FakeApi):
    """The project ``g/sub/p`` with the webhook 5; *owner* may be ``groups/g`` instead."""

    token_header = "private-token"

    def __init__(self, token: str | None = None, owner: str = "projects/g%2Fsub%2Fp") -> None:
        super().__init__(token)
        self.hooks = [{"id": 5, "url": "https://ci.example/change_hook/gitlab"}]
        self.log: list[dict[str, Any]] = []
        self.commits = [commit(number) for number in range(1, 301)]
        #: The commit that the default branch is on.
        self.default = 100
        self.again: Callable[[dict[str, Any]], object] = lambda item: None
        self.merge_requests: list[dict[str, Any]] = []
        hooks, project = rf".*/api/v4/{owner}/hooks", r".*/api/v4/projects/g%2Fsub%2Fp"
        self.route("GET", hooks, lambda asked: self.hooks)
        self.route("GET", rf"{hooks}/5/events", self.events)
        self.route("POST", rf"{hooks}/5/events/(\d+)/resend", self.resend)
        self.route("GET", project, lambda asked: self.project())
        self.route("GET", rf"{project}/repository/commits", self.list_commits)
        self.route("GET", rf"{project}/repository/commits/([0-9a-f]+)", self.one_commit)
        self.route("GET", rf"{project}/repository/commits/([0-9a-f]+)/diff", self.diff)
        #: The files of the merge request 3; who is known, and what each may do here.
        self.files: list[dict[str, Any]] = [{"old_path": "a.c", "new_path": "b.c", "renamed_file": True}]
        self.users = {"ann": 11, "eve": 12, "guest": 13, "root": 14}
        self.members: dict[str, Any] = {
            "11": {"id": 11, "username": "ann", "state": "active", "access_level": 30},
            "13": {"id": 13, "username": "guest", "state": "active", "access_level": 10},
            "14": {"id": 14, "username": "root", "state": "active", "access_level": 50},
        }
        self.route("GET", rf"{project}/merge_requests/3/diffs", lambda asked: page_of(self.files, asked))
        self.route("GET", r".*/api/v4/users", self.named)
        self.route(
            "GET", rf"{project}/members/all/(\d+)", lambda asked, who: self.members.get(who, NOT_FOUND)
        )
        self.route("GET", rf"{project}/merge_requests", lambda asked: page_of(self.merge_requests, asked))

    def event(self, key: str, status: str = "internal error", data: Any = None) -> dict[str, Any]:
        """Log an event, newer than all before it."""
        number = len(self.log) + 1
        item = {
            "id": 1000 + number,
            "url": self.hooks[0]["url"],
            "trigger": "push_hooks",
            "request_headers": {
                "X-Gitlab-Event": "Push Hook",
                "X-Gitlab-Token": REDACTED,
                "X-Gitlab-Event-UUID": f"uuid-{number}",
                "Idempotency-Key": key,
            },
            "request_data": data or push(number),
            "response_status": status,
            "response_body": "",
        }
        self.log.append(item)
        return item

    def events(self, asked: Asked) -> Any:
        return page_of(self.log[::-1], asked, most=20)

    def resend(self, asked: Asked, number: str) -> Any:
        found = [item for item in self.log if str(item["id"]) == number]
        if not found:
            return NOT_FOUND
        self.again(found[0])
        return Say({"response_status": 200}, 201)

    def named(self, asked: Asked) -> Any:
        login = asked.query["username"]
        return [{"id": self.users[login], "username": login}] if login in self.users else []

    def project(self) -> dict[str, Any]:
        return {
            "id": 7,
            "name": "p",
            "path_with_namespace": "g/sub/p",
            "web_url": "https://gitlab.example/g/sub/p",
            "http_url_to_repo": "https://gitlab.example/g/sub/p.git",
            "ssh_url_to_repo": "git@gitlab.example:g/sub/p.git",
        }

    def list_commits(self, asked: Asked) -> Any:
        before, _, after = asked.query["ref_name"].partition("..")
        first = self.default if before == "main" else int(before, 16)
        numbers = range(int(after, 16), first, -1)
        return page_of([commit(number) for number in numbers], asked)

    def one_commit(self, asked: Asked, revision: str) -> Any:
        return next((each for each in self.commits if each["id"] == revision), NOT_FOUND)

    def diff(self, asked: Asked, revision: str) -> Any:
        files = [{"old_path": "a.c", "new_path": "b.c"}, {"old_path": "c.c", "new_path": "c.c"}]
        return page_of(files, asked)

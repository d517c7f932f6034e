"""A small GitHub.

Source: GitHub, REST API.
"""

from __future__ import annotations

from typing import Any

from tests.support.fake_api import NOT_FOUND, Asked, FakeApi, Say, page_of

SHA = "9" * 40
OLD = "1" * 40


def sha(number: int) -> str:
    return f"{number:040x}"


def commit(number: int, *files: str) -> dict[str, Any]:
    who = {"name": "Änne", "email": "aenne@example.com", "date": "2026-11-20T10:00:00Z"}
    return {
        "sha": sha(number),
        "html_url": f"https://github.example/o/r/commit/{sha(number)}",
        "commit": {"message": f"commit {number}", "author": who, "committer": who},
        "files": [{"filename": name, "status": "modified"} for name in files],
    }


class FakeGitHub(FakeApi):
    """One repository, ``o/r``, with commits, a pull request and collaborators."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__(token)
        self.commits = [commit(1, "a.c")]
        self.files: list[dict[str, Any]] = [{"filename": "a.c", "status": "modified"}]
        self.permissions = {"ann": "write", "root": "admin", "eve": "read"}
        self.keys = {"ann": 11, "root": 14, "eve": 12}
        repository = {"full_name": "o/r", "name": "r", "html_url": "https://github.example/o/r"}
        self.pull: dict[str, Any] = {
            "number": 7,
            "title": "Say hello",
            "body": None,
            "draft": False,
            "commits": 2,
            "html_url": "https://github.example/o/r/pull/7",
            "created_at": "2026-11-20T10:00:00Z",
            "updated_at": "2026-11-21T10:00:00Z",
            "head": {"sha": SHA, "ref": "topic", "repo": None},
            "base": {"sha": OLD, "ref": "main", "repo": repository},
        }
        repo = r".*/repos/o/r"
        self.route("GET", rf"{repo}/compare/([0-9a-f]+)\.\.\.([0-9a-f]+)", self.compare)
        self.route("GET", rf"{repo}/commits/([0-9a-f]+)", self.one_commit)
        self.route("GET", rf"{repo}/pulls/7/files", lambda asked: page_of(self.files, asked))
        self.route("GET", rf"{repo}/pulls/7", lambda asked: self.pull)
        self.route("GET", rf"{repo}/collaborators/([^/]+)/permission", self.permission)

    def compare(self, asked: Asked, before: str, after: str) -> Any:
        return {"total_commits": len(self.commits), "commits": page_of(self.commits, asked)}

    def one_commit(self, asked: Asked, name: str) -> Any:
        found = next((one for one in self.commits if one["sha"] == name), None)
        if found is None and name == SHA:
            found = {**commit(9), "sha": SHA}
        return NOT_FOUND if found is None else {**found, "files": page_of(found["files"], asked)}

    def permission(self, asked: Asked, login: str) -> Any:
        known = self.permissions.get(login)
        user = {"login": login, "id": self.keys.get(login)}
        return NOT_FOUND if known is None else {"permission": known, "role_name": known, "user": user}


class FakeApps(FakeApi):
    """The part of GitHub that gives Apps their tokens."""

    def __init__(self, expires: str = "1970-01-01T01:00:00Z") -> None:
        super().__init__()
        self.expires = expires
        self.given = 0
        self.refused: set[str] = set()
        self.route("GET", r"/repos/o/r/installation", lambda asked: {"id": 42})
        self.route("POST", r"/app/installations/(\d+)/access_tokens", self.access_token)
        self.route("GET", r"/repos/o/r", self.repository)

    def access_token(self, asked: Asked, installation: str) -> Any:
        self.given += 1
        return Say({"token": f"ghs_{installation}_{self.given}", "expires_at": self.expires}, 201)

    def repository(self, asked: Asked) -> Any:
        if asked.headers.get("authorization", "") in self.refused:
            return Say({"message": "Bad credentials"}, 401)
        return {"full_name": "o/r"}

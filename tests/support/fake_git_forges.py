"""The parts of the APIs of Gitea, Bitbucket Cloud and Bitbucket Data Center that say what a repository holds.

Source: Gitea, API reference; Atlassian, "The Bitbucket Cloud REST API", "Bitbucket Data Center REST API".
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from tests.support.fake_api import NOT_FOUND, Asked, FakeApi, page_of

WHEN = "2026-11-20T10:00:00Z"


def sha(number: int) -> str:
    return f"{number:040x}"


def between(before: str, after: str) -> list[int]:
    """The numbers of the commits that *after* has and *before* has not, newest first."""
    return list(range(int(after, 16), int(before, 16), -1))


class FakeGitea(FakeApi):
    """The repository ``o/r``; a page has at most *most* items, whatever is asked for."""

    def __init__(self, token: str | None = None, most: int = 50) -> None:
        super().__init__(token)
        self.most = most
        self.pulls: list[dict[str, Any]] = []
        repo = r".*/api/v1/repos/o/r"
        self.route("GET", repo, lambda asked: self.repository())
        self.route("GET", rf"{repo}/commits", self.commits)
        #: The activities, oldest first; and where branches and tags are now.
        self.feed: list[dict[str, Any]] = []
        self.branches: dict[str, str] = {}
        self.route(
            "GET", rf"{repo}/activities/feeds", lambda asked: page_of(self.feed[::-1], asked, size="limit")
        )
        self.route("GET", rf"{repo}/branches/(.+)", self.branch)
        self.route("GET", rf"{repo}/tags/(.+)", self.branch)
        self.route("GET", rf"{repo}/git/commits/([0-9a-f]+)", self.one)
        #: The files of the pull request 3; and what each may do here.
        self.files = [{"filename": "b.c", "previous_filename": "a.c", "status": "renamed"}]
        self.permissions = {"ann": "write", "root": "owner", "eve": "read"}
        self.keys = {"ann": 11, "root": 14, "eve": 12}
        self.route("GET", rf"{repo}/pulls/3", lambda asked: self.pull(3, sha(9)))
        self.route(
            "GET",
            rf"{repo}/pulls/3/files",
            lambda asked: page_of(self.files, asked, size="limit", most=self.most),
        )
        self.route("GET", rf"{repo}/collaborators/([^/]+)/permission", self.permission)
        self.route("GET", rf"{repo}/pulls", lambda asked: page_of(self.pulls, asked, size="limit"))

    def repository(self) -> dict[str, Any]:
        return {
            "id": 3,
            "name": "r",
            "full_name": "o/r",
            "html_url": "https://gitea.example/o/r",
            "clone_url": "https://gitea.example/o/r.git",
            "ssh_url": "git@gitea.example:o/r.git",
            "owner": {"login": "o"},
        }

    def commit(self, number: int) -> dict[str, Any]:
        who = {"name": "Änne", "email": "aenne@example.com", "date": WHEN}
        return {
            "sha": sha(number),
            "html_url": f"https://gitea.example/o/r/commit/{sha(number)}",
            "commit": {"message": f"commit {number}\n", "author": who, "committer": who},
            "files": [{"filename": "a.c"}, {"filename": "b.c"}],
        }

    def commits(self, asked: Asked) -> Any:
        listed = [self.commit(number) for number in between(asked.query["not"], asked.query["sha"])]
        return page_of(listed, asked, size="limit", most=self.most)

    def one(self, asked: Asked, revision: str) -> Any:
        return self.commit(int(revision, 16)) if int(revision, 16) < 1000 else NOT_FOUND

    def branch(self, asked: Asked, name: str) -> Any:
        name = name.replace("%2F", "/")
        return {"commit": {"id": self.branches[name]}} if name in self.branches else NOT_FOUND

    def activity(
        self, at: float, op: str, ref: str, before: int | None = None, after: int | None = None
    ) -> None:
        """Somebody pushed; newer than all before it."""
        content = ""
        if before is not None and after is not None:
            content = json.dumps(
                {
                    "Commits": [{"Sha1": sha(after)}],
                    "HeadCommit": {"Sha1": sha(after)},
                    "CompareURL": f"o/r/compare/{sha(before)}...{sha(after)}",
                }
            )
        moment = datetime.fromtimestamp(at, timezone.utc).isoformat()
        who = {"login": "ann", "full_name": "Ann", "email": "ann@example.com"}
        number = len(self.feed) + 1
        self.feed.append(
            {
                "id": number,
                "op_type": op,
                "ref_name": ref,
                "act_user": who,
                "created": moment,
                "content": content,
            }
        )

    def permission(self, asked: Asked, login: str) -> Any:
        known = self.permissions.get(login)
        user = {"login": login, "id": self.keys.get(login)}
        return NOT_FOUND if known is None else {"permission": known, "role_name": known, "user": user}

    def pull(self, number: int, revision: str) -> dict[str, Any]:
        repository = self.repository()
        return {
            "number": number,
            "title": "Say hello",
            "user": {"login": "ann"},
            "html_url": f"https://gitea.example/o/r/pulls/{number}",
            "created_at": WHEN,
            "updated_at": WHEN,
            "head": {"ref": "topic", "sha": revision, "repo": repository},
            "base": {"ref": "main", "sha": sha(1), "repo": repository},
        }


class FakeBitbucketCloud(FakeApi):
    """The repository ``w/r``, ten files a page."""

    base = "https://api.bitbucket.org"

    def __init__(self, token: str | None = None) -> None:
        super().__init__(token)
        repo = r".*/2.0/repositories/w/r"
        self.route("GET", repo, lambda asked: self.repository())
        #: The files of everything; and what each may do here.
        self.files = [{"old": {"path": "a.c"}, "new": {"path": "b.c"}}, {"old": None, "new": {"path": "c.c"}}]
        self.permissions = {"{ann}": "write", "{root}": "admin", "{eve}": "read"}
        self.route("GET", rf"{repo}/commit/([0-9a-f]+)", lambda asked, name: self.commit(int(name, 16)))
        self.route("GET", rf"{repo}/diffstat/[0-9a-f]+(?:\.\.[0-9a-f]+)?", self.diffstat)
        self.route("GET", rf"{repo}/diffstat/[^/]+/[^/]+:[0-9a-f]+%0D[0-9a-f]+", self.diffstat)
        self.route("GET", r".*/2.0/workspaces/w/permissions/repositories/r", self.members)

    def repository(self) -> dict[str, Any]:
        page = "https://bitbucket.org/w/r"
        links = {"self": {"href": f"{self.base}/2.0/repositories/w/r"}, "html": {"href": page}}
        return {"full_name": "w/r", "name": "r", "scm": "git", "links": links}

    def commit(self, number: int) -> dict[str, Any]:
        return {
            "hash": sha(number),
            "message": f"commit {number}\n",
            "author": {"raw": "Änne <aenne@example.com>"},
            "date": WHEN,
            "links": {"html": {"href": f"https://bitbucket.org/w/r/commits/{sha(number)}"}},
        }

    def diffstat(self, asked: Asked) -> Any:
        return self.page(self.files, asked)

    def members(self, asked: Asked) -> Any:
        found = [
            {"user": {"uuid": uuid, "nickname": "ann"}, "permission": permission}
            for uuid, permission in self.permissions.items()
        ]
        return self.page(found, asked, 2)

    def page(self, items: list[Any], asked: Asked, length: int = 10) -> Any:
        number = int(asked.query.get("page", "1"))
        answer: dict[str, Any] = {"values": items[(number - 1) * length : number * length]}
        if number * length < len(items):
            query = urlencode({**asked.query, "page": str(number + 1)})
            answer["next"] = f"{self.base}{asked.path}?{query}"
        return answer


class FakeBitbucketServer(FakeApi):
    """The repository ``PRJ/r``, ten items a page."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__(token)
        self.says_where_it_ends = True
        self.log: list[dict[str, Any]] = []
        repo = r".*/rest/api/latest/projects/PRJ/repos/r"
        self.route("GET", repo, lambda asked: self.repository())
        #: The files of everything; and what each may do here.
        self.files: list[dict[str, Any]] = [
            {"path": {"toString": "b.c"}, "srcPath": {"toString": "a.c"}},
            {"path": {"toString": "b.c"}},
        ]
        self.permissions = {"ann": "REPO_WRITE", "root": "REPO_ADMIN", "eve": "REPO_READ"}
        self.keys = {"ann": 11, "root": 14, "eve": 12}
        for what in (r"compare/changes", r"pull-requests/3/changes", r"commits/[0-9a-f]+/changes"):
            self.route("GET", rf"{repo}/{what}", lambda asked: self.page(self.files, asked))
        self.route("GET", r".*/rest/api/latest/users", self.users)
        self.route("GET", rf"{repo}/ref-change-activities", lambda asked: self.page(self.log[::-1], asked))
        self.route("GET", rf"{repo}/commits/([0-9a-f]+)", lambda asked, name: self.commit(int(name, 16)))

    def activity(self, at: float, kind: str, before: int, after: int, ref: str = "refs/heads/main") -> None:
        """Somebody pushed; newer than all before it."""
        change = {
            "ref": {"id": ref},
            "refId": ref,
            "fromHash": sha(before),
            "toHash": sha(after),
            "type": kind,
        }
        who = {"name": "ann", "displayName": "Ann", "emailAddress": "ann@example.com"}
        number = len(self.log) + 1
        self.log.append({"id": number, "createdDate": int(at * 1000), "user": who, "refChange": change})

    def repository(self) -> dict[str, Any]:
        links = {"self": [{"href": "https://bitbucket.example/projects/PRJ/repos/r/browse"}]}
        return {
            "slug": "r",
            "name": "r",
            "scmId": "git",
            "project": {"key": "PRJ", "name": "P"},
            "links": links,
        }

    def commit(self, number: int) -> dict[str, Any]:
        who = {"name": "aenne", "emailAddress": "aenne@example.com"}
        return {
            "id": sha(number),
            "message": f"commit {number}",
            "author": who,
            "committer": {"name": "ci"},
            "authorTimestamp": 1_795_000_000_123,
        }

    def users(self, asked: Asked) -> Any:
        order = ("REPO_READ", "REPO_WRITE", "REPO_ADMIN")
        where = (asked.query["permission.1.projectKey"], asked.query["permission.1.repositorySlug"])
        assert where == ("PRJ", "r")
        least = order.index(asked.query["permission.1"])
        # The filter finds parts of names, too.
        found = [
            {"name": f"{name}{more}", "id": 99 if more else self.keys.get(name)}
            for name, permission in self.permissions.items()
            for more in ("", "abel")
            if asked.query["filter"] in name and order.index(permission) >= least
        ]
        return self.page(found, asked)

    def page(self, items: list[Any], asked: Asked) -> Any:
        start = int(asked.query.get("start", "0"))
        last = start + 10 >= len(items)
        answer: dict[str, Any] = {"values": items[start : start + 10]}
        if self.says_where_it_ends:
            answer.update(isLastPage=last, nextPageStart=None if last else start + 10)
        return answer

"""A small Azure DevOps with subscriptions and the log of what was sent to them.

Source: Microsoft, Azure DevOps Services REST API: "Service Hooks", "Git".
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tests.support.fake_api import Asked, FakeApi


def push(number: int) -> dict[str, Any]:
    """An event of a push of one commit."""
    return {
        "id": f"event-{number}",
        "eventType": "git.push",
        "publisherId": "tfs",
        "resourceVersion": "1.0",
        "resource": {
            "commits": [commit(number)],
            "refUpdates": [
                {
                    "name": "refs/heads/main",
                    "oldObjectId": f"{number - 1:040x}",
                    "newObjectId": f"{number:040x}",
                }
            ],
            "repository": {
                "id": "repo-id",
                "name": "r",
                "remoteUrl": "https://dev.azure.com/acme/p/_git/r",
                "project": {"name": "p"},
            },
            "pushedBy": {"displayName": "Änne", "uniqueName": "aenne@example.com"},
        },
    }


def commit(number: int) -> dict[str, Any]:
    who = {"name": "Änne", "email": "aenne@example.com", "date": "2026-11-20T10:00:00.1234567Z"}
    return {"commitId": f"{number:040x}", "comment": f"commit {number}", "author": who, "committer": who}


class FakeAzureDevOps(FakeApi):
    """The organization ``acme``."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__(token)
        self.subscriptions = [
            self.subscription("s1", "https://ci.example/change_hook/azuredevops", "repo-id"),
            self.subscription("s2", "https://ci.example/other", ""),
            self.subscription("s3", "https://ci.example/change_hook/azuredevops", "another"),
        ]
        self.log: list[dict[str, Any]] = []
        base = r".*/acme/_apis/hooks"
        self.route("GET", rf"{base}/subscriptions", lambda asked: {"value": self.subscriptions})
        self.route("POST", rf"{base}/notificationsquery", self.query)
        #: The numbers of the commits of the push 17, newest first; the files of everything.
        self.pushed = list(range(123, 100, -1))
        self.files: list[dict[str, Any]] = [
            {
                "changeType": "edit, rename",
                "sourceServerItem": "/a.c",
                "item": {"path": "/b.c", "gitObjectType": "blob"},
            },
            {"changeType": "edit", "item": {"path": "/src", "isFolder": True, "gitObjectType": "tree"}},
        ]
        repo = r".*/acme/(?:p|My%20Project)/_apis/git/repositories/r"
        self.route("GET", repo, lambda asked: push(1)["resource"]["repository"])
        self.route("GET", rf"{repo}/commits", self.commits)
        self.route("GET", rf"{repo}/commits/([0-9a-f]+)", lambda asked, name: commit(int(name, 16)))
        self.route("GET", rf"{repo}/commits/[0-9a-f]+/changes", self.changes)
        iterations = rf"{repo}/pullRequests/3/iterations"
        self.route("GET", iterations, lambda asked: {"value": [{"id": 1}, {"id": 2}]})
        self.route("GET", rf"{iterations}/2/changes", self.entries)

    def commits(self, asked: Asked) -> Any:
        assert asked.query["pushId"] == "17"
        skip, top = int(asked.query.get("skip", "0")), int(asked.query["top"])
        return {"value": [commit(number) for number in self.pushed[skip : skip + top]]}

    def changes(self, asked: Asked) -> Any:
        skip, top = int(asked.query.get("skip", "0")), int(asked.query["top"])
        return {"changeCounts": {}, "changes": self.files[skip : skip + top]}

    def entries(self, asked: Asked) -> Any:
        """The changes of an iteration, fifty at a time."""
        skip = int(asked.query.get("$skip", "0"))
        more = skip + 50 < len(self.files)
        return {
            "changeEntries": self.files[skip : skip + 50],
            "nextSkip": skip + 50 if more else 0,
            "nextTop": 50 if more else 0,
        }

    def subscription(self, name: str, url: str, repository: str) -> dict[str, Any]:
        inputs = {"repository": repository} if repository else {}
        return {"id": name, "consumerInputs": {"url": url}, "publisherInputs": inputs}

    def notification(
        self, number: int, at: float, subscription: str = "s1", response: str = "", event: Any = None
    ) -> None:
        """Log a notification, newer than all before it."""
        event = event or push(number)
        self.log.append(
            {
                "id": number,
                "subscriptionId": subscription,
                "createdDate": datetime.fromtimestamp(at, timezone.utc).isoformat().replace("+00:00", "Z"),
                "result": "failed",
                "details": {"eventType": event["eventType"], "event": event, "response": response},
            }
        )

    def query(self, asked: Asked) -> Any:
        wanted = asked.json
        least, most = _moment(wanted.get("minCreatedDate")), _moment(wanted.get("maxCreatedDate"))
        found = [
            item
            for item in reversed(self.log)
            if item["subscriptionId"] in wanted["subscriptionIds"]
            and (least is None or _moment(item["createdDate"]) >= least)  # type: ignore[operator]
            and (most is None or _moment(item["createdDate"]) <= most)  # type: ignore[operator]
        ]
        return {"results": found[: wanted["maxResults"]]}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))

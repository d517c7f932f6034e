"""A small Azure DevOps with subscriptions and the log of what was sent to them.

Source: Microsoft, Azure DevOps Services REST API: "Service Hooks".
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
            "commits": [{"commitId": f"{number:040x}", "comment": f"commit {number}"}],
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
        self.route(
            "GET", r".*/acme/p/_apis/git/repositories/r", lambda asked: push(1)["resource"]["repository"]
        )

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

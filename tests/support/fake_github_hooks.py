"""A small GitHub with the log of a webhook's deliveries.

Source: GitHub, REST API: "Repository webhooks".
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tests.support.fake_api import NOT_FOUND, Asked, FakeApi, Say


def push(number: int) -> dict[str, Any]:
    """The payload of a push of one commit."""
    who = {"name": "Änne", "email": "aenne@example.com"}
    return {
        "ref": "refs/heads/main",
        "before": f"{number - 1:040x}",
        "after": f"{number:040x}",
        "repository": {"full_name": "o/r", "name": "r", "html_url": "https://github.example/o/r"},
        "commits": [
            {
                "id": f"{number:040x}",
                "message": f"commit {number}",
                "timestamp": "2026-11-20T10:00:00Z",
                "author": who,
                "added": [],
                "removed": [],
                "modified": ["a.c"],
                "distinct": True,
            }
        ],
    }


class FakeGitHubHooks(FakeApi):
    """The repository ``o/r`` with the webhook 5.

    :param base: what ``Link`` names.
    """

    def __init__(self, token: str | None = None, base: str = "https://api.github.com") -> None:
        super().__init__(token)
        self.base = base
        self.hooks = [{"id": 5, "config": {"url": "https://ci.example/change_hook/github?x=1"}}]
        self.log: list[dict[str, Any]] = []
        self.sent: dict[str, Any] = {}
        hooks = r".*/repos/o/r/hooks"
        self.route("GET", hooks, lambda asked: self.hooks)
        self.route("GET", rf"{hooks}/5/deliveries", self.deliveries)
        self.route("GET", rf"{hooks}/5/deliveries/(\d+)", self.delivery)

    def attempt(
        self, guid: str, at: float, status: int = 0, event: str = "push", payload: Any = None
    ) -> dict[str, Any]:
        """Log an attempt, newer than all before it."""
        number = len(self.log) + 1
        moment = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        item = {"id": number, "guid": guid, "delivered_at": moment, "status_code": status, "event": event}
        self.log.append(item)
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "X-Hub-Signature-256": "sha256=00"}
        self.sent[str(number)] = {**item, "request": {"headers": headers, "payload": payload or push(number)}}
        return item

    def deliveries(self, asked: Asked) -> Say:
        size = min(int(asked.query.get("per_page", "30")), 100)
        newest = self.log[::-1]
        cursor = asked.query.get("cursor", "")
        start = next((i + 1 for i, item in enumerate(newest) if f"v1_{item['id']}" == cursor), 0)
        page = newest[start : start + size]
        headers = {}
        if start + size < len(newest):
            query = f"per_page={size}&cursor=v1_{page[-1]['id']}"
            headers = {"Link": f'<{self.base}/repos/o/r/hooks/5/deliveries?{query}>; rel="next"'}
        return Say(page, headers=headers)

    def delivery(self, asked: Asked, number: str) -> Any:
        return self.sent.get(number, NOT_FOUND)

"""A small GitHub with the log of a webhook's deliveries.

Source: GitHub, REST API: "Repository webhooks", "Organization webhooks", "GitHub App webhooks".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from time import time
from typing import Any

import treq

from change_hooks.core.verification import sign_hmac
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
    """The webhook 5: of the repository ``o/r``, of the organization ``acme``, or of an App.

    :param base: what ``Link`` names.
    :param owner: what stands before ``hooks`` in paths; ``app/hook`` for that of an App.
    """

    def __init__(
        self, token: str | None = None, base: str = "https://api.github.com", owner: str = "repos/o/r"
    ) -> None:
        super().__init__(token)
        self.base = base
        self.hooks = [{"id": 5, "config": {"url": "https://ci.example/change_hook/github?x=1"}}]
        self.log: list[dict[str, Any]] = []
        self.sent: dict[str, Any] = {}
        #: Told of what is to be sent again: an entry of the log.
        self.again: Callable[[dict[str, Any]], object] = lambda item: None
        self.hook = "app/hook" if owner == "app/hook" else f"{owner}/hooks/5"
        self.route("GET", rf".*/{owner}/hooks", lambda asked: self.hooks)
        self.route("GET", rf".*/{self.hook}/deliveries", self.deliveries)
        self.route("GET", rf".*/{self.hook}/deliveries/(\d+)", self.delivery)
        self.route("POST", rf".*/{self.hook}/deliveries/(\d+)/attempts", self.redeliver)
        self.route("POST", "/push", self.pushed)

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
        names = [f"v1_{item['id']}" if isinstance(item, dict) else "" for item in newest]
        start = names.index(cursor) + 1 if cursor else 0
        page = newest[start : start + size]
        headers = {}
        if start + size < len(newest):
            query = f"per_page={size}&cursor=v1_{page[-1]['id']}"
            headers = {"Link": f'<{self.base}/{self.hook}/deliveries?{query}>; rel="next"'}
        tag = f'"{len(newest)}-{start}"'
        if asked.headers.get("if-none-match") == tag:
            return Say(status=304, headers={"ETag": tag})
        return Say(page, headers={**headers, "ETag": tag})

    def delivery(self, asked: Asked, number: str) -> Any:
        return self.sent.get(number, NOT_FOUND)

    def redeliver(self, asked: Asked, number: str) -> Any:
        if number not in self.sent:
            return NOT_FOUND
        self.again(self.sent[number])
        return Say({}, 202)

    def pushed(self, asked: Asked) -> Any:
        """Somebody pushes now, and it is not delivered."""
        return self.attempt(f"guid-{len(self.log) + 1}", time())


def sent_again(item: dict[str, Any], url: str, secret: bytes) -> None:
    """Send an entry of the log, signed."""
    body = json.dumps(item["request"]["payload"]).encode()
    headers = {
        **item["request"]["headers"],
        "X-Hub-Signature-256": sign_hmac(body, secret),
        "Content-Type": "application/json",
    }
    treq.post(url, data=body, headers=headers, persistent=False).addErrback(lambda _: None)

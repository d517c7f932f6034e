"""The parts of the forges' APIs that make and change webhooks, and send tests.

Source: GitHub, REST API: "Repository webhooks", "Organization webhooks".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import count
from typing import Any

import treq

from change_hooks.core.verification import sign_hmac
from tests.support.fake_api import NOT_FOUND, Asked, FakeApi, Say, page_of

#: Sends a request, and has the status called.
Send = Callable[[str, dict[str, str], bytes, Callable[[int], None]], object]


def send_nothing(url: str, headers: dict[str, str], body: bytes, answered: Callable[[int], None]) -> None:
    """Nobody is there."""
    answered(0)


def send(url: str, headers: dict[str, str], body: bytes, answered: Callable[[int], None]) -> None:
    """Over a real socket."""
    sent = treq.post(url, data=body, headers=headers, persistent=False)
    sent.addCallbacks(lambda response: answered(response.code), lambda _: answered(0))


class FakeWebhooks(FakeApi):
    """What the fakes have in common.

    :param send: how tests are sent.
    """

    def __init__(self, token: str | None = None, *, send: Send = send_nothing) -> None:
        super().__init__(token)
        self.send = send
        self.hooks: list[dict[str, Any]] = []
        #: The webhooks' secrets, which are never read.
        self.secrets: dict[Any, str | None] = {}
        #: The log of a webhook's deliveries, oldest first.
        self.log: dict[Any, list[dict[str, Any]]] = {}

    def hook(self, number: Any) -> dict[str, Any] | None:
        return next((hook for hook in self.hooks if str(hook[self.id]) == str(number)), None)

    #: The name of a webhook's number.
    id = "id"

    def next_number(self) -> int:
        return max((int(hook[self.id]) for hook in self.hooks), default=4) + 1

    def written(self) -> list[Asked]:
        """The requests that changed something."""
        return [asked for asked in self.asked if asked.method != "GET"]


class FakeGitHubWebhooks(FakeWebhooks):
    """The webhooks of ``o/r`` and of the organization ``acme``; they share a list."""

    def __init__(self, token: str | None = None, **more: Any) -> None:
        super().__init__(token, **more)
        path = r".*/(?:repos/o/r|orgs/acme)/hooks"
        self.route("GET", path, self.read)
        self.route("POST", path, self.create)
        self.route("PATCH", rf"{path}/(\d+)", self.change)
        self.route("POST", rf"{path}/(\d+)/pings", self.ping)
        self.route("GET", rf"{path}/(\d+)/deliveries", self.deliveries)

    def add(self, url: str, *, events: Any = ("push",), active: bool = True, **config: Any) -> dict[str, Any]:
        """A webhook that somebody has made."""
        hook = {
            "id": self.next_number(),
            "name": "web",
            "active": active,
            "events": list(events),
            "config": {"content_type": "json", "insecure_ssl": "0", "url": url, **config},
        }
        self.hooks.append(hook)
        self.secrets[hook["id"]] = "an old one"
        return hook

    def read(self, asked: Asked) -> Any:
        return page_of([self.shown(hook) for hook in self.hooks], asked)

    def shown(self, hook: dict[str, Any]) -> dict[str, Any]:
        secret = {"secret": "********"} if self.secrets.get(hook["id"]) else {}
        return {**hook, "config": {**hook["config"], **secret}}

    def create(self, asked: Asked) -> Any:
        new = asked.json
        if new.get("name") != "web" or not new["config"].get("url") or "ping" in new["events"]:
            return Say({"message": "Validation Failed"}, 422)
        if any(hook["config"]["url"] == new["config"]["url"] for hook in self.hooks):
            return Say({"message": "Hook already exists on this repository"}, 422)
        hook = {"id": self.next_number(), "name": "web", "active": new.get("active", True)}
        self.hooks.append(hook)
        self.take(hook, new)
        return Say(self.shown(hook), 201)

    def change(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        hook["active"] = asked.json.get("active", hook["active"])
        self.take(hook, asked.json)
        return self.shown(hook)

    def take(self, hook: dict[str, Any], new: dict[str, Any]) -> None:
        """What is written; a configuration without a secret removes it."""
        config = dict(new["config"])
        self.secrets[hook["id"]] = config.pop("secret", None)
        hook["config"] = {"content_type": "form", "insecure_ssl": "0", **config}
        hook["events"] = new["events"]

    def ping(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        self.deliver(hook, "ping", {"zen": "Keep it simple.", "hook_id": hook["id"]})
        return Say(status=204)

    #: The time, as GitHub writes it.
    now: Callable[[], str] = staticmethod(lambda: "1970-01-01T00:00:00Z")

    def deliver(self, hook: dict[str, Any], event: str, payload: Any) -> None:
        """Send an event to a webhook, signed with its secret."""
        log = self.log.setdefault(hook["id"], [])
        item = {
            "id": len(log) + 1,
            "guid": f"guid-{hook['id']}-{len(log) + 1}",
            "delivered_at": self.now(),
            "event": event,
            "status_code": 0,
            "status": "pending",
        }
        log.append(item)
        body = json.dumps(payload).encode()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": item["guid"],
        }
        secret = self.secrets.get(hook["id"])
        if secret:
            headers["X-Hub-Signature-256"] = sign_hmac(body, secret.encode())

        def answered(status: int) -> None:
            item["status_code"] = status
            item["status"] = (
                "OK" if status == 202 else f"HTTP {status}" if status else "failed to connect to host"
            )

        self.send(hook["config"]["url"], headers, body, answered)

    def deliveries(self, asked: Asked, number: str) -> Any:
        return page_of(self.log.get(int(number), [])[::-1], asked)


def busy(api: FakeGitHubWebhooks, every: float = 0.02) -> FakeGitHubWebhooks:
    """Pushes are delivered to all webhooks all the time."""
    from twisted.internet.task import LoopingCall

    numbers = count(1)

    def push() -> None:
        for hook in api.hooks:
            number = next(numbers)
            repository = {"full_name": "o/r", "name": "r", "html_url": "https://github.example/o/r"}
            payload = {
                "ref": "refs/heads/main",
                "before": f"{number - 1:040x}",
                "after": f"{number:040x}",
                "repository": repository,
                "commits": [],
                "head_commit": None,
            }
            api.deliver(hook, "push", payload)

    api.now = lambda: datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    LoopingCall(push).start(every, now=False)
    return api

"""Where webhooks are made and changed at the forges other than GitHub.

Source: GitLab, "Project webhooks API", "Group webhooks API"; Gitea, ``routers/api/v1/utils/hook.go``;
Atlassian, "The Bitbucket Cloud REST API", "Bitbucket Data Center REST API"; Microsoft, "Azure DevOps Services
REST API": "Service Hooks".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from change_hooks.core.verification import sign_hmac
from tests.support.fake_api import NOT_FOUND, Asked, Say, page_of
from tests.support.fake_webhooks import FakeWebhooks

COMMENT = (
    Path(__file__).parents[1]
    / "recorded/azuredevops/ms_vss_code_git_pullrequest_comment_event__another_text.json"
)
JSON = {"Content-Type": "application/json"}


class FakeGitLabWebhooks(FakeWebhooks):
    """The webhooks of the project ``o/r`` and of the group ``acme``; they share a list."""

    token_header = "private-token"
    FLAGS = (
        *("push_events", "tag_push_events", "merge_requests_events", "note_events", "issues_events"),
        *("pipeline_events", "job_events", "wiki_page_events", "deployment_events", "releases_events"),
    )

    def __init__(self, token: str | None = None, **more: Any) -> None:
        super().__init__(token, **more)
        path = r".*/api/v4/(?:projects/o%2Fr|groups/acme)/hooks"
        self.route("GET", path, lambda asked: page_of(self.hooks, asked))
        self.route("POST", path, self.create)
        self.route("PUT", rf"{path}/(\d+)", self.change)
        self.route("POST", rf"{path}/(\d+)/test/(\w+)", self.test)
        self.route("GET", rf"{path}/(\d+)/events", self.events)

    def add(self, url: str, *, events: Any = ("push_events",), **more: Any) -> dict[str, Any]:
        hook = {
            "id": self.next_number(),
            "url": url,
            "enable_ssl_verification": True,
            "alert_status": "executable",
            "disabled_until": None,
            **{flag: flag in events for flag in self.FLAGS},
            **more,
        }
        self.hooks.append(hook)
        return hook

    def create(self, asked: Asked) -> Any:
        hook = self.add(asked.json["url"])
        self.take(hook, asked.json)
        return Say(hook, 201)

    def change(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        if asked.json["url"] != hook["url"]:
            self.secrets.pop(hook["id"], None)
        self.take(hook, asked.json)
        return hook

    def take(self, hook: dict[str, Any], new: dict[str, Any]) -> None:
        """The token is written and never read."""
        for name in ("token", "signing_token"):
            if name in new:
                self.secrets[hook["id"]] = new[name]
        hook.update({name: new[name] for name in new if name in hook})

    def test(self, asked: Asked, number: str, trigger: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        if trigger != "push_events":
            return Say({"message": "Ensure the project has issues."}, 422)
        payload = {
            "object_kind": "push",
            "before": "1" * 40,
            "after": "2" * 40,
            "ref": "refs/heads/main",
            "project": {"path_with_namespace": "o/r", "name": "r", "web_url": "https://gitlab.example/o/r"},
            "commits": [],
        }
        headers = {**JSON, "X-Gitlab-Event": "Push Hook", "Idempotency-Key": f"key-{len(self.asked)}"}
        secret = self.secrets.get(hook["id"])
        if secret:
            headers["X-Gitlab-Token"] = secret
        log = self.log.setdefault(hook["id"], [])
        item = {"id": len(log) + 1, "trigger": trigger, "response_status": "internal error"}
        item["created_at"] = "2026-11-20T10:00:00.000Z"
        log.append(item)

        def answered(status: int) -> None:
            item["response_status"] = str(status) if status else "internal error"

        self.send(hook["url"], headers, json.dumps(payload).encode(), answered)
        return Say({"message": "201 Created"}, 201)

    def events(self, asked: Asked, number: str) -> Any:
        return page_of(self.log.get(int(number), [])[::-1], asked, most=20)


class FakeGiteaWebhooks(FakeWebhooks):
    """The webhooks of ``o/r`` and of the organization ``acme``; they share a list. A page has ten."""

    REVIEWS = ("pull_request_review_approved", "pull_request_review_rejected", "pull_request_review_comment")
    PULLS = ("pull_request", "pull_request_sync", "pull_request_label", "pull_request_comment", *REVIEWS)

    def __init__(self, token: str | None = None, **more: Any) -> None:
        super().__init__(token, **more)
        path = r".*/api/v1/(?:repos/o/r|orgs/acme)/hooks"
        self.route("GET", path, lambda asked: page_of(self.hooks, asked, size="limit", most=10))
        self.route("POST", path, self.create)
        self.route("PATCH", rf"{path}/(\d+)", self.change)
        self.route("POST", r".*/api/v1/repos/o/r/hooks/(\d+)/tests", self.test)

    def add(self, url: str, *, events: Any = ("push",), active: bool = False, **more: Any) -> dict[str, Any]:
        hook = {
            "id": self.next_number(),
            "type": "gitea",
            "active": active,
            "events": list(events),
            "config": {"url": url, "content_type": "json"},
            "branch_filter": "",
            "authorization_header": "",
            **more,
        }
        self.hooks.append(hook)
        return hook

    def create(self, asked: Asked) -> Any:
        if not {"url", "content_type"} <= set(asked.json["config"]):
            return Say({"message": "Missing config option"}, 422)
        hook = self.add(asked.json["config"]["url"], type=asked.json["type"])
        self.take(hook, asked.json)
        return Say(hook, 201)

    def change(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        self.take(hook, asked.json)
        return hook

    def take(self, hook: dict[str, Any], new: dict[str, Any]) -> None:
        """What is not written of the events, the filter and the header is cleared."""
        config = dict(new.get("config", {}))
        if "secret" in config:
            self.secrets[hook["id"]] = config.pop("secret")
        hook["config"] = {**hook["config"], **config}
        hook["active"] = new.get("active", hook["active"])
        hook["branch_filter"] = new.get("branch_filter", "")
        hook["authorization_header"] = new.get("authorization_header", "")
        events: list[str] = []
        for event in new.get("events") or ["push"]:
            events += {
                "pull_request": self.PULLS,
                "pull_request_only": ("pull_request",),
                "pull_request_review": self.REVIEWS,
            }.get(event, (event,))
        hook["events"] = sorted(events)

    def test(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        repository = {"full_name": "o/r", "name": "r", "html_url": "https://gitea.example/o/r"}
        payload = {"ref": "refs/heads/main", "before": "2" * 40, "after": "2" * 40, "commits": []}
        body = json.dumps({**payload, "repository": repository}, indent=2).encode()
        secret = self.secrets.get(hook["id"]) or ""
        headers = {
            **JSON,
            "X-Gitea-Event": "push",
            "X-Gitea-Delivery": f"uuid-{len(self.asked)}",
            "X-Gitea-Signature": sign_hmac(body, secret.encode(), prefix="") if secret else "",
        }
        self.send(hook["config"]["url"], headers, body, lambda status: None)
        return Say(status=204)


class FakeBitbucketCloudWebhooks(FakeWebhooks):
    """The webhooks of ``o/r`` and of the workspace ``acme``; they share a list. A page has ten."""

    id = "uuid"

    def __init__(
        self, token: str | None = None, *, base: str = "https://api.bitbucket.org", **more: Any
    ) -> None:
        super().__init__(token, **more)
        self.base = base
        path = r".*(/2\.0/(?:repositories/o/r|workspaces/acme)/hooks)"
        self.route("GET", path, self.read)
        self.route("POST", path, self.create)
        self.route("PUT", rf"{path}/([^/]+)", self.change)

    def add(
        self, url: str, *, events: Any = ("repo:push",), active: bool = True, **more: Any
    ) -> dict[str, Any]:
        hook = {
            "uuid": f"{{0000-{len(self.hooks) + 5}}}",
            "url": url,
            "description": "somebody's",
            "active": active,
            "events": list(events),
            "skip_cert_verification": False,
            "secret_set": True,
            **more,
        }
        self.hooks.append(hook)
        return hook

    def read(self, asked: Asked, path: str) -> Any:
        number = int(asked.query.get("page", "1"))
        page = self.hooks[(number - 1) * 10 : number * 10]
        more = {}
        if number * 10 < len(self.hooks):
            more = {"next": f"{self.base}{path}?page={number + 1}&pagelen=100"}
        return {"values": page, "page": number, **more}

    def create(self, asked: Asked, path: str) -> Any:
        hook = self.add(asked.json["url"], secret_set=False)
        self.take(hook, asked.json)
        return Say(hook, 201)

    def change(self, asked: Asked, path: str, number: str) -> Any:
        hook = self.hook(number.replace("%7B", "{").replace("%7D", "}"))
        if hook is None:
            return NOT_FOUND
        self.take(hook, asked.json)
        return hook

    def take(self, hook: dict[str, Any], new: dict[str, Any]) -> None:
        """Leaving the secret out keeps it; everything else is replaced."""
        if "secret" in new:
            self.secrets[hook["uuid"]] = new["secret"]
            hook["secret_set"] = new["secret"] is not None
        hook.update({name: new[name] for name in new if name != "secret"})


class FakeBitbucketServerWebhooks(FakeWebhooks):
    """The webhooks of ``o/r`` and of the project ``acme``; they share a list. A page has ten."""

    def __init__(self, token: str | None = None, **more: Any) -> None:
        super().__init__(token, **more)
        path = r".*/rest/api/latest/projects/(?:o/repos/r|acme)/webhooks"
        self.route("GET", path, self.read)
        self.route("POST", path, self.create)
        self.route("PUT", rf"{path}/(\d+)", self.change)
        self.route("GET", rf"{path}/(\d+)/latest", self.latest)
        self.route("POST", rf"{path}/test", self.test)
        self.latest_results: dict[int, dict[str, Any]] = {}

    def add(
        self, url: str, *, events: Any = ("repo:refs_changed",), active: bool = True, **more: Any
    ) -> dict[str, Any]:
        hook = {
            "id": self.next_number(),
            "name": "somebody's",
            "url": url,
            "active": active,
            "events": list(events),
            "configuration": {},
            "sslVerificationRequired": True,
            **more,
        }
        self.hooks.append(hook)
        return hook

    def read(self, asked: Asked) -> Any:
        start = int(asked.query.get("start", "0"))
        page = self.hooks[start : start + 10]
        last = start + 10 >= len(self.hooks)
        return {"values": page, "isLastPage": last, "nextPageStart": None if last else start + 10}

    def create(self, asked: Asked) -> Any:
        hook = self.add(asked.json["url"])
        self.take(hook, asked.json)
        return Say(hook, 201)

    def change(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        self.take(hook, asked.json)
        return hook

    def take(self, hook: dict[str, Any], new: dict[str, Any]) -> None:
        self.secrets[hook["id"]] = new.get("configuration", {}).get("secret")
        hook.update({**new, "configuration": {}})

    def latest(self, asked: Asked, number: str) -> Any:
        result = self.latest_results.get(int(number))
        return Say(status=204) if result is None else {"result": result}

    def test(self, asked: Asked) -> Any:
        """It is not signed. The answer to this request waits for the receiver's, here as there."""
        headers = {**JSON, "X-Event-Key": "diagnostics:ping", "X-Request-Id": f"id-{len(self.asked)}"}
        answers: list[int] = []
        self.send(asked.query["url"], headers, b'{"test": true}', answers.append)
        return {"response": {"statusCode": answers[0] if answers else 403}}


class FakeAzureWebhooks(FakeWebhooks):
    """The subscriptions of the organization ``acme``."""

    def __init__(self, token: str | None = None, **more: Any) -> None:
        super().__init__(token, **more)
        self.results: list[dict[str, Any]] = []
        self.repository: Any = {"id": "repo-id", "name": "r", "project": {"id": "project-id", "name": "p"}}
        path = r".*/acme/_apis/hooks"
        self.route("GET", rf"{path}/subscriptions", self.read)
        self.route("POST", rf"{path}/subscriptions", self.create)
        self.route("PUT", rf"{path}/subscriptions/([^/]+)", self.change)
        self.route("DELETE", rf"{path}/subscriptions/([^/]+)", self.delete)
        self.route("POST", rf"{path}/notificationsquery", lambda asked: {"results": self.results})
        self.route("POST", rf"{path}/testnotifications", self.test)
        self.route("GET", r".*/acme/p/_apis/git/repositories/r", lambda asked: self.repository)

    def add(self, url: str, *, events: Any = ("git.push",), active: bool = True, **more: Any) -> None:
        for event in events:
            self.hooks.append(
                {
                    "id": f"s{len(self.hooks) + 5}",
                    "status": "enabled" if active else "disabledByUser",
                    "publisherId": "tfs",
                    "consumerId": "webHooks",
                    "consumerActionId": "httpRequest",
                    "eventType": event,
                    "resourceVersion": "1.0",
                    "publisherInputs": {"projectId": "project-id", "repository": "repo-id", "branch": "main"},
                    "consumerInputs": {"url": url, "resourceDetailsToSend": "all"},
                    **more,
                }
            )

    def read(self, asked: Asked) -> Any:
        assert asked.query["consumerId"] == "webHooks"
        return {"value": [self.shown(hook) for hook in self.hooks]}

    def shown(self, hook: dict[str, Any]) -> dict[str, Any]:
        inputs = dict(hook["consumerInputs"])
        if "httpHeaders" in inputs:
            inputs["httpHeaders"] = "********"
        return {**hook, "consumerInputs": inputs}

    def create(self, asked: Asked) -> Any:
        new = asked.json
        if not new.get("eventType") or not new["publisherInputs"].get("projectId"):
            return Say({"message": "invalid"}, 400)
        hook = {**new, "id": f"s{len(self.hooks) + 5}", "status": "enabled"}
        self.hooks.append(hook)
        return self.shown(hook)

    def change(self, asked: Asked, number: str) -> Any:
        hook = self.hook(number)
        if hook is None:
            return NOT_FOUND
        hook.clear()
        hook.update(asked.json)
        return self.shown(hook)

    def delete(self, asked: Asked, number: str) -> Any:
        self.hooks.remove(self.hook(number))  # type: ignore[arg-type]
        return Say(status=204)

    def test(self, asked: Asked) -> Any:
        if not asked.query["api-version"].endswith("-preview.1"):
            return Say({"message": "the requested version is under preview"}, 400)
        inputs = asked.json["details"]["consumerInputs"]
        name, _, value = inputs["httpHeaders"].partition(":")
        event = json.loads(COMMENT.read_bytes())
        self.send(inputs["url"], {**JSON, name: value}, json.dumps(event).encode(), lambda status: None)
        return {"status": "queued"}


def secrets_of(api: Any) -> set[Any]:
    """The secrets that a fake's webhooks have now."""
    if isinstance(api, FakeAzureWebhooks):
        return {hook["consumerInputs"].get("httpHeaders") for hook in api.hooks}
    return {api.secrets.get(hook[api.id]) for hook in api.hooks}


def urls_of(api: Any) -> list[str]:
    """Where they lead."""
    found = [
        hook.get("url") or (hook.get("config") or hook.get("consumerInputs"))["url"] for hook in api.hooks
    ]
    return [str(url) for url in found]

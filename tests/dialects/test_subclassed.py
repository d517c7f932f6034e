"""The subclassing how-to's file, run."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.verification import sign_hmac
from tests.conftest import Client

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "subclassed.py"
RELEASE: dict[str, Any] = {
    "action": "published",
    "release": {
        "tag_name": "v1",
        "html_url": "https://github.com/octo-org/api/releases/v1",
        "body": "Gr\u00fc\u00dfe",
        "published_at": "2026-11-24T10:00:00Z",
    },
    "repository": {"full_name": "octo-org/api", "html_url": "https://github.com/octo-org/api"},
}
PIPELINE: dict[str, Any] = {
    "object_kind": "pipeline",
    "object_attributes": {"ref": "main", "sha": "1c9f", "status": "success"},
    "project": {"name": "Diaspora", "git_http_url": "https://gitlab.example.com/mike/diaspora.git"},
}


@pytest.fixture
def send(changes: list[Change]) -> Any:
    client = Client(make_resource(run_path(str(EXAMPLE))["c"]["www"], sink=changes.append))

    def send(name: str, payload: Any) -> Any:
        body = json.dumps(payload).encode()
        proof = {
            "X-Hub-Signature-256": sign_hmac(body, b"a long enough secret"),
            "X-Gitlab-Token": "another long secret",
            "X-GitHub-Event": "release",
            "Content-Type": "application/json",
        }
        return client.post(f"/{name}", data=body, headers=proof)

    return send


def test_a_release(send: Any, changes: list[Change]) -> None:
    assert send("github", RELEASE).status == 202
    (change,) = changes
    assert (change.branch, change.category, change.comments) == ("v1", "release", "Gr\u00fc\u00dfe")
    assert change.when_timestamp == 1795514400
    assert (
        send("github", {**RELEASE, "action": "edited"}).text
        == "no change found: the release is not published\n"
    )
    refused = send("github", {**RELEASE, "release": {"tag_name": "v1"}})
    assert (refused.status, "$.release" in refused.text) == (400, True)


def test_a_pipeline(send: Any, changes: list[Change]) -> None:
    assert send("gitlab", PIPELINE).status == 202
    (change,) = changes
    assert (change.branch, change.revision, change.category) == ("main", "1c9f", "pipeline")
    failed = {**PIPELINE, "object_attributes": {"ref": "main", "sha": "1c9f", "status": "failed"}}
    assert send("gitlab", failed).text == "no change found\n"

"""Classes made for Buildbot's, with another import line, in a real master: by each route."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.master import SERVICE, Master, changes_of, curl, example
from tests.support.programs import eventually

pytestmark = pytest.mark.integration

CLASSES = """
from change_hooks.upstream import BaseHookHandler, GitHubEventHandler, GitHubHandler, GitLabHandler

class Mine(GitHubEventHandler):
    def __init__(self, secret, strict, *args, **kwargs):
        super().__init__(secret, strict, *args, **kwargs)
        self._codebase = "by the constructor"

    def handle_push(self, payload, event):
        changes, src = super().handle_push(payload, event)
        for change in changes:
            change["category"] = "mine"
        return changes, src

class Lab(GitLabHandler):
    def _process_change(self, payload, user, repo, repo_url, event, codebase=None):
        changes = super()._process_change(payload, user, repo, repo_url, event, codebase)
        for change in changes:
            change["category"] = "lab"
        return changes

class Json(BaseHookHandler):
    def getChanges(self, request):
        import json
        return [dict(json.loads(request.content.read()), category=self.options["category"])], None
"""
MORE = "'gitlab': {'custom_class': Lab, 'secret': 't0ken'}, 'own': {'custom_class': Json, 'category': 'own'}"
GITLAB = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "before": "a" * 40,
    "after": "b" * 40,
    "user_name": "Ann",
    "project": {"name": "App"},
    "repository": {"name": "App", "url": "git@gitlab.example:acme/app.git"},
    "commits": [
        {
            "id": "b" * 40,
            "message": "m",
            "timestamp": "2026-03-04T05:06:07+01:00",
            "url": "https://gitlab.example/c",
            "author": {"name": "Ann", "email": "ann@acme.example"},
        }
    ],
}
OWN = {"author": "a", "revision": "1", "comments": "c", "files": [], "repository": "r", "project": "p"}


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    master = Master(tmp_path)
    yield master
    if (tmp_path / "twistd.pid").exists():
        master.stop()


@pytest.mark.parametrize(
    ("services", "option"),
    [
        (SERVICE, "'class': Mine"),
        (SERVICE, "'custom_class': GitHubHandler, 'class': Mine"),
        ("[]", "'class': Mine"),
        ("[]", "'custom_class': GitHubHandler, 'class': Mine"),
    ],
    ids=["service-class", "service-custom_class", "untouched-class", "untouched-custom_class"],
)
def test_a_class_in_a_real_master(master: Master, services: str, option: str) -> None:
    secret = f"util.Secret('hook'), {option}"
    master.configure(secret, services=services, more=MORE, prelude=CLASSES)
    assert master.checkconfig()[0] == 0
    master.start(ours=services != "[]")
    assert master.push("1", b"from a file")[0] in (200, 202)
    assert master.push("2", b"forged")[0] in (400, 403)
    lab = f"{master.url}/change_hook/gitlab"
    sent = (
        "-d",
        json.dumps(GITLAB),
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-Gitlab-Event: Push Hook",
    )
    assert curl(*sent, "-H", "X-Gitlab-Token: t0ken", lab)[0] in (200, 202)
    assert curl(*sent, "-H", "X-Gitlab-Token: no", lab)[0] in (400, 403)
    assert curl("-d", json.dumps(OWN), f"{master.url}/change_hook/own")[0] in (200, 202)
    eventually(lambda: len(changes_of(master.url)) == 3)
    found = {change["category"]: change for change in changes_of(master.url)}
    assert found.keys() == {"mine", "lab", "own"}
    assert found["mine"]["comments"] == example()["head_commit"]["message"]
    assert found["mine"]["codebase"] == "by the constructor"
    assert found["lab"]["repository"] == "git@gitlab.example:acme/app.git"

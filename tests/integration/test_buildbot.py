"""One dialect at a time in an otherwise untouched Buildbot master: ``custom_class``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from change_hooks import Change
from change_hooks.core.verification import sign_hmac
from tests.support.forges import EVENT_HEADERS, EVENTS, FORGES, PUSHES, example, sent
from tests.support.payloads import GITHUB_PULL_REQUEST
from tests.support.recorded import load

from ..support.master import Master, changes_of, deliver, get
from ..support.programs import curl

MASTER = """
from buildbot.plugins import changes, schedulers, util, worker
from change_hooks.plugins import webhooks

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "password")]
c["protocols"] = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
c["buildbotNetUsageData"] = None
c["builders"] = [util.BuilderConfig(name="b", workernames=["worker"], factory=util.BuildFactory())]
c["schedulers"] = [schedulers.AnyBranchScheduler(name="all", builderNames=["b"], treeStableTimer=None)]
c["change_source"] = [changes.GitPoller(repourl="file:///nowhere.git", branches=["main"], pollInterval=86400)]
c["db"] = {"db_url": "sqlite:///state.sqlite"}
c["www"] = {
    "port": "tcp:PORT:interface=127.0.0.1",
    "change_hook_dialects": {
        "base": {"custom_class": webhooks.base},
        "github": {"custom_class": webhooks.github, "secret": "s3cret", "strict": True},
        "gitlab": {"custom_class": webhooks.gitlab},
        "bitbucket": {"custom_class": webhooks.bitbucket},
        "bitbucketcloud": {"custom_class": webhooks.bitbucketcloud, "secret": "s3cret"},
        "bitbucketserver": {"custom_class": webhooks.bitbucketserver},
        "gitorious": {"custom_class": webhooks.gitorious},
        "poller": {"custom_class": webhooks.poller},
    },
}
"""


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running master."""
    running = Master(tmp_path_factory.mktemp("master"))
    (running.folder / "master.cfg").write_text(MASTER.replace("PORT", str(running.port)))
    running.start(ours=False)
    yield running.url
    running.stop()


def delivered(master: str, name: str, secret: bytes | None = None) -> tuple[int, str]:
    received = sent(name, EVENTS.get(name, ""), example(name))
    headers = {"Content-Type": received.getHeader(b"content-type").decode()}
    if name in EVENT_HEADERS:
        headers[EVENT_HEADERS[name]] = EVENTS[name]
    if secret is not None:
        header = "X-Hub-Signature-256" if name == "github" else "X-Hub-Signature"
        headers[header] = sign_hmac(received.body, secret)
    return deliver(master, name, received.body, headers)


@pytest.mark.parametrize("name", FORGES)
def test_every_dialect_gives_the_documented_change(name: str, master: str) -> None:
    secret = b"s3cret" if name in ("github", "bitbucketcloud") else None
    before = len(changes_of(master))
    assert delivered(master, name, secret) == (200, "1 change found")
    change = max(changes_of(master), key=lambda each: int(each["changeid"]))
    assert len(changes_of(master)) == before + 1
    (recorded,) = load(PUSHES[name]).expected
    documented = {**Change().as_dict(), **recorded}
    for field in ("author", "branch", "category", "comments", "files", "project", "repository", "revision"):
        assert change[field] == documented[field], field
    assert {key: value for key, (value, _) in change["properties"].items()} == documented["properties"]


def test_a_forged_delivery_is_refused(master: str) -> None:
    before = changes_of(master)
    assert delivered(master, "github", b"wrong")[0] == 400
    assert delivered(master, "github")[0] == 400
    assert delivered(master, "bitbucketcloud")[0] == 400
    assert changes_of(master) == before


def test_base_and_a_pull_request(master: str) -> None:
    assert curl("-d", "author=Ann&revision=1c9f&branch=main", f"{master}/change_hook/base")[0] == 200
    body = json.dumps(GITHUB_PULL_REQUEST).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "pull_request",
        "X-Hub-Signature-256": sign_hmac(body, b"s3cret"),
    }
    assert deliver(master, "github", body, headers) == (200, "1 change found")
    assert {"refs/pull/7/merge", "main"} <= {change["branch"] for change in changes_of(master)}
    assert get(master, "buildrequests")


def test_the_masters_own_pollers_are_poked(master: str) -> None:
    assert curl("-d", "poller=file:///nowhere.git", f"{master}/change_hook/poller")[0] == 200
    status, said = curl("-d", "poller=nobody", f"{master}/change_hook/poller")
    assert status == 400
    assert "nowhere" not in said

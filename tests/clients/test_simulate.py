from __future__ import annotations

from time import time
from typing import Any

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.web.http_headers import Headers

from change_hooks.clients.simulate import FORGES, CannotSimulate, Push, Simulated, simulate
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import NotAuthenticated
from change_hooks.plugins import installed
from change_hooks.vcs import Commit

COMMITS = [
    Commit(
        id=f"{number:040x}",
        author="\u00c4nn <ann@example.com>",
        committer="Bob <bob@example.com>",
        when=1_700_000_000 + number,
        message=f"\u00f6ne {number}\n\nmore",
        files=["\u00fc", "b"],
    )
    for number in range(1, 31)
]
PUSH = Push(
    commits=COMMITS, branch="main", address="https://forge.example/octo-org/api", parent="0" * 39 + "1"
)
SIGNED = [name for name in FORGES if name not in ("bitbucket", "gitorious")]


def received(dialect: str, secret: str | None, known: Any = None, push: Push = PUSH) -> Any:
    simulated = simulate(dialect, push, secret)
    headers = Headers({name: [value] for name, value in simulated.headers.items()})
    sent = Delivery(
        b"POST",
        b"/change_hook/x",
        headers,
        simulated.body,
        client=IPv4Address("TCP", "127.0.0.1", 1),
        received=time(),
    )
    handler = installed().load(dialect)(None, {} if known is None else {"secret": known})
    return handler.getChanges(sent)[0]


@pytest.mark.parametrize("dialect", sorted(FORGES))
def test_every_dialect_understands_what_is_simulated(dialect: str) -> None:
    changes = received(dialect, None)
    last = changes[-1]
    assert last.revision == COMMITS[-1].id
    assert (last.branch or "").removeprefix("refs/heads/") == "main"
    assert "octo-org" in last.repository.lower()
    if dialect != "bitbucketserver":
        assert last.comments == COMMITS[-1].message
        assert last.when_timestamp == COMMITS[-1].when
    expected = {"base": 1, "bitbucketcloud": 1, "bitbucketserver": 1, "gitlab": 20}
    assert len(changes) == expected.get(dialect, len(COMMITS))


@pytest.mark.parametrize("dialect", SIGNED)
def test_what_is_simulated_is_signed_as_the_forge_signs(dialect: str) -> None:
    assert received(dialect, "s3cret", "s3cret")
    with pytest.raises(NotAuthenticated):
        received(dialect, "wrong", "s3cret")


def test_gitlabs_signing_token() -> None:
    token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert received("gitlab", token, token)
    with pytest.raises(NotAuthenticated):
        received("gitlab", "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw", token)


def test_each_has_a_name_of_its_own() -> None:
    first, second = simulate("github", PUSH, None), simulate("github", PUSH, None)
    assert first.body == second.body
    assert first.headers["X-GitHub-Delivery"] != second.headers["X-GitHub-Delivery"]


def test_github_signs_twice() -> None:
    headers = simulate("github", PUSH, "s3cret").headers
    assert headers["X-Hub-Signature"].startswith("sha1=")
    assert headers["X-Hub-Signature-256"].startswith("sha256=")


@pytest.mark.parametrize("dialect", ["bitbucketcloud", "bitbucketserver", "github", "gitlab"])
def test_events_of_refs(dialect: str) -> None:
    def of(event: str) -> Any:
        return received(dialect, None, push=msgspec.structs.replace(PUSH, event=event, branch="x"))

    assert of("new-branch")[-1].revision == COMMITS[-1].id
    assert of("forced-push")[-1].revision == COMMITS[-1].id
    assert {change.category for change in of("deletion")} <= {"ref-deleted"}
    (tag,) = of("tag")
    assert (tag.branch.removeprefix("refs/tags/"), tag.revision) == ("x", COMMITS[-1].id)


@pytest.mark.parametrize("dialect", ["bitbucketserver", "github"])
def test_a_ping(dialect: str) -> None:
    assert list(received(dialect, None, push=msgspec.structs.replace(PUSH, event="ping"))) == []


def test_what_cannot_be_simulated_is_named() -> None:
    with pytest.raises(CannotSimulate, match="gitlab has no ping; valid events are push"):
        simulate("gitlab", msgspec.structs.replace(PUSH, event="ping"), None)
    for dialect in ("nonsense", "poller"):
        with pytest.raises(CannotSimulate, match=f"'{dialect}' cannot be simulated"):
            simulate(dialect, PUSH, None)


def test_a_handler_class_may_bring_its_own_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Simulated(b"{}", {"X-Request-Id": "7"})

    class Handler:
        simulation = staticmethod(lambda push, secret: own)

    class Found:
        def load(self, name: str) -> Any:
            return Handler

    monkeypatch.setattr("change_hooks.clients.simulate.installed", Found)
    assert simulate("mine", PUSH, "s3cret") is own
    assert own.id == "7"

from __future__ import annotations

from time import time
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.web.http_headers import Headers

from change_hooks.clients.simulate import FORGES, Push, simulate
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ProofError
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
    commits=COMMITS, branch="main", address="https://forge.example/octo-org/api", before="0" * 39 + "1"
)
SIGNED = [name for name in FORGES if name not in ("bitbucket", "gitorious")]


def received(dialect: str, secret: str | None, known: Any = None) -> Any:
    simulated = simulate(dialect, PUSH, secret)
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
    with pytest.raises(ProofError):
        received(dialect, "wrong", "s3cret")


def test_gitlabs_signing_token() -> None:
    token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert received("gitlab", token, token)
    with pytest.raises(ProofError):
        received("gitlab", "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw", token)


def test_each_has_a_name_of_its_own() -> None:
    first, second = simulate("github", PUSH, None), simulate("github", PUSH, None)
    assert first.body == second.body
    assert first.headers["X-GitHub-Delivery"] != second.headers["X-GitHub-Delivery"]


def test_github_signs_twice() -> None:
    headers = simulate("github", PUSH, "s3cret").headers
    assert headers["X-Hub-Signature"].startswith("sha1=")
    assert headers["X-Hub-Signature-256"].startswith("sha256=")

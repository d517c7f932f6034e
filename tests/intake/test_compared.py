"""A commit that a poller found and a hook brings too is one change."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks.core.change import Change
from change_hooks.core.fetched import FETCH, POLL
from change_hooks.intake.compared import Compared
from change_hooks.pollers.base import Found, Poller
from change_hooks.testing import Receiver
from tests.conftest import delivery, result_of
from tests.support.fake_github_hooks import push

SECRET = "a long enough secret"
WWW: dict[str, Any] = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True}}}
CHANGE = Change(revision="1", branch="main", repository="git@git.example:o/r.git")


@pytest.mark.parametrize(
    ("method", "dialect", "way"),
    [
        (POLL, "gitpoller", "polled"),
        (FETCH, "github", "fetched"),
        (b"POST", "github", "sent"),
        (b"POST", "fetching", "sent"),
    ],
)
def test_how_a_delivery_comes(method: bytes, dialect: str, way: str) -> None:
    compared = Compared()
    compared.repositories, compared.endpoints = {"git.example/o/r"}, {"fetching"}
    assert compared.way(delivery(method=method, dialect=dialect), [CHANGE]) == way


def test_what_nobody_polls_is_not_compared() -> None:
    compared = Compared()
    sent = delivery(dialect="github")
    assert compared.way(sent, [CHANGE]) == ""
    compared.repositories = {"git.example/o/s"}
    assert compared.way(sent, [CHANGE]) == compared.way(sent, []) == ""


class Finder(Poller):
    dialect = "gitpoller"


def polled(hooks: Receiver, number: int) -> Any:
    poller = Finder("git@github.example:o/r.git")
    hooks.service.polled([poller.address])
    change = Change(revision=f"{number:040x}", branch="main", repository=poller.address)
    found = poller.delivery(Found(f"main|{number}", [change]), hooks.clock.seconds())
    return result_of(hooks.service.accept(found, [change]))


def revisions(hooks: Receiver) -> list[str | None]:
    hooks.settle()
    return [change.revision for change in hooks.sinks["sink"].changes]


def test_the_poller_first() -> None:
    with Receiver(WWW) as hooks:
        assert polled(hooks, 1).outcome == "accepted"
        sent = hooks.post("github", "push", push(1), secret=SECRET)
        assert sent.status == 202 and sent.text.startswith("duplicate of gitpoller/")
        assert revisions(hooks) == [f"{1:040x}"]
        assert hooks.post("github", "push", push(2), secret=SECRET).status == 202
        assert revisions(hooks) == [f"{1:040x}", f"{2:040x}"]


def test_the_hook_first() -> None:
    with Receiver(WWW) as hooks:
        hooks.service.polled(["https://github.example/o/r"])
        hooks.post("github", "push", push(1), secret=SECRET)
        assert polled(hooks, 1).outcome == "duplicate"
        assert revisions(hooks) == [f"{1:040x}"]


def test_hooks_alone_are_never_the_same() -> None:
    with Receiver(WWW) as hooks:
        hooks.service.polled(["https://github.example/o/r"])
        for _ in range(2):
            hooks.post("github", "push", push(1), secret=SECRET)
        assert revisions(hooks) == [f"{1:040x}"] * 2

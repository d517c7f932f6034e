"""Events that no request brought, as a delivery."""

from __future__ import annotations

import pytest

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.fetched import events_in, fetched, is_fetched
from tests.conftest import delivery

REPOSITORY = Repository(full_name="o/r", name="r", urls={"html": "https://git.example/o/r"}, names=["x"])
UPDATE = RefUpdate(
    repository=REPOSITORY,
    ref="refs/heads/main",
    before="1",
    after="2",
    commits=[Commit("2", "hello", "Ann <ann@example.com>", files=["ü.c"], properties={"a": [1]})],
    head=Commit("2"),
    total=3,
    created=True,
    sender=Person("Ann", None, "ann"),
    when=5,
    url="https://git.example/2",
    name="push",
)
PULL = PullRequest(repository=REPOSITORY, number=7, action="opened", head=Side(revision="9"), labels=["x"])


def test_what_is_kept_is_what_was_found_also_after_it_was_stored() -> None:
    made = fetched([UPDATE, PULL], endpoint="github", id="1", received=5.0)
    assert is_fetched(made) and not is_fetched(delivery())
    assert (made.dialect, made.id, made.verification, made.received) == ("github", "1", "token", 5.0)
    assert made.getHeader("content-type") == "application/json"
    head, body = made.dump()
    assert events_in(Delivery.restore(head, body, dialect="github", id="1", received=5.0)) == [UPDATE, PULL]


def test_more_commits_than_are_counted_are_kept_so() -> None:
    (update,) = events_in(
        fetched(
            [RefUpdate(repository=REPOSITORY, ref="x", after="2", total=True)],
            endpoint="x",
            id="1",
            received=5.0,
        )
    )
    assert isinstance(update, RefUpdate) and update.total is True


@pytest.mark.parametrize("body", [b'{"updates": [{"ref": 5}]}', b'{"pulls": 5}'])
def test_what_holds_none_is_said(body: bytes) -> None:
    with pytest.raises(BadPayload, match=r"^\$: is not a stored event"):
        events_in(delivery(body))

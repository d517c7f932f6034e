"""Recovery from the logs of what was pushed."""

from __future__ import annotations

from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.logger import capturedLogs

from change_hooks.core.change import Change
from change_hooks.outbox.replays import LOOK
from change_hooks.recovery.schedule import SOON
from change_hooks.testing import Receiver
from tests.support.fake_api import FakeApi, Fault, Say
from tests.support.fake_git_forges import FakeBitbucketServer, FakeGitea, sha

SECRET = "a long enough secret"
START = 1_700_000_000.0


def receiver(dialect: str, api: FakeApi, repository: str, **more: Any) -> Receiver:
    """One that was down, and starts again."""
    before = Receiver({"change_hook_dialects": {"base": True}})
    before.stop()
    before.advance(START - before.clock.seconds())
    options = {
        "secret": SECRET,
        "token": "T",
        "api": f"https://{dialect}.example",
        "recover": {"from": [repository], "every": 300},
        **more,
    }
    www = {"change_hook_dialects": {dialect: options}}
    return Receiver(www, http=StubTreq(api), beside=before)  # type: ignore[arg-type]


def gitea(api: FakeGitea, **more: Any) -> Receiver:
    return receiver("gitea", api, "o/r", **more)


def changes(hooks: Receiver) -> list[Change]:
    hooks.advance(SOON)
    hooks.settle()
    return hooks.sinks["sink"].changes


def push(before: int, after: int) -> dict[str, Any]:
    """What Gitea sends."""
    return {
        "ref": "refs/heads/main",
        "before": sha(before),
        "after": sha(after),
        "commits": [
            {"id": sha(number), "message": f"commit {number}"} for number in range(after, before, -1)
        ],
        "total_commits": after - before,
        "repository": FakeGitea().repository(),
    }


def test_pushes_are_recovered_with_all_their_commits_oldest_first() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 10, 20)
    api.activity(START - 2000, "create_issue", "")
    api.activity(START - 1000, "commit_repo", "refs/heads/main", 20, 21)
    with gitea(api) as hooks:
        found = changes(hooks)
        assert [change.revision for change in found] == [sha(number) for number in range(11, 22)]
        first = found[0]
        assert (first.branch, first.repository, first.files) == (
            "main",
            "git@gitea.example:o/r.git",
            ["a.c", "b.c"],
        )
        assert (first.category, first.author) == ("push", "Änne <aenne@example.com>")
        assert first.properties["change_hook_recovered"] == "push-log"
        assert {stored.recovered for stored in hooks.deliveries()} == {"push-log"}
        # A genuine delivery of the same is a duplicate.
        again = hooks.post("gitea", "push", push(20, 21), secret=SECRET)
        assert again.text.startswith("duplicate of gitea/")
        hooks.settle()
        assert len(changes(hooks)) == 11


def test_what_a_hook_has_brought_is_not_recovered() -> None:
    api = FakeGitea("token T")
    with gitea(api) as hooks:
        changes(hooks)
        hooks.post("gitea", "push", push(1, 2), secret=SECRET)
        api.activity(hooks.clock.seconds(), "commit_repo", "refs/heads/main", 1, 2)
        hooks.advance(300)
        hooks.advance(300)
        assert [change.revision for change in changes(hooks)] == [sha(2)]


def test_a_new_branch_and_a_tag_are_where_they_are_now() -> None:
    api = FakeGitea("token T")
    api.branches = {"topic/a": sha(5), "v1": sha(6)}
    api.activity(START - 3000, "commit_repo", "refs/heads/topic/a")
    api.activity(START - 2000, "push_tag", "v1")
    api.activity(START - 1000, "commit_repo", "gone")
    api.activity(START - 900, "delete_branch", "refs/heads/old")
    with gitea(api) as hooks:
        found = changes(hooks)
        assert [(change.branch, change.revision) for change in found] == [("topic/a", sha(5)), ("v1", sha(6))]
        assert found[0].comments == "commit 5\n"


def test_a_branch_of_which_the_forge_does_not_say_where_it_is_is_tried_again() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/topic")
    api.branches = {"topic": ""}
    with gitea(api) as hooks:
        assert changes(hooks) == []
        api.branches = {"topic": sha(5)}
        hooks.advance(300)
        assert [change.revision for change in changes(hooks)] == [sha(5)]


def test_the_options_of_the_endpoint_decide() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    with gitea(api, branches=["release"]) as hooks:
        assert changes(hooks) == []


def test_an_entry_without_a_time_costs_itself_and_is_said() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    api.activity(START - 2000, "commit_repo", "refs/heads/main", 2, 3)
    del api.feed[0]["created"]
    with capturedLogs() as events, gitea(api) as hooks:
        assert [change.revision for change in changes(hooks)] == [sha(3)]
    assert any("no id or no time" in str(event.get("reason")) for event in events)


def test_what_fails_for_hours_is_found_in_the_log_again() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    fault = Fault(r"/commits", Say(status=500), times=1000)
    api.faults = [fault]
    with gitea(api) as hooks:
        assert changes(hooks) == []
        for number in range(36):
            api.activity(hooks.clock.seconds(), "commit_repo", "refs/heads/other", 100 + number, 101 + number)
            fault.times = 0 if number > 12 else 1000
            for _ in range(30):
                hooks.advance(10)
        assert sha(2) in [change.revision for change in changes(hooks)]


def test_a_log_of_which_no_entry_can_be_read_stops_the_run() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    del api.feed[0]["created"]
    with capturedLogs() as events, gitea(api) as hooks:
        assert changes(hooks) == []
    assert any("an id and a time" in str(event.get("error")) for event in events)


def test_when_the_commits_cannot_be_had_now_it_is_tried_again() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    true = api.commits
    api.routes = [
        (m, p, (lambda asked: Say(status=403)) if answer == true else answer) for m, p, answer in api.routes
    ]
    hooks = gitea(api)
    assert changes(hooks) == []
    api.routes = [
        (
            m,
            p,
            true
            if getattr(a, "__name__", "") == "<lambda>" and "commits" in p.pattern and "git" not in p.pattern
            else a,
        )
        for m, p, a in api.routes
    ]
    hooks.advance(300)
    assert [change.revision for change in changes(hooks)] == [sha(2)]
    hooks.stop()


def test_a_replay_asks_the_forge_for_nothing() -> None:
    api = FakeGitea("token T")
    api.activity(START - 3000, "commit_repo", "refs/heads/main", 1, 2)
    with gitea(api) as hooks:
        found = changes(hooks)
        (stored,) = hooks.deliveries()
        api.asked.clear()
        hooks.journal.wish(stored.seq, ["sink"])
        hooks.advance(LOOK)
        _, same = hooks.sinks["sink"].changes
        assert same == found[0].replace(
            properties={k: v for k, v in found[0].properties.items() if k != "change_hook_recovered"}
        )
        assert api.asked == []


def test_bitbucket_data_center() -> None:
    api = FakeBitbucketServer("Bearer T")
    for number in range(1, 31):
        api.activity(START - 5000 + number, "UPDATE", number - 1, number)
    api.activity(START - 900, "DELETE", 30, 0)
    api.activity(START - 800, "ADD", 0, 31, "refs/heads/topic")
    with receiver("bitbucketserver", api, "PRJ/r") as hooks:
        found = changes(hooks)
        assert [change.revision for change in found] == [sha(number) for number in range(1, 32)]
        assert found[-1].branch == "refs/heads/topic"
        assert {change.properties["change_hook_recovered"] for change in found} == {"push-log"}


@pytest.mark.parametrize("missing", ["id", "createdDate"])
def test_an_entry_of_bitbucket_without_id_or_time_is_said(missing: str) -> None:
    api = FakeBitbucketServer("Bearer T")
    api.activity(START - 900, "UPDATE", 1, 2)
    api.activity(START - 800, "UPDATE", 2, 3)
    del api.log[0][missing]
    with capturedLogs() as events, receiver("bitbucketserver", api, "PRJ/r") as hooks:
        assert [change.revision for change in changes(hooks)] == [sha(3)]
    assert any("no id or no time" in str(event.get("reason")) for event in events)

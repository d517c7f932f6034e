"""Recovery by where branches, tags and pull requests are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.core.events import PullRequest, RefUpdate, Repository
from change_hooks.dialects.gitea import GiteaHandler
from change_hooks.forges.forge import Forge
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.recovery import sources
from change_hooks.recovery.catch_up import GRACE, SILENT
from change_hooks.recovery.heads import TRIES
from change_hooks.recovery.progress import PAUSES
from change_hooks.recovery.recovered import Acceptance, Busy, Missing
from tests.conftest import delivery, result_of
from tests.support.fake_api import Fault, Say
from tests.support.fake_git_forges import FakeGitea, sha
from tests.support.looking import NAME, NOW, Looking, with_gitea


def test_the_first_look_only_sees_where_everything_is() -> None:
    looking = Looking()
    assert looking.moved() == []
    looking.now["refs/heads/main"] = sha(2)
    looking.now["refs/tags/v1"] = sha(2)
    assert looking.moved() == [("refs/heads/main", sha(1), sha(2)), ("refs/tags/v1", None, sha(2))]
    assert looking.moved() == []


def test_what_was_found_says_how_it_came() -> None:
    looking = Looking()
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    (missing,) = looking.run()
    assert (missing.way, missing.outcome, missing.event) == ("heads", "recovered", "push")
    (stored,) = looking.journal.reader().deliveries()
    assert (stored.recovered, stored.verification) == ("heads", "token")


def test_a_branch_that_vanished_is_nothing_and_one_that_comes_back_is_news() -> None:
    looking = Looking()
    looking.now["refs/heads/other"] = sha(9)
    looking.run()
    del looking.now["refs/heads/main"]
    assert looking.moved() == []
    looking.now["refs/heads/main"] = sha(1)
    assert looking.moved() == [("refs/heads/main", None, sha(1))]


def test_a_branch_that_goes_to_and_fro_is_news_each_time() -> None:
    looking = Looking()
    looking.run()
    for number in (2, 1, 2, 1):
        looking.now["refs/heads/main"] = sha(number)
        assert [missing.outcome for missing in looking.run()] == ["recovered"]


def test_what_a_hook_has_brought_is_the_same() -> None:
    looking = Looking()
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    sent = delivery(id="1", dialect="gitea", received=NOW)
    change = Change(revision=sha(2), branch="main", repository="git@gitea.example:o/r.git")
    result_of(looking.journal.append(sent, [change], [], way="sent"))
    assert looking.run() == []
    assert looking.run() == []


def test_a_look_that_is_killed_is_repeated_under_the_same_names() -> None:
    looking = Looking()
    looking.run()
    looking.now.update({"refs/heads/a": sha(2), "refs/heads/b": sha(3)})
    before = result_of(looking.journal.recall(NAME))
    first = looking.run()
    # The look was stored, and where everything was not.
    result_of(looking.journal.remember(NAME, before))
    assert looking.run() == [] and len(first) == 2
    assert len(list(looking.journal.reader().deliveries())) == 2


@pytest.mark.parametrize("error", [RestError("no"), Unavailable("the disk is full")])
def test_an_error_passes_over_nothing(error: Exception) -> None:
    looking = Looking()
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    looking.error = error
    with pytest.raises(type(error)):
        looking.run()
    looking.error = None
    assert looking.moved() == [("refs/heads/main", sha(1), sha(2))]


def test_what_was_stored_by_a_commit_whose_answer_was_lost_is_not_stored_again() -> None:
    looking = Looking()
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    true = looking.journal.append

    def lost(*arguments: Any, **more: Any) -> Any:
        return true(*arguments, **more).addCallback(lambda _: Failure(Unavailable("no answer")))

    looking.journal.append = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        looking.run()
    looking.journal.append = true  # type: ignore[method-assign]
    assert looking.run() == []
    assert len(list(looking.journal.reader().deliveries())) == 1


def test_an_error_in_the_middle_keeps_what_was_settled() -> None:
    looking, api = with_gitea()
    looking.run()
    looking.now.update({"refs/heads/a": sha(2), "refs/heads/b": sha(3)})
    true = api.true_answer
    api.true_answer = lambda asked: Say(status=500) if asked.path.endswith(sha(3)) else true(asked)  # type: ignore[method-assign]
    assert [missing.outcome for missing in looking.run()] == ["recovered", "failed"]
    api.true_answer = true  # type: ignore[method-assign]
    assert [event.after for event in looking.events] == [sha(2)]
    assert [missing.outcome for missing in looking.run()] == ["recovered"]
    assert [event.after for event in looking.events] == [sha(2), sha(3)]


def test_one_that_fails_stops_no_other_and_is_given_up_at_last() -> None:
    looking = Looking()
    looking.run()
    looking.broken = {"refs/heads/a"}
    looking.now.update({"refs/heads/a": sha(2), "refs/heads/b": sha(3)})
    assert [missing.outcome for missing in looking.run()] == ["failed", "recovered"]
    reasons = [missing.reason for _ in range(TRIES - 1) for missing in looking.run()]
    assert len(reasons) == TRIES - 1 and reasons[-1].endswith("(given up)")
    assert looking.run() == []


def test_what_the_forge_never_gives_keeps_no_other_waiting_and_is_done_without_it() -> None:
    looking, api = with_gitea()
    looking.run()
    looking.now.update({"refs/heads/a": sha(2), "refs/heads/b": sha(3)})
    true = api.true_answer
    api.true_answer = lambda asked: Say(status=500) if sha(2) in str(asked) else true(asked)  # type: ignore[method-assign]
    assert [missing.outcome for missing in looking.run()] == ["failed", "recovered"]
    for pause in PAUSES[:-1]:
        assert looking.heads.due == looking.clock.seconds() + pause
        looking.clock.advance(pause)
        assert [missing.outcome for missing in looking.run()] == ["failed"]
    assert [missing.outcome for missing in looking.run()] == ["recovered"]
    assert [(event.after, event.commits) for event in looking.events[1:]] == [(sha(2), [])]
    assert looking.heads.due is None


def test_also_where_the_forge_has_no_way_to_say_it() -> None:
    class Own(Forge):
        name, api = "own", "https://own.example"

        async def commit(self, repository: Repository, revision: str) -> Any:
            raise RestError("no", 403)

    looking = Looking(Own(SimpleNamespace(), http=object(), clock=Clock()))
    looking.run()
    looking.now.update({"refs/heads/a": sha(2), "refs/heads/b": sha(3)})
    said = [[missing.outcome for missing in looking.run()] for _ in range(TRIES)]
    assert said == [["failed"] * 2] * (TRIES - 1) + [["recovered"] * 2]


def says(api: FakeGitea, said: Say, *revisions: int) -> None:
    """Of these commits the forge says this."""
    true = FakeGitea.true_answer.__get__(api)
    api.true_answer = lambda asked: (  # type: ignore[method-assign]
        said if any(sha(number) in str(asked) for number in revisions) else true(asked)
    )


def after_error(looking: Looking, error: type[Exception]) -> list[Missing]:
    """What a look says that ends with an error."""
    found: list[Missing] = []

    async def collect() -> None:
        async for missing in looking.heads.run():
            found.append(missing)

    with pytest.raises(error):
        result_of(ensureDeferred(collect()))
    return found


LIMIT = Say(status=429, headers={"Retry-After": "60"})


def test_a_limit_ends_the_look_and_the_next_one_begins_behind_it() -> None:
    looking, api = with_gitea()
    looking.run()
    looking.now.update(
        {f"refs/heads/{name}": sha(number) for name, number in zip("abc", (2, 3, 4), strict=True)}
    )
    says(api, LIMIT, 3)
    (done, limited) = after_error(looking, RateLimited)
    assert (done.outcome, limited.outcome) == ("recovered", "failed")
    assert "'refs/heads/b'" in limited.reason
    # Nothing is sent before the limit is over, and nobody is to blame.
    assert after_error(looking, RateLimited) == []
    for _ in range(TRIES - 2):
        looking.forge.clock.advance(61)  # type: ignore[union-attr]
        assert "failed" in [missing.outcome for missing in after_error(looking, RateLimited)]
    looking.forge.clock.advance(61)  # type: ignore[union-attr]
    assert [missing.outcome for missing in looking.run()] == ["recovered"]
    assert [event.after for event in looking.events] == [sha(2), sha(4), sha(3)]


def test_one_that_gets_no_answer_costs_itself_and_is_said() -> None:
    looking, _ = with_gitea()
    looking.run()
    looking.now.update(
        {f"refs/heads/{name}": sha(number) for name, number in zip("abc", (2, 3, 4), strict=True)}
    )
    looking.forge.http.breaks = (2,)  # type: ignore[union-attr]
    said = looking.run()
    assert [missing.outcome for missing in said] == ["failed", "recovered", "recovered"]
    assert "'refs/heads/a'" in said[0].reason
    assert looking.heads.due == looking.clock.seconds() + PAUSES[0]
    assert by_itself(looking) == []
    for pause in PAUSES:
        looking.clock.advance(pause)
        by_itself(looking)
    # In the end it is made without what the forge does not give.
    assert [event.after for event in looking.events] == [sha(2)] and looking.heads.due is None


def test_a_forge_that_does_not_answer_ends_the_look_and_starves_none() -> None:
    looking, api = with_gitea()
    looking.run()
    looking.now.update({f"refs/heads/{name}": sha(2 + place) for place, name in enumerate("abcdefg")})
    api.routes = [route for route in api.routes if "pulls" not in route[1].pattern]
    line: Any = looking.forge.http  # type: ignore[union-attr]
    line.breaks = tuple(range(2, 9))
    assert after_error(looking, RestError) == after_error(looking, RestError) == []
    assert len(line.broke) == 2 * SILENT and line.broke == [2, 3, 4, 5, 6, 7]
    # It was down, and none of them is to blame: all are made when it is back, from where the last look ended.
    line.breaks = ()
    assert [missing.outcome for missing in after_error(looking, RestError)] == ["recovered"] * 7
    assert [event.after for event in looking.events][:2] == [sha(8), sha(2)]


def test_three_in_a_row_of_which_a_forge_that_is_there_says_nothing_starve_no_other() -> None:
    looking, _ = with_gitea()
    looking.run()
    looking.now.update({f"refs/heads/{name}": sha(2 + place) for place, name in enumerate("abcde")})
    looking.forge.http.breaks = (2, 3, 4)  # type: ignore[union-attr]
    assert [missing.outcome for missing in after_error(looking, RestError)] == ["failed"] * 3
    looking.clock.advance(GRACE)
    assert len(by_itself(looking)) == 2


def test_pull_requests_that_cannot_be_listed_keep_no_branch_waiting() -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7))]
    looking.run()
    looking.now["refs/heads/a"] = sha(2)
    api.pulls = [api.pull(1, sha(8))]
    api.faults = [Fault("/pulls", Say(status=403), times=1)]
    assert [missing.outcome for missing in after_error(looking, RestError)] == ["recovered"]
    looking.run()
    assert [event.head.revision for event in looking.events if isinstance(event, PullRequest)] == [sha(8)]


def test_a_pull_request_that_cannot_be_read_for_a_while_is_no_news() -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7)), api.pull(2, sha(8))]
    looking.run()
    whole = api.pulls[1]
    api.pulls = [api.pull(1, sha(9)), {**whole, "head": None}]
    assert [missing.event for missing in looking.run()] == ["pull_request"]
    api.pulls = [api.pull(1, sha(9)), whole]
    assert looking.run() == []


def test_a_pull_request_that_slipped_to_a_page_that_was_read_already_is_no_news() -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7)), api.pull(2, sha(8))]
    looking.run()
    api.pulls = [api.pull(2, sha(8))]
    assert looking.run() == []
    api.pulls = [api.pull(1, sha(9)), api.pull(2, sha(8))]
    looking.events.clear()
    looking.run()
    assert [(each.number, each.action) for each in looking.events] == [(1, "updated")]


def test_what_cannot_be_settled_now_is_not_asked_for_all_the_time() -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7)), api.pull(2, sha(8))]
    looking.run()
    api.pulls[1] = api.pull(2, sha(9))
    assert by_itself(looking) == []
    api.pulls = [api.pulls[0], {**api.pulls[1], "head": None}]
    looking.clock.advance(GRACE)
    assert by_itself(looking) == []
    assert looking.heads.due == looking.clock.seconds() + GRACE


@pytest.mark.parametrize("what", ["branch", "pull request"])
def test_what_was_stored_before_a_look_failed_in_several_ways_is_not_stored_again(what: str) -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7))]
    looking.run()
    looking.clock.advance(1)
    if what == "branch":
        looking.now["refs/heads/a"] = sha(8)
    else:
        api.pulls = [api.pull(1, sha(8))]
    kept = result_of(looking.journal.recall(NAME))
    assert len(looking.run()) == 1
    result_of(looking.journal.remember(NAME, kept))
    # A look that cannot list pull requests, and one in which the forge does not say what is new.
    api.faults = [Fault("/pulls", Say(status=403), times=1)]
    if what == "branch":
        says(api, Say(status=500), 8)
    after_error(looking, RestError)
    assert [missing.outcome for missing in looking.run()] in ([], ["failed"])
    says(api, Say(status=500), 0)
    looking.clock.advance(PAUSES[-1])
    assert looking.run() == []
    assert len(list(looking.journal.reader().deliveries())) == 1


def test_a_failure_of_a_branch_that_is_gone_is_forgotten() -> None:
    looking, api = with_gitea()
    looking.run()
    looking.now["refs/heads/a"] = sha(2)
    says(api, Say(status=500), 2)
    looking.run()
    assert looking.heads.due is not None
    del looking.now["refs/heads/a"]
    looking.run()
    assert looking.heads.due is None


def test_a_list_without_any_branch_settles_nothing() -> None:
    looking = Looking()
    looking.run()
    looking.now, now = {}, looking.now
    with pytest.raises(RestError, match="lists none"):
        looking.run()
    looking.now = now
    assert looking.run() == []


def test_what_was_seen_by_a_clock_that_was_ahead_does_not_wait_for_it() -> None:
    looking = Looking()
    looking.run()
    looking.clock.advance(1e6)
    looking.now["refs/heads/main"] = sha(2)
    assert looking.run(unless=looking.clock.seconds()) == []
    looking.clock.rightNow = NOW
    assert looking.run(unless=NOW) == []
    looking.clock.advance(GRACE)
    assert len(looking.run(unless=looking.clock.seconds())) == 1


def test_a_dry_run_changes_nothing() -> None:
    looking = Looking()
    assert looking.run(dry=True) == []
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    assert [missing.outcome for missing in looking.run(dry=True)] == ["missing"]
    assert [missing.outcome for missing in looking.run()] == ["recovered"]


def test_one_receiver_at_a_time_and_none_that_is_late() -> None:
    looking = Looking()
    other = Looking(store=looking.journal.store)
    assert result_of(other.journal.lease(NAME, 10.0))
    with pytest.raises(Busy):
        looking.run()
    result_of(other.journal.release(NAME))
    looking.run()
    looking.now["refs/heads/main"] = sha(2)
    assert looking.run(unless=NOW) == []
    later = looking.clock.seconds() + 1
    assert looking.run(unless=later) == []
    looking.clock.advance(GRACE)
    assert looking.run(unless=NOW) == []
    assert len(looking.run(unless=later)) == 1


def test_the_forge_says_what_was_new() -> None:
    looking, _ = with_gitea()
    looking.run()
    looking.now["refs/heads/main"] = sha(4)
    looking.now["refs/heads/topic"] = sha(9)
    looking.run()
    moved, created = looking.events
    assert [commit.id for commit in moved.commits] == [sha(2), sha(3), sha(4)]
    assert moved.commits[0].files == ["a.c", "b.c"]
    assert (created.commits, created.head.message) == ([], "commit 9\n")


def test_pull_requests_that_were_opened_or_moved() -> None:
    looking, api = with_gitea()
    api.pulls = [api.pull(1, sha(7))]
    assert looking.run() == []
    api.pulls = [api.pull(1, sha(8)), api.pull(2, sha(9))]
    looking.run()
    found = [
        (each.number, each.action, each.head.revision)
        for each in looking.events
        if isinstance(each, PullRequest)
    ]
    assert found == [(1, "updated", sha(8)), (2, "opened", sha(9))]
    assert looking.run() == []
    api.pulls = [api.pull(2, sha(9))]
    assert looking.run() == looking.run() == []
    api.pulls = [api.pull(1, sha(8)), api.pull(2, sha(9))]
    looking.events.clear()
    looking.run()
    assert [(each.number, each.action) for each in looking.events] == [(1, "opened")]


# What may be on its way ---------------------------------------------------------------------------


def by_itself(looking: Looking) -> list[tuple[str, str | None, str | None]]:
    """What a look of the schedule finds."""
    looking.events.clear()
    looking.run(unless=looking.clock.seconds() + 1)
    return [
        (event.ref, event.before, event.after)
        if isinstance(event, RefUpdate)
        else (f"#{event.number}", None, event.head.revision)
        for event in looking.events
    ]


def test_a_push_whose_webhook_is_on_its_way_is_not_recovered() -> None:
    looking = Looking()
    by_itself(looking)
    looking.clock.advance(600)
    looking.now["refs/heads/main"] = sha(2)
    assert by_itself(looking) == []
    assert looking.heads.due == looking.clock.seconds() + GRACE
    sent = delivery(id="1", dialect="gitea", received=looking.clock.seconds())
    change = Change(revision=sha(2), branch="main", repository="git@gitea.example:o/r.git")
    result_of(looking.journal.append(sent, [change], [], way="sent"))
    looking.clock.advance(GRACE)
    by_itself(looking)
    later, first = looking.journal.reader().deliveries()
    assert (first.delivery, first.changes, first.recovered) == ("1", 1, "")
    assert (later.changes, later.recovered) == (0, "") and "gitea/1" in later.reason
    assert looking.heads.due is None


def test_what_never_came_is_recovered_when_that_time_is_over() -> None:
    looking = Looking()
    by_itself(looking)
    looking.now["refs/heads/main"] = sha(2)
    assert by_itself(looking) == []
    looking.clock.advance(GRACE - 1)
    assert by_itself(looking) == []
    looking.clock.advance(1)
    assert by_itself(looking) == [("refs/heads/main", sha(1), sha(2))]
    assert by_itself(looking) == [] and looking.heads.due is None


def test_a_branch_that_moves_all_the_time_is_recovered_up_to_where_it_was_long_enough_ago() -> None:
    looking = Looking()
    by_itself(looking)
    found = []
    for number in range(2, 12):
        looking.now["refs/heads/main"] = sha(number)
        found += by_itself(looking)
        looking.clock.advance(GRACE / 2)
    assert [(before, after) for _, before, after in found] == [
        (sha(number), sha(number + 1)) for number in range(1, 9)
    ]
    assert looking.heads.due is not None


def test_a_branch_that_was_moved_back_or_vanished_is_nothing() -> None:
    looking = Looking()
    by_itself(looking)
    looking.now.update({"refs/heads/main": sha(2), "refs/heads/topic": sha(3)})
    assert by_itself(looking) == []
    looking.now = {"refs/heads/main": sha(1)}
    assert by_itself(looking) == [] and looking.heads.due is None
    looking.clock.advance(GRACE)
    assert by_itself(looking) == []


def test_who_asks_by_hand_does_not_wait() -> None:
    looking = Looking()
    by_itself(looking)
    looking.now["refs/heads/main"] = sha(2)
    assert by_itself(looking) == []
    assert [missing.outcome for missing in looking.run()] == ["recovered"]


def test_what_was_stored_by_hand_and_not_kept_is_not_stored_again_by_the_schedule() -> None:
    looking = Looking()
    by_itself(looking)
    looking.now["refs/heads/main"] = sha(2)
    assert by_itself(looking) == []
    looking.clock.advance(GRACE - 2)
    looking.now["refs/heads/main"] = sha(3)
    kept = result_of(looking.journal.recall(NAME))
    assert looking.moved() == [("refs/heads/main", sha(1), sha(3))]
    result_of(looking.journal.remember(NAME, kept))
    looking.clock.advance(2)
    assert by_itself(looking) == [("refs/heads/main", sha(1), sha(2))]
    looking.clock.advance(GRACE)
    by_itself(looking)
    assert len(list(looking.journal.reader().deliveries())) == 2 and looking.heads.due is None


def test_a_pull_request_may_be_on_its_way_too() -> None:
    looking, api = with_gitea()
    by_itself(looking)
    api.pulls = [api.pull(2, sha(9))]
    assert by_itself(looking) == []
    looking.clock.advance(GRACE / 2)
    api.pulls = [api.pull(2, sha(10))]
    assert by_itself(looking) == []
    looking.clock.advance(GRACE / 2)
    assert by_itself(looking) == [("#2", None, sha(9))]
    looking.clock.advance(GRACE / 2)
    assert by_itself(looking) == [("#2", None, sha(10))]
    assert looking.events[0].action == "updated"


def test_an_error_forgets_no_time() -> None:
    looking = Looking()
    by_itself(looking)
    looking.now.update({"refs/heads/a": sha(2)})
    assert by_itself(looking) == []
    looking.clock.advance(GRACE)
    looking.now.update({"refs/heads/b": sha(3)})
    looking.error = Unavailable("the disk is full")
    with pytest.raises(Unavailable):
        by_itself(looking)
    looking.error = None
    assert by_itself(looking) == [("refs/heads/a", None, sha(2))]


@pytest.mark.parametrize(("every", "grace"), [(10, 10), (600, GRACE), (None, GRACE)])
def test_that_time_is_no_longer_than_that_between_looks(
    every: int | None, grace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(sources, "Heads", lambda *_, **how: made.append(how["grace"]))
    options = {"secret": "x", "recover": {"from": ["https://git.example/r"], "via": "heads", "every": every}}
    handler = GiteaHandler(None, options)
    looking = Looking()
    sources.runners(
        handler, looking.journal, Acceptance("gitea", looking.found, looking.accept), None, looking.clock
    )
    assert made == [grace]

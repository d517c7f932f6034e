"""GitHub's webhooks, made, compared and repaired."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from change_hooks.forges.rest import RestError
from change_hooks.forges.webhooks.base import PAGES
from change_hooks.webhooks.keeping import PATIENCE
from tests.support.fake_api import Say
from tests.support.fake_webhooks import FakeGitHubWebhooks
from tests.support.keeping import SECRET, URL, Keeping

HOOK = f"{URL}/change_hook/github"
EVENTS = ["pull_request", "push"]


def keeping(api: FakeGitHubWebhooks | None = None, repository: str = "o/r", **more: Any) -> Keeping:
    return Keeping("github", api or FakeGitHubWebhooks("token T"), repository, strict=True, **more)


@pytest.mark.parametrize("repository", ["o/r", "org:acme"])
def test_one_is_made_with_everything_that_it_should_be(repository: str) -> None:
    kept = keeping(repository=repository)
    assert kept.ensure() == ("created", "5")
    (made,) = kept.api.written()
    assert made.json == {
        "name": "web",
        "active": True,
        "events": EVENTS,
        "config": {"url": HOOK, "content_type": "json", "insecure_ssl": "0", "secret": SECRET},
    }
    judged = kept.judge()
    assert (judged.hook.number, judged.problems, judged.doubts, judged.last) == ("5", (), (), None)


def test_one_that_is_there_is_changed_and_its_secret_written_anew() -> None:
    kept = keeping()
    kept.api.add(HOOK, events=["*"], active=False, content_type="form")
    assert kept.api.secrets == {5: "an old one"}
    assert kept.ensure() == ("updated", "5")
    assert kept.ensure() == ("updated", "5")
    (hook,) = kept.api.hooks
    assert (hook["active"], hook["events"], hook["config"]["content_type"]) == (True, EVENTS, "json")
    assert kept.api.secrets == {5: SECRET}
    assert len(kept.api.written()) == 2


@pytest.mark.parametrize(
    "there",
    [
        "https://ci.example.com/change_hook/github/",
        "https://CI.example.com:443/change_hook/github?project=x",
        "https://user:password@ci.example.com/change_hook/github",
    ],
)
def test_urls_are_compared_without_what_may_be_secret_and_kept(there: str) -> None:
    kept = keeping()
    kept.api.add(there)
    assert kept.ensure() == ("updated", "5")
    assert kept.api.hooks[0]["config"]["url"] == there


def test_a_url_with_a_query_or_password_is_written_whole() -> None:
    kept = keeping(url=f"{HOOK}?project=new")
    kept.api.add(f"{HOOK}?project=old")
    kept.ensure()
    assert kept.api.hooks[0]["config"]["url"] == f"{HOOK}?project=new"


def test_one_on_the_second_page_is_found() -> None:
    kept = keeping()
    for number in range(120):
        kept.api.add(f"https://other.example/{number}")
    kept.api.add(HOOK)
    assert kept.ensure() == ("updated", "125")
    assert len(kept.api.hooks) == 121


def test_of_two_the_one_that_works_is_kept_and_the_other_named() -> None:
    kept = keeping()
    kept.api.add(HOOK, active=False)
    kept.api.add(f"{HOOK}?x=1", events=EVENTS)
    assert kept.ensure() == ("updated", "6")
    assert len(kept.api.hooks) == 2
    judged = kept.judge()
    assert judged.problems == ("webhook 5 has the same URL, so every delivery arrives twice; delete it",)


def test_what_is_wrong_is_said() -> None:
    kept = keeping()
    kept.api.add(HOOK, events=["push", "issues"], active=False, insecure_ssl="1")
    judged = kept.judge()
    assert judged.problems == (
        "it is not active",
        "it lacks the events pull_request",
        "it has events that give no change: issues",
    )
    assert judged.doubts == (
        "the forge does not verify the receiver's certificate (SSL verification is off)",
    )


def test_one_that_leads_elsewhere_is_left_alone_and_named() -> None:
    kept = keeping()
    kept.api.add("https://u:secret@old.example.com/change_hook/github?token=secret", events=EVENTS)
    assert kept.judge().problems == (
        "wrong URL: webhook 5 leads to https://old.example.com/change_hook/github",
    )
    assert kept.ensure() == ("created", "6")
    judged = kept.judge()
    assert judged.problems == ()
    assert judged.doubts == (
        "webhook 5 leads to https://old.example.com/change_hook/github; delete it if this is an old address of"
        " this receiver",
    )


def test_none_at_all_is_said() -> None:
    judged = keeping().judge()
    assert (judged.hook, judged.problems) == (None, ("there is no webhook",))


def test_without_an_address_the_one_that_ends_in_the_path_of_the_endpoint_is_looked_at() -> None:
    kept = keeping(url="")
    kept.api.add("https://ci.example.com/change_hook/gitlab")
    kept.api.add("https://old.example.com/change_hook/github", events=EVENTS)
    judged = kept.judge()
    assert (judged.hook.number, judged.problems) == ("6", ())


def test_the_last_delivery_is_told() -> None:
    kept = keeping()
    hook = kept.api.add(HOOK, events=EVENTS)
    kept.api.deliver(hook, "push", {})
    assert kept.judge().last is None  # It may be on its way.
    kept.clock.advance(60)
    judged = kept.judge()
    assert judged.problems == (
        "the last delivery failed: no answer (failed to connect to host), 1970-01-01T00:00:00Z",
    )
    kept.api.log[5][0].update(status_code=202, status="OK")
    assert kept.judge().problems == ()
    kept.api.log[5][0].update(status_code=403)
    assert kept.judge(last=False).problems == ()


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ({}, EVENTS),
        ({"actions": ["queued"]}, ["merge_group", *EVENTS]),
        ({"commands": {"regex": "!go"}}, ["issue_comment", *EVENTS]),
    ],
)
def test_the_events_are_those_that_the_options_can_want(options: dict[str, Any], events: list[str]) -> None:
    kept = keeping(**options)
    kept.ensure()
    assert kept.api.hooks[0]["events"] == events


def test_the_events_of_a_class_of_ones_own_are_its_methods() -> None:
    from change_hooks.dialects.github import GitHubEventHandler

    class Own(GitHubEventHandler):
        def handle_release(self, payload: Any) -> Any:
            return [], "git"

        def handle_issue_comment(self, payload: Any) -> Any:
            return [], "git"

    kept = keeping(custom_class=Own)
    kept.ensure()
    assert kept.api.hooks[0]["events"] == ["issue_comment", "pull_request", "push", "release"]


def test_without_a_secret_none_is_written() -> None:
    kept = Keeping("github", FakeGitHubWebhooks("token T"), secret=None)
    kept.ensure()
    assert "secret" not in kept.api.written()[0].json["config"]


def test_the_one_with_a_number_is_the_one_whatever_its_url() -> None:
    recover = {"from": [{"repository": "o/r", "hook": 6}]}
    kept = keeping(repository="", recover=recover)
    with pytest.raises(RestError, match="there is no webhook 6"):
        kept.ensure()
    kept.api.add(HOOK)
    kept.api.add("https://old.example.com/hook", events=EVENTS)
    assert kept.judge().problems == (
        "its URL is https://old.example.com/hook instead of https://ci.example.com/change_hook/github",
    )
    assert kept.ensure() == ("updated", "6")
    assert kept.api.hooks[1]["config"]["url"] == HOOK


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_token_lacks_is_said(status: int) -> None:
    kept = keeping()
    kept.api.instead = [Say({}, status)]
    with pytest.raises(
        RestError, match=r"webhooks need: .*admin:repo_hook.*write permission for Webhooks"
    ) as error:
        kept.ensure()
    assert error.value.status == status


def test_a_forge_that_wants_to_be_left_alone_is_waited_for_and_asked_once_more() -> None:
    kept = keeping()
    kept.api.instead = [Say({}, 429, {"Retry-After": "30"})]
    done = Deferred.fromCoroutine(kept.keeper.ensure())
    assert not done.called
    kept.clock.advance(31)
    assert kept.run(_value(done)) == ("created", "5")
    assert len(kept.api.hooks) == 1


def test_one_that_wants_to_be_left_alone_for_long_is_not_waited_for() -> None:
    kept = keeping()
    kept.api.instead = [Say({}, 429, {"Retry-After": str(int(PATIENCE) + 1)})]
    with pytest.raises(RestError, match="try again in 91 s"):
        kept.ensure()


async def _value(done: Any) -> Any:
    return await done


@pytest.mark.parametrize("answer", [Say({}, 201), Say({"id": True}, 201), Say([], 201)])
def test_an_answer_without_a_number_is_an_error(answer: Say) -> None:
    kept = keeping()
    kept.api.instead = [None, answer]
    with pytest.raises(RestError, match="does not say which webhook"):
        kept.ensure()


def test_more_than_can_be_read_are_an_error_and_none_is_made_beside_them() -> None:
    kept = keeping()
    for number in range(PAGES * 100 + 1):
        kept.api.add(f"https://other.example/{number}")
    with pytest.raises(RestError, match="more than 2000 webhooks"):
        kept.ensure()
    assert kept.api.written() == []

"""What holds for the webhooks of every forge: made once, found again, repaired, and what is wrong said."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, NamedTuple

import pytest
from twisted.internet.defer import Deferred

from change_hooks.forges.rest import RestError
from change_hooks.forges.webhooks import WEBHOOKS
from tests.conftest import result_of
from tests.support.fake_api import Say
from tests.support.fake_webhook_forges import (
    FakeAzureWebhooks,
    FakeBitbucketCloudWebhooks,
    FakeBitbucketServerWebhooks,
    FakeGiteaWebhooks,
    FakeGitLabWebhooks,
    secrets_of,
    urls_of,
)
from tests.support.fake_webhooks import FakeGitHubWebhooks
from tests.support.keeping import SECRET, URL, Keeping

GITEA = {"api": "https://gitea.example"}
SERVER = {"api": "https://bitbucket.example"}
PAT = "Basic " + b64encode(b":T").decode()
REVIEWS = {"pull_request_review_approved", "pull_request_review_rejected", "pull_request_review_comment"}


class Forge(NamedTuple):
    """A forge, its fake, and what its webhooks should be."""

    make: Any
    events: set[str]
    commented: set[str]
    options: dict[str, Any]
    repository: str = "o/r"
    other: str | None = "org:acme"


_GITLAB = {"push_events", "tag_push_events", "merge_requests_events", "note_events"}
_CLOUD = {"repo:push", *(f"pullrequest:{what}" for what in ("created", "updated", "fulfilled", "rejected"))}
_PR = ("opened", "from_ref_updated", "modified", "merged", "declined", "deleted")
_DC = {"repo:refs_changed", "mirror:repo_synchronized", *(f"pr:{what}" for what in _PR)}
_AZURE = {"git.push", "git.pullrequest.created", "git.pullrequest.updated"}
_GITEA = {"push", "pull_request", "pull_request_sync"}
FORGES = {
    "github": Forge(
        lambda: FakeGitHubWebhooks("token T"), {"push", "pull_request"}, {"issue_comment"}, {"strict": True}
    ),
    "gitlab": Forge(lambda: FakeGitLabWebhooks("T"), _GITLAB, set(), {}),
    "gitea": Forge(lambda: FakeGiteaWebhooks("token T"), _GITEA, {"pull_request_comment", *REVIEWS}, GITEA),
    "bitbucketcloud": Forge(
        lambda: FakeBitbucketCloudWebhooks("Bearer T"), _CLOUD, {"pullrequest:comment_created"}, {}
    ),
    "bitbucketserver": Forge(
        lambda: FakeBitbucketServerWebhooks("Bearer T"), _DC, {"pr:comment:added"}, SERVER
    ),
    "azuredevops": Forge(
        lambda: FakeAzureWebhooks(PAT),
        _AZURE,
        {"ms.vss-code.git-pullrequest-comment-event"},
        {},
        "acme/p/r",
        None,
    ),
}
every_forge = pytest.mark.parametrize("name", FORGES)


def keeping(name: str, repository: str | None = None, **more: Any) -> Keeping:
    forge = FORGES[name]
    return Keeping(name, forge.make(), repository or forge.repository, **{**forge.options, **more})


def hook_of(name: str) -> str:
    return f"{URL}/change_hook/{name}"


def written(name: str) -> set[str]:
    """The secret as it stands at the forge."""
    return {f"X-Change-Hook-Secret:{SECRET}" if name == "azuredevops" else SECRET}


def test_every_one_is_here() -> None:
    assert FORGES.keys() == WEBHOOKS.keys()


@every_forge
def test_one_is_made_and_found_again(name: str) -> None:
    for repository in filter(None, (FORGES[name].repository, FORGES[name].other)):
        kept = keeping(name, repository)
        done, number = kept.ensure()
        assert done == "created"
        assert secrets_of(kept.api) == written(name)
        assert set(urls_of(kept.api)) == {hook_of(name)}
        judged = kept.judge()
        assert (judged.hook.number, judged.problems, judged.doubts) == (number, (), ())
        assert judged.hook.events == FORGES[name].events
        there = len(kept.api.hooks)
        assert kept.ensure() == ("updated", number)
        assert len(kept.api.hooks) == there


@every_forge
@pytest.mark.parametrize("odd", [None, 7, {}, {"id": None}])
def test_one_that_cannot_be_read_costs_itself(name: str, odd: Any) -> None:
    kept = keeping(name)
    _, number = kept.ensure()
    true = kept.api.true_answer

    def with_odd(asked: Any) -> Any:
        answer = true(asked)
        held = (
            answer.value.get("values", answer.value.get("value"))
            if isinstance(answer.value, dict)
            else answer.value
        )
        if (
            asked.method == "GET"
            and isinstance(held, list)
            and held
            and asked.path.endswith(("hooks", "subscriptions"))
        ):
            held = [odd, *held]
            answer.value = (
                {**answer.value, "values" if "values" in answer.value else "value": held}
                if isinstance(answer.value, dict)
                else held
            )
        return answer

    kept.api.true_answer = with_odd
    judged = kept.judge(last=False)
    assert (judged.hook.number, judged.problems) == (number, ())
    (doubt,) = (each for each in judged.doubts if "cannot be read" in each)
    assert doubt.startswith("the forge lists 1 more")


@every_forge
def test_with_commands_comments_come_too(name: str) -> None:
    kept = keeping(name, commands={"regex": "!go"})
    kept.ensure()
    judged = kept.judge()
    assert judged.hook.events == FORGES[name].events | FORGES[name].commented
    assert judged.problems == ()


@every_forge
def test_one_with_another_secret_is_given_ours_and_its_events_and_is_switched_on(name: str) -> None:
    kept = keeping(name)
    more = {} if name == "gitlab" else {"active": False}
    kept.api.add(f"{hook_of(name)}?project=x", **more)
    assert "lacks the events" in "".join(kept.judge(last=False).problems)
    assert kept.ensure()[0] == "updated"
    assert kept.judge(last=False).problems == ()
    assert secrets_of(kept.api) == written(name)
    assert set(urls_of(kept.api)) == {f"{hook_of(name)}?project=x"} if name != "azuredevops" else True


@every_forge
def test_one_on_a_later_page_is_found(name: str) -> None:
    kept = keeping(name)
    for number in range(103):
        kept.api.add(f"https://other.example/{number}")
    kept.api.add(hook_of(name))
    assert kept.ensure()[0] == "updated"
    assert urls_of(kept.api).count(hook_of(name)) == (3 if name == "azuredevops" else 1)


@every_forge
def test_a_url_with_a_query_is_written_whole(name: str) -> None:
    kept = keeping(name, url=f"{URL}?token=new")
    kept.api.add(f"{hook_of(name)}?token=old")
    kept.ensure()
    assert set(urls_of(kept.api)) == {f"{hook_of(name)}?token=new"}
    assert "new" not in repr(kept.place.wanted)
    assert "new" not in repr(kept.judge(last=False).hook)


@every_forge
@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_token_lacks_is_said(name: str, status: int) -> None:
    kept = keeping(name)
    kept.api.instead = [Say({}, status)]
    with pytest.raises(RestError) as error:
        kept.ensure()
    assert f"webhooks need: {kept.place.api.scope}" in str(error.value)


@every_forge
def test_a_limit_is_waited_for(name: str) -> None:
    kept = keeping(name)
    kept.api.instead = [Say({}, 429, {"Retry-After": "30"})]
    done: Any = Deferred.fromCoroutine(kept.keeper.ensure())
    assert not done.called
    kept.clock.advance(31)
    assert result_of(done)[0] == "created"


@every_forge
def test_without_a_secret_none_is_written(name: str) -> None:
    kept = keeping(name, secret=None, strict=False)
    kept.ensure()
    assert secrets_of(kept.api) == {None}
    kept.ensure()
    assert secrets_of(kept.api) == {None}


@every_forge
def test_nothing_has_been_delivered_to_a_new_one(name: str) -> None:
    kept = keeping(name)
    kept.ensure()
    assert kept.judge().last is None


# What is each one's own ----------------------------------------------------------------------------


def test_gitlab_says_when_it_has_disabled_one_and_what_it_filters() -> None:
    kept = keeping("gitlab")
    kept.api.add(
        hook_of("gitlab"),
        events=_GITLAB,
        alert_status="temporarily_disabled",
        disabled_until="2026-11-20T10:00:00Z",
        enable_ssl_verification=False,
        push_events_branch_filter="main",
        custom_webhook_template="{}",
    )
    judged = kept.judge()
    assert judged.problems == ("the forge has disabled it: temporarily_disabled until 2026-11-20T10:00:00Z",)
    assert len(judged.doubts) == 3
    kept.api.hooks[0].update(alert_status="disabled", disabled_until=None)
    assert kept.judge().problems == ("the forge has disabled it: disabled",)


def test_gitlab_is_given_a_signing_token_as_that() -> None:
    key = "whsec_" + b64encode(b"k" * 32).decode()
    kept = keeping("gitlab", secret=key)
    kept.ensure()
    (made,) = kept.api.written()
    assert (made.json["signing_token"], made.json.get("token")) == (key, None)


def test_gitlab_sends_the_last_push_again_and_says_how_it_went() -> None:
    kept = keeping("gitlab")
    kept.ensure()
    api = kept.place.api
    assert api.harmless is False
    assert kept.run(api.test("5", kept.place.wanted)).events == ("push",)
    last = kept.judge().last
    assert (last.status, last.said) == (0, "internal error")
    kept.api.log[5][0]["response_status"] = "202"
    last = kept.judge().last
    assert (last.status, last.said, last.at) == (202, "", "2026-11-20T10:00:00.000Z")


@pytest.mark.parametrize("name", ["gitlab", "bitbucketserver"])
@pytest.mark.parametrize("status", [404, 422])
def test_older_versions_do_not_say_what_became_of_deliveries(name: str, status: int) -> None:
    kept = keeping(name)
    kept.ensure()
    kept.api.instead = [Say({}, status)]
    if status == 404:
        assert kept.run(kept.place.api.last("5")) is None
    else:
        with pytest.raises(RestError):
            kept.run(kept.place.api.last("5"))


def test_gitea_keeps_the_branch_filter_and_the_header() -> None:
    kept = keeping("gitea")
    kept.api.add(hook_of("gitea"), branch_filter="{main,release}", authorization_header="Bearer x")
    kept.ensure()
    (hook,) = kept.api.hooks
    assert (hook["branch_filter"], hook["authorization_header"]) == ("{main,release}", "Bearer x")
    assert kept.judge().doubts == ("it sends pushes to some branches only (its branch filter)",)
    assert kept.api.written()[0].json["events"] == ["pull_request_only", "pull_request_sync", "push"]


def test_gitea_is_given_the_header_that_the_configuration_has() -> None:
    kept = keeping("gitea", authorization="Bearer a long enough one", secret=None)
    kept.ensure()
    assert kept.api.hooks[0]["authorization_header"] == "Bearer a long enough one"


def test_gitea_sends_labels_where_they_are_wanted() -> None:
    kept = keeping("gitea", actions=["labeled"])
    kept.ensure()
    assert "pull_request_label" in kept.judge().hook.events


def test_gitea_sends_a_push_of_nothing_and_no_test_to_an_organizations() -> None:
    kept = keeping("gitea")
    kept.ensure()
    assert kept.run(kept.place.api.test("5", kept.place.wanted)).events == ("push",)
    assert keeping("gitea", "org:acme").place.api.harmless is None


def test_bitbucket_cloud_keeps_what_somebody_wrote_and_says_when_there_is_no_secret() -> None:
    kept = keeping("bitbucketcloud")
    kept.api.add(hook_of("bitbucketcloud"), events=_CLOUD, secret_set=False, skip_cert_verification=True)
    judged = kept.judge()
    assert judged.problems == ("it has no secret, so its deliveries are refused",)
    assert judged.doubts == ("the forge does not verify the receiver's certificate",)
    kept.ensure()
    (hook,) = kept.api.hooks
    assert (hook["description"], hook["skip_cert_verification"]) == ("somebody's", True)
    assert kept.judge().problems == ()


def test_bitbucket_data_center_says_how_the_last_one_went_and_tries_without_a_signature() -> None:
    kept = keeping("bitbucketserver")
    kept.api.add(hook_of("bitbucketserver"), events=_DC, sslVerificationRequired=False)
    kept.ensure()
    assert kept.api.hooks[0]["sslVerificationRequired"] is False
    assert len(kept.judge().doubts) == 1
    for result, status, said in (
        ({"description": "202", "outcome": "SUCCESS"}, 202, ""),
        ({"description": "OK", "outcome": "SUCCESS"}, 200, "OK"),
        ({"description": "connection refused", "outcome": "ERROR"}, 0, "connection refused"),
    ):
        kept.api.latest_results[5] = result
        last = kept.judge().last
        assert (last.status, last.said) == (status, said)
    tried = kept.run(kept.place.api.test("5", kept.place.wanted))
    assert (tried.events, tried.signed) == (("diagnostics:ping",), False)
    assert kept.api.asked[-1].query == {"url": hook_of("bitbucketserver"), "webhookId": "5"}


def azure(**more: Any) -> Keeping:
    return keeping("azuredevops", **more)


def test_azure_keeps_what_subscriptions_have_makes_what_lacks_and_deletes_what_gives_nothing() -> None:
    kept = azure()
    kept.api.add(hook_of("azuredevops"), events=["git.push", "git.pullrequest.merged"], active=False)
    kept.api.add("https://other.example", events=["git.push"])
    judged = kept.judge()
    assert judged.problems[0] == "it is not active"
    kept.ensure()
    ours = [hook for hook in kept.api.hooks if hook["consumerInputs"]["url"] == hook_of("azuredevops")]
    assert {hook["eventType"] for hook in ours} == _AZURE
    push = next(hook for hook in ours if hook["eventType"] == "git.push")
    assert push["publisherInputs"]["branch"] == "main"
    assert [asked.method for asked in kept.api.written()].count("DELETE") == 1
    assert kept.judge().problems == ()


def test_azure_all_that_lead_here_get_the_secret_and_those_of_the_project_stay() -> None:
    kept = azure()
    mine = {"projectId": "project-id", "repository": "repo-id"}
    for branch in ("main", "release"):
        kept.api.add(hook_of("azuredevops"), publisherInputs={**mine, "branch": branch})
    whole = {"projectId": "project-id", "repository": ""}
    kept.api.add(hook_of("azuredevops"), events=["git.pullrequest.merged"], publisherInputs=whole)
    headers = {"url": hook_of("azuredevops"), "httpHeaders": "X-Mine:1\nX-Change-Hook-Secret:old"}
    kept.api.add(hook_of("azuredevops"), publisherInputs=mine, consumerInputs=headers)
    kept.api.shown = lambda hook: hook
    assert "a subscription covers the whole project, or all projects" in kept.judge().doubts
    kept.ensure()
    sent = [hook["consumerInputs"]["httpHeaders"] for hook in kept.api.hooks]
    assert len(sent) == 4 + len(_AZURE) - 1
    assert {*sent} == {f"X-Change-Hook-Secret:{SECRET}", f"X-Mine:1\nX-Change-Hook-Secret:{SECRET}"}
    assert not [asked for asked in kept.api.written() if asked.method == "DELETE"]


def test_azure_leaves_other_repositories_and_projects_alone() -> None:
    kept = azure()
    for inputs in ({"projectId": "another", "repository": ""}, {"projectId": "", "repository": "another"}):
        kept.api.add(hook_of("azuredevops"), publisherInputs=inputs)
    kept.api.add(hook_of("azuredevops"), publisherInputs={"projectId": "project-id"})
    assert kept.judge().hook.number == "s7"


def test_azure_says_when_subscriptions_are_disabled_double_or_cut() -> None:
    kept = azure()
    inputs = {
        "url": hook_of("azuredevops"),
        "resourceDetailsToSend": "minimal",
        "acceptUntrustedCerts": "true",
    }
    kept.api.add(hook_of("azuredevops"), events=_AZURE, status="disabledBySystem")
    kept.api.add(hook_of("azuredevops"), events=["git.push"], consumerInputs=inputs)
    judged = kept.judge()
    assert judged.problems == ("the forge has disabled it: disabledBySystem",)
    assert judged.doubts == (
        "it has more than one subscription to git.push",
        "subscriptions cover single branches only: main",
        "it sends incomplete events (Resource details to send)",
        "the forge does not verify the receiver's certificate",
    )


def test_azure_says_how_the_last_one_went() -> None:
    kept = azure()
    kept.ensure()
    kept.api.results = [
        {"createdDate": "2026-11-20T10:00:00Z", "result": "failed", "details": {"response": ""}},
        {"createdDate": "2026-11-21T10:00:00Z", "result": "succeeded"},
    ]
    last = kept.judge().last
    assert (last.status, last.said, last.at) == (200, "succeeded", "2026-11-21T10:00:00Z")
    kept.api.results.append(
        {"createdDate": "2026-11-22T10:00:00Z", "result": "failed", "details": {"response": "HTTP/1.1 403"}}
    )
    assert kept.judge().last.status == 403


def test_azure_sends_a_comment_that_gives_nothing() -> None:
    kept = azure()
    kept.ensure()
    tried = kept.run(kept.place.api.test("s5", kept.place.wanted))
    assert tried.events == ("ms.vss-code.git-pullrequest-comment-event",)
    assert kept.api.asked[-1].json["details"]["consumerInputs"]["httpHeaders"].endswith(SECRET)


def test_azure_without_a_repository_in_the_answer_is_an_error() -> None:
    kept = azure()
    kept.api.repository = {}
    with pytest.raises(RestError, match="contains no repository"):
        kept.judge()


def test_a_url_that_is_none_is_another() -> None:
    kept = keeping("github")
    kept.api.add("https://[")
    kept.api.add("https://host:port/change_hook/github")
    assert kept.judge().problems == ("wrong URL: webhook 6 leads to https://host:port/change_hook/github",)

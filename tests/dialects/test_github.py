from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, ConfigurationError, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.handler import Context, check_options, make_handler
from tests.conftest import Client, delivery, has_fired, result_of
from tests.support.changes import none_for
from tests.support.connections import twisted_request
from tests.support.forges import example
from tests.support.payloads import GITHUB_PULL_REQUEST, OTHER, SHA, ZEROS

SECRET = {"secret": "a long enough secret", "strict": True}


def sent(payload: Any, event: str = "push", *, sign: bool = False, **headers: str) -> Any:
    body = json.dumps(payload).encode()
    signature = {"X-Hub-Signature-256": sign_hmac(body, b"a long enough secret")} if sign else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return delivery(body, headers={"X-GitHub-Event": event, **signature, **named})


def push(options: Any = True, **fields: Any) -> Any:
    payload = {**example("github"), **fields}
    changes, src = GitHubEventHandler(None, options).getChanges(sent(payload))
    assert src == "git"
    return changes


def commit(**fields: Any) -> dict[str, Any]:
    return {**example("github")["commits"][0], **fields}


def test_a_tag_has_a_category() -> None:
    (change,) = push(ref="refs/tags/v1")
    assert (change.branch, change.category) == ("v1", "tag")
    (change,) = push(ref="refs/heads/feature/x")
    assert (change.branch, change.category) == ("feature/x", None)


def test_a_push_of_as_many_commits_as_github_lists_may_have_more() -> None:
    commits = [commit(id=f"{number:040x}") for number in range(2048)]
    changes = push(commits=commits, after=commits[-1]["id"])
    assert {change.properties["change_hook_truncated"] for change in changes} == {True}
    changes = push(commits=commits[1:], after=commits[-1]["id"])
    assert not any("change_hook_truncated" in change.properties for change in changes)


def test_a_ref_that_is_neither_gives_no_change() -> None:
    assert none_for(push(ref="refs/notes/commits"))


@pytest.mark.parametrize("fields", [{"deleted": True}, {"deleted": None, "after": ZEROS}])
def test_a_deletion_gives_no_change(fields: Any) -> None:
    assert "deleted" in push(head_commit=None, commits=[], **fields).reason


@pytest.mark.parametrize("fields", [{"created": True}, {"forced": True}, {}])
def test_a_ref_that_moved_without_new_commits_gives_its_head(fields: Any) -> None:
    (change,) = push(commits=[], **fields)
    assert change.revision == example("github")["head_commit"]["id"]
    assert change.files == ["src/hello_de.c", "README.md"]


def test_a_ref_on_a_known_commit_gives_one_change_though_nothing_is_told_of_it() -> None:
    (change,) = push(commits=[], head_commit=None, created=True)
    assert (change.revision, change.author) == (example("github")["after"], "aenne <aenne@example.com>")
    assert change.properties == {"event": "push", "change_hook_missing": ["files", "comments"]}
    with pytest.raises(BadPayload, match="after"):
        push(commits=None, head_commit=None, after=None)


def test_commits_with_what_is_missing() -> None:
    sparse = commit(author=None, committer={"email": "x@example.com"}, timestamp=None, message=None, url=None)
    for name in ("added", "removed", "modified", "distinct"):
        del sparse[name]
    (change,) = push(commits=[sparse])
    assert (change.author, change.committer, change.when_timestamp) == ("", "x@example.com", None)
    assert change.properties == {"event": "push", "change_hook_missing": ["files", "comments"]}
    (change,) = push(commits=[commit(added=None, removed=None, modified=[], timestamp=1338350336)])
    assert (change.files, change.when_timestamp) == ([], 1338350336)
    assert "change_hook_missing" not in change.properties


def test_more_commits_than_github_sends() -> None:
    many = [commit(id=f"{n:040x}", distinct=n % 2 == 0) for n in range(2500)]
    changes = push(commits=many, after=many[-1]["id"])
    assert [change.revision for change in changes] == [each["id"] for each in many]
    assert [change.properties["github_distinct"] for change in changes[:2]] == [True, False]


def test_a_form_is_taken_and_only_the_signed_body_is_read() -> None:
    changes: list[Change] = []
    client = Client(make_resource({"change_hook_dialects": {"github": SECRET}}, sink=changes.append))
    body = b"payload=" + json.dumps(example("github")).replace("+", "%2B").encode()
    headers = {
        "X-GitHub-Event": "push",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Hub-Signature-256": sign_hmac(body, b"a long enough secret"),
    }
    reply = client.post("/github?payload={}", data=body, headers=headers)
    assert (reply.status, changes[0].branch) == (202, "main")
    nothing = {**headers, "X-Hub-Signature-256": sign_hmac(b"", b"a long enough secret")}
    reply = client.post("/github?payload={}", data=b"", headers=nothing)
    assert reply.status == 400


def test_the_event_is_answered_with_its_name() -> None:
    answer = GitHubEventHandler(None, True).getChanges(sent({}, "star"))[0]
    assert answer.reason == "the event 'star' is not handled"
    assert "ping" in GitHubEventHandler(None, True).getChanges(sent({"zen": "x"}, "ping"))[0].reason


# Verification


def test_a_wrong_sha256_is_refused_even_beside_a_right_sha1() -> None:
    body = json.dumps(example("github")).encode()
    right_sha1 = sign_hmac(body, b"a long enough secret", "sha1", "sha1=")
    handler = GitHubEventHandler(None, SECRET)
    assert handler.getChanges(sent(example("github"), X_Hub_Signature=right_sha1))[0]
    with pytest.raises(SignatureMismatch):
        handler.getChanges(
            sent(example("github"), X_Hub_Signature=right_sha1, X_Hub_Signature_256="sha256=" + "0" * 64)
        )


def test_without_strict_a_missing_signature_is_let_through_and_a_wrong_one_is_not() -> None:
    handler = GitHubEventHandler(None, {"secret": "a long enough secret"})
    assert handler.getChanges(sent(example("github")))[0]
    with pytest.raises(SignatureMismatch):
        handler.getChanges(sent(example("github"), X_Hub_Signature="sha1=" + "0" * 40))
    with pytest.raises(SignatureMissing):
        GitHubEventHandler(None, SECRET).getChanges(sent(example("github")))


def test_strict_needs_a_secret_and_a_secret_wants_strict() -> None:
    with pytest.raises(ConfigurationError, match="'strict' needs a 'secret'"):
        GitHubEventHandler(None, {"strict": True})
    assert "accepts unsigned deliveries" in check_options(GitHubEventHandler, {"secret": "x"})[1][0]
    assert "accepts unauthenticated" in check_options(GitHubEventHandler, {})[1][0]
    assert check_options(GitHubEventHandler, SECRET) == ([], [])
    assert check_options(GitHubEventHandler, SECRET, protected=True) == ([], [])


def test_the_class_of_the_specification() -> None:
    class MyBlahHandler(GitHubEventHandler):
        def handle_blah(self, payload):  # type: ignore[no-untyped-def]
            return [{"comments": payload["text"]}], "git"

    changes: list[Change] = []
    www = {"change_hook_dialects": {"github": {"class": MyBlahHandler}}}
    reply = Client(make_resource(www, sink=changes.append)).post(
        "/github", json={"text": "x"}, headers={"X-GitHub-Event": "blah"}
    )
    assert (reply.status, changes[0].comments) == (202, "x")
    with pytest.raises(ConfigurationError, match="option 'class' must be a class"):
        make_resource({"change_hook_dialects": {"github": {"class": 5}}}, sink=changes.append)


# Pull requests


class Api(Resource):
    """A small GitHub."""

    isLeaf = True

    def __init__(self, *, files: int = 3, message: str = "hello", status: int = 200) -> None:
        super().__init__()
        self.files, self.message, self.status = files, message, status
        self.asked: list[str] = []
        self.tokens: list[Any] = []

    def render_GET(self, request: Any) -> bytes:
        self.asked.append(request.uri.decode())
        self.tokens.append(request.getHeader(b"authorization"))
        request.setResponseCode(self.status)
        if b"/commits/" in request.path:
            return json.dumps({"sha": SHA, "commit": {"message": self.message}}).encode()
        page, size = int(request.args[b"page"][0]), int(request.args[b"per_page"][0])
        names = [f"src/\u00e4{n}.c" for n in range(self.files)][(page - 1) * size : page * size]
        return json.dumps([{"filename": name, "status": "modified"} for name in names]).encode()


def pull_request(api: Resource, options: Any = None, *, sign: bool = True, **fields: Any) -> Any:
    payload = {**GITHUB_PULL_REQUEST, **fields}
    http = StubTreq(api)
    context = Context(http=http, clock=Clock())
    handler = make_handler(GitHubEventHandler, {"secret": "a long enough secret", **(options or {})}, context)
    found = handler.getChanges(sent(payload, "pull_request", sign=sign))
    for _ in range(100):
        if not isinstance(found, Deferred) or has_fired(found):
            break
        http.flush()
    return result_of(found)[0] if isinstance(found, Deferred) else found[0]


def test_a_pull_request_with_its_files() -> None:
    api = Api()
    (change,) = pull_request(api)
    assert change == Change(
        author="aenne",
        comments="GitHub Pull Request #7 (2 commits)\nSay hello \u00fc\nIt was time.",
        revision=SHA,
        when_timestamp=1795168800,
        branch="refs/pull/7/merge",
        category="pull",
        revlink="https://github.com/octo-org/api/pull/7",
        repository="https://github.com/octo-org/api",
        project="octo-org/api",
        files=["src/\u00e40.c", "src/\u00e41.c", "src/\u00e42.c"],
        src="git",
        properties={
            "pullrequesturl": "https://github.com/octo-org/api/pull/7",
            "event": "pull_request",
            "basename": "main",
            "change_hook_fork": "aenne/api",
        },
    )
    assert sorted(api.asked) == [
        f"/repos/octo-org/api/commits/{SHA}",
        "/repos/octo-org/api/pulls/7/files?per_page=100&page=1",
    ]
    assert api.tokens == [None, None]


def test_a_synchronized_one_is_dated_by_its_update() -> None:
    (change,) = pull_request(Api(), action="synchronize")
    assert change.when_timestamp == 1795514400


@pytest.mark.parametrize("action", ["closed", "labeled", "edited", None])
def test_an_ignored_action_costs_no_request(action: Any) -> None:
    api = Api()
    assert none_for(pull_request(api, action=action))
    assert api.asked == []


def test_an_unverified_delivery_costs_no_request() -> None:
    api = Api()
    (change,) = pull_request(api, sign=False)
    assert change.properties["change_hook_missing"] == ["files"]
    (change,) = pull_request(api, {"secret": None})
    assert change.properties["change_hook_missing"] == ["files"]
    assert api.asked == []


def test_one_that_is_not_wanted_costs_no_request() -> None:
    api = Api()
    assert none_for(pull_request(api, {"branches": ["release-*"]}))
    assert api.asked == []
    assert len(pull_request(api, {"branches": ["main"], "repositories": ["octo-org/*"]})) == 1


def test_the_head_commit_may_ask_for_no_build() -> None:
    api = Api(message="x [skip ci]")
    assert "skip" in pull_request(api).reason


def test_a_deleted_fork_and_a_null_body() -> None:
    pull = GITHUB_PULL_REQUEST["pull_request"]
    head = {**pull["head"], "repo": None}
    (change,) = pull_request(Api(), pull_request={**pull, "head": head, "body": None, "commits": 1})
    assert change.comments == "GitHub Pull Request #7 (1 commit)\nSay hello \u00fc"


def test_the_ref_the_whitelist_and_an_enterprise_server() -> None:
    api = Api()
    options = {
        "pullrequest_ref": "head",
        "github_property_whitelist": ["github.title", "github.base.sha"],
        "github_api_endpoint": "https://github.example.com/api/v3/",
    }
    (change,) = pull_request(api, options)
    assert change.branch == "refs/pull/7/head"
    assert change.properties["github.title"] == "Say hello \u00fc"
    assert change.properties["github.base.sha"] == OTHER
    assert sorted(api.asked)[0] == f"/api/v3/repos/octo-org/api/commits/{SHA}"


def test_a_subclass_with_plain_payloads_gets_the_files_too() -> None:
    class Mine(GitHubEventHandler):
        Options = GitHubEventHandler.Options

        def handle_pull_request(self, payload: Any) -> Any:  # type: ignore[override]
            return super().handle_pull_request(payload)

    http = StubTreq(Api())
    handler = make_handler(Mine, SECRET, Context(http=http, clock=Clock()))
    found = handler.getChanges(sent(GITHUB_PULL_REQUEST, "pull_request", sign=True))
    http.flush()
    assert len(result_of(found)[0][0].files) == 3


def test_password_protected_deliveries_count_as_verified(changes: list[Change]) -> None:
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

    api = Api()
    checker = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    www = {"change_hook_auth": [checker], "change_hook_dialects": {"github": True}}
    http = StubTreq(api)
    client = Client(make_resource(www, sink=changes.append, http=http, clock=Clock()))
    started = client.start(
        "POST",
        "/github",
        json=GITHUB_PULL_REQUEST,
        auth=("user", "password"),
        headers={"X-GitHub-Event": "pull_request"},
    )
    client.flush()
    http.flush()
    assert client.finish(started).status == 202
    assert len(changes[0].files) == 3


def test_a_live_request_gives_plain_dicts() -> None:
    body = json.dumps(example("github")).encode()
    headers = {b"X-GitHub-Event": b"push", b"Content-Type": b"application/json"}
    request = twisted_request(b"POST", b"/change_hook/github?project=p", headers, body)
    (change,), src = GitHubEventHandler(None, True).getChanges(request)
    assert (change["branch"], change["project"], src) == ("main", "p", "git")
    assert "src" not in change


def test_a_subclass_may_give_pull_changes_of_other_events() -> None:
    class Mine(GitHubEventHandler):
        def handle_pull_request_review(self, payload: Any) -> Any:
            return [Change(category="pull", revision="1c9f")], "git"

    received = sent({"pull_request": {}}, "pull_request_review", sign=True)
    (change,), _ = Mine(None, SECRET).getChanges(received)
    assert change.revision == "1c9f"


def test_a_command_that_nobody_signed_gives_no_change() -> None:
    payload = {
        "action": "created",
        "issue": {"number": 7, "pull_request": {"html_url": "https://github.com/octo-org/api/pull/7"}},
        "comment": {"body": "!build", "user": {"login": "eve"}},
        "repository": {"full_name": "octo-org/api"},
    }
    handler = GitHubEventHandler(None, {"commands": {"regex": "^!build", "permission": "admin"}})
    found, _ = handler.getChanges(sent(payload, "issue_comment"))
    assert none_for(found)
    assert "may do this" in found.reason

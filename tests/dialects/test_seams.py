"""What a subclass may use: one event handed to another's method, the files of a pull request, look-ups."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks import Change
from change_hooks.core.change import InvalidChange
from change_hooks.core.events import Commit, RefUpdate, Repository
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.bitbucketcloud import BitbucketCloudEventHandler
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.dialects.source import paths
from change_hooks.flow import called
from tests.conftest import delivery, result_of

SECRET = b"a long enough secret"
SHA = "b" * 40
REPOSITORY = {"full_name": "acme/app", "name": "app", "html_url": "https://github.com/acme/app"}
PULL = {
    "action": "opened",
    "number": 7,
    "pull_request": {
        "number": 7,
        "title": "A title",
        "head": {"sha": SHA, "ref": "topic", "repo": REPOSITORY},
        "base": {"ref": "main", "repo": REPOSITORY},
    },
    "repository": REPOSITORY,
    "installation": {"id": 9},
    "review": {"state": "approved"},
}


class Api(Resource):
    isLeaf = True

    def __init__(self, status: int = 200) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.status = status

    def render_GET(self, request: Any) -> bytes:
        self.asked.append(request.path.decode())
        request.setResponseCode(self.status)
        if request.path.endswith(b"/files"):
            files = [
                {"filename": "a.py", "previous_filename": "b.py"},
                {"filename": "doc.md", "status": "added"},
            ]
            return json.dumps(files).encode()
        return json.dumps({"sha": SHA, "commit": {"message": "m"}}).encode()


class Handed(GitHubEventHandler):
    def handle_pull_request_review(self, payload: Any, event: str) -> Any:
        return self.handle_pull_request(payload, event)

    def handle_release(self, payload: Any, event: str) -> Any:
        return self.handle_push({"ref": "refs/tags/v1", "after": SHA, "repository": REPOSITORY}, event)


class Code(GitHubEventHandler):
    async def files(self, payload: Any) -> Any:
        return [item for item in await super().files(payload) if item["filename"].endswith(".py")]


def found(handler: Any, event: str, payload: Any, api: Api | None = None, **options: Any) -> list[Change]:
    http = StubTreq(api or Api())
    written = {"secret": SECRET, "github_property_whitelist": ["github.title", "github.review.*"], **options}
    made = make_handler(handler, written, Context(http=http, clock=Clock()))
    body = json.dumps(payload).encode()
    signature = {"X-GitHub-Event": event, "X-Hub-Signature-256": sign_hmac(body, SECRET)}
    later = called(made.getChanges, delivery(body, headers=signature))
    for _ in range(20):
        http.flush()
    changes: list[Change] = result_of(later)[0]
    return changes


def test_an_event_handed_to_anothers_method_keeps_its_name_its_look_ups_and_its_whitelist() -> None:
    (usual,) = found(Handed, "pull_request", PULL)
    (handed,) = found(Handed, "pull_request_review", PULL)
    assert usual.properties["event"] == "pull_request"
    assert handed == usual.replace(properties={**usual.properties, "event": "pull_request_review"})
    assert handed.properties["github.title"] == "A title"
    assert handed.files == ["a.py", "b.py", "doc.md"]
    (release,) = found(Handed, "release", {"review": {"state": "x"}})
    assert (release.properties["event"], release.properties["github.review.state"]) == ("release", "x")


def test_a_subclass_may_choose_files_among_what_the_api_lists() -> None:
    api = Api()
    (change,) = found(Code, "pull_request", PULL, api)
    assert change.files == ["a.py", "b.py"]
    assert sorted(api.asked) == [f"/repos/acme/app/commits/{SHA}", "/repos/acme/app/pulls/7/files"]
    (change,) = found(Code, "pull_request", PULL, Api(500))
    assert change.properties["change_hook_missing"] == ["files"]


def test_files_may_be_paths() -> None:
    assert paths(["a", {"filename": "b"}, {"other": 1}, 5, "a"]) == ["a", "b"]


def test_only_what_asks_an_api_has_files() -> None:
    class Asking(EventHandler):
        async def ask(self) -> Any:
            return await self.files({})

    with pytest.raises(NotImplementedError, match=r"Asking\.files"):
        result_of(Deferred.fromCoroutine(Asking(None, {}).ask()))


def test_nothing_is_asked_where_look_ups_are_off() -> None:
    class Silent(Code):
        completes_pulls = False

    for handler, options in (
        (Code, {"look_up": False}),
        (GitHubEventHandler, {"look_up": False}),
        (Silent, {}),
    ):
        api = Api()
        (change,) = found(handler, "pull_request", PULL, api, **options)
        assert (api.asked, change.files) == ([], [])


def test_bitbuckets_pull_requests_have_their_whitelist_under_any_event() -> None:
    class Handed(BitbucketCloudEventHandler):
        def handle_pullrequest_rebuild(self, payload: Any, event: str) -> Any:
            return self.handle_pullrequest_created(payload, "pullrequest:created")

    payload = {
        "pullrequest": {
            "id": 7,
            "title": "A title",
            "source": {"branch": {"name": "x"}, "commit": {"hash": SHA}},
            "destination": {"branch": {"name": "main"}},
        },
        "repository": {"full_name": "acme/app"},
    }
    made = Handed(None, {"bitbucket_property_whitelist": ["bitbucket.title"]})
    headers = {"X-Event-Key": "pullrequest:rebuild"}
    (change,) = made.getChanges(delivery(json.dumps(payload).encode(), headers=headers))[0]
    assert change.properties["bitbucket.title"] == "A title"


class Odd(EventHandler):
    """Makes commits by itself."""

    event_header = "X-Event"
    commit: Commit

    def handle_push(self, payload: Any) -> RefUpdate:
        repository = Repository(full_name="acme/app", urls={"https": "https://forge/acme/app"})
        return RefUpdate(repository=repository, ref="refs/heads/main", after="1", commits=[self.commit])


def made_of(commit: Any) -> list[Change]:
    handler = Odd(None, {})
    handler.commit = commit
    found, _ = result_of(called(handler.getChanges, delivery(b"{}", headers={"X-Event": "push"})))
    return list(found)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"author": None}, "author"),
        ({"id": 1}, "revision"),
        ({"committer": b"Ann"}, "committer"),
        ({"when": "soon"}, "when_timestamp"),
        ({"when": 10**15}, "when_timestamp"),
        ({"url": 3}, "revlink"),
        ({"files": ["a", b"b"]}, "files"),
        ({"branch": 1}, "branch"),
        ({"properties": {"x": {1, 2}}}, "properties"),
    ],
)
def test_a_commit_of_wrong_types_is_an_error_that_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidChange, match=f"change field '{field}"):
        made_of(Commit(**{"id": "1", "message": "m", **fields}))


def test_what_cannot_be_encoded_in_a_users_commit_is_replaced() -> None:
    (change,) = made_of(Commit("1", "a\ud800", "Ann\udcff", files=["b\ud800"]))
    assert (change.comments, change.author, change.files) == ("a\ufffd", "Ann\ufffd", ["b\ufffd"])

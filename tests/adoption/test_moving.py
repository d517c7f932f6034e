"""What the page "Move from Buildbot's own hooks" says of both sides, shown with the installed Buildbot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from buildbot.changes.base import ReconfigurablePollingChangeSource
from buildbot.www.hooks.github import GitHubEventHandler
from buildbot.www.hooks.poller import PollingHandler
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail

from change_hooks import Change, ConfigurationError, make_resource
from change_hooks.config import read_www
from change_hooks.core.options import option_names
from change_hooks.plugins import installed
from change_hooks.testing import Receiver
from tests.adoption.judge import Forge, Master, judged, our_client, ours, sent, their_client
from tests.adoption.payloads import (
    SECRET,
    ZERO,
    B,
    Sent,
    as_server,
    bitbucket,
    bitbucket_pull,
    bitbucket_push,
    form,
    github,
    github_pull,
    github_push,
    gitlab,
    gitlab_merge,
    gitlab_push,
    old_bitbucket,
)
from tests.conftest import Client, Reply, has_fired
from tests.support.tables import DOCS, rows

RECORDED = DOCS.parent / "tests" / "recorded"
PAGE = DOCS / "how-to" / "from-buildbots-hooks.md"
THEIRS, OURS = "Buildbot's hooks", "`ChangeHooks`"
GITHUB = {"github": {"secret": SECRET}}
STRICT = {"github": {"secret": SECRET, "strict": True}}
PUSH = github("push", github_push())
FIELDS = {"author": "Ann", "comments": "c"}
BASE = form("base", revision="1", **FIELDS)


def cells(section: str, first: str) -> dict[str, Mapping[str, str]]:
    """The rows of a table of the page, by their first cell."""
    return {row.cells[first]: row.cells for row in rows(PAGE, first, section)}


def without(request: Sent, header: str) -> Sent:
    del request.headers[header]
    return request


def at(path: str, request: Sent) -> Sent:
    request.path = path
    return request


def got(path: str, **fields: str) -> Sent:
    query = form(path, **fields).body.decode()
    request = Sent(f"{path}?{query}", b"")
    request.method = "GET"
    return request


class Broken:
    """A handler with a bug."""

    def __init__(self, *_: Any) -> None:
        pass

    def getChanges(self, request: Any) -> Any:
        raise RuntimeError("a bug")


# Statuses -----------------------------------------------------------------------------------------


def replies(dialects: Mapping[str, Any], request: Sent, *, refuse: bool = False) -> tuple[Reply, Reply]:
    """Buildbot's answer, and ours.

    :param refuse: what should take the changes does not.
    """
    master = Master()
    down = RuntimeError("down")
    if refuse:
        master.data.updates.addChange = lambda **change: fail(down)
    ours = our_client(dialects, (lambda change: fail(down)) if refuse else (lambda change: None))
    return sent(their_client(dialects, master), request)[0], sent(ours, request)[0]


#: By the case: requests, and the statuses of Buildbot and ours.
STATUSES: dict[str, list[tuple[Mapping[str, Any], Sent, int, int]]] = {
    "changes were found": [(GITHUB, PUSH, 200, 202)],
    "nothing to build": [(GITHUB, github("push", github_push("One [skip ci]")), 200, 202)],
    "an event that no method handles": [
        (GITHUB, github("star", {}), 400, 202),
        ({"bitbucketcloud": {}}, bitbucket("bitbucketcloud", "repo:fork", {}), 400, 202),
        ({"gitlab": {}}, gitlab({"object_kind": "pipeline"}), 200, 202),
    ],
    "a wrong or missing signature or token": [
        ({"github": {"secret": "another one"}}, PUSH, 400, 403),
        (STRICT, without(github("push", github_push()), "X-Hub-Signature"), 400, 403),
        ({"gitlab": {"secret": "token"}}, gitlab(gitlab_push()), 400, 403),
        ({"gitlab": {"secret": "token"}}, gitlab(gitlab_push(), X_Gitlab_Token="no"), 400, 403),
    ],
    "a dialect that is not enabled": [({"base": True}, PUSH, 400, 404)],
    "a URL below a dialect's": [(GITHUB, at("github/below/it", github("push", github_push())), 200, 404)],
    "a payload that does not fit": [
        (
            {"github": {}},
            Sent("github", b"{", X_GitHub_Event="push", Content_Type="application/json"),
            400,
            400,
        ),
        (GITHUB, github("push", {"ref": "refs/heads/main"}), 500, 400),
    ],
    "GET instead of POST": [
        ({"base": True}, got("base", revision="1", **FIELDS), 200, 405),
        ({"base": {"allow_get": True}}, got("base", revision="1", **FIELDS), 200, 202),
    ],
    "a body over `change_hook_max_body` (25 MiB)": [
        (GITHUB, github("push", github_push("x" * (25 << 20))), 200, 413)
    ],
    "a content type that the dialect does not read": [
        ({"github": {}}, Sent("github", b"{}", X_GitHub_Event="push", Content_Type="text/plain"), 400, 415),
        (
            {"gitlab": {}},
            Sent("gitlab", json.dumps(gitlab_push()).encode(), Content_Type="text/plain"),
            200,
            415,
        ),
    ],
    "the handler raised an error": [({"svn": {"custom_class": Broken}}, form("svn", x="y"), 500, 500)],
    "the changes cannot be stored": [({"base": True}, BASE, 500, 503)],
}


def test_each_status_has_its_row() -> None:
    assert list(cells("Statuses", "case")) == list(STATUSES)


@pytest.mark.parametrize("case", STATUSES)
def test_the_statuses(case: str) -> None:
    shown = cells("Statuses", "case")[case]
    seen: tuple[set[int], set[int]] = set(), set()
    for dialects, request, wanted, expected in STATUSES[case]:
        theirs, ours = replies(dialects, request, refuse=case == "the changes cannot be stored")
        assert (theirs.status, ours.status) == (wanted, expected)
        seen[0].add(theirs.status)
        seen[1].add(ours.status)
        if ours.status == 503:
            assert ours.header("Retry-After")
        if ours.status == 500:
            assert "incident" in ours.text
    for statuses, cell in zip(seen, (shown[THEIRS], shown[OURS]), strict=True):
        assert [status for status in statuses - {200, 202} if str(status) not in cell] == []


def test_the_texts() -> None:
    theirs, ours = replies(GITHUB, PUSH)
    assert (theirs.text, ours.text) == ("1 change found", "1 change found\n")
    theirs, ours = replies(GITHUB, github("push", github_push("One [skip ci]")))
    assert theirs.text == "no change found"
    assert ours.text.startswith("no change found: ")


# Deliveries ---------------------------------------------------------------------------------------


def test_when_the_sender_is_answered() -> None:
    master, added = Master(), Deferred[Any]()
    master.data.updates.addChange = lambda **change: added
    client = their_client({"base": True}, master)
    started = client.start("POST", "/base", data=BASE.body, headers=BASE.headers)
    client.flush()
    assert not has_fired(started)
    added.callback(1)
    assert client.finish(started).text == "1 change found"
    with Receiver({"change_hook_dialects": {"base": True}}, sink=lambda change: Deferred()) as receiver:
        assert receiver.post("base", form={"revision": "1"}).status == 202


def test_a_delivery_that_is_sent_again() -> None:
    again = github("push", github_push(), X_GitHub_Delivery="72d3162e")
    assert len(judged(GITHUB, again, again)[1]) == 2
    with Receiver({"change_hook_dialects": STRICT}) as receiver:
        first, second = (receiver.post("github", "push", github_push(), id="72d3162e") for _ in range(2))
        assert len(receiver.deliveries()) == len(receiver.changes_of("github", "72d3162e")) == 1
    assert first.text == "1 change found"
    assert second.text.startswith("duplicate of ")


# Options ------------------------------------------------------------------------------------------


class Asked(dict[Any, Any]):
    """Options that note which of them somebody asks for."""

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.names: set[Any] = set()

    def get(self, name: Any, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name: Any) -> bool:
        self.names.add(name)
        return super().__contains__(name)


@pytest.mark.parametrize(
    ("dialect", "request_"),
    [
        ("base", BASE),
        ("github", PUSH),
        ("gitlab", gitlab(gitlab_push())),
        ("bitbucketcloud", bitbucket("bitbucketcloud", "repo:push", bitbucket_push())),
        ("bitbucketserver", bitbucket("bitbucketserver", "repo:push", {})),
        ("bitbucket", form("bitbucket", payload=json.dumps(old_bitbucket()))),
    ],
)
def test_every_option_that_buildbot_reads_is_one_of_ours(dialect: str, request_: Sent) -> None:
    options = Asked()
    judged({dialect: options}, request_)
    assert options.names
    assert options.names <= option_names(installed().load(dialect).Options).keys()


def refused(dialects: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make_resource({"change_hook_dialects": dialects}, sink=print)
    return str(caught.value)


def counts(dialects: Mapping[str, Any], *requests: Sent) -> tuple[int, int]:
    """How many changes Buildbot finds, and how many we do."""
    return len(judged(dialects, *requests)[1]), len(ours(dialects, *requests)[1])


def an_unknown_option() -> None:
    dialects = {"github": {"secret": SECRET, "codebsae": "app"}}
    assert len(judged(dialects, PUSH)[1]) == 1
    assert "did you mean 'codebase'?" in refused(dialects)


def on_or_off() -> None:
    dialects = {"github": {"secret": SECRET, "strict": 1}}
    assert judged(dialects, without(github("push", github_push()), "X-Hub-Signature"))[0] == [400]
    assert "must be True or False" in refused(dialects)


def an_empty_secret() -> None:
    dialects = {"github": {"secret": ""}}
    assert len(judged(dialects, PUSH)[1]) == 1
    assert "option 'secret' is empty" in refused(dialects)


def false_for_the_options() -> None:
    assert counts({"base": False}, BASE) == (1, 0)
    assert ours({"base": False}, BASE)[0] == [404]


def true_for_the_options() -> None:
    assert judged({"github": True}, PUSH)[0] == [500]
    assert counts({"github": {}}, PUSH) == (1, 1)
    assert len(ours({"github": True}, PUSH)[1]) == 1
    for dialect, request in {
        "base": BASE,
        "gitlab": gitlab(gitlab_push()),
        "bitbucketcloud": bitbucket("bitbucketcloud", "repo:push", bitbucket_push()),
        "bitbucket": form("bitbucket", payload=json.dumps(old_bitbucket())),
    }.items():
        assert counts({dialect: True}, request) == (1, 1)


def arguments_in_the_url() -> None:
    query = "?project=p&codebase=c"
    (theirs,), (mine,) = (judge({"gitlab": {}}, gitlab(gitlab_push(), query))[1] for judge in (judged, ours))
    assert (theirs.project, theirs.codebase) == ("App", "c")
    assert (mine.project, mine.codebase) == ("p", "c")
    request = at(f"github{query}", github("push", github_push()))
    (theirs,), (mine,) = (judge(GITHUB, request)[1] for judge in (judged, ours))
    assert (theirs.project, theirs.codebase) == ("acme/app", None)
    assert (mine.project, mine.codebase) == ("p", "c")


def an_unknown_dialect() -> None:
    assert judged({"githbu": {"secret": SECRET}}, PUSH, at("githbu", github("push", {})))[0] == [400, 400]
    assert "did you mean 'github'?" in refused({"githbu": {"secret": SECRET}})
    assert "no dialect of this name" in str(read_www({"change_hook_dialects": {"nobody": {}}}).warnings)


def github_without_strict() -> None:
    assert counts(GITHUB, without(github("push", github_push()), "X-Hub-Signature")) == (1, 1)
    assert "unsigned" in str(read_www({"change_hook_dialects": GITHUB}).warnings)


def kinds_of_secrets() -> None:
    assert counts({"github": {"secret": SECRET.encode()}}, PUSH) == (1, 1)
    assert len(ours({"github": {"secret": ["the old one", SECRET]}}, PUSH)[1]) == 1
    assert len(ours({"github": {"secret": lambda delivery: SECRET}}, PUSH)[1]) == 1


def patterns_of_skips() -> None:
    assert counts(GITHUB, github("push", github_push("One [skip ci]"))) == (0, 0)
    assert counts(GITHUB, github("push", github_push("One [SKIP CI]"))) == (1, 0)
    assert counts({"gitlab": {}}, gitlab(gitlab_push("One [skip ci]"))) == (1, 0)


def a_new_branch() -> None:
    push = github("push", github_push("One", "Two", created=True, before=ZERO))
    assert counts(GITHUB, push) == (1, 2)
    assert len(ours({"github": {"secret": SECRET, "new_branch": "head"}}, push)[1]) == 1


def files_of_pull_requests() -> None:
    signed = github("pull_request", github_pull())
    unsigned = without(github("pull_request", github_pull()), "X-Hub-Signature")
    theirs, mine = judged(GITHUB, signed, unsigned)[1], ours(GITHUB, signed, unsigned)[1]
    assert theirs[0].files == theirs[1].files == mine[0].files != []
    assert mine[1].files == []


def the_certificate() -> None:
    verified: list[bool] = []

    def made(*args: Any, **options: Any) -> GitHubEventHandler:
        verified.append(options["verify"])
        return GitHubEventHandler(*args, **options)

    judged({"github": {"verify": False, "class": made}}, PUSH)
    assert verified == [True]
    www = {"change_hook_dialects": {"github": {"secret": SECRET, "verify": False}}}
    with patch("change_hooks.http_client.http_client", return_value=StubTreq(Forge())) as client:
        sent(Client(make_resource(www, sink=print)), github("pull_request", github_pull()))
    assert [call.kwargs["verify"] for call in client.call_args_list] == [False]


class Source(ReconfigurablePollingChangeSource):
    """A poller of the master."""

    def __init__(self, name: str) -> None:
        self.name, self.polled = name, 0

    def force(self) -> None:
        self.polled += 1


def the_pollers() -> None:
    for name, polled in (("allowed", [1, 1]), (b"allowed", [0, 1])):
        sources = [Source("a"), Source("b")]
        master = SimpleNamespace(change_svc=sources)
        request: Any = SimpleNamespace(site=SimpleNamespace(master=master), args={})
        PollingHandler(master, {name: [b"b"]}).getChanges(request)  # type: ignore[arg-type, dict-item]
        assert [source.polled for source in sources] == polled
    assert read_www({"change_hook_dialects": {"poller": {"allowed": [b"b"]}}}).endpoints
    assert "did you mean 'allowed'?" in refused({"poller": {b"allowed": [b"b"]}})


OPTIONS: dict[str, Callable[[], None]] = {
    "an unknown option": an_unknown_option,
    "options that are on or off": on_or_off,
    "an empty `secret`": an_empty_secret,
    "`False` in place of a dialect's options": false_for_the_options,
    "`True` in place of a dialect's options": true_for_the_options,
    "`?project=` and `?codebase=` in the URL": arguments_in_the_url,
    "an unknown name in `change_hook_dialects`": an_unknown_dialect,
    "`github` without `strict`": github_without_strict,
    "`secret`": kinds_of_secrets,
    "`skips`": patterns_of_skips,
    "a new branch of several commits at GitHub": a_new_branch,
    "a pull request's files": files_of_pull_requests,
    "`'verify': False` of `github`": the_certificate,
    "the option of `poller` that lists pollers": the_pollers,
}


def test_each_option_has_its_row() -> None:
    assert list(cells("Options", "option or default")) == list(OPTIONS)


@pytest.mark.parametrize("row", OPTIONS)
def test_the_options(row: str) -> None:
    OPTIONS[row]()


# Changes ------------------------------------------------------------------------------------------


def both(dialects: Mapping[str, Any], request: Sent) -> tuple[list[Change], list[Change]]:
    return judged(dialects, request)[1], ours(dialects, request)[1]


def test_the_changes_that_differ() -> None:
    assert ours({"base": True}, form("base"))[0] == [400]
    (theirs,), (mine,) = both(GITHUB, github("pull_request", github_pull(body=None)))
    assert theirs.comments == f"{mine.comments}\nNone"
    assert mine.comments.endswith("\nA title")
    assert both(GITHUB, github("push", github_push(commits=[])))[0] == []
    (mine,) = both(GITHUB, github("push", github_push(commits=[])))[1]
    assert mine.revision == github_push()["after"]
    (theirs,), (mine,) = both({"gitlab": {}}, gitlab(gitlab_merge()))
    assert theirs.files == mine.files == []
    assert mine.properties["change_hook_missing"] == ["files"]
    updated = github_pull("synchronize", updated_at="2026-03-05T05:06:07Z")
    (theirs,), (mine,) = both(GITHUB, github("pull_request", updated))
    assert (mine.when_timestamp or 0) - (theirs.when_timestamp or 0) == 24 * 3600
    old = form("bitbucket", payload=json.dumps(old_bitbucket()))
    (theirs,), (mine,) = both({"bitbucket": {}}, old)
    assert (theirs.properties["event"], mine.properties["event"]) == (None, "push")


def test_the_changes_of_bitbucket() -> None:
    push = bitbucket_push()
    target = {"hash": B, "message": "One change", "author": {"raw": "Bea <bea@acme.example>"}}
    push["push"]["changes"][0]["new"]["target"] = target
    (theirs,), (mine,) = both({"bitbucketcloud": {}}, bitbucket("bitbucketcloud", "repo:push", push))
    assert (theirs.comments, theirs.author) == (f"Bitbucket Cloud commit {B}", "Ann <ann>")
    assert (mine.comments, mine.author) == ("One change", "Bea <bea@acme.example>")
    for name, older in (
        ("bitbucketcloud", bitbucket_pull()),
        ("bitbucketserver", as_server(bitbucket_pull())),
    ):
        (theirs,), (mine,) = both({name: {}}, bitbucket(name, "pullrequest:created", older))
        assert theirs.comments == mine.comments
    current = json.loads((RECORDED / "bitbucketcloud" / "pullrequest_created__from_a_fork.json").read_text())
    request = bitbucket("bitbucketcloud", "pullrequest:created", current)
    (mine,) = ours({"bitbucketcloud": {}}, request)[1]
    pull = current["pullrequest"]
    assert mine.comments == f"Bitbucket Cloud Pull Request #1\n{pull['title']}\n{pull['description']}"

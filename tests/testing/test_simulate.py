from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from time import time
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.web.http_headers import Headers

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import NotAuthenticated
from change_hooks.core.events import Event, Ignored, PullRequest, RefUpdate
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.plugins import Registry, installed
from change_hooks.testing import Receiver
from change_hooks.testing import simulate as module
from change_hooks.testing.recorded import Recorded
from change_hooks.testing.simulate import EVENTS, CannotSimulate, Push, Simulated, simulate
from change_hooks.vcs import Commit
from tests.conftest import result_of

COMMITS = [
    Commit(
        id=f"{number}c0ffee{number}" * 5,
        author="\u00c4nn <ann@example.com>",
        committer="Bob <bob@example.com>",
        when=1_700_000_000 + number,
        message=f"\u00f6ne {number}\n\nmore",
        files=["\u00fc", "b"],
        deleted=frozenset("b" if number == 2 else ""),
    )
    for number in range(1, 5)
]
LAST = COMMITS[-1]
PUSH = Push(commits=COMMITS, branch="topic", address="https://forge.example/acme/widget", parent="d0" * 20)
REFS = {"push", "new-branch", "tag", "deletion"}
PULLS = {"pull-request"}
#: What each forge has.
SPOKEN = {
    "azuredevops": REFS | PULLS | {"forced-push"},
    "bitbucket": {"push", "new-branch"},
    "bitbucketcloud": REFS | PULLS | {"forced-push"},
    "bitbucketserver": REFS | PULLS | {"ping"},
    "forgejo": REFS | PULLS | {"ping"},
    "gerrit": REFS | PULLS,
    "gitea": REFS | PULLS | {"ping"},
    "gitee": REFS | PULLS | {"ping"},
    "github": set(EVENTS),
    "gitlab": REFS | PULLS,
    "gitorious": REFS - {"tag"},
    "gogs": REFS | PULLS | {"ping"},
    "launchpad": REFS | PULLS | {"ping"},
    "pagure": REFS | PULLS,
    "sourcehut": REFS,
}
#: Those that list what was pushed, with files and without.
LISTING = {"bitbucket", "forgejo", "gitea", "gitee", "github", "gitlab", "gogs"}
SIGNED = set(SPOKEN) - {"bitbucket", "gitorious", "sourcehut"}


def request(simulated: Simulated, dialect: str) -> Delivery:
    headers = Headers({name: [value] for name, value in simulated.headers.items()})
    uri = f"/change_hook/{dialect}?{simulated.query}".encode()
    return Delivery(b"POST", uri, headers, simulated.body, dialect=dialect, received=time())


def reported(dialect: str, event: str) -> Event:
    """What its handler finds in a simulated delivery."""
    events: list[Event] = []
    handler = make_handler(installed().load(dialect), True, Context(name=dialect, reported=events.extend))
    sent = request(simulate(dialect, replace(PUSH, event=event), None), dialect)
    handler.getChanges(sent.replace(verification="none"))
    (found,) = events
    return found


@pytest.mark.parametrize(
    ("dialect", "event"),
    [(dialect, event) for dialect in sorted(SPOKEN) for event in sorted(SPOKEN[dialect])],
)
def test_every_event_of_every_dialect_is_about_what_is_here(dialect: str, event: str) -> None:
    found = reported(dialect, event)
    if event == "ping":
        assert isinstance(found, Ignored)
        return
    assert isinstance(found, (RefUpdate, PullRequest))
    repository = found.repository
    assert "widget" in " ".join(
        filter(None, (repository.full_name, repository.name, *repository.urls.values()))
    )
    if isinstance(found, PullRequest):
        assert event == "pull-request"
        assert found.head.branch == "topic"
        # Gogs and Launchpad do not say which commit it is on.
        assert LAST.id.startswith(found.head.revision or "")
        return
    assert (found.short, found.is_tag) == ("topic", event == "tag")
    assert found.after == (None if event == "deletion" else LAST.id)
    assert bool(found.forced) == (event == "forced-push")


def test_the_address_has_the_scheme_and_the_port_that_it_has() -> None:
    push = replace(PUSH, address="http://host:3000/acme/widget")
    sent = json.loads(simulate("github", push, None).body)["repository"]
    assert (sent["html_url"], sent["clone_url"], sent["ssh_url"]) == (
        "http://host:3000/acme/widget",
        "http://host:3000/acme/widget.git",
        "git@host:acme/widget.git",
    )


@pytest.mark.parametrize("dialect", sorted(LISTING | {"azuredevops", "gitorious"}))
def test_all_commits_are_listed_with_what_is_known_of_them(dialect: str) -> None:
    found = reported(dialect, "push")
    assert isinstance(found, RefUpdate)
    assert [(commit.id, commit.message, commit.author, commit.when) for commit in found.commits] == [
        (commit.id, commit.message, commit.author, commit.when) for commit in COMMITS
    ]
    if dialect in LISTING:
        assert [sorted(commit.files or ()) for commit in found.commits] == [["b", "\u00fc"]] * len(COMMITS)
    assert found.total in (None, len(COMMITS))


@pytest.mark.parametrize("dialect", sorted(LISTING - {"bitbucket"}))
def test_what_is_deleted_and_nothing_else_is_said_to_be_removed(dialect: str) -> None:
    # Recorded deliveries have files and branches of these names.
    for kept, gone in (("\u00fc", "b"), ("README.md", "src/hello.c"), ("main", "lamp.c")):
        commits = [replace(each, files=[kept, gone], deleted=each.deleted and {gone}) for each in COMMITS]
        sent = json.loads(simulate(dialect, replace(PUSH, commits=commits), None).body)["commits"]
        told = {
            commit["id"]: [commit[kind] or [] for kind in ("added", "removed", "modified")] for commit in sent
        }
        assert told == {
            each.id: [[], [gone], [kept]] if each.deleted else [[], [], [kept, gone]] for each in commits
        }


@pytest.mark.parametrize("event", ["push", "new-branch", "tag", "forced-push"])
@pytest.mark.parametrize("dialect", ["forgejo", "gitea", "gitee", "github"])
def test_the_newest_commit_is_the_same_where_it_is_told_apart(dialect: str, event: str) -> None:
    if event in SPOKEN[dialect]:
        told = json.loads(simulate(dialect, replace(PUSH, event=event), None).body)["head_commit"]
        assert (told["id"], told["message"], told["author"]["email"]) == (
            LAST.id,
            LAST.message,
            "ann@example.com",
        )
        assert [told[kind] or [] for kind in ("added", "removed", "modified")] == [[], [], LAST.files]


@pytest.mark.parametrize("dialect", sorted(SIGNED))
def test_it_says_the_id_that_the_receiver_gives_it(dialect: str) -> None:
    secret = "a long enough secret"
    options = {"secret": secret, **({"allow_sha1": True} if dialect == "launchpad" else {})}
    simulated = simulate(dialect, PUSH, secret)
    with Receiver({"change_hook_dialects": {dialect: options}}) as receiver:
        assert receiver.send(request(simulated, dialect)).status == 202
        assert [stored.delivery for stored in receiver.deliveries()] == [simulated.id]


@pytest.mark.parametrize("dialect", sorted(SIGNED | {"base"}))
def test_it_is_signed_as_the_forge_signs(dialect: str) -> None:
    options = {"secret": "s3cret", **({"allow_sha1": True} if dialect == "launchpad" else {})}
    handler = make_handler(installed().load(dialect), options, Context(name=dialect))
    right = request(simulate(dialect, PUSH, "s3cret"), dialect)
    assert handler.getChanges(right)[0]
    with pytest.raises(NotAuthenticated):
        result = handler.getChanges(request(simulate(dialect, PUSH, "wrong"), dialect))
        result_of(result)


@pytest.mark.parametrize(
    ("dialect", "event"),
    [(dialect, event) for dialect in sorted(SIGNED) for event in sorted(SPOKEN[dialect])],
)
def test_a_strict_endpoint_takes_every_event_and_knows_it_again(dialect: str, event: str) -> None:
    secret = "a long enough secret"
    options = {"secret": secret, "strict": True, "look_up": False}
    if dialect == "launchpad":
        options["allow_sha1"] = True
    simulated = simulate(dialect, replace(PUSH, event=event), secret)
    with Receiver({"change_hook_dialects": {dialect: options}}) as receiver:
        result = receiver.send(request(simulated, dialect))
        quiet = event == "ping" or (event == "deletion" and not dialect.startswith("bitbucket"))
        assert (result.status, bool(result.changes)) == (202, not quiet), result.text
        if result.changes:
            assert "duplicate" in receiver.send(request(simulated, dialect)).text


def test_gitlabs_signing_token() -> None:
    token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    handler = make_handler(installed().load("gitlab"), {"secret": token}, Context(name="gitlab"))
    assert handler.getChanges(request(simulate("gitlab", PUSH, token), "gitlab"))[0]


def test_github_signs_twice() -> None:
    headers = simulate("github", PUSH, "s3cret").headers
    assert headers["X-Hub-Signature"].startswith("sha1=")
    assert headers["X-Hub-Signature-256"].startswith("sha256=")


@pytest.mark.parametrize("dialect", sorted(set(SPOKEN) - {"bitbucket", "gitorious"}))
def test_each_has_a_name_of_its_own(dialect: str) -> None:
    first, second = (simulate(dialect, replace(PUSH, branch=name), None) for name in ("a", "b"))
    assert first.id != second.id
    assert first.id


def test_what_cannot_be_simulated_is_named() -> None:
    with pytest.raises(CannotSimulate, match="gitlab has no ping; valid events are push, new-branch"):
        simulate("gitlab", replace(PUSH, event="ping"), None)
    with pytest.raises(CannotSimulate, match="base has no tag; valid events are push"):
        simulate("base", replace(PUSH, event="tag"), None)
    with pytest.raises(CannotSimulate, match="there is no dialect 'nonsense'"):
        simulate("nonsense", PUSH, None)
    with pytest.raises(CannotSimulate, match="'secret' needs 'allow_sha1'"):
        simulate("launchpad", PUSH, "x", options={"secret": "x"})


def test_a_class_of_ours_under_a_name_of_ones_own_has_its_recorded_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when it is registered by another path."""
    ours = EntryPoint("ours", "tests.dialects.test_gitea:GiteaHandler", "change_hooks.dialects")
    broken = EntryPoint("broken", "no_such_module:X", "change_hooks.dialects")
    registry = Registry([*installed().entries, ours, broken])
    monkeypatch.setattr(module, "installed", lambda: registry)
    assert simulate("ours", PUSH, None).id


def test_a_dialect_of_ones_own_is_found_by_its_recorded_deliveries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = installed().load("github")

    class Odd:
        def __init__(self, master: Any, options: Any) -> None: ...

        def getChanges(self, request: Any) -> Any: ...

    class Found:
        def load(self, name: str) -> Any:
            return {"mine": handler, "odd": Odd}[name]

        def names_of(self, cls: type) -> list[str]:
            return ["mine"]

    monkeypatch.setattr(module, "installed", Found)
    with pytest.raises(CannotSimulate, match="no recorded deliveries of 'mine'"):
        simulate("mine", PUSH, None)
    with pytest.raises(CannotSimulate, match="does not declare how its sender signs"):
        simulate("odd", PUSH, None)
    body = {
        "ref": "refs/heads/main",
        "before": "a" * 40,
        "after": "b" * 40,
        "repository": {"full_name": "octo-org/api", "html_url": "https://mine.example/octo-org/api"},
        "commits": [],
    }
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "7"}
    Recorded("mine/push__plain", json.dumps(body).encode(), headers, []).save(tmp_path)
    simulated = simulate("mine", PUSH, "s3cret", folders=[tmp_path])
    assert json.loads(simulated.body) == {
        "ref": "refs/heads/topic",
        "before": "d0" * 20,
        "after": LAST.id,
        "repository": {"full_name": "acme/widget", "html_url": "https://forge.example/acme/widget"},
        "commits": [],
    }
    assert simulated.headers["X-Github-Delivery"] == simulated.id != "7"
    assert simulated.headers["X-Hub-Signature-256"]


def test_a_generic_endpoint_is_read_and_signed_as_its_options_say(tmp_path: Path) -> None:
    options = {
        "secret": "s3cret",
        "signature": {"header": "X-Mine", "algorithm": "sha256"},
        "event": {"header": "X-Event"},
        "repository": {"full_name": "repo.path", "https": "repo.clone"},
        "refs": {"each": "updates", "ref": "name", "before": "old", "after": "new"},
    }
    update = {"name": "refs/heads/main", "old": "a" * 40, "new": "b" * 40}
    repository = {"path": "octo-org/api", "clone": "https://mine.example/octo-org/api.git"}
    body = json.dumps({"repo": repository, "updates": [update]}).encode()
    headers = {"Content-Type": "application/json", "X-Event": "push"}
    Recorded("generic/push__plain", body, headers, []).save(tmp_path)
    simulated = simulate("generic", PUSH, "s3cret", options=options, folders=[tmp_path])
    handler = make_handler(installed().load("generic"), options, Context(name="generic"))
    (change,) = handler.getChanges(request(simulated, "generic"))[0]
    assert (change.branch, change.revision) == ("topic", LAST.id)
    assert change.repository == "https://forge.example/acme/widget.git"


def test_every_dialect_of_a_forge_is_here() -> None:
    assert set(SPOKEN) == set(installed().names()) - {"base", "generic", "poller"}

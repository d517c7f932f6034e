"""What a payload leaves out: asked of each forge, and said when it cannot be had."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from treq.testing import StubTreq
from twisted.internet.task import Clock

from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.forges import completing
from change_hooks.forges.completing import Commits, completed, with_commits
from change_hooks.forges.github import GitHub
from change_hooks.forges.rest import RestError, Unsupported
from tests.conftest import has_fired, result_of
from tests.support import fake_git_forges, fake_gitlab
from tests.support.fake_api import HANG, NOT_FOUND, Say
from tests.support.fake_git_forges import sha
from tests.support.fake_github import FakeGitHub
from tests.support.forge_clients import CLIENTS, WITH_COMMITS, client, pushed, run

BY_PUSH = ("bitbucketcloud", "bitbucketserver")
#: Of each fake: how it says the file number *n*.
FILES: dict[str, Any] = {
    "gitlab": lambda n: {"old_path": f"{n}.c", "new_path": f"{n}.c"},
    "gitea": lambda n: {"filename": f"{n}.c"},
    "bitbucketcloud": lambda n: {"old": {"path": f"{n}.c"}, "new": {"path": f"{n}.c"}},
    "bitbucketserver": lambda n: {"path": {"toString": f"{n}.c"}},
    "azuredevops": lambda n: {"item": {"path": f"/{n}.c"}},
}
#: Answers by which something cannot be had.
REFUSED = {
    "gone": NOT_FOUND,
    "limited": Say({}, 429, {"Retry-After": "30"}),
    "broken": Say({}, 502),
    "cut": Say(body=b'[{"id": "'),
    "elsewhere": Say(None, 302, {"Location": "https://evil.example/"}),
}


def enriched(forge: Any, event: Any) -> Any:
    later = forge.enrich(event, complete=True)
    for _ in range(300):
        if has_fired(later):
            break
        forge.http.flush()
    return result_of(later)


def listed(name: str, total: int = 23, last: int = 5) -> RefUpdate:
    """A push of so many commits, of which the payload lists the last."""
    commits = [Commit(sha(n), "as sent", files=["x.c"]) for n in range(100 + total - last + 1, 101 + total)]
    return replace(pushed(name, 100, 100 + total), commits=commits, total=total)


def pull(name: str) -> PullRequest:
    repository = Repository(full_name=CLIENTS[name][2])
    return PullRequest(
        repository=repository,
        number=3,
        action="opened",
        head=Side(branch="topic", revision=sha(9)),
        base=Side(branch="main", revision=sha(1)),
    )


# Pushes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_COMMITS)
def test_commits_over_the_limit_come_with_their_files(name: str) -> None:
    forge, _ = client(name)
    update = enriched(forge, listed(name))
    assert [commit.id for commit in update.commits] == [sha(number) for number in range(101, 124)]
    assert (update.commits[0].files[:2], update.commits[-1].files) == (["a.c", "b.c"], ["x.c"])
    assert update.commits[-1].message == "as sent"
    assert update.is_complete and update.total == 23


@pytest.mark.parametrize("name", WITH_COMMITS)
@pytest.mark.parametrize("how", REFUSED)
def test_commits_that_cannot_be_had_are_counted_as_missing(name: str, how: str) -> None:
    forge, api = client(name)
    api.instead = [REFUSED[how]]
    assert enriched(forge, listed(name)) == listed(name)
    assert len(api.asked) == 1


@pytest.mark.parametrize("name", WITH_COMMITS)
@pytest.mark.parametrize("how", REFUSED)
def test_an_answer_that_fails_in_the_middle_of_paging_costs_what_it_has_not_said(name: str, how: str) -> None:
    forge, api = client(name)
    if name == "azuredevops":
        api.pushed = list(range(350, 100, -1))  # type: ignore[attr-defined]
    api.instead = [None, REFUSED[how]]
    event = replace(pushed(name, 100, 350), commits=(), total=None)
    update = enriched(forge, event)
    assert (update.commits, update.total) == ((), True)
    assert len(api.asked) >= 2


@pytest.mark.parametrize("name", WITH_COMMITS)
def test_a_push_without_commits_of_which_nothing_can_be_had(name: str) -> None:
    forge, api = client(name)
    api.instead = [Say({}, 500)] * 9
    update = enriched(forge, pushed(name, 100, 123))
    assert (update.commits, update.head, update.total) == ((), None, True)


@pytest.mark.parametrize("name", WITH_COMMITS)
def test_a_new_branch_without_commits_has_the_one_that_it_is_on(name: str) -> None:
    forge, _ = client(name)
    update = enriched(forge, replace(pushed(name, 100, 123), before=None, created=True))
    assert (update.head.id, update.head.files[:2], update.total) == (sha(123), ["a.c", "b.c"], None)
    assert update.head.message.startswith("commit 123")


@pytest.mark.parametrize("name", BY_PUSH)
def test_the_files_of_a_push_that_is_one_change(name: str) -> None:
    forge, api = client(name)
    api.files += [FILES[name](number) for number in range(25)]  # type: ignore[attr-defined]
    head = Commit(sha(123), "as sent", url="there")
    update = enriched(forge, replace(pushed(name, 100, 123), head=head, total=True))
    assert update.head == replace(head, files=update.head.files)
    assert update.head.files[:2] == ["a.c", "b.c"] and len(update.head.files) >= 27
    assert (update.commits, update.total) == ((), None)
    asked = api.asked[0]
    assert {sha(100), sha(123)} <= {*asked.query.values(), *asked.path.rpartition("/")[2].split("..")}


@pytest.mark.parametrize("name", BY_PUSH)
@pytest.mark.parametrize("how", REFUSED)
def test_the_files_of_a_push_that_cannot_be_had(name: str, how: str) -> None:
    forge, api = client(name)
    api.files += [FILES[name](number) for number in range(25)]  # type: ignore[attr-defined]
    api.instead = [None, REFUSED[how]]
    event = replace(pushed(name, 100, 123), head=Commit(sha(123), "as sent"), total=True)
    assert enriched(forge, event) == event
    assert len(api.asked) == 2


@pytest.mark.parametrize("name", BY_PUSH)
def test_a_tag_and_a_new_branch_have_the_files_of_their_commit(name: str) -> None:
    for more in ({"ref": "refs/tags/v1"}, {"before": None}):
        forge, api = client(name)
        update = enriched(forge, replace(pushed(name, 100, 123), **more))
        assert update.head.message.startswith("commit 123") and update.head.files[:2] == ["a.c", "b.c"]
        assert all(sha(123) in path for path in api.paths())


@pytest.mark.parametrize("name", WITH_COMMITS)
def test_as_many_commits_as_are_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__(f"change_hooks.forges.{name}", fromlist=["x"])
    monkeypatch.setattr(module, "MOST_COMMITS", module.PAGE)
    forge, api = client(name)
    if name == "azuredevops":
        api.pushed = list(range(350, 100, -1))  # type: ignore[attr-defined]
    update = enriched(forge, replace(pushed(name, 100, 350), total=250))
    assert (update.commits[-1].id, update.total) == (sha(350), 250)
    assert len(update.commits) == (7 if name == "gitea" else module.PAGE)


def test_the_newest_commits_have_their_files_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "MOST_COMMIT_FILES", 2)
    forge, _ = client("gitlab")
    update = enriched(forge, pushed("gitlab", 100, 105))
    assert [commit.files is not None for commit in update.commits] == [False] * 3 + [True] * 2


def test_one_commit_whose_files_are_gone_costs_no_other_its_own() -> None:
    forge, api = client("gitlab")
    api.instead = [None, NOT_FOUND]
    update = enriched(forge, pushed("gitlab", 100, 103))
    assert [commit.files is not None for commit in update.commits] == [True, True, False]


def test_time_that_runs_out_costs_what_has_not_come() -> None:
    forge, api = client("gitlab")
    api.instead = [None, None, HANG]
    later = forge.enrich(pushed("gitlab", 100, 103), complete=True)
    forge.clock.advance(3.1)
    assert [commit.files is not None for commit in result_of(later).commits] == [False, False, True]


def test_a_tag_that_is_an_object_of_its_own_keeps_its_name() -> None:
    forge, api = client("gitlab")
    api.commits.append({**api.commits[6], "id": sha(9)})  # type: ignore[attr-defined]
    api.instead = [Say({"id": sha(7), "message": "m"})]
    update = enriched(forge, replace(pushed("gitlab", 1, 9), ref="refs/tags/v1"))
    assert (update.head.id, update.head.message) == (sha(9), "m")


def test_of_several_refs_that_azure_pushed_at_once_nobody_says_whose_the_commits_are() -> None:
    forge, api = client("azuredevops")
    update = enriched(forge, replace(pushed("azuredevops", 100, 123), push=None))
    assert (update.commits, update.total, update.head.message) == ((), True, "commit 123")
    assert not any(path.endswith("/commits") for path in api.paths())


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://dev.azure.com/acme/p/_git/r", True),
        ("https://acme@dev.azure.com/acme/_git/p", True),
        ("https://acme.visualstudio.com/DefaultCollection/p/_git/r", True),
        ("https://evil.example/acme/p/_git/r", True),
        ("https://[", False),
        ("", False),
    ],
)
def test_the_organization_of_a_repository_of_azure_stands_in_its_address(url: str, asked: bool) -> None:
    forge, api = client("azuredevops")
    repository = Repository(full_name="p/r", urls={"https": url})
    update = replace(pushed("azuredevops", 100, 123), repository=repository)
    assert bool(enriched(forge, update).commits) is asked
    assert all(path.startswith("/acme/p/_apis/git/repositories/r/") for path in api.paths())


def test_a_project_of_azure_may_have_a_space_in_its_name() -> None:
    forge, _ = client("azuredevops")
    repository = Repository(
        full_name="My Project/r", urls={"https": "https://dev.azure.com/acme/My%20Project/_git/r"}
    )
    update = replace(pushed("azuredevops", 100, 123), repository=repository)
    assert len(enriched(forge, update).commits) == 23
    assert forge.git_url("acme/My Project/r") == "https://dev.azure.com/acme/My%20Project/_git/r"


def test_commits_of_which_the_payload_knows_more_are_another_comparison() -> None:
    known = [Commit(sha(n), files=[]) for n in (1, 2)]
    update = replace(pushed("gitlab", 0, 2), commits=known, total=9)
    assert with_commits(update, Commits([Commit(sha(1))])) == update
    assert with_commits(replace(update, total=None), Commits([])).total is True
    # What is cut may be the newest ones, as the payload has them.
    both = with_commits(update, Commits([Commit(sha(0)), Commit(sha(1))], whole=False))
    assert ([commit.id for commit in both.commits], both.total) == ([sha(0), sha(1), sha(2)], 9)
    assert both.commits[1].files == []
    assert with_commits(replace(update, total=3), Commits([Commit(sha(0))], whole=False)).total is True


def test_a_new_branch_on_gitlab_has_what_is_not_on_the_default_branch() -> None:
    forge, api = client("gitlab")
    event = replace(listed("gitlab"), before=None, created=True, since="main")
    update = enriched(forge, event)
    assert ids(update) == list(range(101, 124)) and update.total == 23
    assert api.asked[0].query["ref_name"] == f"main..{sha(123)}"


@pytest.mark.parametrize("default", [121, 123, 90, 0])
def test_a_new_branch_on_gitlab_of_which_the_default_branch_has_some_or_has_lost_some(default: int) -> None:
    """It was merged meanwhile, or the default branch was moved back: what is missing is said."""
    forge, api = client("gitlab")
    api.default = default  # type: ignore[attr-defined]
    event = replace(listed("gitlab"), before=None, created=True, since="main")
    update = enriched(forge, event)
    assert (update.commits, update.total) == (event.commits, 23)
    assert sum(path.endswith("/commits") for path in api.paths()) == 1


def test_a_new_branch_on_gitlab_of_which_the_default_branch_has_the_oldest_commits_has_the_others() -> None:
    forge, api = client("gitlab")
    api.default = 110  # type: ignore[attr-defined]
    update = enriched(forge, replace(listed("gitlab"), before=None, created=True, since="main"))
    assert (ids(update), update.total) == (list(range(111, 124)), 23)


def test_a_new_branch_on_gitlab_that_is_the_first_one() -> None:
    forge, api = client("gitlab")
    event = replace(listed("gitlab"), before=None, created=True)
    assert enriched(forge, event) == event
    assert api.asked == []
    with pytest.raises(Unsupported):
        run(forge.commits(event))


def held(*numbers: int, whole: bool = True, **parents: Any) -> Commits:
    """An answer of the API; ``_5=(4, 3)`` are the parents of one."""
    named = {sha(int(name[1:])): [sha(number) for number in each] for name, each in parents.items()}
    return Commits([Commit(sha(number)) for number in numbers], whole, named)


def ids(update: RefUpdate) -> list[int]:
    return [int(commit.id, 16) for commit in update.commits]


def moved(before: int, after: int, total: Any = None, *listed: int) -> RefUpdate:
    commits = [Commit(sha(number), "as sent") for number in listed]
    return replace(pushed("gitlab", before, after), commits=commits, total=total)


def test_more_commits_than_the_payload_counts_are_not_believed() -> None:
    event = moved(10, 20, 3, 20)
    for whole in (True, False):
        assert with_commits(event, held(16, 17, 18, 19, 20, whole=whole)) == event
    assert ids(with_commits(event, held(18, 19, 20))) == [18, 19, 20]
    fewer = with_commits(event, held(19, 20))
    assert (ids(fewer), fewer.total) == ([19, 20], 3)
    # Where it does not count them, there is nothing to compare with.
    assert ids(with_commits(moved(10, 20, True, 20), held(16, 17, 18, 19, 20))) == [16, 17, 18, 19, 20]


def test_commits_without_the_one_that_the_ref_is_on_now_are_those_of_something_else() -> None:
    assert with_commits(moved(10, 20), held(11, 12)) == replace(moved(10, 20), total=True)
    assert ids(with_commits(moved(10, 20), held(11, 12, whole=False))) == [11, 12]
    # A tag may be an object of its own.
    assert ids(with_commits(replace(moved(10, 20), ref="refs/tags/v1"), held(11, 12))) == [11, 12]


def test_one_that_is_listed_twice_is_there_once() -> None:
    assert ids(with_commits(moved(10, 13), held(11, 12, 11, 13, 13))) == [11, 12, 13]


def test_of_a_whole_history_only_what_the_old_commit_has_not() -> None:
    """10 is where it was. 12 was made beside it, earlier than it, and is merged by 13: it is new. 8 is old,
    though it is listed behind it.
    """
    parents = {"_8": (7,), "_9": (8,), "_10": (9, 8), "_12": (7,), "_13": (10, 12), "_14": (13,)}
    whole = held(12, 9, 10, 8, 13, 14, **parents)
    found = with_commits(moved(10, 14, 3, 14), whole)
    assert (ids(found), found.total) == ([12, 13, 14], 3)
    cut = held(9, 10, 12, 13, 14, whole=False, **parents)
    assert (ids(with_commits(moved(10, 14), cut)), with_commits(moved(10, 14), cut).total) == (
        [12, 13, 14],
        3,
    )


def test_of_a_whole_history_without_parents_what_comes_behind_the_old_commit() -> None:
    assert ids(with_commits(moved(10, 14, 2, 14), held(8, 9, 10, 13, 14))) == [13, 14]
    assert ids(with_commits(moved(10, 14, 2, 14), held(8, 9, 10, 13, 14, _14=(13,)))) == [13, 14]


def test_what_the_new_commit_does_not_have_is_not_there() -> None:
    parents = {"_11": (10,), "_12": (11,), "_31": (10,), "_14": (12,)}
    assert ids(with_commits(moved(10, 14), held(11, 31, 12, 14, **parents))) == [11, 12, 14]


def test_a_forced_push_has_the_commits_since_both_were_the_same() -> None:
    parents = {"_21": (5,), "_22": (21,)}
    forced = replace(moved(10, 22, 2, 22), forced=True)
    assert ids(with_commits(forced, held(21, 22, **parents))) == [21, 22]
    # The whole history: what both have is old, too, as far as it can be seen.
    history = {"_4": (3,), "_5": (4,), **parents}
    assert with_commits(forced, held(4, 5, 21, 22, **history)) == forced


@pytest.mark.parametrize("name", ["gitlab", "gitea"])
def test_the_parents_that_an_api_gives_are_used(name: str) -> None:
    forge, api = client(name)
    true = api.true_answer
    parents: dict[int, Any] = {102: [100], 101: [100], 99: [98], 103: [102, 101]}

    def with_history(asked: Any) -> Any:
        """It knows no ranges."""
        answer = true(asked)
        if isinstance(answer.value, list) and answer.value and asked.path.endswith("/commits"):
            rows = []
            for number in (103, 99, 102, 100, 101):
                row = dict(api.commit(number)) if name == "gitea" else fake_gitlab.commit(number)  # type: ignore[attr-defined]
                before = [sha(each) for each in parents.get(number, [99])]
                row |= {"parents": [{"sha": each} for each in before], "parent_ids": before}
                rows.append(row)
            answer.value = rows if asked.query["page"] == "1" else []
        return answer

    api.true_answer = with_history  # type: ignore[method-assign]
    found = with_commits(moved(100, 103), run(forge.commits(pushed(name, 100, 103))))
    assert (ids(found), found.total) == ([101, 102, 103], 3)


# Pull requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIENTS)
def test_the_files_and_the_last_commit_of_a_pull_request(name: str) -> None:
    forge, api = client(name)
    api.files += [FILES[name](number) for number in range(120)]  # type: ignore[attr-defined]
    found = enriched(forge, pull(name))
    assert found.files[:2] == ["a.c", "b.c"] and {f"{number}.c" for number in range(120)} <= {*found.files}
    assert (found.head_commit.id, found.files_cut) == (sha(9), False)
    known = replace(pull(name), files=["x"], head_commit=Commit(sha(9)))
    assert enriched(forge, known) == known


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("how", REFUSED)
def test_files_of_a_pull_request_that_cannot_be_had(name: str, how: str) -> None:
    forge, api = client(name)
    api.files += [FILES[name](number) for number in range(120)]  # type: ignore[attr-defined]
    api.instead = [None, REFUSED[how]]
    event = replace(pull(name), head_commit=Commit(sha(9)))
    assert enriched(forge, event) == event


@pytest.mark.parametrize("name", CLIENTS)
def test_as_many_files_as_are_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__(f"change_hooks.forges.{name}", fromlist=["x"])
    monkeypatch.setattr(module, "PAGES", 1)
    forge, api = client(name)
    api.files += [FILES[name](number) for number in range(120)]  # type: ignore[attr-defined]
    found = enriched(forge, pull(name))
    assert found.files_cut and 0 < len(found.files) <= 102


def test_a_merge_request_whose_difference_is_not_ready() -> None:
    forge, api = client("gitlab")
    api.files = []  # type: ignore[attr-defined]
    found = enriched(forge, pull("gitlab"))
    assert (found.files, found.files_cut) == ([], True)


def test_a_pull_request_of_bitbucket_from_a_fork() -> None:
    forge, api = client("bitbucketcloud")
    fork = Side(branch="topic", revision=sha(9), repository=Repository(full_name="ann/r"))
    found = enriched(forge, replace(pull("bitbucketcloud"), head=fork))
    assert found.files == ["a.c", "b.c", "c.c"]
    asked = next(each for each in api.asked if "diffstat" in each.path)
    assert asked.path == f"/2.0/repositories/w/r/diffstat/ann/r:{sha(9)}%0D{sha(1)}"
    assert (asked.query["from_pullrequest_id"], asked.query["topic"]) == ("3", "true")
    assert f"/2.0/repositories/ann/r/commit/{sha(9)}" in api.paths()


@pytest.mark.parametrize("revision", ["a%0Db", "..", "", "a:b", "a\r\nb"])
def test_no_address_is_built_of_a_strange_commit(revision: str) -> None:
    forge, api = client("bitbucketcloud")
    event = replace(pull("bitbucketcloud"), head=Side(revision=revision))
    assert enriched(forge, event) == event
    assert api.asked == []


def test_a_pull_request_of_azure_without_iterations() -> None:
    forge, api = client("azuredevops")
    api.instead = [Say({"value": [{}]})]
    event = replace(pull("azuredevops"), head_commit=Commit(sha(9)))
    assert enriched(forge, event) == event


# What was found at the forge ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["limited", "broken", "cut"])
@pytest.mark.parametrize("event", [pushed("gitlab", 100, 103), pull("gitlab")], ids=["push", "pull"])
def test_what_cannot_be_had_now_is_asked_for_again(how: str, event: Any) -> None:
    forge, api = client("gitlab")
    api.instead = [REFUSED[how]]
    with pytest.raises(RestError):
        run(completed(forge, event))
    api.instead = []
    forge.clock.advance(60)
    assert run(completed(forge, event)) != event


def test_what_is_gone_is_not() -> None:
    forge, api = client("gitlab")
    api.instead = [NOT_FOUND] * 9
    assert run(completed(forge, pull("gitlab"))) == pull("gitlab")
    update = run(completed(forge, pushed("gitlab", 100, 103)))
    assert (update.commits, update.total) == ((), True)


# Who may do what ----------------------------------------------------------------------------------

PEOPLE = {name: Person(login=name) for name in ("ann", "root", "eve", "nobody")}
WHO = dict.fromkeys(("gitlab", "gitea", "bitbucketserver"), PEOPLE) | {
    "bitbucketcloud": {name: Person(login="ann", id=f"{{{name}}}") for name in PEOPLE}
}


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize(
    ("who", "wanted", "may"),
    [
        ("ann", "write", True),
        ("ann", "read", True),
        ("ann", "admin", False),
        ("root", "admin", True),
        ("root", "write", True),
        ("eve", "write", False),
        ("nobody", "read", False),
    ],
)
def test_a_permission_is_asked_of_the_forge(name: str, who: str, wanted: str, may: bool) -> None:
    forge, _ = client(name)
    repository = Repository(full_name=CLIENTS[name][2])
    assert result_of(forge.permission(repository, WHO[name][who], wanted)) is may


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize(
    "said",
    [Say({}, 403), Say({}, 404), Say({}, 500), Say([]), Say({}), Say({"values": [5], "isLastPage": True})],
)
def test_a_permission_that_cannot_be_asked_is_none(name: str, said: Say) -> None:
    forge, api = client(name)
    api.instead = [said] * 3
    repository = Repository(full_name=CLIENTS[name][2])
    assert result_of(forge.permission(repository, WHO[name]["root"], "read")) is False


@pytest.mark.parametrize("name", CLIENTS)
def test_nobody_has_no_permission(name: str) -> None:
    forge, api = client(name)
    assert result_of(forge.permission(Repository(full_name=CLIENTS[name][2]), Person(), "read")) is False
    assert api.asked == []


KEYED = ("github", "gitlab", "gitea", "bitbucketserver")


def asked_about(name: str, who: Person, wanted: str = "write") -> tuple[bool, Any]:
    if name != "github":
        forge, api = client(name)
        repository = Repository(full_name=CLIENTS[name][2])
    else:
        api = FakeGitHub("token T")
        forge = GitHub(SimpleNamespace(token="T", github_api_endpoint=None), StubTreq(api), Clock())
        repository = Repository(full_name="o/r")
    return result_of(forge.permission(repository, who, wanted)), api


@pytest.mark.parametrize("name", KEYED)
def test_a_login_that_is_anothers_now_gives_no_permission(name: str) -> None:
    assert asked_about(name, Person(login="ann", id="11"))[0]
    # She wrote the comment as one who has been renamed, or somebody else was called so then.
    assert not asked_about(name, Person(login="ann", id="77"))[0]
    assert not asked_about(name, Person(login="root", id="12"))[0]
    # Without a key in the payload there is nothing but the login.
    assert asked_about(name, Person(login="ann"))[0]


@pytest.mark.parametrize("name", ["github", "gitea", "bitbucketserver"])
@pytest.mark.parametrize("key", [None, [], True, {}])
def test_where_the_forge_gives_no_key_the_login_decides(
    name: str, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fake in (FakeGitHub, fake_git_forges.FakeGitea, fake_git_forges.FakeBitbucketServer):
        monkeypatch.setattr(fake, "keys", property(lambda _: {"ann": key}, lambda *_: None), raising=False)
    assert asked_about(name, Person(login="ann", id="11"))[0]


def test_a_member_of_gitlab_is_asked_for_by_the_key() -> None:
    allowed, api = asked_about("gitlab", Person(login="renamed", id="11"))
    assert allowed and [path.rpartition("/")[2] for path in api.paths()] == ["11"]
    assert not asked_about("gitlab", Person(login="ann", id="../11"))[0]


def test_an_answer_about_another_member_is_none() -> None:
    forge, api = client("gitlab")
    api.members["11"]["id"] = 14  # type: ignore[attr-defined]
    assert result_of(forge.permission(Repository(full_name="g/sub/p"), PEOPLE["ann"], "read")) is False


def test_a_nickname_on_bitbucket_is_anybodys() -> None:
    forge, _ = client("bitbucketcloud")
    assert result_of(forge.permission(Repository(full_name="w/r"), Person(login="ann"), "read")) is False


def test_a_member_of_gitlab_who_is_blocked_or_gone() -> None:
    forge, api = client("gitlab")
    repository = Repository(full_name="g/sub/p")
    api.members["11"]["state"] = "blocked"  # type: ignore[attr-defined]
    assert result_of(forge.permission(repository, PEOPLE["ann"], "read")) is False
    api.members["11"] = {"id": 11, "access_level": "30"}  # type: ignore[attr-defined]
    assert result_of(forge.permission(repository, PEOPLE["ann"], "read")) is False
    api.members["14"]["access_level"] = 5  # type: ignore[attr-defined]
    assert result_of(forge.permission(repository, PEOPLE["root"], "read")) is False
    assert result_of(forge.permission(repository, Person(login="guest"), "read")) is True
    api.instead = [None, Say({}, 500)]
    assert result_of(forge.permission(repository, Person(login="guest"), "read")) is False


def test_a_gitea_that_lists_the_whole_history_gives_what_was_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    forge, _ = client("gitea")
    whole = enriched(forge, listed("gitea"))
    monkeypatch.setattr(fake_git_forges, "between", lambda before, after: list(range(int(after, 16), 0, -1)))
    assert enriched(forge, listed("gitea")).commits == whole.commits


def test_the_pull_request_of_a_comment_on_gitea() -> None:
    forge, api = client("gitea")
    known = PullRequest(
        repository=Repository(full_name="o/r"), number=3, action="edited", properties={"pr_id": 5, "a": 1}
    )
    found = run(forge.pull_request(known.repository, 3, known))
    assert (found.head.revision, found.head.branch, found.action) == (sha(9), "topic", "edited")
    assert (found.properties["head_sha"], found.properties["a"]) == (sha(9), 1)
    api.instead = [Say({"number": 3, "head_branch": "topic"})]
    with pytest.raises(RestError):
        run(forge.pull_request(known.repository, 3, known))

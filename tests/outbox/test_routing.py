from __future__ import annotations

from typing import Any

import pytest
from zope.interface import implementer

from change_hooks.core.address import repository_names
from change_hooks.core.change import MISSING, Change
from change_hooks.core.fetched import FETCH, POLL
from change_hooks.core.push import Push
from change_hooks.core.verdicts import Verdict
from change_hooks.interfaces import IDeliverySink
from change_hooks.outbox.routing import Routing, Unit, routes
from change_hooks.outbox.sink_options import routed
from tests.conftest import delivery
from tests.support.logs import logged


@implementer(IDeliverySink)
class Whole:
    name = "whole"


API = "https://github.com/octo-org/api.git"


def wanted(
    changes: list[Change], written: dict[str, Any], dialect: str = "github", sink: Any = print
) -> list[Unit]:
    read, problems = routed(sink, written, 100)
    assert problems == []
    found = read.wanted("s", changes, dialect)
    assert routes({"s": read}, changes, delivery(dialect=dialect)) == (
        (("s",), ()) if found else ((), ("s",))
    )
    return found


def is_wanted(change: Change, written: dict[str, Any], dialect: str = "github") -> bool:
    return bool(wanted([change], written, dialect))


def test_without_conditions_a_sink_gets_each_change_by_itself() -> None:
    assert wanted([Change(), Change()], {}) == [Unit((0,)), Unit((1,))]
    assert wanted([], {}) == []


@pytest.mark.parametrize(
    ("field", "pattern", "wanted", "unwanted"),
    [
        ("repositories", API, {"repository": API}, {"repository": "x"}),
        ("repositories", "octo-org/*", {"repository": API}, {"repository": "https://github.com/octo/api"}),
        ("branches", "ma[ix]n", {"branch": "main"}, {"branch": "Main"}),
        ("branches", "main", {"branch": "refs/heads/main"}, {"branch": None}),
        ("categories", "push", {"category": "push"}, {"category": "tag"}),
        ("projects", "a*", {"project": "api"}, {"project": "web"}),
        ("codebases", "c", {"codebase": "c"}, {"codebase": None}),
        ("files", "docs/*", {"files": ["a", "docs/b/c"]}, {"files": ["a"]}),
    ],
)
def test_only_lets_through_what_matches(
    field: str, pattern: str, wanted: dict[str, Any], unwanted: dict[str, Any]
) -> None:
    for patterns in (pattern, [pattern], ("nothing", pattern)):
        assert is_wanted(Change(**wanted), {"only": {field: patterns}})
        assert not is_wanted(Change(**unwanted), {"only": {field: patterns}})
        if field != "files":
            assert not is_wanted(Change(**wanted), {"unless": {field: patterns}})
            assert is_wanted(Change(**unwanted), {"unless": {field: patterns}})


def test_the_dialect_is_the_name_of_the_endpoint() -> None:
    assert is_wanted(Change(), {"only": {"dialects": ["git*"]}}, "gitlab")
    assert not is_wanted(Change(), {"only": {"dialects": ["git*"]}}, "base")
    assert not is_wanted(Change(), {"unless": {"dialects": ["git*"]}}, "gitlab")
    (routing,) = verdicts([Change()], {"unless": {"dialects": ["git*"]}, "latest_per": ["dialect"]})
    assert (routing.wanted, routing.group) == (False, "github")
    assert routing.verdicts == [Verdict("unless dialects", ("git*",), ("github",), passed=True)]
    (routing,) = verdicts([Change()], {"only": {"dialects": ["git*"]}, "when": lambda change: True})
    assert (routing.wanted, routing.verdicts[-1].value) == (True, ("yes",))


def test_all_fields_of_a_condition_must_match_and_one_of_several_conditions() -> None:
    both = {"branches": ["main"], "projects": ["api"]}
    one, other, neither = (
        Change(branch="main", project="api"),
        Change(branch="main", project="web"),
        Change(branch="x", project="web"),
    )
    assert [is_wanted(change, {"only": both}) for change in (one, other, neither)] == [True, False, False]
    assert [is_wanted(change, {"unless": both}) for change in (one, other, neither)] == [False, True, True]
    either = [{"branches": ["main"]}, {"projects": ["api"]}]
    assert [is_wanted(change, {"only": either}) for change in (one, other, neither)] == [True, True, False]
    assert [is_wanted(change, {"unless": either}) for change in (one, other, neither)] == [False, False, True]


def test_unless_files_needs_all_files_to_match() -> None:
    docs = {"unless": {"files": ["docs/*", "*.md"]}}
    assert not is_wanted(Change(files=["docs/a", "README.md"]), docs)
    assert is_wanted(Change(files=["docs/a", "src/b"]), docs)
    assert is_wanted(Change(files=[]), docs)


def test_files_that_are_not_known_hold_nothing_back() -> None:
    unknown = Change(properties={MISSING: ["files"]})
    assert is_wanted(unknown, {"only": {"files": ["docs/*"]}})
    assert is_wanted(unknown, {"unless": {"files": ["*"]}})
    assert not is_wanted(Change(files=[]), {"only": {"files": ["*"]}})


def test_when_is_asked_of_each_change() -> None:
    asked: list[Change] = []

    def when(change: Change) -> bool:
        asked.append(change)
        return change.revision == "2"

    changes = [Change(revision="1"), Change(revision="2")]
    assert wanted(changes, {"when": when}) == [Unit((1,))]
    assert asked[:2] == changes


def test_when_that_breaks_is_left_to_the_hand_over() -> None:
    def when(change: Change) -> bool:
        raise RuntimeError("broken")

    with logged() as log:
        assert wanted([Change()], {"when": when}) == [Unit((0,))]
    assert set(log) == {"'when' of the sink s broke: RuntimeError"}


def test_a_push_is_one_unit_and_wanted_as_a_whole() -> None:
    changes = [
        Change(branch="main", repository=API, files=["docs/a"]),
        Change(branch="dev", repository=API),
        Change(branch="main", repository=API, files=["src/b"]),
    ]
    assert wanted(changes, {"per": "push"}) == [Unit((1,)), Unit((0, 2))]
    assert wanted(changes, {"per": "push", "only": {"files": ["docs/*"]}}) == [Unit((0, 2))]
    asked: list[Any] = []
    wanted(changes, {"per": "push", "when": asked.append})
    assert asked[:2] == [Push.of([changes[1]]), Push.of([changes[0], changes[2]])]


def test_what_no_condition_lets_through_is_not_wanted_at_all() -> None:
    assert wanted([Change()], {"only": {"branches": ["x"]}}) == []


def test_a_group_is_what_is_alike_in_the_fields_that_are_named() -> None:
    changes = [Change(branch="main", repository=API), Change(branch="dev", repository=API), Change()]
    found = wanted(changes, {"latest_per": ("repository", "branch")})
    assert found == [Unit((0,), f"{API} | main"), Unit((1,), f"{API} | dev"), Unit((2,), "- | -")]
    assert wanted(changes, {"latest_per": ["dialect"]}, "gitlab") == [
        Unit((index,), "gitlab") for index in range(3)
    ]


@pytest.mark.parametrize("method", [POLL, FETCH])
def test_what_did_not_come_with_a_request_is_for_no_sink_of_deliveries(method: bytes) -> None:
    sinks = {"whole": routed(Whole(), {}, 100)[0], "each": routed(print, {}, 100)[0]}
    found = delivery(dialect="git", method=method)
    assert routes(sinks, [Change()], found) == (("each",), ("whole",))
    assert routes(sinks, [Change()], delivery(dialect="git")) == (("whole", "each"), ())
    (seen,) = sinks["whole"].verdicts("whole", [Change()], found)
    assert not seen.wanted
    assert seen.verdicts == [Verdict("arrived in a request", ("yes",), ("no",), passed=False)]
    (other,) = sinks["each"].verdicts("each", [Change()], found)
    assert other.wanted


def test_a_sink_of_deliveries_gets_them_whole_when_one_change_is_wanted() -> None:
    changes = [Change(branch="main", repository=API), Change(branch="dev")]
    only = {"only": {"branches": ["dev"]}}
    assert wanted(changes, only, sink=Whole()) == [Unit((0, 1))]
    assert wanted(changes[:1], only, sink=Whole()) == []
    assert wanted([], {}, sink=Whole()) == []


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (API, {API, "github.com/octo-org/api", "octo-org/api"}),
        ("git@github.com:octo-org/api.git", {"octo-org/api", "github.com:octo-org/api"}),
        ("ssh://git@host:7999/a/b.git", {"a/b", "host:7999/a/b"}),
        ("https://host:8443/a/b/", {"a/b", "host:8443/a/b"}),
        ("/srv/git/x.git", {"srv/git/x", "/srv/git/x"}),
        ("ssh://git@host:79/a/b.git", {"a/b", "host:79/a/b"}),
        ("git@host:a/b:c.git", {"a/b:c", "host:a/b:c"}),
        ("x", {"x"}),
        ("", {""}),
    ],
)
def test_a_repository_has_several_names(address: str, names: set[str]) -> None:
    assert names | {address} == set(repository_names(address))


def verdicts(changes: list[Change], written: dict[str, Any]) -> list[Routing]:
    read, problems = routed(print, written, 100)
    assert problems == []
    return read.verdicts("s", changes, delivery(dialect="github"))


def test_each_test_of_a_sink_can_be_seen() -> None:
    changes = [Change(branch="main", repository=API, files=["a", "b"])]
    (routing,) = verdicts(
        changes,
        {"only": [{"branches": ["x"]}, {"repositories": ["octo-org/*"]}], "unless": {"files": ["a"]}},
    )
    assert (routing.sink, routing.changes, routing.wanted, routing.group) == ("s", (0,), True, "")
    assert routing.verdicts == [
        Verdict("only branches", ("x",), ("main",), passed=False),
        Verdict(
            "only repositories",
            ("octo-org/*",),
            (API, "github.com/octo-org/api", "octo-org/api"),
            passed=True,
        ),
        Verdict("unless files", ("a",), ("a", "b"), passed=False),
    ]


@pytest.mark.parametrize(
    ("branch", "answer", "value", "wanted"),
    [("main", 1, "yes", True), ("main", 0, "no", False), ("x", 1, "not asked", False)],
)
def test_and_what_when_says(branch: str, answer: int, value: str, wanted: bool) -> None:
    written = {"only": {"branches": ["main"]}, "when": lambda change: answer, "latest_per": ["branch"]}
    (routing,) = verdicts([Change(branch=branch)], written)
    assert (routing.wanted, routing.group) == (wanted, branch)
    assert routing.verdicts[-1] == Verdict("when", ("true",), (value,), passed=value != "no")


@pytest.mark.parametrize("per", ["change", "push"])
def test_what_is_seen_is_what_is_done(per: str) -> None:
    changes = [Change(branch=branch, files=[branch]) for branch in ("a", "a", "b")]
    for written in ({}, {"only": {"branches": ["a"]}}, {"unless": {"files": ["b"]}}):
        read, _ = routed(print, {**written, "per": per}, 100)
        done = {unit.changes for unit in read.wanted("s", changes, "github")}
        assert {
            each.changes for each in read.verdicts("s", changes, delivery(dialect="github")) if each.wanted
        } == done

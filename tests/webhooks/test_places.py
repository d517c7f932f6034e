"""Which webhooks a configuration means."""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.config import read_www
from change_hooks.core.errors import ConfigurationError
from change_hooks.tree import idle_tree
from change_hooks.webhooks.places import Asked, hook_url, not_among, places

SECRET = "a long enough secret"


def meant(dialects: dict[str, Any], *endpoints: str, **asked: Any) -> list[tuple[str, str]]:
    return [(place.endpoint, place.source.name) for place in found(dialects, *endpoints, **asked)]


def found(dialects: dict[str, Any], *endpoints: str, **asked: Any) -> list[Any]:
    return with_left_out(dialects, *endpoints, **asked)[0]


def with_left_out(dialects: dict[str, Any], *endpoints: str, **asked: Any) -> tuple[list[Any], list[str]]:
    clock = Clock()
    tree = idle_tree(read_www({"change_hook_dialects": dialects}), clock)
    left_out: list[str] = []
    meant = places(
        tree.handlers,
        Asked(endpoints, **asked),
        http=None,
        clock=clock,
        left_out=lambda name, error: left_out.extend([name, *error.problems]),
    )
    return list(meant), left_out


def github(**options: Any) -> dict[str, Any]:
    return {"secret": SECRET, "strict": True, **options}


def test_the_repositories_are_those_that_the_options_name() -> None:
    dialects = {
        "github": github(
            recover={"from": ["acme/site", "org:acme", {"repository": "acme/tools", "hook": 7}, "app"]},
            repositories=[
                "acme/site",
                "acme/other",
                "acme/*",
                "https://github.com/acme/x",
                "single",
                "a/b/c",
            ],
        ),
        "base": True,
        "second": github(dialect="github", repositories=["o/r"]),
        "third": github(dialect="github"),
    }
    assert meant(dialects) == [
        ("github", "acme/site"),
        ("github", "org:acme"),
        ("github", "acme/tools 7"),
        ("github", "acme/other"),
        ("second", "o/r"),
    ]
    assert meant(dialects, "second") == [("second", "o/r")]


def test_named_ones_come_instead() -> None:
    dialects = {"github": github(repositories=["acme/site"])}
    assert meant(dialects, repositories=["o/r", "org:acme"]) == [("github", "o/r"), ("github", "org:acme")]


@pytest.mark.parametrize(
    ("dialects", "endpoints", "asked", "problem"),
    [
        ({"github": github()}, ["gitlab"], {}, "no endpoint 'gitlab'; valid names are github"),
        ({"base": True}, ["base"], {}, "base: webhooks can be managed at .*github"),
        ({"github": github()}, ["github"], {}, "github: name the repositories: --repository OWNER/NAME"),
        (
            {"github": github(), "second": github(dialect="github")},
            [],
            {"repositories": ["o/r"]},
            "name the endpoint of --repository: one of github, second",
        ),
        ({"github": github()}, [], {"repositories": ["o"]}, "--repository has 'o'; write OWNER/NAME"),
        (
            {"github": github()},
            [],
            {"repositories": ["o/r/s"]},
            "'o/r/s': a repository's name has 2 parts at this forge",
        ),
        ({"github": github()}, [], {"repositories": ["app"]}, "github: webhooks of app cannot be managed"),
        (
            {"github": github()},
            [],
            {"repositories": ["o/r"], "url": "ci.example.com"},
            "--url: url must begin with http:// or https://",
        ),
        (
            {"github": github(secret=b"\xff" * 20)},
            [],
            {"repositories": ["o/r"]},
            "github: the secret is not valid UTF-8 text",
        ),
        (
            {"github": github(secret=lambda delivery: SECRET)},
            [],
            {"repositories": ["o/r"]},
            "github: the secret is a callable; give the one to write with --secret",
        ),
        (
            {"github": github(github_api_endpoint="")},
            [],
            {"repositories": ["o/r"]},
            None,
        ),
    ],
)
def test_what_is_not_said_well_enough_is_an_error(
    dialects: dict[str, Any], endpoints: list[str], asked: dict[str, Any], problem: str | None
) -> None:
    if problem is None:
        assert meant(dialects, *endpoints, **asked) == [("github", "o/r")]
        return
    with pytest.raises(ConfigurationError) as error:
        found(dialects, *endpoints, **asked)
    assert re.search(problem, error.value.problems[0])


CALLABLE = github(secret=lambda delivery: SECRET, repositories=["o/r"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (CALLABLE, "the secret is a callable"),
        ({"dialect": "gitea", "secret": SECRET, "repositories": ["o/r"]}, "set the option 'api'"),
        (github(secret=b"\xff" * 20, repositories=["o/r"]), "the secret is not valid UTF-8 text"),
        (github(recover={"from": ["app"]}), None),
    ],
)
def test_what_one_endpoint_lacks_stops_no_other(options: dict[str, Any], problem: str | None) -> None:
    dialects = {"first": {"dialect": "github", **options}, "github": github(repositories=["o/r"])}
    meant, left_out = with_left_out(dialects)
    assert [place.endpoint for place in meant] == ["github"]
    if problem is None:
        assert left_out == []
        return
    name, said = left_out
    assert name == "first"
    assert problem in said
    with pytest.raises(ConfigurationError, match=problem):
        with_left_out(dialects, "first", "github")
    assert [place.endpoint for place in with_left_out(dialects, "github")[0]] == ["github"]


def test_the_address_of_another_endpoint_is_an_error() -> None:
    for url in (
        "https://ci/change_hook/gitlab",
        "https://ci/x/change_hook/github/",
        "http://ci/change_hook/a/b",
    ):
        if url.rstrip("/").endswith("github"):
            assert hook_url(url, "github") == url.rstrip("/")
        else:
            with pytest.raises(ConfigurationError, match="not to the endpoint 'github'"):
                hook_url(url, "github")


def test_what_else_has_the_same_secret() -> None:
    everything = {
        "github": github(
            repositories=["o/r", "o/s"], recover={"from": [{"repository": "o/r", "hook": 7}, "org:o"]}
        )
    }
    assert not_among(found(everything)) == ([], [])
    assert not_among(found(everything, repositories=["o/r"])) == (["github, org:o", "github, o/s"], [])
    assert not_among(found({"github": github()}, repositories=["o/r"])) == ([], ["github"])
    assert not_among(found({"github": github(repositories=["o/r", "o/*"])})) == ([], ["github"])
    assert not_among(found({"github": github()}, repositories=["org:o"])) == ([], [])


def test_the_first_secret_is_written_and_none_where_there_is_none() -> None:
    (place,) = found({"github": github(secret=["new secret of length", SECRET], repositories=["o/r"])})
    assert place.wanted.secret == "new secret of length"
    (place,) = found({"github": {"repositories": ["o/r"]}})
    assert place.wanted.secret is None
    dialects = {"github": github(secret=lambda delivery: SECRET, repositories=["o/r"])}
    (place,) = found(dialects, secret="given")
    assert place.wanted.secret == "given"
    assert "given" not in repr(place)


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("", ""),
        ("https://ci.example.com", "https://ci.example.com/change_hook/github"),
        ("https://ci.example.com/", "https://ci.example.com/change_hook/github"),
        ("https://ci.example.com/change_hook", "https://ci.example.com/change_hook/github"),
        ("https://ci.example.com/change_hook/github", "https://ci.example.com/change_hook/github"),
        ("https://ci.example.com/buildbot/", "https://ci.example.com/buildbot/change_hook/github"),
        ("http://u:p@h:8010/?project=x", "http://u:p@h:8010/change_hook/github?project=x"),
    ],
)
def test_the_address_may_be_that_of_the_server_or_of_the_endpoint(url: str, made: str) -> None:
    assert hook_url(url, "github") == made

"""What a configuration may ask to be recovered."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks import ConfigurationError
from change_hooks.config import read_www


def read(options: Any, dialect: str = "github", **more: Any) -> list[str]:
    www = {"change_hook_dialects": {dialect: {"secret": "a long enough secret", **options}}, **more}
    try:
        read_www(www)
    except ConfigurationError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("via", [None, "fetch", "redeliver"])
def test_github(via: str | None) -> None:
    assert read({"recover": {"from": ["o/r", "org:acme", "app"], "via": via}}) == []


@pytest.mark.parametrize(
    ("dialect", "recover", "named"),
    [
        ("github", {"from": ["o/r/x"]}, "a repository's name has 2 parts at this forge"),
        ("github", {"from": ["https://github.com/o/r"]}, "cannot have an address in 'from' here"),
        (
            "github",
            {"from": ["org:acme"], "via": "heads"},
            "cannot have 'org:NAME' in 'from' here with 'via': 'heads'",
        ),
        ("azuredevops", {"from": ["o/r"]}, "a repository's name has 3 parts at this forge"),
        ("sourcehut", {"from": ["~ann/r"]}, "cannot have 'OWNER/NAME' in 'from' here"),
        ("gitea", {"from": ["org:acme"]}, "cannot have 'org:NAME'"),
        ("sourcehut", {"from": ["o/r"], "via": "redeliver"}, "cannot have 'via': 'redeliver' here"),
        ("github", {"from": ["o/r"], "every": 1}, "less than 10"),
    ],
)
def test_what_a_forge_does_not_have_is_an_error(dialect: str, recover: Any, named: str) -> None:
    (problem,) = read({"recover": recover}, dialect)
    assert problem.startswith(f"dialect {dialect!r}: option 'recover' ") and named in problem


def test_it_needs_a_journal() -> None:
    (problem,) = read({"recover": {"from": ["o/r"]}}, change_hook_journal=None)
    assert "needs a journal" in problem


@pytest.mark.parametrize(
    ("dialect", "recover"),
    [
        ("github", {"from": ["o/r", "https://github.com/o/s"], "via": "heads"}),
        ("gitlab", {"from": ["g/sub/p", "org:g"], "via": "redeliver"}),
        ("gitea", {"from": ["o/r"]}),
        ("bitbucketcloud", {"from": ["w/r"]}),
        ("bitbucketserver", {"from": ["PRJ/r"]}),
        ("azuredevops", {"from": ["acme/p/r", "org:acme"]}),
        ("sourcehut", {"from": ["https://git.sr.ht/~ann/r"]}),
    ],
)
def test_what_each_forge_has(dialect: str, recover: Any) -> None:
    assert read({"recover": recover}, dialect) == []

from __future__ import annotations

import re
from typing import Any

import pytest

from change_hooks.core.options import (
    Command,
    ForgeOptions,
    Options,
    nearest,
    option_names,
    read_options,
)


def read(**written: Any) -> Any:
    options, problems, unknown = read_options(ForgeOptions, written)
    assert (problems, unknown) == ([], [])
    return options


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        ("project", "p", "p"),
        ("project", len, len),
        ("strict", True, True),
        ("branches", "main", ("main",)),
        ("branches", ["main", "x"], ("main", "x")),
        ("actions", ["opened", "closed"], ("opened", "closed")),
        ("secret", "s", (b"s",)),
        ("secret", len, len),
        ("token", " t ", "t"),
        ("token", len, len),
        ("token", {"app": 1, "key": "pem"}, {"app": 1, "key": "pem"}),
        ("repository_url", "ssh", "ssh"),
        ("repository_url", len, len),
        ("new_branch", "head", "head"),
        ("skips", "a", (re.compile("a"),)),
        ("skips", ["a", re.compile("b", re.IGNORECASE)], (re.compile("a"), re.compile("b", re.IGNORECASE))),
        ("skips", {"a"}, (re.compile("a"),)),
        ("commands", {"regex": "^/b"}, (Command(re.compile("^/b"), "write"),)),
        ("commands", [{"regex": "b", "permission": "read"}], (Command(re.compile("b"), "read"),)),
        ("commands", {"a": "read", "b": "admin"}, None),
        ("custom_class", "any thing", "any thing"),
    ],
)
def test_what_is_written_and_what_is_read(name: str, value: Any, read_as: Any) -> None:
    if read_as is None:
        read_as = tuple(Command(re.compile(regex), permission) for regex, permission in value.items())
    assert getattr(read(**{name: value}), name) == read_as


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("project", 5, "must be a str, not int"),
        ("strict", 1, "must be True or False, not int"),
        ("skips", [re.compile(b"a")], "must be a list of str"),
        ("skips", ["["], "not a valid regular expression"),
        ("branches", 5, "must be a list of str"),
        ("branches", ["x", 5], "must be a list of str"),
        ("actions", "openend", "has an unknown name 'openend'; did you mean 'opened'?"),
        ("token", {"app": 1}, "must be a str, a callable, or {'app': ID"),
        ("token", " ", "is empty"),
        ("token", 5, "must be a str, not int"),
        ("repository_url", "ftp", "must be 'https', 'ssh', 'html' or a callable"),
        ("repository_url", ["ssh"], "must be 'https', 'ssh', 'html' or a callable"),
        ("new_branch", "tail", "must be 'commits'"),
        ("commands", "x", "must be a dict"),
        ("commands", {}, "must be a dict"),
        ("commands", {"permission": "read"}, "must be a dict"),
        (
            "commands",
            {"regex": "x", "permission": "all"},
            "has an unknown permission 'all'; valid names are read",
        ),
        (
            "commands",
            {"regex": "x", "permision": "admin"},
            "unknown name 'permision'; did you mean 'permission'?",
        ),
        ("commands", {"regex": "x", "^/b": "write"}, "unknown name '^/b'; valid names are permission, regex"),
        ("token", {"app": 1, "ky": "pem"}, "unknown name 'ky'; did you mean 'key'?"),
        ("recover", {"form": ["a/b"], "from": ["a/b"]}, "unknown name 'form'; did you mean 'from'?"),
        ("recover", {"from": [{"repositry": "a/b"}]}, "did you mean 'repository'?"),
        ("commands", {"regex": "("}, "is not a valid regular expression"),
        ("skips", ["("], "'(' is not a valid regular expression"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(name: str, value: Any, problem: str) -> None:
    options, problems, unknown = read_options(ForgeOptions, {name: value})
    assert unknown == []
    assert len(problems) == 1
    assert problems[0].startswith(f"option {name!r} ")
    assert problem in problems[0]
    assert getattr(options, name) == getattr(ForgeOptions(), name)


def test_none_is_the_default_and_a_name_that_is_not_declared_is_given_back() -> None:
    assert read_options(Options, {"auth": None, "colour": 1}) == (Options(), [], ["colour"])
    assert {"secret", "token", "actions"} <= set(option_names(ForgeOptions)) - set(option_names(Options))


def test_the_nearest_name() -> None:
    assert nearest("secrt", ["token", "secret"]) == "; did you mean 'secret'?"
    assert nearest("x", ["token", "secret"]) == "; valid names are secret, token"


def test_what_is_secret_is_not_shown() -> None:
    options, _, _ = read_options(ForgeOptions, {"secret": "s3cret-s3cret-s3cret", "token": "t0ken-t0ken"})
    assert "s3cret" not in repr(options) and "t0ken" not in repr(options)

"""Tests of events: the question, the configured values, and the result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

import msgspec
from typing_extensions import TypeVar

from change_hooks.core.change import Change
from change_hooks.core.select import is_skipped, matches

# Reasons why there is no change.
NOT_PERMITTED = "the forge does not confirm that the comment's author may do this (option 'commands')"
IGNORED_SENDER = "the sender is ignored (option 'ignore_senders')"
OTHER_REPOSITORY = "the repository matches none of the option 'repositories'"
OTHER_ACTION = "this action of a pull request gives no change (option 'actions')"
NOT_ON_A_PULL = "the comment is not on a pull request"
OTHER_BRANCH = "the branch matches none of the option 'branches'"
SKIPPED_COMMIT = "the commit message asks to skip it (option 'skips')"
SKIPPED_PULL = "the pull request or its head commit asks to skip it (option 'skips')"

#: An event, or a change that a method returned.
Subject = TypeVar("Subject")
#: The values of an event that a test looks at.
Texts = Iterable["str | None"]


class Verdict(msgspec.Struct, frozen=True):
    """The result of one test.

    :param test: the test: an option's name, or a few words.
    :param wanted: the configured values; empty: not configured, so everything passes.
    :param value: the value in the delivery; several are alternative names of the same thing.
    :param passed: whether the test passed.
    :param reason: why it failed.
    """

    test: str
    wanted: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    passed: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Test(Generic[Subject]):
    """One test.

    :param name: the test's name: an option's name, or a few words.
    :param wanted: the configured values; None: not configured, and the test refuses nothing.
    :param value: returns the value in the subject.
    :param refuses: returns why the subject is not wanted; None: it passes this test.
    """

    name: str
    wanted: Sequence[object] | None
    value: Callable[[Subject], Texts]
    refuses: Callable[[Subject], str | None]

    def verdict(self, subject: Subject) -> Verdict:
        """Do the test, and return the complete result."""
        reason = None if self.wanted is None else self.refuses(subject)
        value = dict.fromkeys(text for text in self.value(subject) if text)
        wanted = tuple(map(str, self.wanted or ()))
        return Verdict(self.name, wanted, tuple(value), reason is None, reason or "")


# Tests for all kinds of events -------------------------------------------------


def named(
    name: str, wanted: Sequence[str] | None, value: Callable[[Subject], Texts], reason: str
) -> Test[Subject]:
    """A test: one of the names must match one of the patterns."""

    def refuse(subject: Subject) -> str | None:
        patterns = wanted or ()
        return None if any(matches(each, patterns) for each in value(subject)) else reason

    return Test(name, wanted, value, refuse)


class Wanted(Protocol):
    """The options of a dialect whose handler returns changes without events."""

    @property
    def skips(self) -> Sequence[re.Pattern[str]]:
        """The patterns in a message that ask for no build."""

    @property
    def repositories(self) -> Sequence[str] | None:
        """The configured patterns; None: everything is wanted."""

    @property
    def branches(self) -> Sequence[str] | None:
        """Likewise."""


def refusal_of_change(change: Change, options: Wanted) -> str | None:
    """Why a change without an event is not wanted; None: it is wanted."""
    if is_skipped(change.comments, options.skips):
        return SKIPPED_COMMIT
    tests = (test for test in change_tests(options) if test.wanted is not None)
    return next(filter(None, (test.refuses(change) for test in tests)), None)


def change_tests(options: Wanted) -> tuple[Test[Change], ...]:
    """The tests of a change without an event, except ``skips``."""
    return (
        named(
            "repositories",
            options.repositories,
            lambda change: (change.repository, change.project),
            OTHER_REPOSITORY,
        ),
        named(
            "branches",
            options.branches,
            lambda change: (change.branch, short(change.branch)),
            OTHER_BRANCH,
        ),
    )


def short(branch: str | None) -> str | None:
    """The name of a branch or tag without a prefix such as ``refs/heads/``."""
    return (branch or "").removeprefix("refs/heads/").removeprefix("refs/tags/") or None


__all__ = [
    "IGNORED_SENDER",
    "NOT_ON_A_PULL",
    "NOT_PERMITTED",
    "OTHER_ACTION",
    "OTHER_BRANCH",
    "OTHER_REPOSITORY",
    "SKIPPED_COMMIT",
    "SKIPPED_PULL",
    "Test",
    "Texts",
    "Verdict",
    "Wanted",
    "change_tests",
    "named",
    "refusal_of_change",
    "short",
]

"""One test of what a delivery says: what is asked, what the configuration says, and what came of it."""

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
NOT_PERMITTED = "the forge does not say that the comment's author may do this (option 'commands')"
IGNORED_SENDER = "the sender is to be ignored (option 'ignore_senders')"
OTHER_REPOSITORY = "the repository matches none of the option 'repositories'"
OTHER_ACTION = "this action of a pull request gives no change (option 'actions')"
NOT_ON_A_PULL = "the comment is not on a pull request"
OTHER_BRANCH = "the branch matches none of the option 'branches'"
SKIPPED_COMMIT = "the commit message asks to skip it (option 'skips')"
SKIPPED_PULL = "the pull request or its head commit asks to skip it (option 'skips')"

#: An event, or a change that a method made by itself.
Subject = TypeVar("Subject")
#: What is asked, as text, and its answers.
Texts = Iterable["str | None"]


class Verdict(msgspec.Struct, frozen=True):
    """One test, as it was made.

    :param test: what was asked: an option's name, or a few words.
    :param wanted: what the configuration says; empty: nothing, so everything passes.
    :param value: what the delivery says; several are several names of the same.
    :param passed: whether it is wanted as far as this test goes.
    :param reason: why not.
    """

    test: str
    wanted: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    passed: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Test(Generic[Subject]):
    """One test.

    :param name: what is asked: an option's name, or a few words.
    :param wanted: what the configuration says; None: nothing, and the test refuses nothing.
    :param value: what the subject says.
    :param refuses: why the subject is not wanted; None: it is, as far as this goes.
    """

    name: str
    wanted: Sequence[object] | None
    value: Callable[[Subject], Texts]
    refuses: Callable[[Subject], str | None]

    def verdict(self, subject: Subject) -> Verdict:
        """Make the test, and say all about it."""
        reason = None if self.wanted is None else self.refuses(subject)
        value = dict.fromkeys(text for text in self.value(subject) if text)
        wanted = tuple(map(str, self.wanted or ()))
        return Verdict(self.name, wanted, tuple(value), reason is None, reason or "")


# Tests that have nothing to do with the kind of event -------------------------------------------------


def named(
    name: str, wanted: Sequence[str] | None, value: Callable[[Subject], Texts], reason: str
) -> Test[Subject]:
    """One of the names must match one of the patterns."""

    def refuse(subject: Subject) -> str | None:
        patterns = wanted or ()
        return None if any(matches(each, patterns) for each in value(subject)) else reason

    return Test(name, wanted, value, refuse)


class Wanted(Protocol):
    """The options of a dialect whose changes need no event."""

    @property
    def skips(self) -> Sequence[re.Pattern[str]]:
        """What a message may hold to ask for no build."""

    @property
    def repositories(self) -> Sequence[str] | None:
        """Patterns; None: all are wanted."""

    @property
    def branches(self) -> Sequence[str] | None:
        """Likewise."""


def refusal_of_change(change: Change, options: Wanted) -> str | None:
    """Why a change that no event reports is not wanted; None: it is."""
    if is_skipped(change.comments, options.skips):
        return SKIPPED_COMMIT
    tests = (test for test in change_tests(options) if test.wanted is not None)
    return next(filter(None, (test.refuses(change) for test in tests)), None)


def change_tests(options: Wanted) -> tuple[Test[Change], ...]:
    """The tests of a change that no event reports, but for ``skips``."""
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
    """A branch or tag without what stands before its name."""
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

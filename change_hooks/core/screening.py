"""Decides whether an event is wanted: the tests that the options define, cheapest first.

Strategy: a test is an object that knows its question, the configured values, and the value in an event.
Processing a delivery runs only the tests that the configuration sets, and stops at the first that refuses;
``explain`` shows all of them, using the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from change_hooks.core.address import repository_names
from change_hooks.core.change import Change
from change_hooks.core.events import Action, Comment, Event, Ignored, PullRequest, RefUpdate, Repository
from change_hooks.core.found import About
from change_hooks.core.options import Command, ForgeOptions
from change_hooks.core.select import is_skipped, matches
from change_hooks.core.style import Style
from change_hooks.core.verdicts import (
    IGNORED_SENDER,
    OTHER_ACTION,
    OTHER_BRANCH,
    OTHER_REPOSITORY,
    SKIPPED_COMMIT,
    SKIPPED_PULL,
    Test,
    Texts,
    Verdict,
    change_tests,
    named,
    short,
)

#: The test that a handler does itself.
HANDLER = "the handler's decision"

#: The kind of events that a handler's method reports, if that decides whether it can give a change at all.
Reports = Literal["comments", "deletions", "nothing"]


class Kept(msgspec.Struct, frozen=True):
    """The tests of a delivery whose body was not stored.

    :param verdicts: the results of the possible tests.
    :param unknown: the names of the tests that would need the body.
    """

    verdicts: list[Verdict]
    unknown: list[str]


class _Tests:
    """The tests of one kind of event: all of them, and those that the configuration sets."""

    def __init__(self, tests: Sequence[Test[Any]]) -> None:
        self.all = tests
        self.set = tuple(test for test in tests if test.wanted is not None)
        self.refusing = tuple(test.refuses for test in self.set)


def _ignored(event: Ignored) -> str:
    return event.reason


_OF_IGNORED = _Tests([Test[Ignored](HANDLER, ("wanted",), lambda event: (event.reason,), _ignored)])


class Screen:
    """All tests of one endpoint.

    :param options: the endpoint's options.
    :param style: the form of the dialect's changes.
    """

    def __init__(self, options: ForgeOptions, style: Style) -> None:
        self._options = options
        self._style = style
        actions = style.pull_actions if options.actions is None else options.actions
        self._actions = actions if options.drafts or not actions else (*actions, "ready")
        #: With commands, a comment gives a change only if it is a command.
        self.talks = style.comments and not options.commands
        pull = self._pull_tests()
        self._of_ref = _Tests(self._ref_tests())
        self._of_pull = _Tests((*self._action_tests(), *pull))
        self._of_comment = _Tests((*self._comment_tests(), *map(_of_its_pull, pull)))
        self._of_changes = _Tests(change_tests(self._options))

    def refusal(self, event: Event) -> str | None:
        """Why an event gives no change; None: it gives one, as far as is known.

        Pull requests are tested again after their head commit's message has been looked up.
        """
        for refuses in self._tests_of(event).refusing:
            reason = refuses(event)
            if reason is not None:
                return reason
        return None

    def verdicts(self, event: Event) -> list[Verdict]:
        """All tests of an event, including those after the first that refuses it."""
        return [test.verdict(event) for test in self._tests_of(event).all]

    def _tests_of(self, event: Event) -> _Tests:
        if isinstance(event, RefUpdate):
            return self._of_ref
        if isinstance(event, PullRequest):
            return self._of_pull
        return self._of_comment if isinstance(event, Comment) else _OF_IGNORED

    def kept(self, about: About) -> Kept:
        """The tests of a delivery whose body was not stored."""
        made = [test for test in self._tests_of_kept(about) if any(test.value(about))]
        names = {test.name for test in made}
        kinds = (self._of_ref, self._of_pull, self._of_comment)
        others = (test.name for tests in kinds for test in tests.set if test.name not in names)
        return Kept([test.verdict(about) for test in made], list(dict.fromkeys(others)))

    def can_want(self, reports: Reports | None, action: Action | None) -> bool:
        """Whether a kind of event can give a change at all.

        :param reports: the kind of events that its method reports.
        :param action: the action of pull requests, if it is always the same.
        """
        if reports == "comments":
            return self.talks or bool(self._options.commands)
        if reports == "deletions":
            return self._style.deleted is not None
        return reports != "nothing" and (action is None or action in self._actions)

    def skips(self, changes: Sequence[Change]) -> bool:
        """Whether the last of the changes that a method returned asks to skip all of them."""
        return is_skipped(changes[-1].comments, self._options.skips)

    def select(self, changes: list[Change]) -> tuple[list[Change], str]:
        """The wanted changes of those that a method returned, or the reason why there are none."""
        for test in self._of_changes.set:
            kept = [change for change in changes if test.refuses(change) is None]
            if not kept:
                return [], test.refuses(changes[-1]) or ""
            changes = kept
        return changes, ""

    def verdicts_of_changes(self, changes: Sequence[Change]) -> list[list[Verdict]]:
        """All tests of each change that a method returned."""
        if not changes:
            return []
        skipped = self._skip_test().verdict(changes)
        return [[skipped, *(test.verdict(change) for test in self._of_changes.all)] for change in changes]

    def command(self, event: Comment) -> Command | None:
        """The first of the option ``commands`` that a comment matches."""
        for command in self._options.commands if event.is_new else ():
            if command.pattern.search(event.text.strip()):
                return command
        return None

    # The tests.

    def _tests_of_kept(self, about: About) -> Iterator[Test[About]]:
        options, spelled = self._options, repository_names(about.repository)
        names = (*spelled, spelled[-1].rpartition("/")[2])
        branches = (about.branch, short(about.branch))
        yield named("repositories", options.repositories, lambda about: names, OTHER_REPOSITORY)
        yield named("branches", options.branches, lambda about: branches, OTHER_BRANCH)
        # The author may be a display name, but the option is about logins: only a match says anything.
        author, ignored = about.author.partition(" <")[0], options.ignore_senders
        if not ignored or matches(author, ignored):
            refused = IGNORED_SENDER if ignored else None
            yield Test("ignore_senders", ignored or None, lambda about: (author,), lambda about: refused)

    def _ref_tests(self) -> tuple[Test[RefUpdate], ...]:
        options = self._options

        def refuse_kind(event: RefUpdate) -> str | None:
            if event.ref.startswith("refs/") and not event.ref.startswith(("refs/heads/", "refs/tags/")):
                return "the ref is neither a branch nor a tag"
            return None

        def refuse_deleted(event: RefUpdate) -> str | None:
            return "the branch or tag was deleted" if event.after is None else None

        def refuse_unwanted(event: RefUpdate) -> str | None:
            return event.unwanted if event.after is not None else None

        def refuse_message(event: RefUpdate) -> str | None:
            asked = event.after is not None and is_skipped(head_message(event), options.skips)
            return SKIPPED_COMMIT if asked else None

        return (
            Test("ref", ("a branch", "a tag"), lambda event: (event.ref,), refuse_kind),
            Test(
                "deleted",
                ("no",) if self._style.deleted is None else None,
                lambda event: ("yes" if event.after is None else "no",),
                refuse_deleted,
            ),
            self._sender_test(),
            Test(
                HANDLER,
                ("wanted",),
                lambda event: (event.unwanted or "wanted",),
                refuse_unwanted,
            ),
            Test("skips", _patterns(options), lambda event: (head_message(event),), refuse_message),
            *self._place_tests(lambda event: event.repository, lambda event: (event.ref, event.short)),
        )

    def _sender_test(self) -> Test[Any]:
        ignored = self._options.ignore_senders

        def refuse(event: RefUpdate | PullRequest) -> str | None:
            return IGNORED_SENDER if matches(event.sender.login, ignored) else None

        return Test("ignore_senders", ignored or None, lambda event: (event.sender.login,), refuse)

    def _place_tests(
        self, repository: Callable[[Any], Repository], branches: Callable[[Any], Texts]
    ) -> tuple[Test[Any], Test[Any]]:
        options = self._options

        def repositories(event: Event) -> Texts:
            return _names(repository(event))

        return (
            named("repositories", options.repositories, repositories, OTHER_REPOSITORY),
            named("branches", options.branches, branches, OTHER_BRANCH),
        )

    def _action_tests(self) -> tuple[Test[PullRequest], ...]:
        def refuse_action(event: PullRequest) -> str | None:
            if event.action not in self._actions:
                return OTHER_ACTION
            return None

        def refuse_draft(event: PullRequest) -> str | None:
            return (
                "the pull request is a draft (option 'drafts')"
                if event.draft and event.action != "ready"
                else None
            )

        return (
            Test("actions", self._actions, lambda event: (event.action,), refuse_action),
            Test(
                "drafts",
                None if self._options.drafts else ("no",),
                lambda event: ("yes" if event.draft else "no",),
                refuse_draft,
            ),
        )

    def _pull_tests(self) -> tuple[Test[PullRequest], ...]:
        options = self._options

        def refuse_labels(event: PullRequest) -> str | None:
            if any(matches(label, options.labels or ()) for label in event.labels or ()):
                return None
            return "the pull request has none of the labels (option 'labels')"

        def texts(event: PullRequest) -> tuple[str | None, ...]:
            head = event.head_commit
            return event.title, event.body, head.message if head is not None else None

        def refuse_texts(event: PullRequest) -> str | None:
            skipped = any(is_skipped(text, options.skips) for text in texts(event))
            return SKIPPED_PULL if skipped else None

        def branches(event: PullRequest) -> Texts:
            branch = self._style.pull(event, options).get("branch")
            return event.base.branch, branch, short(branch)

        return (
            Test("labels", options.labels, lambda event: event.labels or (), refuse_labels),
            self._sender_test(),
            Test("skips", _patterns(options), texts, refuse_texts),
            *self._place_tests(lambda event: event.repository, branches),
        )

    def _comment_tests(self) -> tuple[Test[Comment], ...]:
        commands = self._options.commands

        def refuse_old(event: Comment) -> str | None:
            return None if event.is_new else "the comment is not new, or was not written by a person"

        def refuse_text(event: Comment) -> str | None:
            if self.talks or self.command(event) is not None:
                return None
            if not commands:
                return "comments give no change (option 'commands')"
            return "the comment matches none of the option 'commands'"

        return (
            Test("new comment", ("yes",), lambda event: ("yes" if event.is_new else "no",), refuse_old),
            Test(
                "commands",
                None if self.talks else [command.pattern.pattern for command in commands],
                lambda event: (event.text,),
                refuse_text,
            ),
        )

    def _skip_test(self) -> Test[Sequence[Change]]:
        return Test(
            "skips",
            _patterns(self._options),
            lambda changes: (changes[-1].comments,),
            lambda changes: SKIPPED_COMMIT if self.skips(changes) else None,
        )


def _of_its_pull(test: Test[PullRequest]) -> Test[Comment]:
    """The same test, applied to the pull request of a comment."""
    return Test(
        test.name,
        test.wanted,
        lambda comment: test.value(comment.pull_request),
        lambda comment: test.refuses(comment.pull_request),
    )


def _patterns(options: ForgeOptions) -> list[str] | None:
    return [skip.pattern for skip in options.skips] or None


def head_message(event: RefUpdate) -> str | None:
    """The message of the commit that a branch or tag points to; None: not known."""
    if event.head is not None:
        return event.head.message
    if not event.commits:
        return None
    for commit in (event.commits[-1], event.commits[0]):
        if commit.id == event.after:
            return commit.message
    return event.commits[-1].message


def _names(repository: Repository) -> tuple[str | None, ...]:
    return (
        repository.full_name,
        repository.name,
        repository.project,
        *repository.urls.values(),
        *repository.names,
    )


__all__ = ["Kept", "Screen", "head_message"]

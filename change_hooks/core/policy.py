"""Applies the options to events: the one place that turns events into changes, for all dialects.

Strategy: the :class:`~change_hooks.core.screening.Screen` decides whether an event is wanted at all, before
anything is looked up at the forge, and again afterwards, when more is known. Wanted events become changes in
the dialect's :class:`~change_hooks.core.style.Style`. Finally the fields that are the same for all changes of
a delivery are set: project, codebase, listed properties, an address from a callable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from change_hooks.core.change import MISSING, TRUNCATED, UNREAD, Change, json_able
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Action, Comment, Commit, Event, PullRequest, RefUpdate, Repository
from change_hooks.core.found import About, Found, about_change
from change_hooks.core.lenient import MOST_ELEMENTS
from change_hooks.core.options import Command, ForgeOptions
from change_hooks.core.screening import Kept, Reports, Screen
from change_hooks.core.select import within
from change_hooks.core.style import Style
from change_hooks.core.verdicts import NOT_PERMITTED, SKIPPED_COMMIT, Verdict

#: The most changes in one delivery. No forge sends more; a delivery with more is refused.
MAX_CHANGES = MOST_ELEMENTS
#: The property of a change from a fork: the full name of the repository that it comes from.
FORK = "change_hook_fork"

_replace = msgspec.structs.replace


class Source(Protocol):
    """The delivery that an event comes from, as far as the policy uses it."""

    @property
    def adds(self) -> bool:
        """False when no argument, nothing listed and nothing unread goes into changes."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload as plain objects."""

    @property
    def listed(self) -> Mapping[str, Any]:
        """The properties that the user's whitelist selects from the payload."""

    @property
    def unread(self) -> Sequence[str]:
        """The paths of the wrong values in list elements that were left out."""

    def argument(self, name: str) -> str | None:
        """An argument of the URL."""


class Policy:
    """Applies the options of one endpoint.

    :param options: the endpoint's options.
    :param style: the form of the dialect's changes.
    """

    def __init__(self, options: ForgeOptions, style: Style) -> None:
        self._options = options
        self._style = style
        self._screen = Screen(options, style)
        chosen = (options.project, options.codebase)
        #: The options themselves say something about all changes alike.
        self._adds = callable(options.repository_url) or any(each is not None for each in chosen)

    @property
    def asks(self) -> bool:
        """Whether callables of the user are involved."""
        options = self._options
        return any(map(callable, (options.project, options.codebase, options.repository_url)))

    # Is it wanted?

    def refusal(self, event: Event) -> str | None:
        """Why an event gives no change; None: it gives one, as far as is known.

        Pull requests are tested again after their head commit's message has been looked up.
        """
        return self._screen.refusal(event)

    def can_want(self, reports: Reports | None, action: Action | None) -> bool:
        """See :meth:`Screen.can_want`."""
        return self._screen.can_want(reports, action)

    def command(self, event: Comment) -> Command | None:
        """The first of the option ``commands`` that a comment matches."""
        return self._screen.command(event)

    def verdicts(self, event: Event) -> list[Verdict]:
        """All tests of an event, with their results."""
        verdicts = self._screen.verdicts(event)
        if isinstance(event, Comment) and self._options.commands:
            permitted = self._is_permitted(event)
            wanted = tuple(sorted({command.permission for command in self._options.commands}))
            reason = "" if permitted else NOT_PERMITTED
            verdicts.append(Verdict("permission", wanted, (), permitted, reason))
        return verdicts

    def verdicts_of_changes(self, changes: Sequence[Change]) -> list[list[Verdict]]:
        """All tests of each change that a method returned."""
        return self._screen.verdicts_of_changes(changes)

    def kept(self, about: About) -> Kept:
        """The tests of a delivery whose body was not stored."""
        return self._screen.kept(about)

    def _is_permitted(self, event: Comment) -> bool:
        return event.permitted or self._screen.talks

    # What becomes of it?

    def decide(self, events: Sequence[Event], source: Source, name: str = "") -> Found:
        """The changes of all events of a delivery, or the reason why there are none.

        :param name: the forge's name of the event.
        :raises BadPayload: there are more than :data:`MAX_CHANGES`.
        """
        changes: list[Change] = []
        reason = ""
        for event in events:
            refused = self.refusal(event)
            if refused is None and isinstance(event, Comment) and not self._is_permitted(event):
                refused = NOT_PERMITTED
            if refused is not None:
                reason = reason or refused
                continue
            changes += self._changes(event, len(events))
            if len(changes) > MAX_CHANGES:
                raise BadPayload(f"more than {MAX_CHANGES} changes in one delivery")
        if not changes:
            reason = _with_unread(reason or "the event lists no changes", source)
            return Found((), reason, self._about(events, name))
        found = self.finish(changes, source)
        return Found(found, "", about_change(found[-1], name))

    def _about(self, events: Sequence[Event], name: str) -> About:
        for event in events:
            about = event.pull_request if isinstance(event, Comment) else event
            if isinstance(about, RefUpdate):
                return About(name, self._address(about.repository), about.short, str(about.sender))
            if isinstance(about, PullRequest):
                return About(
                    name, self._address(about.repository), about.base.branch or "", str(about.sender)
                )
        return About(name)

    def finish(self, changes: list[Change], source: Source) -> list[Change]:
        """Set the fields that the options, and the URL, set for all changes alike."""
        if not (self._adds or source.adds):
            return changes
        options = self._options
        updates: dict[str, Any] = {}
        for name, chosen in (("project", options.project), ("codebase", options.codebase)):
            asked = source.argument(name)
            if asked is not None:
                updates[name] = asked
            elif chosen is not None:
                updates[name] = chosen(source.payload) if callable(chosen) else chosen
        if callable(options.repository_url):
            updates["repository"] = options.repository_url(source.payload)
        listed = source.listed
        if source.unread:
            listed = {**listed, UNREAD: list(source.unread)}
        if updates:
            changes = [_replace(change, **updates) for change in changes]
        more = within(listed, len(changes)) if listed else listed
        return _with_properties(changes, more) if more else changes

    def select(self, changes: list[Change], source: Source, name: str = "") -> Found:
        """Apply the options to changes that a method returned.

        :param name: the forge's name of the event.
        """
        if not changes:
            return Found()
        if len(changes) > MAX_CHANGES:
            raise BadPayload(f"more than {MAX_CHANGES} changes in one delivery")
        if self._screen.skips(changes):
            return Found((), _with_unread(SKIPPED_COMMIT, source), about_change(changes[-1], name))
        kept, reason = self._screen.select(changes)
        if not kept:
            return Found((), _with_unread(reason, source), about_change(changes[-1], name))
        return Found(self.finish(kept, source), "", about_change(kept[-1], name))

    def _changes(self, event: Event, events: int) -> list[Change]:
        """The changes of one event.

        :param events: the number of events in the delivery.
        """
        if isinstance(event, RefUpdate):
            return self._pushed(event, events)
        if isinstance(event, PullRequest):
            return [self._pull(event)]
        return [self._commented(event)] if isinstance(event, Comment) else []

    def _address(self, repository: Repository) -> str:
        wanted, urls = self._options.repository_url, repository.urls
        chosen = urls.get(wanted) if isinstance(wanted, str) else urls.get("usual")
        return chosen or next(filter(None, urls.values()), "")

    def _pushed(self, event: RefUpdate, events: int) -> list[Change]:
        if len(event.commits) > MAX_CHANGES:
            raise BadPayload(f"more than {MAX_CHANGES} changes in one delivery")
        repository, style = event.repository, self._style
        properties: dict[str, Any] = {"event": event.name} if style.event_property else {}
        if event.properties:
            properties.update(within(event.properties, events * (len(event.commits) + 1)))
        common = Change.for_ref(
            branch=style.branch(event) or None,
            category=style.deleted if event.after is None else style.category(event),
            repository=self._address(repository),
            project=_project(repository),
            src=repository.src,
        )
        commits = event.commits
        if (
            event.after is None
            or not style.per_commit
            or (event.created and self._options.new_branch == "head")
        ):
            commits = ()
        if not commits:
            return [self._head_change(event, common, properties)]
        if event.after and len(commits) > 1 and commits[-1].id != event.after:
            commits = _head_last(commits, event.after)
        if event.total is not None and (event.total is True or event.total > len(commits)):
            properties[TRUNCATED] = event.total
        changes = [_commit_change(commit, common, properties) for commit in commits]
        if event.after is not None and commits[-1].id != event.after and not event.is_tag:
            changes.append(self._head_change(event, common, properties))
        return changes

    def _head_change(self, event: RefUpdate, common: Change, properties: dict[str, Any]) -> Change:
        """The change for the commit that a branch or tag points to, or pointed to before it was deleted."""
        revision = event.after or event.before
        head = event.head if event.head is not None else Commit(revision or "")
        if event.total and not (self._style.per_commit and event.commits):
            properties = {**properties, TRUNCATED: event.total}
        message = head.message
        missing = ["files"] if head.files is None or head.files_cut else []
        if message is None and not self._style.unnamed:
            missing.append("comments")
        if missing:
            properties = {**properties, MISSING: missing}
        return _replace(
            common,
            author=head.author or str(event.sender),
            committer=head.committer,
            files=head.files or [],
            comments=message or self._style.unnamed.format(revision=revision),
            revision=head.id or revision,
            when_timestamp=event.when if head.when is None else head.when,
            revlink=head.url or event.url,
            properties={**properties, **head.properties},
        )

    def _pull(self, event: PullRequest) -> Change:
        repository = event.repository
        properties: dict[str, Any] = {"event": event.name} if self._style.event_property else {}
        properties.update(event.properties)
        if event.files is None or event.files_cut:
            properties[MISSING] = ["files"]
        if event.from_fork and event.head.repository is not None:
            properties[FORK] = event.head.repository.full_name
        return Change(
            files=event.files or [],
            revlink=event.url,
            repository=self._address(repository),
            project=_project(repository),
            src=repository.src,
            properties=properties,
            **self._style.pull(event, self._options),
        )

    def _commented(self, event: Comment) -> Change:
        change = self._pull(_replace(event.pull_request, name=event.name))
        properties = {**change.properties, **event.properties}
        command = self.command(event) if event.permitted else None
        if command is not None:
            found = command.pattern.search(event.text.strip())
            properties.update({"command": found.group(0), **found.groupdict()} if found is not None else {})
        return _replace(change, properties=properties)


def _with_properties(changes: Sequence[Change], more: Mapping[str, Any]) -> list[Change]:
    """The same changes with more properties. Neighbours with equal properties share them."""
    more = json_able(more)
    own: Mapping[str, Any] | None = None
    properties: dict[str, Any] = {}
    found = []
    for change in changes:
        if change.properties != own:
            own = change.properties
            properties = {**more, **own}
        found.append(change.with_properties(properties))
    return found


def _head_last(commits: Sequence[Commit], head: str) -> Sequence[Commit]:
    """Commits with the head last. A list that begins with the head is reversed."""
    if commits[0].id == head:
        return commits[::-1]
    return sorted(commits, key=lambda commit: commit.id == head)


def _commit_change(commit: Commit, common: Change, properties: dict[str, Any]) -> Change:
    files = commit.files
    if commit.properties:
        properties = {**properties, **commit.properties}
    if files is None or commit.files_cut or commit.message is None:
        missing = ["files"] if files is None or commit.files_cut else []
        if commit.message is None:
            missing.append("comments")
        properties = {**properties, MISSING: missing}
    change = common.for_commit(
        author=commit.author,
        committer=commit.committer,
        files=files or [],
        comments=commit.message or "",
        revision=commit.id,
        when=commit.when,
        revlink=commit.url,
        properties=properties,
    )
    return change if commit.branch is None else _replace(change, branch=commit.branch)


def _with_unread(reason: str, source: Source) -> str:
    return f"{reason}; left out: {', '.join(source.unread)}" if source.unread else reason


def _project(repository: Repository) -> str:
    return (repository.full_name if repository.project is None else repository.project) or ""


__all__ = ["FORK", "MAX_CHANGES", "Policy", "Source"]

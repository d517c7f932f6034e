"""Looks up at the forge what the events of one delivery lack.

The handler decides whether there is anything to look up; the policy decides which events the options refuse,
and which comment is a command.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import replace
from twisted.logger import Logger

from change_hooks.core.events import Comment, Event, Ignored, PullRequest
from change_hooks.core.options import Command
from change_hooks.core.policy import Policy
from change_hooks.core.verdicts import NOT_PERMITTED
from change_hooks.dialects.source import DeliverySource, paths
from change_hooks.flow import Steps

if TYPE_CHECKING:
    from change_hooks.interfaces import Enricher

log = Logger()

#: From a payload to the files of its pull request.
FetchFiles = Callable[[Mapping[str, Any]], Awaitable[Sequence[object]]]


class Lookups(msgspec.Struct, frozen=True, kw_only=True):
    """Asks the forge for what events lack.

    :param api: the forge's API; None: it has none.
    :param complete: the option ``complete``.
    :param lacks: returns whether there is something to look up about an event.
    :param files: a subclass's own look-up of the files of pull requests; None: the forge's API.
    """

    api: Enricher | None
    complete: bool
    policy: Policy
    lacks: Callable[[Event], bool]
    files: FetchFiles | None

    def enriched(self, events: Sequence[Event], source: DeliverySource) -> Steps[list[Event]]:
        """The events with what was found, or with the reason why a command gives no change."""
        enriched: list[Event] = []
        for event in events:
            if isinstance(event, PullRequest) and event.files is None and self.files is not None:
                event = yield from self._with_own_files(event, self.files, source)  # noqa: PLW2901
            if self.api is None or not self.lacks(event) or self.policy.refusal(event) is not None:
                enriched.append(event)
            elif isinstance(event, Comment):
                enriched.append((yield from self._commanded(self.api, event)))
            else:
                enriched.append((yield self.api.enrich(event, complete=self.complete)))
        return enriched

    def _with_own_files(
        self, pull: PullRequest, fetch: FetchFiles, source: DeliverySource
    ) -> Steps[PullRequest]:
        try:
            items = yield fetch(source.payload)
        except Exception as error:
            log.warn("could not fetch the files of a pull request: {reason}", reason=str(error))
            return pull
        return replace(pull, files=paths(items))

    def _commanded(self, api: Enricher, event: Comment) -> Steps[Event]:
        """A comment with a permitted command, with the current state of its pull request."""
        command = cast("Command", self.policy.command(event))
        pull = event.pull_request
        allowed = yield api.permission(pull.repository, event.author, command.permission)
        if not allowed:
            return Ignored(NOT_PERMITTED)
        found: Comment = yield api.enrich(event, complete=self.complete)
        if found.pull_request.head.revision is None:
            return Ignored("the forge does not name the current commit of the pull request")
        return replace(found, permitted=True)


__all__ = ["Lookups"]

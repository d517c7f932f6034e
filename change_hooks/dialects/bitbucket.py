"""The ``bitbucket`` dialect: Bitbucket's old POST service.

Source: Atlassian, "POST Service Management".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from change_hooks.core.change import UNREAD
from change_hooks.core.delivery import Delivery
from change_hooks.core.events import Event, Ignored, Person, RefUpdate, Repository
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.style import Style
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.bitbucket import Push, commit_of


@dataclass(frozen=True)
class BitBucketOptions(ForgeOptions):
    """The options of the ``bitbucket`` dialects."""

    bitbucket_property_whitelist: tuple[str, ...] = option((), texts)


class BitBucketStyle(Style):
    """The look that the dialect's page documents."""

    def category(self, event: RefUpdate) -> str | None:
        """None."""
        return None


class BitBucketHandler(EventHandler[BitBucketOptions]):
    """Handles a push: a form with the JSON in ``payload``."""

    sender = "the old Bitbucket POST service"
    verified_by = "HTTP Basic"
    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucket"
    event_header = "X-Event-Key"
    headers = ()
    takes_form = True
    takes_json = False
    style = BitBucketStyle()

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The service sends only pushes, unless a header names another event."""
        name = delivery.header(self.event_header)
        return "push" if name in (None, "", "repo:push") else name

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> list[Event]:
        """Commits on any number of branches; the service does not send the branches' heads."""
        url = f"{payload.canon_url or ''}{payload.repository.absolute_url}"
        listed = [commit_of(commit, url) for commit in payload.commits or ()]
        commits = [commit for commit in listed if commit.id]
        unread = [f"$.commits[{place}].raw_node" for place, commit in enumerate(listed) if not commit.id]
        repository = Repository(
            full_name=payload.repository.absolute_url.strip("/"),
            name=payload.repository.name,
            project="",
            urls={"https": url},
            names=(payload.repository.slug,),
            src=payload.repository.scm or "git",
        )
        events: list[Event] = []
        for branch, group in groupby(commits, key=lambda commit: commit.branch):
            some = list(group)
            events.append(
                RefUpdate(
                    repository=repository,
                    ref=branch or "",
                    after=some[-1].id,
                    commits=some,
                    sender=Person(payload.user),
                    properties={UNREAD: unread} if unread else {},
                )
            )
        return events or [Ignored("the payload lists no commits")]


__all__ = ["BitBucketHandler", "BitBucketOptions"]

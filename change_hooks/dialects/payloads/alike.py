"""Payloads that several forges have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import NOTHING, Commit, Side, revision_or_none
from change_hooks.core.payload import Shape


class Label(Shape):
    name: str


class PushedCommit(Shape):
    """A commit as most forges send it; each has its own shapes for people and dates."""

    id: str
    message: str | None = None
    url: str | None = None
    added: list[str] | None = None
    modified: list[str] | None = None
    removed: list[str] | None = None

    def told(
        self,
        author: str,
        committer: str | None,
        when: int | None,
        properties: Mapping[str, Any] = NOTHING,
    ) -> Commit:
        """Convert to the neutral form.

        :param author: ``Name <email>``.
        :param committer: the same; empty or None if the forge does not send it.
        :param when: seconds since the epoch.
        """
        added, modified, removed = self.added, self.modified, self.removed
        known = not (added is None and modified is None and removed is None)
        files = [*(added or ()), *(modified or ()), *(removed or ())] if known else None
        url = self.url or ""
        return Commit(self.id, self.message, author, committer or None, when, url, files, None, properties)


def names(labels: Sequence[Label] | None) -> list[str] | None:
    """The names of labels; None: not known."""
    return None if labels is None else [label.name for label in labels]


def key_of(id: int | str | None) -> str | None:
    """The permanent key of a user or repository at the forge; None: not sent."""
    return None if id is None or id == "" else str(id)


def short(ref: str | None) -> str | None:
    """A branch's name without a prefix such as ``refs/heads/``."""
    return ref.removeprefix("refs/heads/") if ref else None


def whole_ref(name: str, *, tag: bool = False) -> str:
    """The full ref of a branch or tag, given the full ref or the short name."""
    return name if name.startswith("refs/") else f"refs/{'tags' if tag else 'heads'}/{name}"


def pull_properties(number: int, head: Side, base: Side, **more: Any) -> dict[str, Any]:
    """The properties of a pull request's change that several dialects have in common.

    :param more: properties that only some dialects have.
    """
    source = head.repository
    return {
        "pr_number": number,
        "base_branch": base.branch,
        "base_sha": base.revision,
        "head_branch": head.branch,
        "head_sha": head.revision,
        "head_repository": source.urls.get("https") if source is not None else None,
        **more,
    }


def page_at(url: str | None) -> str | None:
    """The web page of a repository for which an older version of a forge sends only ``url``; None if that is
    a URL of the API.
    """
    return url if url and "/repos/" not in url else None


def full_name_of(owner: str | None, name: str | None) -> str | None:
    """``OWNER/NAME``; None if one of them is not known."""
    return f"{owner}/{name}" if owner and name else None


def moved_to(after: str | None, field: str) -> str | None:
    """The current commit of a ref; None: the ref was deleted.

    :param after: as sent: zeros for none.
    :param field: its path in the payload.
    :raises BadPayload: it is missing.
    """
    if not after:
        raise BadPayload("is missing", field)
    return revision_or_none(after)


__all__ = [
    "Label",
    "PushedCommit",
    "full_name_of",
    "key_of",
    "moved_to",
    "names",
    "page_at",
    "pull_properties",
    "short",
    "whole_ref",
]

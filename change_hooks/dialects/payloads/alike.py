"""What several forges send alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import NOTHING, Commit, Side, revision_or_none
from change_hooks.core.payload import Shape


class Label(Shape):
    name: str


class PushedCommit(Shape):
    """What most forges send of a commit; each has shapes of its own for people and dates."""

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
        """The same, in neutral terms.

        :param author: ``Name <email>``.
        :param committer: likewise; empty or None when the forge does not say.
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
    """What a forge calls somebody or something for good; None: it does not say."""
    return None if id is None or id == "" else str(id)


def short(ref: str | None) -> str | None:
    """A branch's name without what stands before it."""
    return ref.removeprefix("refs/heads/") if ref else None


def whole_ref(name: str, *, tag: bool = False) -> str:
    """The whole ref of a branch or tag that is called by it, or by its bare name."""
    return name if name.startswith("refs/") else f"refs/{'tags' if tag else 'heads'}/{name}"


def pull_properties(number: int, head: Side, base: Side, **more: Any) -> dict[str, Any]:
    """The properties of a pull request's change, as several dialects' pages name them.

    :param more: those that not all have.
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
    """The page of a repository, by what older versions of a forge send as its ``url`` alone; None when it is
    an address of the API.
    """
    return url if url and "/repos/" not in url else None


def full_name_of(owner: str | None, name: str | None) -> str | None:
    """``OWNER/NAME``; None when one of them is not known."""
    return f"{owner}/{name}" if owner and name else None


def moved_to(after: str | None, field: str) -> str | None:
    """The commit that a ref is on now; None: it was deleted.

    :param after: as sent: zeros for none.
    :param field: where it stands in the payload.
    :raises BadPayload: it is not said.
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

"""Rewrites a recorded document for another repository, branch and commits.

Strategy: the document's contents are known from the events that its handler finds in it. The names in these
(of the repository, the ref, the commits) are searched for in the document's texts, as whole words of
addresses and paths, and replaced. A list with one item for each commit gets one for each new commit, in the
same order. So this module does not depend on any dialect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from change_hooks.core.events import Commit, Event, PullRequest, RefUpdate, Repository
from change_hooks.vcs import Commit as Made

ZEROS = "0" * 40
#: The names of fields that count the commits of a push.
_COUNTS = re.compile(r"total_?commits(_?count)?|size", re.IGNORECASE)
#: What the lists of a commit's files are called, where there is one for each kind of change.
_REMOVED, _CHANGED = "removed", "modified"
_KINDS = {"added", _REMOVED, _CHANGED}
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{7,64}(?![0-9A-Za-z])")


class About:
    """The new contents of a document.

    :param address: the repository's web page: ``https://forge.example/owner/name``.
    :param branch: the branch, or the tag.
    :param before: the commit that it pointed to.
    :param after: the commit that it points to.
    :param commits: the new commits, oldest first.
    :param id: the delivery's id, a UUID, if the document contains it.
    :param now: the current time, in seconds since the epoch.
    """

    def __init__(
        self,
        address: str,
        branch: str,
        *,
        before: str,
        after: str,
        commits: Sequence[Made],
        id: str,
        now: float,
    ) -> None:
        self.address = address
        self.branch = branch
        self.before = before
        self.after = after
        self.commits = commits
        self.id = id
        self.now = now


def retold(document: Any, event: Event, about: About, *, id: str, received: float) -> Any:
    """Rewrite a document.

    :param document: decoded JSON; it is not changed.
    :param event: the event that it reports.
    :param id: the delivery's id, if the document contains it; empty: it does not.
    :param received: when the document was recorded, in seconds since the epoch.
    """
    return _Retelling(event, about, id, received).told(deepcopy(document))


class _Retelling:
    def __init__(self, event: Event, about: About, id: str, received: float) -> None:
        self._about = about
        self._listed: Sequence[Commit] = event.commits if isinstance(event, RefUpdate) else ()
        self._newest = _newest(event)
        self._id, self._received = id, received
        self._ids = dict(_ids(event, about))
        self._words = _words(event, about)
        self._texts = dict(_texts(event, about))
        boundary = r"(?<![\w.-]){}(?=\.git\b|[^\w.-]|$)"
        pattern = "|".join(boundary.format(re.escape(word)) for word in self._words)
        self._word = re.compile(pattern, re.IGNORECASE) if pattern else None

    def told(self, value: Any) -> Any:
        """Rewrite a value."""
        if isinstance(value, dict):
            if self._newest is not None and {self._newest.id, self._newest.message} <= _own(value):
                return _Part(self, self._newest, self._about.commits[-1]).told(value)
            return {key: self._field(key, inner) for key, inner in self._keyed(value)}
        if isinstance(value, list):
            return self._list(value)
        return self.scalar(value)

    def _keyed(self, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, inner in value.items():
            yield self._text(key) if "/" in key else key, inner

    def _field(self, key: str, value: Any) -> Any:
        if isinstance(value, int) and value == len(self._listed) and _COUNTS.fullmatch(key):
            return len(self._about.commits)
        return self.told(value)

    def _list(self, items: list[Any]) -> list[Any]:
        order = [self._commit_of(item) for item in items]
        places = [place for place in order if place is not None]
        if (
            len(places) != len(items)
            or len(set(places)) != len(places)
            or len(places) < len(self._listed) > 0
        ):
            return [self.told(item) for item in items]
        if not places:
            return []
        newest_first = places != sorted(places)
        made = [
            self._commit(items[min(index, len(items) - 1)], order[min(index, len(items) - 1)], commit)
            for index, commit in enumerate(self._about.commits)
        ]
        return made[::-1] if newest_first else made

    def _commit_of(self, item: Any) -> int | None:
        """The index of the commit that an item describes: the first one that it names, with its message."""
        places = {commit.id: place for place, commit in enumerate(self._listed)}
        own = item.values() if isinstance(item, dict) else (item,)
        texts = [*(value for value in own if isinstance(value, str)), *_strings(item)]
        place = next((places[text] for text in texts if text in places), None)
        if place is None:
            return None
        message = self._listed[place].message
        return place if message is None or {message, message.rstrip("\n")} & set(texts) else None

    def _commit(self, item: Any, place: int | None, made: Made) -> Any:
        old = self._listed[place or 0]
        part = _Part(self, old, made)
        return part.told(item)

    def scalar(self, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return value
        if self._id and str(value) == self._id:
            return self._about.id if isinstance(value, str) else UUID(self._about.id).int % 10**9
        if isinstance(value, str):
            when = _moment(value)
            if when is not None:
                return _like(value, self._about.now) if abs(when - self._received) < 86400 else value
            return self._texts.get(value) or self._text(value)
        return value

    def _text(self, text: str) -> str:
        text = _HEX.sub(lambda found: self._hex(found[0]), text)
        return text if self._word is None else self._word.sub(self._named, text)

    def _hex(self, word: str) -> str:
        for old, new in self._ids.items():
            if old.startswith(word):
                return new[: len(word)]
        return word

    def _named(self, found: re.Match[str]) -> str:
        new = self._words[found[0].lower()]
        return new.upper() if found[0].isupper() else new


class _Part:
    """The texts about one commit."""

    def __init__(self, whole: _Retelling, old: Commit, new: Made) -> None:
        self._whole, self._old, self._new = whole, old, new
        self._files = list(new.files or [])
        self._gone = [file for file in self._files if file in new.deleted]
        name, email = _split(old.author)
        to_name, to_email = _split(new.author)
        self._texts = {
            text: replaced
            for text, replaced in (
                (old.id, new.id),
                (old.message, new.message),
                ((old.message or "").rstrip("\n"), new.message),
                (old.author, new.author),
                (name, to_name),
                (email, to_email),
            )
            if text
        }

    def told(self, value: Any) -> Any:
        if isinstance(value, dict):
            files = self._by_kind(value) if value.keys() >= _KINDS else {}
            return {key: files[key] if key in files else self.told(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, str):
            if value in self._texts:
                return self._texts[value]
            if self._old.when is not None and _moment(value) == self._old.when:
                return _like(value, self._new.when or 0)
            return self._whole.scalar(value.replace(self._old.id, self._new.id))
        if (
            self._old.when is not None
            and type(value) is int
            and value in (self._old.when, self._old.when * 1000)
        ):
            return (self._new.when or 0) * (value // self._old.when)
        return self._whole.scalar(value)

    def _by_kind(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The lists of files, one for each kind of change; what is empty is written as it was."""
        files = {_REMOVED: self._gone, _CHANGED: [file for file in self._files if file not in self._gone]}
        return {kind: files.get(kind) or (value[kind] and []) for kind in _KINDS}

    def _list(self, items: list[Any]) -> list[Any]:
        known = set(self._old.files or ())
        if items and known and all(known & set(_strings(item)) for item in items):
            files, self._files = self._files, []
            return [_with_file(items[0], known, file) for file in files]
        return [self.told(item) for item in items]


def _with_file(item: Any, known: set[str], file: str) -> Any:
    if isinstance(item, dict):
        return {key: file if isinstance(each, str) and each in known else each for key, each in item.items()}
    return file


def _newest(event: Event) -> Commit | None:
    """The commit that a branch or tag is on now."""
    if not isinstance(event, RefUpdate):
        return None
    listed = (commit for commit in event.commits if commit.id == event.after)
    return event.head or next(listed, None)


def _own(value: Mapping[str, Any]) -> set[str]:
    """The texts that stand in an object itself."""
    return {text for text in value.values() if isinstance(text, str)}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(inner)


def _split(author: str) -> tuple[str, str]:
    name, _, email = author.partition(" <")
    return name, email.rstrip(">")


def _ids(event: Event, about: About) -> Iterator[tuple[str, str]]:
    """The ids of commits."""
    if isinstance(event, RefUpdate):
        yield from (
            (old, new) for old, new in ((event.after, about.after), (event.before, about.before)) if old
        )
        if event.head is not None:
            yield event.head.id, about.commits[-1].id
    elif isinstance(event, PullRequest):
        sides = ((event.head.revision, about.after), (event.base.revision, about.before))
        yield from ((old, new) for old, new in sides if old)


def _texts(event: Event, about: About) -> Iterator[tuple[str, str]]:
    """Whole texts."""
    newest = about.commits[-1]
    head = getattr(event, "head", None)
    if isinstance(event, RefUpdate) and isinstance(head, Commit) and head.message:
        yield head.message, newest.message
    if isinstance(event, PullRequest) and event.title:
        yield event.title, newest.message.partition("\n")[0]


def _words(event: Event, about: About) -> dict[str, str]:
    """Words of addresses, paths and refs, longest first; in lower case."""
    words: dict[str, str] = {}
    sides = [event.head, event.base] if isinstance(event, PullRequest) else []
    repositories = [getattr(event, "repository", None), *(side.repository for side in sides)]
    for repository in repositories:
        if repository is not None:
            words.update(_of_repository(repository, about.address))
    branches = [event.short] if isinstance(event, RefUpdate) else [side.branch for side in sides[:1]]
    words.update({branch: about.branch for branch in branches if branch})
    return {word.lower(): words[word] for word in sorted(words, key=len, reverse=True)}


def _of_repository(repository: Repository, address: str) -> Iterator[tuple[str, str]]:
    page = urlsplit(address)
    path = page.path.strip("/")
    owner, _, name = path.rpartition("/")
    full = repository.full_name or ""
    for url in repository.urls.values():
        host = urlsplit(url or "").hostname or (url or "").partition("@")[2].partition(":")[0]
        if host:
            yield host, page.netloc
            yield f"https://{host}", f"{page.scheme}://{page.netloc}"
            # The port of the web page says nothing about the SSH port.
            yield f"git@{host}", f"git@{page.netloc.removesuffix(f':{page.port}')}"
    if full:
        yield full, path
        yield full.rpartition("/")[0] or full, owner
        yield full.rpartition("/")[2], name
    if repository.name:
        yield repository.name, name


def _moment(text: str) -> float | None:
    """An ISO 8601 date in seconds since the epoch."""
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _like(text: str, when: float) -> str:
    """A date, in the format of another one."""
    written = datetime.fromtimestamp(int(when), timezone.utc).isoformat(sep=text[10])
    return written.replace("+00:00", "Z") if text.endswith("Z") else written


__all__ = ["ZEROS", "About", "retold"]

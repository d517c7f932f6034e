"""The common parts of all pages: their frame, and how times, states and senders' texts are shown.

Strategy: a page is a tree of tags, which twisted.web.template serializes, so anything from a sender is text,
never markup. The tree is serialized in the thread that has read the journal.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.template import Tag, flattenString, tags

from change_hooks.admin.assets import address_of
from change_hooks.core.shown import printable

DOCTYPE = b"<!DOCTYPE html>\n"
#: The latest time that can be shown, in seconds since the epoch.
_LATEST = 253_402_300_799


def written(tree: Any) -> bytes:
    """Serialize a tree as HTML."""
    found: list[bytes] = []
    flattened: Deferred[bytes] = flattenString(None, tree)
    flattened.addCallback(found.append)
    flattened.addErrback(lambda failure: failure.raiseException())
    return found[0] if found else _raised(flattened)


def _raised(flattened: Deferred[Any]) -> Any:
    failures: list[Any] = []
    flattened.addErrback(failures.append)
    failures[0].raiseException()


def framed(title: str, *content: Any, root: str = "./", live: bool = False) -> bytes:
    """A whole page.

    :param root: the relative path to the root.
    :param live: whether the list on it follows the journal.
    """
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(name="color-scheme", content="light dark"),
        tags.title(f"{title} · change_hooks"),
        tags.link(rel="icon", href=root + address_of("icon.svg"), type="image/svg+xml"),
        tags.link(rel="stylesheet", href=root + address_of("page.css")),
        tags.script(src=root + address_of("page.js"), defer="defer") if live else "",
    )
    body = tags.body(
        tags.a("Skip to the content", href="#content", class_="skip"),
        tags.header(
            tags.a("change_hooks", href=root, class_="name"),
            tags.p(id="live", hidden="hidden") if live else "",
        ),
        Tag("main")(*content, id="content", tabindex="-1"),
    )
    return DOCTYPE + written(tags.html(head, body, lang="en"))


def shown(text: str, longest: int = 300) -> str:
    """A sender's text, on one line, shortened."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def moment(seconds: float | None, *, date: bool = True) -> Tag | str:
    """A time, in UTC."""
    if seconds is None or not 0 <= seconds <= _LATEST:
        return "-"
    at = datetime.fromtimestamp(seconds, timezone.utc)
    text = at.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
    return tags.time(text, datetime=at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def state(word: str) -> Tag:
    """A word for a state, with its colour."""
    return tags.span(word, class_=f"state {word}")


def counted(number: int, one: str, many: str = "") -> str:
    """``1 change``, ``1,200 changes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A duration, to about two digits."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def size(number: int) -> str:
    """A number of bytes."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def repository(name: str) -> Any:
    """A repository's name, with the part that is common to its whole forge de-emphasised."""
    name = shown(name)
    scheme, separator, rest = name.partition("://")
    host, _, path = rest.partition("/")
    if separator and path:
        return [tags.span(f"{scheme}://{host}/", class_="far"), path]
    return name


__all__ = [
    "counted",
    "duration",
    "framed",
    "moment",
    "repository",
    "shown",
    "size",
    "state",
    "written",
]

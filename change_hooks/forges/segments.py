"""Path segments of a forge's addresses that come from payloads: only plain names are allowed."""

from __future__ import annotations

import re
from urllib.parse import quote

from change_hooks.forges.rest import RestError

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.~{}/ -]{1,300}")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.~-]{1,200}")


class Quoted(str):
    """A path segment that has been checked and quoted."""

    __slots__ = ()


def segment(text: str) -> str:
    """Quote a path segment, including any slashes in it.

    :raises RestError: *text* is not a plain name.
    """
    if isinstance(text, Quoted):
        return text
    if not isinstance(text, str) or not _SEGMENT.fullmatch(text) or _climbs(text):
        raise RestError("a part of the address is not a plain name", 400)
    return quote(text, safe="~")


def _climbs(text: str) -> bool:
    return any(part in ("", ".", "..") for part in text.split("/"))


def names(full_name: str | None, parts: int | None = 2) -> list[str]:
    """The parts of a repository's full name.

    :param parts: how many there must be; None: any number.
    :raises RestError: there are more or fewer, or one is not a plain name.
    """
    found = (full_name or "").split("/")
    if parts is not None and len(found) != parts:
        raise RestError("the repository's name is not one that the forge's API knows", 400)
    if not all(map(_NAME.fullmatch, found)):
        raise RestError("the repository's name is not one that the forge's API knows", 400)
    return found


__all__ = ["Quoted", "names", "segment"]

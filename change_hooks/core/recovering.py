"""The option ``recover``: where to look for missing deliveries, how often, and how to get them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from change_hooks.core.address import without_password
from change_hooks.core.names import check_names

#: Ask the forge to send it again; get it from the forge's log; compare branches and pull requests.
VIAS = ("redeliver", "fetch", "heads")
#: The shortest interval between two runs, in seconds.
SHORTEST = 10.0

_FULL_NAME = re.compile(r"[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~ -]+)+")
_ORGANIZATION = re.compile(r"org:([A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*)")
_FORM = "must be a dict {'from': ['OWNER/NAME', 'org:NAME', …], 'every': SECONDS, 'via': 'fetch'}"


@dataclass(frozen=True)
class Source:
    """A source for recovery: it has a log of its deliveries, or branches.

    :param repository: the repository's full name at the forge.
    :param organization: the organization's name; on GitLab, the group's.
    :param app: the App that the token belongs to.
    :param url: the address of a repository, for Git.
    :param hook: the webhook's number at the forge; None: the one whose URL ends in the endpoint's path.
    """

    repository: str = ""
    organization: str = ""
    app: bool = False
    url: str = ""
    hook: int | None = None

    @property
    def kind(self) -> str:
        """``repository``, ``organization``, ``app`` or ``url``."""
        if self.app:
            return "app"
        return "organization" if self.organization else "url" if self.url else "repository"

    @property
    def name(self) -> str:
        """The source's name in messages, and in the journal, which records how far it was read."""
        named = "app" if self.app else f"org:{self.organization}" if self.organization else self.repository
        return f"{named or without_password(self.url)} {self.hook or ''}".strip()


@dataclass(frozen=True)
class Recover:
    """The option ``recover``.

    :param every: in seconds; None: only at the start, and after the receiver could not accept deliveries.
    :param via: one of :data:`VIAS`; None: whatever the forge supports.
    """

    sources: tuple[Source, ...] = ()
    every: float | None = None
    via: str | None = None


NOWHERE = Recover()


def recover(value: object) -> Recover:
    """Accept ``{'from': ['owner/name', 'org:acme', 'app', {…}], 'every': 300, 'via': 'fetch'}``."""
    if not isinstance(value, Mapping):
        raise TypeError(_FORM)
    check_names(value, ("from", "every", "via"))
    if "from" not in value:
        raise TypeError(_FORM)
    sources, every, via = value["from"], value.get("every"), value.get("via")
    if not isinstance(sources, (list, tuple)) or not sources:
        raise TypeError(_FORM)
    if every is not None and (isinstance(every, bool) or not isinstance(every, (int, float))):
        raise TypeError("has an 'every' that is not a number of seconds")
    if every is not None and not every >= SHORTEST:
        raise ValueError(f"has an 'every' of less than {SHORTEST:g} seconds")
    if via is not None and via not in VIAS:
        raise ValueError(f"has a 'via' that is not one of {', '.join(map(repr, VIAS))}")
    return Recover(tuple(map(_source, sources)), every, via)


def _source(item: object) -> Source:
    if isinstance(item, Mapping):
        return _of_mapping(item)
    if item == "app":
        return Source(app=True)
    if not isinstance(item, str):
        raise ValueError("must list 'OWNER/NAME', 'org:NAME', 'app' or {'repository': …, 'hook': 123}")
    if "://" in item:
        if not item.isprintable():
            raise ValueError("has an address with invalid characters")
        return Source(url=item)
    found = _ORGANIZATION.fullmatch(item)
    if found is not None:
        return Source(organization=found[1])
    return _repository(item, None)


def _of_mapping(item: Mapping[object, object]) -> Source:
    check_names(item, ("repository", "organization", "hook"))
    hook = item.get("hook")
    if hook is not None and (type(hook) is not int or hook <= 0):
        raise ValueError("has a 'hook' that is not a number")
    if {"organization"} <= set(item) <= {"organization", "hook"}:
        found = _ORGANIZATION.fullmatch(f"org:{item['organization']}")
        if found is None:
            raise ValueError(f"has {item['organization']!r}, which is not a valid name of an organization")
        return Source(organization=found[1], hook=hook)
    if not {"repository"} <= set(item) <= {"repository", "hook"}:
        raise ValueError("must list 'OWNER/NAME' or {'repository': 'OWNER/NAME', 'hook': 123}")
    return _repository(item["repository"], hook)


def _repository(name: object, hook: int | None) -> Source:
    if not isinstance(name, str) or not _FULL_NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ValueError(f"has {name!r}; write OWNER/NAME")
    return Source(name, hook=hook)


__all__ = ["NOWHERE", "VIAS", "Recover", "Source", "recover"]

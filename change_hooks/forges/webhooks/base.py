"""The common base of all forges' webhooks.

Strategy: the module of each forge implements how webhooks are listed, created, changed and tested. Which of
them is ours, what is wrong with it and what it should be is decided in one place for all forges. No forge
returns a secret, so the secret is written with every update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from change_hooks.core.recovering import Source
from change_hooks.forges.forge import Forge, mapping
from change_hooks.forges.rest import Pager, Query, RestError, Subject

if TYPE_CHECKING:
    from change_hooks.dialects.event_handler import EventHandler

#: How many pages of a list of webhooks are read at most; forges allow a few dozen webhooks.
PAGES = 20
#: What forges return in place of a secret that is set.
HIDDEN = "********"
_PORTS = {"http": 80, "https": 443}


class Wanted(msgspec.Struct, frozen=True):
    """What a webhook should be.

    :param events: as the forge's API names them.
    :param secret: None: no secret.
    """

    url: str
    events: frozenset[str]
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Wanted({shown_url(self.url)!r}, {sorted(self.events)})"


class Webhook(msgspec.Struct, frozen=True):
    """A webhook as the forge has it.

    :param number: the forge's id of it.
    :param active: whether the forge sends to it.
    :param has_secret: whether it has a secret; None: the forge does not say.
    :param disabled: why the forge has disabled it automatically; empty: it has not.
    :param doubts: what else may be unintended, one phrase each.
    :param read: the webhook as the API returned it.
    """

    number: str
    url: str
    events: frozenset[str]
    active: bool = True
    has_secret: bool | None = None
    disabled: str = ""
    doubts: tuple[str, ...] = ()
    read: Any = None

    def __repr__(self) -> str:
        return f"Webhook({self.number!r}, {shown_url(self.url)!r})"


class Last(msgspec.Struct, frozen=True):
    """The outcome of the last delivery to a webhook.

    :param status: the response; 0: there was none.
    :param said: the forge's description.
    :param at: when, in the forge's format; empty: not known.
    :param delivery: the delivery's id; empty: not known.
    """

    status: int
    said: str = ""
    at: str = ""
    delivery: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it was accepted."""
        return 200 <= self.status < 300


class Tried(msgspec.Struct, frozen=True):
    """A test that the forge was asked to send.

    :param events: the event names that the delivery may have.
    :param signed: whether it is signed with the secret.
    :param last: its outcome, if the forge reports that at once.
    """

    events: tuple[str, ...]
    signed: bool = True
    last: Last | None = None


class Webhooks:
    """The webhooks of a repository or an organization.

    :param source: the repository or organization.
    :param handler: the endpoint's handler, which knows which events can give a change.
    """

    #: The permissions that the token needs, in words.
    scope: ClassVar[str] = ""
    #: The kinds of sources that are supported: see :attr:`Source.kind`.
    kinds: ClassVar[tuple[str, ...]] = ("repository", "organization")
    #: The events that its API knows, each with the event's name in deliveries.
    vocabulary: ClassVar[Mapping[str, str]] = {}
    #: Whether its test gives no change; False: the test is sent only on demand. None: it has no test.
    harmless: bool | None = True
    #: How many items of the last list could not be read.
    unread: int = 0

    def __init__(self, forge: Forge, source: Source, handler: EventHandler[Any]) -> None:
        self._forge = forge
        self._rest = forge.rest
        self._source = source
        self._about = Subject(source.repository, organization=source.organization)
        self._handler = handler

    @property
    def ahead(self) -> float | None:
        """How far the forge's clock is ahead of ours, in seconds; None: not known."""
        return self._rest.ahead

    @property
    def events(self) -> frozenset[str]:
        """The events to subscribe to: those that can give a change."""
        return frozenset(name for name, sent in self.vocabulary.items() if self._handler.can_want(sent))

    async def all(self) -> list[Webhook]:
        """All webhooks.

        :raises RestError: they cannot be read.
        """
        raise NotImplementedError

    async def _listed(
        self, path: Sequence[str], pager: Pager, query: Query, read: Callable[[Any], Webhook]
    ) -> list[Webhook]:
        """The webhooks on all pages of a list.

        :raises RestError: they cannot be read, or there are too many: an unseen one would be created again.
        """
        items, complete = await self._rest.all(*path, pager=pager, most=PAGES, query=query, about=self._about)
        if not complete:
            raise RestError(
                f"there are more than {len(items)} webhooks; delete those that are not needed", 200
            )
        found = self._forge.odd.without("webhooks", items, read)
        self.unread = len(items) - len(found)
        return found

    async def create(self, wanted: Wanted) -> str:
        """Create a webhook, and return its number.

        :raises RestError: the forge refused.
        """
        raise NotImplementedError

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """Change a webhook to what it should be, and activate it. Settings outside *wanted* are kept.

        :raises RestError: the forge refused.
        """
        raise NotImplementedError

    async def last(self, number: str) -> Last | None:
        """The outcome of the last delivery; None: there is none, or the forge does not report it.

        :raises RestError: the forge cannot be asked.
        """
        return None

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """Have the forge send a test.

        :raises RestError: the forge refused.
        """
        raise NotImplementedError


# Which one is ours ---------------------------------------------------------------------------------


def same_place(one: str, other: str) -> bool:
    """Whether two URLs lead to the same place, ignoring user, password and query, which may be secret."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return "", url, None, ""
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path.rstrip("/")


def leads_to(hook: Webhook, endpoint: str) -> bool:
    """Whether the URL of a webhook ends in the path of an endpoint, on any server."""
    try:
        path = urlsplit(hook.url).path
    except ValueError:
        return False
    return path.rstrip("/").endswith(f"/change_hook/{endpoint}")


def shown_url(url: str) -> str:
    """A URL that may be shown: without user, password and query."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("?")[0].partition("#")[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


# What the modules of the forges share ----------------------------------------------------------------


def number_of(value: Any, name: str = "id") -> str:
    """The id of a webhook in a response.

    :raises RestError: it is missing.
    """
    number = mapping(value).get(name)
    if isinstance(number, bool) or not isinstance(number, (int, str)) or number == "":
        raise RestError("the response does not say which webhook it is", 200)
    return str(number)


def strings(value: Any) -> frozenset[str]:
    """The strings in a list; none for anything else."""
    return (
        frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
    )


def status_of(value: Any) -> int:
    """A status in a response, as a number or a string of digits; 0 for anything else."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else 0


def kept_url(hook: Webhook, wanted: Wanted) -> str:
    """The URL to write: the present one if it leads to the right place, because its query may matter; but not
    if the wanted one has a user, a password or a query itself.
    """
    parts = urlsplit(wanted.url)
    own = bool(parts.query or parts.username or parts.password)
    readable = HIDDEN not in hook.url and "*****" not in hook.url
    return hook.url if not own and readable and same_place(hook.url, wanted.url) else wanted.url


__all__ = [
    "HIDDEN",
    "PAGES",
    "Last",
    "Tried",
    "Wanted",
    "Webhook",
    "Webhooks",
    "kept_url",
    "leads_to",
    "number_of",
    "same_place",
    "shown_url",
    "status_of",
    "strings",
]

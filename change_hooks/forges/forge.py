"""What every forge is asked for: data that a payload leaves out, and who may use comment commands.

Strategy: the module of each forge knows how to ask its API (the methods that raise :class:`Unsupported`
here). This module decides when to ask and for how long, and ensures that a failure never costs an event.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Comment, Commit, Event, Person, PullRequest, RefUpdate, Repository
from change_hooks.core.payload import convert
from change_hooks.flow import reactor_unless
from change_hooks.forges.api import Api
from change_hooks.forges.client import Rest
from change_hooks.forges.completing import Commits, Paths, completed_pull, completed_update
from change_hooks.forges.odd_items import OddItems
from change_hooks.forges.rest import RestError, Subject, Unsupported
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import authorization, bearer

log = Logger()

#: The time limit of each request, in seconds: a sender waits ten for our response.
REQUEST_LIMIT = 3.0
#: The time limit of all requests about a pull request or a comment, in seconds.
LOOK_UP_LIMIT = 4.0
#: The time limit of ``complete``, in seconds: the sender has its response by then.
COMPLETE_LIMIT = 60.0
#: The permissions in a repository, lowest first.
LEVELS = ("none", "read", "write", "admin")

T = TypeVar("T")


class OpenPulls(msgspec.Struct, frozen=True):
    """The open pull requests of a repository.

    :param items: each as if it had just been opened.
    :param whole: False: there are more, or some cannot be read.
    """

    items: list[PullRequest]
    whole: bool = True


class Forge:
    """The base class of the forges.

    :param options: the endpoint's options: ``token``, ``verify``, ``debug`` and the API's address, as
        attributes.
    :param http: a treq ``HTTPClient``; None: one is created.
    :param clock: the reactor, or a clock in tests; None: the reactor.
    :raises ValueError: an option is not usable.
    """

    #: The forge's name in messages.
    name: ClassVar[str] = ""
    #: The option with the API's address, and its default; None: the option must be set.
    api_option: ClassVar[str] = "api"
    api: ClassVar[str | None] = None
    #: The path that is appended to the address.
    api_path: ClassVar[str] = ""
    accept: ClassVar[str] = "application/json"
    #: How a token is sent; None: as a bearer token.
    scheme: ClassVar[Any] = None
    #: Pull requests are always looked up, not only with ``complete``.
    always_asks: ClassVar[bool] = False
    #: A push is one change, with the files of the whole push.
    whole_pushes: ClassVar[bool] = False
    #: Which of the options ``complete`` and ``commands`` the forge supports.
    supports: ClassVar[frozenset[str]] = frozenset()
    #: The user name that goes with a token for Git over HTTPS.
    git_user: ClassVar[str] = "git"
    #: The names of its webhook events for branches, tags and pull requests.
    push_event: ClassVar[str] = "push"
    tag_event: ClassVar[str] = "push"
    pull_event: ClassVar[str] = "pull_request"

    def __init__(
        self,
        options: Any,
        http: Any = None,
        clock: Any = None,
        *,
        time_limit: float = REQUEST_LIMIT,
        attempts: int = 1,
    ) -> None:
        clock = reactor_unless(clock)
        verify = getattr(options, "verify", True)
        self.clock = clock
        if http is None:
            from change_hooks.http_client import http_client

            http = http_client(clock, verify=verify, connect_timeout=time_limit)
        self.http = http
        self.debug = bool(getattr(options, "debug", False))
        self.odd = OddItems(self.name)
        self.base = (getattr(options, self.api_option, None) or self.api or "").rstrip("/")
        self.authorization = authorization(
            getattr(options, "token", None), self.scheme or bearer, self.base, self.http, clock
        )
        self.rest = Rest(
            self.base + self.api_path,
            self.http,
            clock,
            authorization=self.authorization,
            accept=self.accept,
            time_limit=time_limit,
            attempts=attempts,
        )

    @property
    def requests(self) -> Api:
        """The API, for handlers."""
        return Api(self.rest, self.repository_path)

    # Called by the framework.

    def enrich(self, event: Event, *, complete: bool = False) -> Deferred[Event]:
        """Fetch what *event* lacks.

        :param complete: fetch everything; otherwise only what this forge never sends.
        :returns: the event, as complete as possible; never fails because of the forge.
        """
        return Deferred.fromCoroutine(self._enrich(event, complete))

    def permission(
        self,
        repository: Repository,
        who: Person,
        wanted: str = "write",
        *,
        installation: str | None = None,
    ) -> Deferred[bool]:
        """Whether a person has a permission in a repository.

        :param wanted: one of :data:`LEVELS`.
        :returns: False also if the forge cannot be asked.
        """
        return Deferred.fromCoroutine(self._permission(repository, who, wanted, installation))

    # Implemented by each forge.

    def repository_path(self, full_name: str) -> Sequence[str]:
        """The path of a repository in the API.

        :raises RestError: the API does not allow this name.
        """
        return ("repos", *names(full_name))

    async def commits(self, update: RefUpdate) -> Commits:
        """All new commits of an update, up to the limit."""
        raise Unsupported

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """One commit."""
        raise Unsupported

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """The paths that a commit touches."""
        raise Unsupported

    async def update_files(self, update: RefUpdate) -> Paths:
        """The paths that all new commits of an update touch, where :attr:`whole_pushes`."""
        raise Unsupported

    async def repository(self, full_name: str) -> Repository:
        """A repository, as payloads describe it."""
        raise Unsupported

    def git_url(self, full_name: str) -> str:
        """The URL of a repository for Git over HTTPS, on the configured server.

        :raises RestError: the API does not allow this name.
        """
        return f"{self.base.removesuffix('/api/v3')}/{'/'.join(names(full_name, None))}.git"

    async def pull_requests(self, repository: Repository) -> OpenPulls:
        """The open pull requests."""
        raise Unsupported

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """The paths that a pull request touches."""
        raise Unsupported

    async def head_commit(self, pull: PullRequest) -> Commit:
        """The last commit of a pull request."""
        return await self.commit(pull.repository, pull.head.revision or "")

    async def pull_request(self, repository: Repository, number: int, known: PullRequest) -> PullRequest:
        """The current state of a pull request.

        :param known: what is already known about it.
        """
        raise Unsupported

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """A person's permission: one of :data:`LEVELS`."""
        raise Unsupported

    # When to ask, and what to do without an answer.

    async def _enrich(self, event: Event, complete: bool) -> Event:
        if not self.base:
            return event
        ask = partial(self._ask, limit=COMPLETE_LIMIT if complete else LOOK_UP_LIMIT)
        if isinstance(event, PullRequest) and (complete or self.always_asks):
            return await completed_pull(self, event, ask)
        if isinstance(event, Comment) and event.pull_request.head.revision is None:
            pull = event.pull_request
            asked = self.pull_request(pull.repository, pull.number, pull)
            found = await ask("a comment's pull request", asked)
            return event if found is None else replace(event, pull_request=found)
        if isinstance(event, RefUpdate) and complete and event.after is not None:
            return await completed_update(self, event, ask)
        return event

    async def _permission(
        self, repository: Repository, who: Person, wanted: str, installation: str | None
    ) -> bool:
        if not (who.login or who.id) or wanted not in LEVELS or not self.base:
            return False
        about = Subject(repository.full_name or "", installation)
        level = await self._ask("a permission", self.level(repository, who, about), LOOK_UP_LIMIT)
        return level in LEVELS and LEVELS.index(level) >= LEVELS.index(wanted)

    async def _ask(self, what: str, asked: Coroutine[Any, Any, T], limit: float) -> T | None:
        later = Deferred.fromCoroutine(asked)
        try:
            answer = await later.addTimeout(limit, self.clock)
        except Unsupported:
            return None
        except (RestError, DeferredTimeout) as error:
            log.warn(
                "{forge}: could not fetch {what}: {reason}",
                forge=self.name,
                what=what,
                reason=str(error) if isinstance(error, RestError) else f"no response within {limit:g} s",
            )
            return None
        if self.debug:
            log.info("{forge}: fetched {what}", forge=self.name, what=what)
        return answer


def about(event: PullRequest | RefUpdate) -> Subject:
    """The subject of requests about *event*."""
    return Subject(event.repository.full_name or "", getattr(event, "installation", None))


def mapping(value: Any) -> Mapping[str, Any]:
    """*value* if it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def is_account_of(account: Any, who: Person) -> bool:
    """Whether an account that was found by its login belongs to *who*: somebody else may have taken over a
    login that was given up. If either has no key, the login decides.
    """
    key = mapping(account).get("id")
    return who.id is None or type(key) not in (int, str) or str(key) == who.id


def shaped_as(shape: type[T], value: Any) -> T:
    """Decode part of a response that has the same shape in payloads.

    :raises RestError: it has another shape.
    """
    try:
        return convert(value, shape)
    except BadPayload as error:
        raise RestError(f"the response has an unexpected form: {error.message}", 200) from error


def text(value: Any, *path: str) -> str | None:
    """The text at *path* in a JSON object, or None."""
    for name in path:
        value = mapping(value).get(name)
    return value if isinstance(value, str) else None


def parents_of(
    items: Sequence[Any], name: str, parents: str, parent: str | None = None
) -> dict[str, list[str]]:
    """The parents of those commits that list any.

    :param name: the field with a commit's id.
    :param parents: the field with its parents.
    :param parent: the field with the id of each parent; None: the parents are listed as ids.
    """
    found: dict[str, list[str]] = {}
    for item in items:
        listed = mapping(item).get(parents)
        if isinstance(listed, list):
            named = [each if parent is None else text(each, parent) for each in listed]
            found[text(item, name) or ""] = [each for each in named if isinstance(each, str)]
    return {commit: each for commit, each in found.items() if each}


def texts(items: Sequence[Any], *fields: str) -> list[str]:
    """The texts in these fields of JSON objects, without duplicates, in order."""
    found = (text(item, field) for item in items for field in fields)
    return list(dict.fromkeys(name for name in found if name))


Factory = Callable[[Any, Any, Any], Forge]

__all__ = [
    "LEVELS",
    "Factory",
    "Forge",
    "OpenPulls",
    "about",
    "is_account_of",
    "mapping",
    "parents_of",
    "shaped_as",
    "text",
    "texts",
]

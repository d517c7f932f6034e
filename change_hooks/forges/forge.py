"""What is asked of every forge alike: what a payload leaves out, and who may write comment commands.

Strategy: a module for each forge says how its API is asked (the methods that raise :class:`Unsupported`
here). When to ask, for how long, and that a failure costs no event, is said here, once.
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
from change_hooks.http_answers import http_client

log = Logger()

#: For each request, in seconds: a sender waits ten for our answer.
REQUEST_LIMIT = 3.0
#: For all that is asked about a pull request or a comment, in seconds.
LOOK_UP_LIMIT = 4.0
#: For what ``complete`` asks, in seconds: the sender has its answer by then.
COMPLETE_LIMIT = 60.0
#: What people may do in a repository, from little to much.
LEVELS = ("none", "read", "write", "admin")

T = TypeVar("T")


class OpenPulls(msgspec.Struct, frozen=True):
    """The pull requests of a repository that are open.

    :param items: each as if it had just been opened.
    :param whole: False: there are more, or some cannot be read.
    """

    items: list[PullRequest]
    whole: bool = True


class Forge:
    """The base of the forges.

    :param options: of the endpoint: ``token``, ``verify``, ``debug`` and the API's address, as attributes.
    :param http: a treq ``HTTPClient``; None: one is made.
    :param clock: the reactor, or a clock in tests; None: the reactor.
    :raises ValueError: an option cannot be used.
    """

    #: What it is called in messages.
    name: ClassVar[str] = ""
    #: The option with the API's address, and what it is when it is not set; None: it must be set.
    api_option: ClassVar[str] = "api"
    api: ClassVar[str | None] = None
    #: What is put after the address.
    api_path: ClassVar[str] = ""
    accept: ClassVar[str] = "application/json"
    #: How a token is sent; None: as a bearer's.
    scheme: ClassVar[Any] = None
    #: Pull requests are always asked about, and not only with ``complete``.
    always_asks: ClassVar[bool] = False
    #: A push is one change, with the files of all of it.
    whole_pushes: ClassVar[bool] = False
    #: Those of the options ``complete`` and ``commands`` that it can do something about.
    supports: ClassVar[frozenset[str]] = frozenset()
    #: The user of its repositories over HTTPS, beside a token.
    git_user: ClassVar[str] = "git"
    #: What its webhooks call the update of a branch, that of a tag, and what happens to a pull request.
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
        self.http = http or http_client(clock, verify=verify, connect_timeout=time_limit)
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

    # What the framework calls.

    def enrich(self, event: Event, *, complete: bool = False) -> Deferred[Event]:
        """Ask for what *event* lacks.

        :param complete: for all of it; otherwise only for what this forge never sends.
        :returns: the event, as complete as can be; never fails for what the forge does.
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
        """Whether somebody may do so much in a repository.

        :param wanted: one of :data:`LEVELS`.
        :returns: False also when the forge cannot be asked.
        """
        return Deferred.fromCoroutine(self._permission(repository, who, wanted, installation))

    # What each forge says.

    def repository_path(self, full_name: str) -> Sequence[str]:
        """Where a repository stands in the API.

        :raises RestError: its name is not one that the API knows.
        """
        return ("repos", *names(full_name))

    async def commits(self, update: RefUpdate) -> Commits:
        """All new commits of an update, as far as they are asked for."""
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
        """A repository, as it stands in a payload."""
        raise Unsupported

    def git_url(self, full_name: str) -> str:
        """Where Git finds a repository over HTTPS, on the configured server.

        :raises RestError: its name is not one that the API knows.
        """
        return f"{self.base.removesuffix('/api/v3')}/{'/'.join(names(full_name, None))}.git"

    async def pull_requests(self, repository: Repository) -> OpenPulls:
        """The pull requests that are open."""
        raise Unsupported

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """The paths that a pull request touches."""
        raise Unsupported

    async def head_commit(self, pull: PullRequest) -> Commit:
        """The last commit of a pull request."""
        return await self.commit(pull.repository, pull.head.revision or "")

    async def pull_request(self, repository: Repository, number: int, known: PullRequest) -> PullRequest:
        """A pull request as it is now.

        :param known: what is known of it.
        """
        raise Unsupported

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """What somebody may do: one of :data:`LEVELS`."""
        raise Unsupported

    # When to ask, and what of it when there is no answer.

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
                reason=str(error) if isinstance(error, RestError) else f"no answer within {limit:g} s",
            )
            return None
        if self.debug:
            log.info("{forge}: fetched {what}", forge=self.name, what=what)
        return answer


def about(event: PullRequest | RefUpdate) -> Subject:
    """What requests about *event* are about."""
    return Subject(event.repository.full_name or "", getattr(event, "installation", None))


def mapping(value: Any) -> Mapping[str, Any]:
    """*value* when it is a JSON object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def is_account_of(account: Any, who: Person) -> bool:
    """Whether an account that was found by its login is somebody's: a login that was given up may be that of
    another one by now. Where one of both has no key, the login alone decides.
    """
    key = mapping(account).get("id")
    return who.id is None or type(key) not in (int, str) or str(key) == who.id


def shaped_as(shape: type[T], value: Any) -> T:
    """What is in an answer, in the shape in which it stands in payloads too.

    :raises RestError: it is something else.
    """
    try:
        return convert(value, shape)
    except BadPayload as error:
        raise RestError(f"the answer is not what was asked for: {error.message}", 200) from error


def text(value: Any, *path: str) -> str | None:
    """The text at *path* in a JSON object; None when there is none."""
    for name in path:
        value = mapping(value).get(name)
    return value if isinstance(value, str) else None


def parents_of(
    items: Sequence[Any], name: str, parents: str, parent: str | None = None
) -> dict[str, list[str]]:
    """The parents of commits, of those that are said to have any.

    :param name: the field with what a commit is called.
    :param parents: that with its parents.
    :param parent: that with what each of them is called; None: they are their names.
    """
    found: dict[str, list[str]] = {}
    for item in items:
        listed = mapping(item).get(parents)
        if isinstance(listed, list):
            named = [each if parent is None else text(each, parent) for each in listed]
            found[text(item, name) or ""] = [each for each in named if isinstance(each, str)]
    return {commit: each for commit, each in found.items() if each}


def texts(items: Sequence[Any], *fields: str) -> list[str]:
    """The texts in these fields of JSON objects: each one once, in order."""
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

"""The ``github`` dialect: GitHub and GitHub Enterprise.

Source: GitHub, "Webhook events and payloads"; "Validating webhook deliveries"; REST API, "Pull requests".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from msgspec.structs import replace
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger

from change_hooks.core.change import MISSING, Change, NoChange, person
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import SignatureMissing
from change_hooks.core.options import (
    ForgeOptions,
    Options,
    anything,
    flag,
    option,
    text,
    text_or_callable,
    texts,
)
from change_hooks.core.payload import Shape, convert, epoch
from change_hooks.core.verification import verify_hmac
from change_hooks.dialects.handler import Changes, EventHandler, not_told, shaped
from change_hooks.flow import as_deferred
from change_hooks.forges.client import RestApi, RestError
from change_hooks.http_answers import http_client

log = Logger()

#: For each request to the API, and for each of the two look-ups of a pull request, in seconds: GitHub
#: waits ten for our answer.
REST_TIMEOUT = 3.0
LOOK_UP_TIMEOUT = 4.0
#: Items a page, and pages, of a pull request's files: GitHub lists 3,000 at most.
PAGE_SIZE, PAGES = 100, 30
#: The actions of a pull request after which there is something new to build.
PULL_REQUEST_ACTIONS = ("opened", "reopened", "synchronize")


class User(Shape):
    name: str | None = None
    email: str | None = None
    login: str | None = None


class Commit(Shape):
    id: str
    message: str | None = None
    timestamp: str | int | None = None
    url: str | None = None
    author: User | None = None
    committer: User | None = None
    distinct: bool | None = None
    added: list[str] | None = None
    removed: list[str] | None = None
    modified: list[str] | None = None


class Repository(Shape):
    full_name: str | None = None
    name: str | None = None
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None


class Push(Shape):
    ref: str
    repository: Repository
    after: str | None = None
    deleted: bool | None = None
    commits: list[Commit] | None = None
    head_commit: Commit | None = None
    pusher: User | None = None
    compare: str | None = None


class Side(Shape):
    sha: str
    ref: str | None = None
    repo: Repository | None = None


class PullRequest(Shape):
    head: Side
    base: Side
    title: str | None = None
    body: str | None = None
    commits: int | None = None
    html_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    user: User | None = None


class PullRequestEvent(Shape):
    number: int
    pull_request: PullRequest
    action: str | None = None
    repository: Repository | None = None
    sender: User | None = None


@dataclass(frozen=True)
class GitHubOptions(ForgeOptions):
    """What a user may write for ``github``."""

    strict: bool = option(default=False, check=flag)
    replacement: Any = option(None, anything, "class")
    github_property_whitelist: tuple[str, ...] = option((), texts)
    github_api_endpoint: str = option("https://api.github.com", text)
    pullrequest_ref: str = option("merge", text)
    token: Any = option(None, text_or_callable)
    verify: bool = option(default=True, check=flag)
    debug: bool = option(default=False, check=flag)


class GitHubEventHandler(EventHandler):
    """Takes ``ping``, ``push`` and ``pull_request``."""

    Options: ClassVar[type[Options] | None] = GitHubOptions
    forge = "github"
    event_header = "X-GitHub-Event"
    id_headers = ("X-GitHub-Delivery",)
    takes_form = True

    @property
    def signed(self) -> bool:
        """Only a strict endpoint demands a signature."""
        return bool(self.settings.strict)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A strict endpoint needs a secret."""
        if options.get("strict") is True and not options.get("secret"):
            return ["option 'strict' needs a 'secret', the same as on GitHub"]
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when a delivery may come without a signature."""
        if options.get("secret") and not options.get("strict") and not protected:
            return ["takes deliveries without a signature in spite of its 'secret': set 'strict': True"]
        return super().doubts(options, protected)

    def check(self, delivery: Delivery, secrets: tuple[bytes, ...]) -> None:
        """SHA-256 decides where it is sent; SHA-1 counts only alone."""
        for header, algorithm in SIGNATURES:
            sent = delivery.getHeader(header)
            if sent is not None:
                verify_hmac(delivery.body, sent, secrets, algorithm=algorithm, prefix=f"{algorithm}=")
                return
        if self.settings.strict:
            raise SignatureMissing("the signature is missing; set the same secret on GitHub")

    def property_source(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a pull request's payload, the pull request."""
        pull_request = payload.get("pull_request") if event == "pull_request" else None
        return pull_request if isinstance(pull_request, Mapping) else payload

    def names(self, payload: Any) -> tuple[Iterable[str | None], Iterable[str | None]]:
        """A repository by each of its addresses, and a pull request also by the branch it is for."""
        if isinstance(payload, PullRequestEvent):
            repository = payload.pull_request.base.repo or payload.repository or Repository()
            return _names(repository), (payload.pull_request.base.ref,)
        return (_names(payload.repository) if isinstance(payload, Push) else ()), ()

    def handle_ping(self, payload: Mapping[str, Any]) -> Changes:
        """GitHub tries a new webhook."""
        return NoChange("a ping; the webhook works"), "git"

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Changes:
        """One change for each commit; for a ref that moved without new commits, one for where it is now."""
        repository, head = payload.repository, payload.head_commit
        kind, _, branch = payload.ref.removeprefix("refs/").partition("/")
        if kind not in ("heads", "tags"):
            return NoChange("the ref is no branch and no tag"), "git"
        if payload.deleted or (payload.after and not payload.after.strip("0")):
            return NoChange("the branch or tag was deleted"), "git"
        refusal = self.skipped(head.message if head else None)
        if refusal is not None:
            return refusal, "git"
        common = Change(
            branch=branch,
            category="tag" if kind == "tags" else None,
            repository=_address(self, repository),
            project=repository.full_name or repository.name or "",
            src="git",
        )
        commits = payload.commits or ([head] if head else [])
        if not commits and payload.after:
            return [_unlisted(payload, common)], "git"
        return [_commit_change(commit, common) for commit in commits], "git"

    @shaped(PullRequestEvent)
    def handle_pull_request(self, payload: PullRequestEvent, event: str = "pull_request") -> Changes:
        """One change for its head; :meth:`complete` adds the files."""
        pull, number = payload.pull_request, payload.number
        if payload.action not in PULL_REQUEST_ACTIONS:
            return NoChange("there is nothing to build after this action of a pull request"), "git"
        repository = pull.base.repo or payload.repository or Repository()
        branch = f"refs/pull/{number}/{self.settings.pullrequest_ref}"
        when = pull.updated_at if payload.action == "synchronize" else None
        author = payload.sender or pull.user or User()
        commits = pull.commits or 0
        title = f"GitHub Pull Request #{number} ({commits} commit{'' if commits == 1 else 's'})"
        change = Change(
            author=author.login or author.name or "",
            comments="\n".join(filter(None, (title, pull.title, pull.body))),
            revision=pull.head.sha,
            when_timestamp=epoch(when or pull.created_at),
            branch=branch,
            category="pull",
            revlink=pull.html_url or "",
            repository=_address(self, repository),
            project=repository.full_name or "",
            properties={
                "pullrequesturl": pull.html_url,
                "event": "pull_request",
                "basename": pull.base.ref,
                **not_told("files"),
            },
        )
        return [change], "git"

    def complete(self, delivery: Delivery, payload: Any, result: Changes) -> Any:
        """Look up a pull request's files and its head commit's message, for a delivery that was proved."""
        changes, _ = result
        pull = changes[0] if len(changes) == 1 else None
        if not isinstance(pull, Change) or pull.category != "pull" or MISSING not in pull.properties:
            return result
        if not self._proved(delivery):
            return result
        return self._look_up(convert(payload, PullRequestEvent), result)

    def _proved(self, delivery: Delivery) -> bool:
        signature = any(delivery.getHeader(header) is not None for header, _ in SIGNATURES)
        return self.protected or (bool(self.settings.secret) and signature)

    @inlineCallbacks
    def _look_up(self, payload: PullRequestEvent, result: Changes) -> Any:
        pull = payload.pull_request
        name = ((pull.base.repo or payload.repository or Repository()).full_name) or ""
        api = RestApi(self.settings.github_api_endpoint, self._client(), self.clock, REST_TIMEOUT)
        try:
            headers = yield self._headers(name)
        except Exception:
            log.failure("github: the token cannot be had; asking without one")
            headers = dict(ACCEPT)
        if name.count("/") != 1:
            return result
        found = yield self._ask(
            "the head commit", partial(api.get, f"repos/{name}/commits/{pull.head.sha}", headers)
        )
        refusal = self.skipped(_message(found))
        if refusal is not None:
            return refusal, "git"
        listed = yield self._ask(
            "the files",
            partial(
                api.pages, f"repos/{name}/pulls/{payload.number}/files", headers, size=PAGE_SIZE, most=PAGES
            ),
        )
        if listed is None:
            return result
        files = [
            item["filename"] for item in listed if isinstance(item, Mapping) and _is_text(item, "filename")
        ]
        changes, src = result
        return [
            _with_files(change, files) if isinstance(change, Change) else change for change in changes
        ], src

    def _client(self) -> Any:
        if self.clock is None:
            from twisted.internet import reactor

            self.clock = reactor
        if self.http is None:
            self.http = http_client(self.clock, verify=self.settings.verify, connect_timeout=REST_TIMEOUT)
        return self.http

    @inlineCallbacks
    def _headers(self, full_name: str) -> Any:
        token = self.settings.token
        if callable(token):
            token = yield as_deferred(token({"full_name": full_name}))
        return {**ACCEPT, "authorization": f"token {token}"} if token else dict(ACCEPT)

    @inlineCallbacks
    def _ask(self, what: str, ask: Any) -> Any:
        try:
            answer = yield ask().addTimeout(LOOK_UP_TIMEOUT, self.clock)
        except (RestError, DeferredTimeout) as error:
            log.warn("github: {what} of a pull request cannot be had: {reason!r}", what=what, reason=error)
            return None
        if self.settings.debug:
            log.info("github: got {what} of a pull request", what=what)
        return answer


SIGNATURES = ((b"x-hub-signature-256", "sha256"), (b"x-hub-signature", "sha1"))
NOBODY = User()
ACCEPT = {"accept": "application/vnd.github+json", "user-agent": "change-hooks"}


def _names(repository: Repository) -> tuple[str | None, ...]:
    return (repository.full_name, repository.html_url, repository.clone_url, repository.ssh_url)


def _address(handler: EventHandler, repository: Repository) -> str:
    return handler.address(
        "html", html=repository.html_url, https=repository.clone_url, ssh=repository.ssh_url
    )


def _commit_change(commit: Commit, common: Change) -> Change:
    properties: dict[str, Any] = {"event": "push"}
    if commit.distinct is not None:
        properties["github_distinct"] = commit.distinct
    added, modified, removed = commit.added, commit.modified, commit.removed
    if added is None and modified is None and removed is None:
        properties.update(not_told("files"))
    author, committer = commit.author or NOBODY, commit.committer or NOBODY
    stamp = commit.timestamp
    return common.for_commit(
        person(author.name or author.login, author.email),
        person(committer.name or committer.login, committer.email) or None,
        [*(added or ()), *(modified or ()), *(removed or ())],
        commit.message or "",
        commit.id,
        stamp if isinstance(stamp, int) else epoch(stamp),
        commit.url or "",
        properties,
    )


def _unlisted(payload: Push, common: Change) -> Change:
    pusher = payload.pusher or NOBODY
    return replace(
        common,
        author=person(pusher.name, pusher.email),
        revision=payload.after,
        revlink=payload.compare or "",
        properties={"event": "push", **not_told("files", "comments")},
    )


def _message(found: Any) -> str | None:
    commit = found.get("commit") if isinstance(found, Mapping) else None
    return commit["message"] if isinstance(commit, Mapping) and _is_text(commit, "message") else None


def _is_text(mapping: Mapping[str, Any], name: str) -> bool:
    return isinstance(mapping.get(name), str)


def _with_files(change: Change, files: list[str]) -> Change:
    known = {name: value for name, value in change.properties.items() if name != MISSING}
    return replace(change, files=files, properties=known)


__all__ = ["GitHubEventHandler", "GitHubOptions"]

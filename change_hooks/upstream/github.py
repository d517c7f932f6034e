"""GitHub, for subclasses of Buildbot's ``GitHubEventHandler`` and ``GitHubHandler``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.events import Commit, PullRequest, RefUpdate
from change_hooks.core.screening import head_message
from change_hooks.core.select import DEFAULT_SKIPS, compile_skips, is_skipped
from change_hooks.dialects import github as dialect
from change_hooks.flow import Steps, followed
from change_hooks.upstream.common import Listed, Upstream, handled, within

DEFAULT_API = "https://api.github.com"
SKIPPED = "the commit message asks to skip it (option 'skips')"

Result = tuple[list[dict[str, Any]], str]
log = Logger()


class GitHubEventHandler(Upstream[dialect.GitHubOptions], dialect.GitHubEventHandler):
    """Accepts ``ping``, ``push`` and ``pull_request``, and any event for which a subclass has a method.

    Call it with Buildbot's arguments, or with ``(master, options)``.
    """

    property_basename = "github"

    def __init__(
        self,
        secret: Any = None,
        strict: Any = False,
        codebase: Any = None,
        github_property_whitelist: Any = None,
        master: Any = None,
        skips: Sequence[str] | None = None,
        github_api_endpoint: str | None = None,
        pullrequest_ref: str | None = None,
        token: Any = None,
        debug: bool = False,
        verify: bool = True,
    ) -> None:
        if isinstance(strict, Mapping):
            self.context = replace(self.context, master=secret)
            self.begin(strict)
            return
        self.master = master
        self._secret = secret
        self._strict = strict
        self._codebase = codebase
        self._token = token
        self.external_property_whitelist = github_property_whitelist or []
        self.skips = list(DEFAULT_SKIPS) if skips is None else skips
        self.github_api_endpoint = github_api_endpoint or DEFAULT_API
        self.pullrequest_ref = pullrequest_ref
        self.debug = debug
        self.verify: Any = verify
        written = getattr(self, "_written", {"new_branch": "head"})
        super().__init__(master, {**written, **self.attributes()})

    def begin(self, options: Any) -> None:
        """See :meth:`HookHandler.begin`: a subclass expects Buildbot's arguments."""
        written = options if isinstance(options, Mapping) else {}
        self._written = {"new_branch": "head", **written}
        type(self).__init__(
            self,
            written.get("secret"),
            written.get("strict") or False,
            master=self.context.master,
            codebase=written.get("codebase"),
            github_property_whitelist=written.get("github_property_whitelist"),
            skips=written.get("skips"),
            github_api_endpoint=written.get("github_api_endpoint") or DEFAULT_API,
            pullrequest_ref=written.get("pullrequest_ref") or "merge",
            token=written.get("token"),
            debug=written.get("debug") or False,
            verify=written.get("verify") is not False,
        )
        self.settle()

    def attributes(self) -> Mapping[str, Any]:
        """See :meth:`Upstream.attributes`. :meth:`_has_skip` decides whether to skip."""
        return {
            "secret": self._secret,
            "strict": bool(self._strict),
            "codebase": self._codebase,
            "github_property_whitelist": self.external_property_whitelist,
            "skips": [],
            "github_api_endpoint": self.github_api_endpoint,
            "pullrequest_ref": self.pullrequest_ref or "merge",
            "token": self._token,
            "debug": self.debug,
            "verify": self.verify is not False,
        }

    @property
    def github_property_whitelist(self) -> Sequence[str]:
        """The name of ``external_property_whitelist`` in older versions."""
        return self.external_property_whitelist

    @github_property_whitelist.setter
    def github_property_whitelist(self, patterns: Sequence[str]) -> None:
        self.external_property_whitelist = patterns

    def checked(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """See :meth:`HookHandler.checked`; ``verify`` is something else here."""
        return dialect.GitHubEventHandler.verify(self, delivery, secrets)

    # Pushes.

    def handle_ping(self, payload: Mapping[str, Any], event: str = "ping") -> Any:
        """GitHub tests a new webhook."""
        return Listed((), "a ping; the webhook works"), "git"

    def handle_workflow_run(self, payload: Mapping[str, Any], event: str = "workflow_run") -> Any:
        """A run of a GitHub workflow was requested, or has finished."""
        return Listed((), "a workflow run gives no change"), "git"

    def handle_push(self, payload: Any, event: str = "push") -> Any:
        """A branch or tag was created, moved or deleted. Calls :meth:`_process_change`."""
        name, url, project = _place(dialect.GitHubEventHandler.handle_push(self, payload))
        properties = self.extractProperties(payload)
        return self._process_change(payload, None, name, url, project, event, properties), "git"

    def _process_change(
        self,
        payload: Mapping[str, Any],
        user: str | None,
        repo: str,
        repo_url: str,
        project: str,
        event: str,
        properties: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """The changes of a push.

        :param repo_url, project: for the changes, instead of the payload's.
        :param properties: additional properties.
        """
        update = dialect.GitHubEventHandler.handle_push(self, payload)
        if isinstance(update, RefUpdate) and update.after and self._has_skip(head_message(update) or ""):
            return Listed((), SKIPPED)
        changes = self.decided(update, payload, event)
        _, url, name = _place(update)
        for change in changes:
            if repo_url != url:
                change["repository"] = repo_url
            if project != name:
                change["project"] = project
            change["properties"] = {**change["properties"], "event": event, **properties}
        return changes

    def _has_skip(self, msg: str) -> bool:
        """Whether a commit's message asks for no build."""
        return is_skipped(msg, compile_skips(self.skips or ()))

    # Pull requests.

    def handle_pull_request(self, payload: Any, event: str = "pull_request") -> Any:
        """A pull request event. Calls :meth:`_get_commit_msg` and :meth:`_get_pr_files`."""
        return followed(self._pull_request(payload, event))

    def _pull_request(self, payload: Mapping[str, Any], event: str) -> Steps[Result]:
        self.settle()
        delivery = handled()
        asks_message = self._asks("_get_commit_msg", delivery)
        asks_files = self._asks("_get_pr_files", delivery)
        pull = dialect.GitHubEventHandler.handle_pull_request(self, payload)
        why = self._policy.refusal(pull)
        if not isinstance(pull, PullRequest) or why is not None:
            return Listed((), why or ""), "git"
        name, sha = pull.repository.full_name or "", pull.head.revision or ""
        message = (yield self._get_commit_msg(name, sha)) if asks_message else None
        if self._has_skip(message or ""):
            return Listed((), SKIPPED), "git"
        files = (yield self._get_pr_files(name, pull.number)) if asks_files else None
        pull = replace(pull, files=files, head_commit=None if message is None else Commit(sha, message))
        changes = within(delivery, self.decided, pull, payload, event)
        listed = self.extractProperties(payload["pull_request"])
        url = payload.get("repository", {}).get("html_url")
        for change in changes:
            change["properties"] = {**change["properties"], "event": event, **listed}
            if url and self.settings.repository_url is None:
                change["repository"] = url
        return changes, "git"

    def _asks(self, name: str, delivery: Delivery | None) -> bool:
        """Nothing is looked up at the forge for unverified senders, unless a subclass does so."""
        if getattr(type(self), name) is not getattr(GitHubEventHandler, name):
            return True
        return delivery is not None and delivery.verification not in (None, "none")

    def _get_commit_msg(self, repo: str, sha: str) -> Any:
        """A Deferred with a commit's message, or with None if it could not be fetched.

        :param repo: the repository's full name.
        """
        return Deferred.fromCoroutine(self._fetched(repo, "commits", sha)).addCallback(_message)

    def _get_pr_files(self, repo: str, number: int) -> Any:
        """A Deferred with the paths that a pull request touches, or with None if they could not be fetched.

        :param repo: the repository's full name.
        """
        return Deferred.fromCoroutine(self._fetched(repo, "pulls", number, "files")).addCallback(_paths)

    async def _fetched(self, repo: str, *path: str | int) -> Any:
        try:
            api = self.api.repository(repo)
            return await (api.all(*path, per_page=100) if path[-1] == "files" else api.get(*path))
        except Exception as error:
            log.warn("github: could not fetch {what}: {reason}", what=path[0], reason=str(error))
            return None


class GitHubHandler(GitHubEventHandler):
    """Buildbot's class for the dialect ``github``; call it with ``(master, options)``. Its attribute
    ``handler`` handles the events; the option ``class`` may replace that.
    """

    def __init__(self, master: Any, options: Any = None) -> None:
        self.context = replace(self.context, master=master)
        written = options if isinstance(options, Mapping) else {}
        self._written = {"new_branch": "head", **written}
        names = ("secret", "strict", "codebase", "github_property_whitelist", "skips", "github_api_endpoint")
        more = ("pullrequest_ref", "token", "debug", "verify")
        given = {name: written[name] for name in (*names, *more) if written.get(name) is not None}
        super().__init__(**given, master=master)
        made: Any = written.get("class")
        self.handler: Any = self
        if made is not None:
            self.handler = made(given.pop("secret", None), given.pop("strict", False), master=master, **given)

    def begin(self, options: Any) -> None:
        """See :meth:`HookHandler.begin`."""
        type(self).__init__(self, self.context.master, options)
        self.settle()

    def getChanges(self, request: Any) -> Any:
        """See :meth:`Upstream.getChanges`."""
        if isinstance(request, Delivery) and request.is_verified_for(self):
            request = request.replace(verifier=self.handler)  # It has the same secret.
        return self.handler.process(request)


def _place(event: object) -> tuple[str, str, str]:
    """The repository's name, its address, and the project of a push."""
    if not isinstance(event, RefUpdate):
        return "", "", ""
    repository = event.repository
    return repository.name or "", repository.urls.get("html") or "", repository.full_name or ""


def _message(commit: Any) -> str | None:
    inner = commit.get("commit") if isinstance(commit, Mapping) else None
    message = inner.get("message") if isinstance(inner, Mapping) else None
    return message if isinstance(message, str) else None


def _paths(items: Any) -> list[str] | None:
    if items is None:
        return None
    files = [item for item in items if isinstance(item, Mapping)]
    paths = [file.get(name) for file in files for name in ("filename", "previous_filename")]
    return [path for path in paths if isinstance(path, str)]


__all__ = ["GitHubEventHandler", "GitHubHandler"]

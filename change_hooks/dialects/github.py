"""The ``github`` dialect: GitHub and GitHub Enterprise.

Source: GitHub, "Webhook events and payloads"; "Validating webhook deliveries".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import SignatureMissing
from change_hooks.core.events import Action, Event, Ignored
from change_hooks.core.options import Options
from change_hooks.core.verdicts import NOT_ON_A_PULL, OTHER_ACTION
from change_hooks.core.verification import sign_hmac, verify_hmac
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.github_options import GitHubOptions, GitHubStyle
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads.github import IssueCommentEvent, MergeGroupEvent, PullRequestEvent, Push


class GitHubEventHandler(EventHandler[GitHubOptions]):
    """Takes ``ping``, ``push``, ``pull_request``, ``merge_group`` and ``issue_comment``."""

    sender = "GitHub, GitHub Enterprise"
    verified_by = "HMAC-SHA256, HMAC-SHA1"
    Options: ClassVar[type[Options] | None] = GitHubOptions
    forge = "github"
    event_header = "X-GitHub-Event"
    id_headers = ("X-GitHub-Delivery",)
    takes_form = True
    style = GitHubStyle()
    completes_pulls = True
    pull_event = "pull_request"
    event_actions: ClassVar[Mapping[str, Action]] = {"merge_group": "queued"}

    @property
    def signed(self) -> bool:
        """Only a strict endpoint demands a signature."""
        return self.settings.strict

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when a delivery may come without a signature."""
        if options.get("secret") and not options.get("strict") and not protected:
            return ["accepts unsigned deliveries although 'secret' is set: set 'strict': True"]
        return super().doubts(options, protected)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """SHA-256 decides where it is sent; SHA-1 counts only alone."""
        for header, algorithm, prefix in SIGNATURES:
            sent = delivery.header(header)
            if sent and sent != prefix:
                verify_hmac(delivery.body, sent, secrets, algorithm=algorithm, prefix=prefix)
                return "signature"
        if self.settings.strict:
            raise SignatureMissing("the signature is missing; set the same secret on GitHub")
        return "none"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """With both hashes, as GitHub does."""
        return delivery.replace(
            headers={
                header: sign_hmac(delivery.body, secret, algorithm, prefix)
                for header, algorithm, prefix in SIGNATURES
            }
        )

    def property_source(self, event: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        """Of a pull request's payload, the pull request."""
        pull_request = payload.get("pull_request") if event == "pull_request" else None
        return pull_request if isinstance(pull_request, Mapping) else payload

    async def files(self, payload: Mapping[str, Any]) -> Sequence[object]:
        """See :meth:`EventHandler.files`."""
        pull, repository = payload["pull_request"], payload["repository"]
        installation = (payload.get("installation") or {}).get("id")
        api = self.api.repository(repository["full_name"], installation)
        return await api.all("pulls", payload.get("number") or pull["number"], "files", per_page=100)

    @reports("nothing")
    def handle_ping(self, payload: Mapping[str, object]) -> Event:
        """GitHub tries a new webhook."""
        return Ignored("a ping; the webhook works")

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch or tag was made, moved or deleted."""
        return payload.update(event)

    @shaped(PullRequestEvent)
    def handle_pull_request(self, payload: PullRequestEvent, event: str = "pull_request") -> Event:
        """Something happened to a pull request."""
        return payload.neutral(event) or Ignored(OTHER_ACTION)

    @shaped(MergeGroupEvent)
    def handle_merge_group(self, payload: MergeGroupEvent, event: str = "merge_group") -> Event:
        """The merge queue wants a group of pull requests tried together."""
        if payload.action != "checks_requested":
            return Ignored("there is nothing to build after this action of a merge queue")
        return payload.neutral(event)

    @reports("comments")
    @shaped(IssueCommentEvent)
    def handle_issue_comment(self, payload: IssueCommentEvent, event: str = "issue_comment") -> Event:
        """Somebody wrote a comment on a pull request."""
        return payload.neutral(event) or Ignored(NOT_ON_A_PULL)


SIGNATURES = (("x-hub-signature-256", "sha256", "sha256="), ("x-hub-signature", "sha1", "sha1="))

__all__ = ["GitHubEventHandler", "GitHubOptions"]

"""The dialect of the forge Acme: pushes, signed with HMAC-SHA256."""

from change_hooks import Commit, EventHandler, Ignored, RefUpdate, Repository, Shape, shaped
from change_hooks.core.payload import epoch


class AuthorShape(Shape):
    name: str
    email: str


class CommitShape(Shape):
    id: str
    message: str
    author: AuthorShape
    when: str | None = None
    files: list[str] | None = None


class Push(Shape):
    repository: str
    branch: str
    commits: list[CommitShape]


class AcmeEventHandler(EventHandler):
    """Handles Acme's webhooks: ``X-Acme-Event``, ``X-Acme-Delivery``, ``X-Acme-Signature``."""

    forge = "acme"
    event_header = "X-Acme-Event"
    id_headers = ("X-Acme-Delivery",)
    signature_header = "X-Acme-Signature"
    signature_prefix = "sha256="

    @shaped(Push)
    def handle_push(self, push):
        commits = [
            Commit(
                id=commit.id,
                message=commit.message,
                author=f"{commit.author.name} <{commit.author.email}>",
                when=epoch(commit.when),
                files=commit.files,
            )
            for commit in push.commits
        ]
        if not commits:
            return Ignored("the push lists no commits")
        return RefUpdate(
            repository=Repository(full_name="", urls={"https": push.repository}),
            ref=f"refs/heads/{push.branch}",
            after=commits[-1].id,
            commits=commits,
        )

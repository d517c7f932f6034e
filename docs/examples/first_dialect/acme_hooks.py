"""The dialect of the forge Acme: pushes, signed with HMAC-SHA256."""

from change_hooks.core.change import Change
from change_hooks.core.options import ForgeOptions
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.handler import EventHandler, shaped


class Author(Shape):
    name: str
    email: str


class Commit(Shape):
    id: str
    message: str
    author: Author
    when: str | None = None
    files: list[str] | None = None


class Push(Shape):
    repository: str
    branch: str
    commits: list[Commit]


class AcmeEventHandler(EventHandler):
    """Takes what Acme sends: ``X-Acme-Event``, ``X-Acme-Delivery``, ``X-Acme-Signature``."""

    Options = ForgeOptions
    forge = "acme"
    event_header = "X-Acme-Event"
    id_headers = ("X-Acme-Delivery",)
    signature_header = "X-Acme-Signature"
    signature_prefix = "sha256="

    @shaped(Push)
    def handle_push(self, push):
        changes = [
            Change(
                author=f"{commit.author.name} <{commit.author.email}>",
                comments=commit.message,
                revision=commit.id,
                when_timestamp=epoch(commit.when),
                files=commit.files or [],
                branch=push.branch,
                category="push",
                repository=push.repository,
            )
            for commit in push.commits
        ]
        return changes, "git"

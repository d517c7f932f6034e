"""The delivery ids of well-known senders, for handlers that do not declare them.

Source: the documentation of each: GitHub, Gitea, Forgejo, Gogs, GitLab, Bitbucket.
"""

from __future__ import annotations

from change_hooks.core.delivery import Delivery

#: The header that names the event, and the one that names the delivery. Only a request with both comes from
#: the sender: others use the second header for something else.
KNOWN = (
    ("X-GitHub-Event", "X-GitHub-Delivery"),
    ("X-Gitea-Event", "X-Gitea-Delivery"),
    ("X-Forgejo-Event", "X-Forgejo-Delivery"),
    ("X-Gogs-Event", "X-Gogs-Delivery"),
    ("X-Gitlab-Event", "Idempotency-Key"),
    ("X-Event-Key", "X-Request-UUID"),
    ("X-Event-Key", "X-Request-Id"),
)


def known_id(delivery: Delivery) -> str | None:
    """The sender's id of a delivery; None if the sender is not known here."""
    for event, name in KNOWN:
        found = delivery.header(name)
        if found and delivery.header(event):
            return found
    return None


__all__ = ["KNOWN", "known_id"]

"""The three headers of Standard Webhooks, which sign the body with an id and a timestamp.

Source: Standard Webhooks, "Verifying webhook authenticity".
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from change_hooks.core.delivery import Delivery
from change_hooks.core.verification import sign_standard_webhook, verify_standard_webhook


def verify_headers(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check the three headers.

    :param secrets: any one of them may match.
    :raises NotAuthenticated: they are missing, malformed or wrong.
    """
    verify_standard_webhook(
        delivery.body,
        delivery.header("webhook-id"),
        delivery.header("webhook-timestamp"),
        delivery.header("webhook-signature"),
        secrets,
        now=delivery.received,
    )


def sign_headers(delivery: Delivery, secret: bytes, id: str | None) -> Delivery:
    """The delivery with the three headers.

    :param id: the id that is signed; None: a new one.
    """
    name, now = id or f"msg_{uuid4().hex}", int(delivery.received)
    signature = sign_standard_webhook(delivery.body, name, now, secret)
    return delivery.replace(
        headers={"webhook-id": name, "webhook-timestamp": str(now), "webhook-signature": signature}
    )


__all__ = ["sign_headers", "verify_headers"]

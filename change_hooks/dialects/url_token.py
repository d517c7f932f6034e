"""A secret in the URL, for senders that cannot sign with a secret of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.forms import only_argument, with_argument
from change_hooks.core.verification import verify_token


class TokenInUrl:
    """Expects the secret in the argument ``token`` of the URL. It is never stored."""

    secret_arguments: ClassVar[tuple[str, ...]] = ("token",)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The argument must be present exactly once, and be the secret."""
        verify_token(only_argument(delivery.query, "token"), secrets)
        return "token"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Add the secret to the URL."""
        return delivery.replace(uri=with_argument(delivery.uri, "token", secret))


__all__ = ["TokenInUrl"]

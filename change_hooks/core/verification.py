"""Who sent it: HMAC headers, shared tokens and Standard Webhooks, checked over the raw body.

Every check takes several secrets, so that one can be rotated without losing a delivery, and compares
with all of them in constant time. Nothing here reads a clock: the caller says what time it is.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any

from change_hooks.core.errors import SignatureMismatch, SignatureMissing

#: How far ``webhook-timestamp`` may be from now, in seconds. Source: Standard Webhooks, "Verifying
#: webhook authenticity".
TIMESTAMP_TOLERANCE = 300
SIGNING_KEY_PREFIX = b"whsec_"
_DIGEST_SIZES = {"sha256": 32, "sha1": 20}


def as_secrets(value: Any) -> list[bytes]:
    """The secrets a user wrote: None, a str (UTF-8), bytes, or a list of those.

    :raises TypeError: for anything else.
    :raises ValueError: for an empty secret, with which everybody could sign.
    """
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [secret for item in value for secret in as_secrets(item)]
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"expected str, bytes or a list of them, got {type(value).__name__}")
    if not value:
        raise ValueError("is empty; leave it out, or set a secret")
    return [value]


def sign_hmac(body: bytes, secret: bytes, algorithm: str = "sha256", prefix: str = "sha256=") -> str:
    """The header value that :func:`verify_hmac` accepts."""
    return prefix + hmac_digest(secret, body, algorithm).hex()


def verify_hmac(
    body: bytes,
    header: str | bytes | None,
    secrets: Sequence[bytes],
    *,
    algorithm: str = "sha256",
    prefix: str = "sha256=",
) -> None:
    """Check a header that holds the hexadecimal HMAC of *body*.

    :param body: the raw request body, before any decoding.
    :param header: *prefix* and the hexadecimal digits (in either case), or None when it was not sent.
    :param secrets: any one of them may match (rotation).
    :param algorithm: ``sha256`` or ``sha1``.
    :param prefix: what stands before the digits; ``""`` for none.
    :raises SignatureMissing: no header.
    :raises SignatureMismatch: malformed, or none of *secrets* made it.

    Source: GitHub, "Validating webhook deliveries"; Gitea, "Webhooks" (no prefix).
    """
    if header is None:
        raise SignatureMissing("the signature is missing; set the same secret on both sides")
    text = header.encode("utf-8", "replace") if isinstance(header, str) else header
    start = prefix.encode("ascii")
    try:
        sent = binascii.unhexlify(text[len(start) :]) if text.startswith(start) else b""
    except ValueError:
        sent = b""
    if len(sent) != _DIGEST_SIZES[algorithm]:
        raise SignatureMismatch("the signature is malformed")
    matched = False
    for secret in secrets:
        matched |= compare_digest(hmac_digest(secret, body, algorithm), sent)
    if not matched:
        raise SignatureMismatch("the signature does not match")


def verify_token(header: str | bytes | None, secrets: Sequence[bytes]) -> None:
    """Check a header that holds the secret itself.

    :param header: the token, or None when it was not sent.
    :param secrets: any one of them may match.
    :raises SignatureMissing: no header.
    :raises SignatureMismatch: none of *secrets* is it.

    Source: GitLab, "Webhooks: secret token".
    """
    if header is None:
        raise SignatureMissing("the token is missing; set the same secret on both sides")
    sent = header.encode("utf-8", "surrogateescape") if isinstance(header, str) else header
    matched = False
    for secret in secrets:
        matched |= compare_digest(secret, sent)
    if not matched:
        raise SignatureMismatch("the token does not match")


def signing_key(secret: bytes) -> bytes | None:
    """The key in a ``whsec_`` signing token; None when *secret* is not one.

    Source: Standard Webhooks, "Signature scheme".
    """
    if not secret.startswith(SIGNING_KEY_PREFIX):
        return None
    encoded = secret[len(SIGNING_KEY_PREFIX) :]
    try:
        return b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True) or None
    except ValueError:
        return None


def sign_standard_webhook(body: bytes, id: str, timestamp: int, secret: bytes) -> str:
    """The ``webhook-signature`` header for one secret (a ``whsec_`` token, or a plain key)."""
    key = signing_key(secret) or secret
    signed = b"%s.%d.%s" % (id.encode(), timestamp, body)
    return "v1," + b64encode(hmac_digest(key, signed, "sha256")).decode("ascii")


def verify_standard_webhook(
    body: bytes,
    id: str | None,
    timestamp: str | None,
    signature: str | None,
    secrets: Sequence[bytes],
    *,
    now: float,
    tolerance: float = TIMESTAMP_TOLERANCE,
) -> None:
    """Check the three ``webhook-*`` headers of Standard Webhooks.

    :param body: the raw request body.
    :param id: ``webhook-id``.
    :param timestamp: ``webhook-timestamp``, whole seconds since the epoch.
    :param signature: ``webhook-signature``: ``v1,<base64>``, several separated by spaces.
    :param secrets: signing tokens (``whsec_...``) or plain keys; any one of them may match.
    :param now: the current time, in seconds since the epoch.
    :param tolerance: how far *timestamp* may be from *now*, in seconds.
    :raises SignatureMissing: none of the headers is there.
    :raises SignatureMismatch: malformed, too old, too new, or none of *secrets* made it.

    Source: Standard Webhooks specification, "Verifying webhook authenticity".
    """
    if signature is None and id is None and timestamp is None:
        raise SignatureMissing("the webhook-signature header is missing; set the signing token on both sides")
    if not id or not timestamp or not signature:
        raise SignatureMismatch("webhook-id, webhook-timestamp and webhook-signature belong together")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureMismatch("webhook-timestamp is malformed")
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureMismatch("webhook-timestamp is too far from the time here; check both clocks")
    signed = b"%s.%s.%s" % (id.encode("utf-8", "replace"), timestamp.encode("ascii"), body)
    sent = [_decoded(part) for part in signature.split(" ")[:16]]
    matched = False
    for secret in secrets:
        expected = hmac_digest(signing_key(secret) or secret, signed, "sha256")
        for candidate in sent:
            matched |= compare_digest(expected, candidate)
    if not matched:
        raise SignatureMismatch("the webhook-signature does not match")


def _decoded(part: str) -> bytes:
    version, _, value = part.partition(",")
    if version != "v1":
        return b""
    try:
        return b64decode(value, validate=True)
    except ValueError:
        return b""


__all__ = [
    "TIMESTAMP_TOLERANCE",
    "as_secrets",
    "sign_hmac",
    "sign_standard_webhook",
    "signing_key",
    "verify_hmac",
    "verify_standard_webhook",
    "verify_token",
]

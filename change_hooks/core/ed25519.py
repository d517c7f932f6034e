"""Verification of Ed25519 signatures over the body and a nonce.

This is a module of its own because it imports ``cryptography``, and few receivers need it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from change_hooks.core.errors import SignatureMismatch, SignatureMissing

_LONGEST_NONCE = 128


def public_key(text: str) -> Ed25519PublicKey:
    """Read a key whose 32 bytes are encoded as base64.

    :raises ValueError: this is not such a key.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except ValueError:
        raise ValueError("must be an Ed25519 public key in base64") from None


def verify_ed25519(
    body: bytes, signature: str | None, nonce: str | None, keys: Sequence[Ed25519PublicKey]
) -> None:
    """Check a signature over *body* followed by *nonce*.

    :param body: the raw request body.
    :param signature: in base64; None or empty if it was not sent.
    :param nonce: as sent; None or empty if it was not sent.
    :param keys: any one of them may match.
    :raises SignatureMissing: the signature or the nonce is missing.
    :raises SignatureMismatch: the signature is malformed, or made with none of *keys*.

    Source: core.sr.ht, ``srht/crypto.py``; man.sr.ht, "API conventions".
    """
    if not signature or not nonce:
        raise SignatureMissing("the signature or its nonce is missing")
    try:
        sent = b64decode(signature, validate=True)
        message = body + nonce.encode("ascii")
    except (binascii.Error, ValueError):
        raise SignatureMismatch("the signature is malformed") from None
    matched = False
    for key in keys:
        matched |= _matches(key, sent, message)
    if len(nonce) > _LONGEST_NONCE or not matched:
        raise SignatureMismatch("the signature does not match")


def _matches(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


__all__ = ["public_key", "verify_ed25519"]

"""Verification of senders: HMAC headers, shared tokens, timestamps and Standard Webhooks, over the raw body.

Every check accepts several secrets, so that a secret can be rotated without losing a delivery, and compares
with all of them in constant time. Nothing here reads a clock: the caller passes the time.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Literal, NamedTuple

from change_hooks.core.errors import SignatureMismatch, SignatureMissing

#: How far ``webhook-timestamp`` may be from now, in seconds. Source: Standard Webhooks, "Verifying
#: webhook authenticity".
TIMESTAMP_TOLERANCE = 300
SIGNING_KEY_PREFIX = b"whsec_"
#: The digests of HMACs, and their sizes in bytes.
DIGEST_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
#: The encodings of a digest: hexadecimal digits in either case, or base64 with or without padding.
Encoding = Literal["hex", "base64"]
#: The most signatures in a header that are checked; the rest are ignored.
MOST_SIGNATURES = 16


class ChangingSecrets:
    """Secrets that may change while they are in use."""

    def now(self) -> list[bytes]:
        """The current secrets; at least one."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.now())

    def __len__(self) -> int:
        return len(self.now())

    def as_text(self) -> str | list[str]:
        """Those that count now, as a user would write them."""
        texts = [secret.decode("utf-8", "surrogateescape") for secret in self]
        return texts[0] if len(texts) == 1 else texts

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def as_secrets(value: object) -> list[bytes]:
    """The secrets that a user wrote: a str (UTF-8), bytes, or a list of these; or the current secrets.

    :raises TypeError: for anything else, including None: an environment variable that is not set is not a
        secret.
    :raises ValueError: for a secret that is empty or trivial to guess: only blanks or NULs, or a signing
        token without a key in it.
    """
    if isinstance(value, ChangingSecrets):
        return value.now()
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("is an empty list; leave it out, or set a secret")
        return [secret for item in value for secret in as_secrets(item)]
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"must be a str, bytes or a list of them, not {type(value).__name__}")
    if not value.strip(b" \t\r\n\0"):
        raise ValueError("is empty; leave it out, or set a secret")
    if value.startswith(SIGNING_KEY_PREFIX) and signing_key(value) is None:
        raise ValueError(
            "begins with 'whsec_', but the rest is not valid base64; copy the signing token again"
        )
    return [value]


#: Placeholders that people write when they intend to set a secret later.
WELL_KNOWN = frozenset(
    b"secret password changeme change-me test token mysecret my-secret your-secret webhook".split()
)
#: A secret with fewer bytes can be guessed from one signed delivery.
SHORT = 16


def weakness(secret: bytes) -> str | None:
    """Why a secret is weak or probably wrong, or None."""
    if secret.strip() != secret:
        return "begins or ends with blanks or a line break; strip() it if it was read from a file"
    if secret.startswith(BOM_UTF8):
        return "begins with a byte order mark; read its file with encoding='utf-8-sig'"
    if secret.lower() in WELL_KNOWN:
        return "is a common placeholder"
    if len(secret) < SHORT:
        return f"is shorter than {SHORT} bytes; 'openssl rand -hex 32' makes a good one"
    return None


def sign_hmac(
    body: bytes,
    secret: bytes,
    algorithm: str = "sha256",
    prefix: str = "sha256=",
    encoding: Encoding = "hex",
) -> str:
    """The header value that :func:`verify_hmac` accepts."""
    signature = hmac_digest(secret, body, algorithm)
    return prefix + (signature.hex() if encoding == "hex" else b64encode(signature).decode("ascii"))


def verify_hmac(
    body: bytes,
    header: str | bytes | None,
    secrets: Sequence[bytes],
    *,
    algorithm: str = "sha256",
    prefix: str = "sha256=",
    encoding: Encoding = "hex",
    separator: str | None = None,
) -> None:
    """Check a header that holds the HMAC of *body*.

    :param body: the raw request body, before any decoding; or whatever the sender signs instead.
    :param header: *prefix* and the digest; None, empty or only *prefix* if the sender has no secret.
    :param secrets: any one of them may match (rotation).
    :param algorithm: one of :data:`DIGEST_SIZES`.
    :param prefix: the text before the digest; ``""`` for none.
    :param encoding: the encoding of the digest.
    :param separator: separates several signatures, any one of which may match; None: there is only one.
    :raises SignatureMissing: there is no header.
    :raises SignatureMismatch: the signature is malformed, or matches none of *secrets*.

    Source: GitHub, "Validating webhook deliveries"; Gitea, "Webhooks" (no prefix; empty without a secret).
    """
    text = header.decode("latin-1") if isinstance(header, bytes) else (header or "")
    if not text or text == prefix:
        raise SignatureMissing("the signature is missing; set the same secret on both sides")
    parts = (text,) if separator is None else text.split(separator, MOST_SIGNATURES)[:MOST_SIGNATURES]
    size, sent = DIGEST_SIZES[algorithm], []
    for part in parts:
        signature = _digest(part, prefix, encoding)
        if len(signature) == size:
            sent.append(signature)
    if not sent:
        raise SignatureMismatch("the signature is malformed")
    if not is_signed(body, sent, secrets, algorithm):
        raise SignatureMismatch("the signature does not match")


def is_signed(message: bytes, sent: Sequence[bytes], secrets: Sequence[bytes], algorithm: str) -> bool:
    """Whether one of the digests *sent* is the HMAC of *message* with one of *secrets*."""
    matched = False
    for secret in secrets:
        expected = hmac_digest(secret, message, algorithm)
        for signature in sent:
            matched |= compare_digest(expected, signature)
    return matched


def _digest(part: str, prefix: str, encoding: Encoding) -> bytes:
    """The bytes of one signature; empty if it is malformed."""
    part = part.strip(" ")
    if not part.startswith(prefix):
        return b""
    text = part[len(prefix) :]
    try:
        if encoding == "hex":
            return binascii.unhexlify(text)
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


class SignatureHeader(NamedTuple):
    """A header with an HMAC of the body, one of several that a sender sends together.

    :param prefix: the text before the hexadecimal digits.
    :param algorithm: one of :data:`DIGEST_SIZES`.
    """

    name: str
    prefix: str = ""
    algorithm: str = "sha256"


def verify_together(
    body: bytes,
    headers: Sequence[SignatureHeader],
    sent: Callable[[str], str | None],
    secrets: Sequence[bytes],
) -> None:
    """Check all of several headers that sign the same bytes; SHA-1 alone is not enough.

    :param body: the bytes that were signed.
    :param sent: returns the value of a header; None or empty if it was not sent.
    :param secrets: any one of them may match.
    :raises SignatureMissing: no header with a digest other than SHA-1 was sent.
    :raises SignatureMismatch: a header is malformed, or matches none of *secrets*.

    Source: Gitea, ``services/webhook/deliver.go``; Forgejo, ``services/webhook/shared``.
    """
    strong = False
    for header in headers:
        value = sent(header.name)
        if value and value != header.prefix:
            verify_hmac(body, value, secrets, algorithm=header.algorithm, prefix=header.prefix)
            strong |= header.algorithm != "sha1"
    if not strong:
        raise SignatureMissing("the signature is missing; set the same secret on both sides")


def sign_together(body: bytes, headers: Sequence[SignatureHeader], secret: bytes) -> dict[str, str]:
    """The values of all these headers, by name."""
    return {header.name: sign_hmac(body, secret, header.algorithm, header.prefix) for header in headers}


def verify_timestamp(
    text: str | None,
    *,
    now: float,
    tolerance: float = TIMESTAMP_TOLERANCE,
    unit: float = 1,
    name: str = "the timestamp",
) -> None:
    """Check that a signed timestamp is close to the current time.

    :param text: decimal digits; None or empty if it was not sent.
    :param now: the current time, in seconds since the epoch.
    :param tolerance: how far it may be from *now*, in seconds.
    :param unit: the unit of *text*, in seconds: 0.001 for milliseconds.
    :param name: its name in error messages.
    :raises SignatureMissing: the timestamp was not sent.
    :raises SignatureMismatch: the timestamp is malformed, too old or too new.
    """
    if not text:
        raise SignatureMissing(f"{name} is missing")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise SignatureMismatch(f"{name} is malformed")
    if abs(now - int(text) * unit) > tolerance:
        raise SignatureMismatch(f"{name} differs too much from the local time; check both clocks")


def verify_token(header: str | bytes | None, secrets: Sequence[bytes]) -> None:
    """Check a header that holds the secret itself.

    :param header: the token, or None if it was not sent.
    :param secrets: any one of them may match.
    :raises SignatureMissing: there is no header.
    :raises SignatureMismatch: the token matches none of *secrets*.

    Source: GitLab, "Webhooks: secret token".
    """
    if not header:
        raise SignatureMissing("the token is missing; set the same secret on both sides")
    sent = header.encode("utf-8", "surrogateescape") if isinstance(header, str) else header
    matched = False
    for secret in secrets:
        matched |= compare_digest(secret, sent)
    if not matched:
        raise SignatureMismatch("the token does not match")


def signing_key(secret: bytes) -> bytes | None:
    """The key in a ``whsec_`` signing token; None if *secret* is not one.

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
    :raises SignatureMissing: all headers are missing.
    :raises SignatureMismatch: the signature is malformed, too old, too new, or matches none of *secrets*.

    Source: Standard Webhooks specification, "Verifying webhook authenticity".
    """
    if signature is None and id is None and timestamp is None:
        raise SignatureMissing("the webhook-signature header is missing; set the signing token on both sides")
    if not id or not timestamp or not signature:
        raise SignatureMismatch("webhook-id, webhook-timestamp and webhook-signature must be sent together")
    verify_timestamp(timestamp, now=now, tolerance=tolerance, name="webhook-timestamp")
    signed = b"%s.%s.%s" % (id.encode("utf-8", "replace"), timestamp.encode("ascii"), body)
    sent = [_digest(part, "v1,", "base64") for part in signature.split(" ")[:MOST_SIGNATURES]]
    if not is_signed(signed, sent, [signing_key(secret) or secret for secret in secrets], "sha256"):
        raise SignatureMismatch("the webhook-signature does not match")


__all__ = [
    "DIGEST_SIZES",
    "TIMESTAMP_TOLERANCE",
    "ChangingSecrets",
    "Encoding",
    "SignatureHeader",
    "as_secrets",
    "is_signed",
    "sign_hmac",
    "sign_standard_webhook",
    "sign_together",
    "signing_key",
    "verify_hmac",
    "verify_standard_webhook",
    "verify_timestamp",
    "verify_together",
    "verify_token",
    "weakness",
]

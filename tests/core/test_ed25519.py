from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.ed25519 import public_key, verify_ed25519
from change_hooks.core.errors import SignatureMismatch, SignatureMissing

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = public_key(b64encode(PRIVATE.public_key().public_bytes_raw()).decode())
OTHER = public_key(
    b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()
)
NONCE = "0123456789abcdef"


def signature(message: bytes) -> str:
    return b64encode(PRIVATE.sign(message)).decode()


# RFC 8032, 7.1, test 3: the message is af82; here its last byte is not a nonce, so the halves are joined by hand.
def test_the_vector_of_the_rfc() -> None:
    key = public_key(
        b64encode(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")).decode()
    )
    made = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    verify_ed25519(b"", b64encode(made).decode(), "r", [key])


@given(st.binary())
def test_a_signature_over_body_and_nonce(body: bytes) -> None:
    for keys in ([OTHER, KEY], [KEY, OTHER]):
        verify_ed25519(body, signature(body + NONCE.encode()), NONCE, keys)
    for wrong in (
        signature(body),
        signature(NONCE.encode() + body + b"x"),
        signature(body + b"x" + NONCE.encode()),
    ):
        with pytest.raises(SignatureMismatch):
            verify_ed25519(body, wrong, NONCE, [KEY])


@pytest.mark.parametrize(("sent", "nonce"), [(None, NONCE), ("", NONCE), ("x", None), ("x", "")])
def test_no_signature_or_no_nonce_is_missing(sent: str | None, nonce: str | None) -> None:
    with pytest.raises(SignatureMissing):
        verify_ed25519(b"x", sent, nonce, [KEY])


@pytest.mark.parametrize("sent", ["!", "AAAA", "\u00e4", b64encode(bytes(64)).decode()])
def test_anything_else_is_a_mismatch(sent: str) -> None:
    with pytest.raises(SignatureMismatch):
        verify_ed25519(b"x", sent, NONCE, [KEY])


def test_a_signature_with_anything_else_in_it_is_malformed() -> None:
    sent = signature(b"x" + NONCE.encode())
    for added in ("!", " ", "\n"):
        with pytest.raises(SignatureMismatch, match="malformed"):
            verify_ed25519(b"x", sent[:8] + added + sent[8:], NONCE, [KEY])


def test_a_nonce_is_ascii_and_short() -> None:
    verify_ed25519(b"x", signature(b"x" + b"a" * 128), "a" * 128, [KEY])
    with pytest.raises(SignatureMismatch):
        verify_ed25519(b"x", signature(b"x\xc3\xa4"), "\u00e4", [KEY])
    with pytest.raises(SignatureMismatch):
        verify_ed25519(b"x", signature(b"x" + b"a" * 129), "a" * 129, [KEY])


def test_another_key_is_refused() -> None:
    with pytest.raises(SignatureMismatch):
        verify_ed25519(b"x", signature(b"x" + NONCE.encode()), NONCE, [OTHER])


@pytest.mark.parametrize(
    "text",
    [
        *("", "AAAA", "!", "uX7KWyyDNMaBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4"),
        "uX7KWyyDNM!aBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4=",
    ],
)
def test_a_key_is_32_bytes_in_base64(text: str) -> None:
    with pytest.raises(ValueError, match="public key"):
        public_key(text)

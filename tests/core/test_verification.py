from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.errors import SignatureMismatch, SignatureMissing
from change_hooks.core.verification import (
    DIGEST_SIZES,
    SignatureHeader,
    as_secrets,
    sign_hmac,
    sign_standard_webhook,
    signing_key,
    verify_hmac,
    verify_standard_webhook,
    verify_timestamp,
    verify_together,
    verify_token,
    weakness,
)

secrets = st.binary(min_size=1, max_size=80)

# GitHub, "Validating webhook deliveries", testing the webhook payload validation.
GITHUB_EXAMPLE = (
    b"Hello, World!",
    b"It's a Secret to Everybody",
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """What is compared in constant time."""
    pairs: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        pairs.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr("change_hooks.core.verification.compare_digest", compare)
    return pairs


def test_signatures_are_compared_in_constant_time_with_all_secrets(compared: list[Any]) -> None:
    right, wrong = hmac_digest(b"a", b"x", "sha256"), hmac_digest(b"b", b"x", "sha256")
    verify_hmac(b"x", f"sha256={right.hex()}", [b"a", b"b"])
    assert compared == [(right, right), (wrong, right)]


def test_tokens_are_compared_in_constant_time_with_all_secrets(compared: list[Any]) -> None:
    verify_token("a", [b"a", b"b"])
    assert compared == [(b"a", b"a"), (b"b", b"a")]


def test_githubs_own_example() -> None:
    body, secret, header = GITHUB_EXAMPLE
    verify_hmac(body, header, [secret])
    assert sign_hmac(body, secret) == header


def test_the_digits_may_be_in_upper_case_and_the_header_bytes() -> None:
    body, secret, header = GITHUB_EXAMPLE
    verify_hmac(body, b"sha256=" + header[7:].upper().encode(), [secret])


@given(
    st.binary(),
    secrets,
    secrets,
    st.sampled_from(["sha256", "sha1"]),
    st.sampled_from(["", "sha256=", "sha1="]),
)
def test_what_one_of_the_secrets_signs_is_accepted(
    body: bytes, old: bytes, new: bytes, algorithm: str, prefix: str
) -> None:
    for secret in (old, new):
        header = sign_hmac(body, secret, algorithm, prefix)
        verify_hmac(body, header, [old, new], algorithm=algorithm, prefix=prefix)


@given(st.binary(), st.binary(), secrets)
def test_another_body_is_refused(body: bytes, other: bytes, secret: bytes) -> None:
    if body != other:
        with pytest.raises(SignatureMismatch):
            verify_hmac(other, sign_hmac(body, secret), [secret])


@given(st.binary(), st.one_of(st.text(st.characters(exclude_categories=[])), st.binary()), secrets)
def test_whatever_else_is_sent_is_a_mismatch(body: bytes, header: str | bytes, secret: bytes) -> None:
    for sent in (
        header,
        b"sha256=" + (header if isinstance(header, bytes) else header.encode("utf-8", "replace")),
    ):
        missing = sent in ("", b"", b"sha256=")
        with pytest.raises(SignatureMissing if missing else SignatureMismatch):
            verify_hmac(body, sent, [secret])


@pytest.mark.parametrize("header", [None, "", b"", "sha256=", b"sha256="])
def test_no_header_and_an_empty_one_are_missing_not_mismatched(header: str | bytes | None) -> None:
    with pytest.raises(SignatureMissing):
        verify_hmac(b"", header, [b"x"])
    with pytest.raises(SignatureMissing):
        verify_token(header and b"", [b"x"])
    with pytest.raises(SignatureMissing):
        verify_standard_webhook(b"", None, None, None, [b"x"], now=0)


def test_a_refusal_never_says_what_was_expected() -> None:
    body, secret, header = GITHUB_EXAMPLE
    with pytest.raises(SignatureMismatch) as caught:
        verify_hmac(body + b"!", header, [secret])
    assert header[7:] not in str(caught.value)
    assert caught.value.status == 403


@given(secrets, secrets)
def test_a_token_is_any_of_the_secrets_and_nothing_else(secret: bytes, other: bytes) -> None:
    verify_token(secret, [b"first", secret])
    if other != secret:
        with pytest.raises(SignatureMismatch):
            verify_token(other, [secret])


def test_a_token_that_is_no_ascii_is_compared_as_bytes() -> None:
    verify_token("p\u00e4ss", ["p\u00e4ss".encode()])
    with pytest.raises(SignatureMismatch):
        verify_token("p\udcff", [b"x"])


@pytest.mark.parametrize("added", ["!", " ", "\n", "\ud800"])
def test_a_digest_with_anything_else_in_it_is_malformed(added: str) -> None:
    for encoding in ("hex", "base64"):
        header = sign_hmac(b"x", b"s", prefix="", encoding=encoding)
        with pytest.raises(SignatureMismatch, match="malformed"):
            verify_hmac(b"x", header[:8] + added + header[8:], [b"s"], prefix="", encoding=encoding)


# Standard Webhooks, reference test vector.
STANDARD = {
    "secret": b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": "1614265330",
    "body": b'{"test": 2432232314}',
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1614265330.0


def standard(**changed: Any) -> None:
    fields = {**STANDARD, "now": NOW, "tolerance": 300, **changed}
    verify_standard_webhook(
        fields["body"],
        fields["id"],
        fields["timestamp"],
        fields["signature"],
        [fields["secret"]],
        now=fields["now"],
        tolerance=fields["tolerance"],
    )


def test_the_reference_vector_of_standard_webhooks() -> None:
    standard()
    signed = sign_standard_webhook(STANDARD["body"], STANDARD["id"], 1614265330, STANDARD["secret"])  # type: ignore[arg-type]
    assert signed == STANDARD["signature"]


def test_several_signatures_any_of_which_may_match() -> None:
    standard(signature=f"v1a,xxx v1,AAAA v1,!! {STANDARD['signature']!s}")


@pytest.mark.parametrize("now", [NOW - 299, NOW + 299])
def test_a_timestamp_within_five_minutes_is_taken(now: float) -> None:
    standard(now=now)
    with pytest.raises(SignatureMismatch, match="webhook-timestamp differs too much"):
        standard(now=now, tolerance=200)


@pytest.mark.parametrize(
    "changed",
    [
        {"now": NOW + 301},
        {"now": NOW - 301},
        {"timestamp": "1614265331"},
        {"timestamp": "-5"},
        {"timestamp": "\u0661"},
        {"timestamp": "9" * 400},
        {"timestamp": None},
        {"id": "other"},
        {"id": "\ud800"},
        {"id": None},
        {"signature": None},
        {"signature": "v2," + str(STANDARD["signature"])[3:]},
        {"body": b"{}"},
        {"secret": b"whsec_" + b64encode(b"another key")},
    ],
)
def test_anything_else_is_a_mismatch(changed: dict[str, Any]) -> None:
    with pytest.raises(SignatureMismatch):
        standard(**changed)


@given(st.binary(), st.text(min_size=1), st.integers(0, 2**33), secrets)
def test_what_is_signed_is_accepted(body: bytes, id: str, timestamp: int, key: bytes) -> None:
    for secret in (key, b"whsec_" + b64encode(key)):
        signature = sign_standard_webhook(body, id, timestamp, secret)
        verify_standard_webhook(body, id, str(timestamp), signature, [b"other", secret], now=timestamp)


def test_a_signing_token_may_lack_its_padding() -> None:
    assert signing_key(b"whsec_YWI") == b"ab"
    for malformed in (b"whsec_!", b"whsec_YW!I=", b"whsec_YW I=="):
        assert signing_key(malformed) is None
    assert signing_key(b"whsec_") is None
    assert signing_key(b"plain") is None


def test_secrets_as_a_user_writes_them() -> None:
    assert as_secrets("\u00e4") == [b"\xc3\xa4"]
    assert as_secrets(["a", b"b", ["c"]]) == [b"a", b"b", b"c"]
    with pytest.raises(ValueError, match="empty"):
        as_secrets(["a", ""])
    for nothing in (None, 5, ["a", None], [["a"], [None]]):
        with pytest.raises(TypeError, match=r"int|NoneType"):
            as_secrets(nothing)
    for empty in ("", b"", [], ["a", []], "\0\0", " \n", ["a", b"\0"]):
        with pytest.raises(ValueError, match="empty"):
            as_secrets(empty)
    with pytest.raises(ValueError, match="whsec_"):
        as_secrets("whsec_!!")


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (b" a long enough secret", "blanks"),
        (b"a long enough secret\n", "line break"),
        (b"\xef\xbb\xbfa long enough secret", "byte order mark"),
        (b"ChangeMe", "placeholder"),
        (b"0123456789abcde", "shorter than 16"),
    ],
)
def test_a_weak_secret_is_doubtful(secret: bytes, why: str) -> None:
    assert why in (weakness(secret) or "")
    assert weakness(b"0123456789abcdef") is None


@given(st.binary(), secrets, st.sampled_from(sorted(DIGEST_SIZES)), st.sampled_from(["hex", "base64"]))
def test_every_algorithm_and_encoding(body: bytes, secret: bytes, algorithm: str, encoding: Any) -> None:
    header = sign_hmac(body, secret, algorithm, "", encoding)
    verify_hmac(body, header, [secret], algorithm=algorithm, prefix="", encoding=encoding)
    verify_hmac(body, header.rstrip("="), [secret], algorithm=algorithm, prefix="", encoding=encoding)
    for other in set(DIGEST_SIZES) - {algorithm}:
        with pytest.raises(SignatureMismatch, match="malformed"):
            verify_hmac(body, header, [secret], algorithm=other, prefix="", encoding=encoding)


def test_one_of_several_signatures_suffices_and_only_where_several_are_expected() -> None:
    good, bad = (sign_hmac(b"x", secret, prefix="v1=") for secret in (b"s", b"other"))
    for header in (f"{bad},{good}", f"{good}, {bad}", f"v0=00,nonsense,{good}"):
        verify_hmac(b"x", header, [b"s"], prefix="v1=", separator=",")
        with pytest.raises(SignatureMismatch):
            verify_hmac(b"x", header, [b"s"], prefix="v1=")
    with pytest.raises(SignatureMismatch, match="not match"):
        verify_hmac(b"x", f"{bad},{bad}", [b"s"], prefix="v1=", separator=",")
    for header in (f"{bad} {good}", f"{good} {bad}"):
        with pytest.raises(SignatureMismatch, match="malformed"):
            verify_hmac(b"x", header, [b"s"], prefix="v1=")


def test_the_seventeenth_signature_is_not_looked_at() -> None:
    bad, good = (sign_hmac(b"x", secret, prefix="") for secret in (b"other", b"s"))
    verify_hmac(b"x", ",".join([bad] * 15 + [good]), [b"s"], prefix="", separator=",")
    with pytest.raises(SignatureMismatch):
        verify_hmac(b"x", ",".join([bad] * 16 + [good]), [b"s"], prefix="", separator=",")
    verify_hmac(b"x", ",".join([good] + [bad] * 30), [b"s"], prefix="", separator=",")
    mark = [f"v1,{b64encode(b'x' * 32).decode()}"]
    standard(signature=" ".join(mark * 15 + [str(STANDARD["signature"])]))
    with pytest.raises(SignatureMismatch):
        standard(signature=" ".join(mark * 16 + [str(STANDARD["signature"])]))


STRONG, OLD = SignatureHeader("X-A", "sha256="), SignatureHeader("X-B", "sha1=", "sha1")
A, B = sign_hmac(b"x", b"s"), sign_hmac(b"x", b"s", "sha1", "sha1=")


def sent(values: tuple[str | None, ...]) -> Callable[[str], str | None]:
    return dict(zip((STRONG.name, OLD.name), values, strict=True)).get


@pytest.mark.parametrize("values", [(A, None), (A, B), (A, ""), (A, "sha1=")])
def test_headers_that_agree(values: tuple[str, str | None]) -> None:
    verify_together(b"x", (STRONG, OLD), sent(values), [b"other", b"s"])


@pytest.mark.parametrize("values", [(None, None), ("", ""), ("sha256=", "sha1="), (None, B), ("sha256=", B)])
def test_headers_of_which_none_is_strong_are_missing(values: tuple[str, str | None]) -> None:
    with pytest.raises(SignatureMissing):
        verify_together(b"x", (STRONG, OLD), sent(values), [b"s"])


@pytest.mark.parametrize(
    "values", [(A, "sha1=00"), (A, sign_hmac(b"x", b"t", "sha1", "sha1=")), (A[:-1], B), ("x", B)]
)
def test_headers_that_disagree_are_a_mismatch(values: tuple[str, str | None]) -> None:
    with pytest.raises(SignatureMismatch):
        verify_together(b"x", (STRONG, OLD), sent(values), [b"s"])


def test_a_timestamp_near_enough() -> None:
    verify_timestamp("1000", now=1300)
    verify_timestamp("1000", now=700)
    verify_timestamp("1000000", now=1300, unit=0.001)
    verify_timestamp("1000", now=4600, tolerance=3600)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, SignatureMissing),
        ("", SignatureMissing),
        ("999", SignatureMismatch),
        ("1601", SignatureMismatch),
        ("1e3", SignatureMismatch),
        ("-1000", SignatureMismatch),
        ("\u0661", SignatureMismatch),
        ("1" * 16, SignatureMismatch),
    ],
)
def test_any_other_timestamp_is_refused(text: str | None, error: type[Exception]) -> None:
    with pytest.raises(error, match="X-Time"):
        verify_timestamp(text, now=1300, name="X-Time")

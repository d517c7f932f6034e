"""Verifies the senders of the ``generic`` dialect, as a user's options say.

The algorithm and all other parameters come from the configuration alone, never from the request.

Source: Stripe, "Resolve webhook signature verification errors"; Slack, "Verifying requests from Slack";
Grafana, "Configure the webhook notifier"; Standard Webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast
from uuid import uuid4

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import SignatureMismatch, SignatureMissing
from change_hooks.core.forms import only_argument, with_argument
from change_hooks.core.names import check_names, nearest
from change_hooks.core.options import seconds, text
from change_hooks.core.payload import decode, json_text, with_json
from change_hooks.core.verification import (
    DIGEST_SIZES,
    TIMESTAMP_TOLERANCE,
    Encoding,
    sign_hmac,
    verify_hmac,
    verify_timestamp,
    verify_token,
)
from change_hooks.dialects.standard_webhooks import sign_headers, verify_headers

STANDARD_WEBHOOKS = "standard-webhooks"
BEARER = "bearer"
_PLACE = re.compile(r"\{(\w*)\}")
_UNITS = {"s": 1.0, "ms": 0.001}


class Verifier(Protocol):
    """Checks who sent a delivery."""

    def verify(
        self, delivery: Delivery, payload: Callable[[], Any], secrets: Sequence[bytes]
    ) -> Verification:
        """See :meth:`change_hooks.dialects.handler.HookHandler.verify`.

        :param payload: decodes the body, for a token that is in it; nothing else decodes the body before it
            is verified.
        """

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """See :meth:`change_hooks.dialects.handler.HookHandler.sign`."""


@dataclass(frozen=True)
class Part:
    """A header, or a part of it.

    :param prefix: the beginning of the part.
    :param separator: the separator between parts; None: there is only one part.
    """

    header: str
    prefix: str = ""
    separator: str | None = None

    def of(self, delivery: Delivery) -> str | None:
        """The value after the prefix, from the first part that has the prefix."""
        sent = delivery.header(self.header)
        if sent is None:
            return None
        for part in [sent] if self.separator is None else sent.split(self.separator):
            if part.strip().startswith(self.prefix):
                return part.strip()[len(self.prefix) :]
        return None


@dataclass(frozen=True)
class Timestamp(Part):
    """The time at which the sender signed.

    :param unit: its unit, in seconds.
    :param tolerance: how far it may differ from our clock, in seconds.
    """

    unit: float = 1.0
    tolerance: float = TIMESTAMP_TOLERANCE


@dataclass(frozen=True)
class Signature:
    """A header with one or several HMACs.

    :param signed: what is signed, in pieces: alternately text, and one of the names ``body``, ``timestamp``,
        ``id``.
    """

    header: str
    algorithm: str = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    separator: str | None = None
    signed: tuple[str, ...] = ("", "body", "")
    timestamp: Timestamp | None = None
    id: Part | None = None

    def verify(
        self, delivery: Delivery, payload: Callable[[], Any], secrets: Sequence[bytes]
    ) -> Verification:
        """See :class:`Verifier`."""
        sent = delivery.header(self.header)
        if not sent:
            raise SignatureMissing("the signature is missing; set the same secret on both sides")
        values = {"body": delivery.body}
        if self.timestamp is not None:
            stamp = self.timestamp.of(delivery)
            verify_timestamp(
                stamp, now=delivery.received, tolerance=self.timestamp.tolerance, unit=self.timestamp.unit
            )
            values["timestamp"] = (stamp or "").encode()
        if self.id is not None:
            name = self.id.of(delivery)
            if name is None:
                raise SignatureMismatch("the id that is signed with the body is missing")
            values["id"] = name.encode("utf-8", "replace")
        verify_hmac(
            self._message(values),
            sent,
            secrets,
            algorithm=self.algorithm,
            prefix=self.prefix,
            encoding=self.encoding,
            separator=self.separator,
        )
        return "signature"

    def _message(self, values: Mapping[str, bytes]) -> bytes:
        """The message that is signed."""
        return b"".join(
            values[piece] if place % 2 else piece.encode() for place, piece in enumerate(self.signed)
        )

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """See :class:`Verifier`. An existing id is kept and signed."""
        values, parts = {"body": delivery.body}, dict[str, list[str]]()
        if self.timestamp is not None:
            stamp = str(int(delivery.received / self.timestamp.unit))
            parts.setdefault(self.timestamp.header.lower(), []).append(self.timestamp.prefix + stamp)
            values["timestamp"] = stamp.encode()
        if self.id is not None:
            sent = self.id.of(delivery)
            name = sent or uuid4().hex
            if sent is None or self.id.header.lower() in (*parts, self.header.lower()):
                parts.setdefault(self.id.header.lower(), []).append(self.id.prefix + name)
            values["id"] = name.encode("utf-8", "replace")
        signature = sign_hmac(self._message(values), secret, self.algorithm, self.prefix, self.encoding)
        parts.setdefault(self.header.lower(), []).append(signature)
        separator = self.separator or ","
        return delivery.replace(headers={name: separator.join(some) for name, some in parts.items()})


@dataclass(frozen=True)
class StandardWebhook:
    """The three headers of Standard Webhooks."""

    def verify(
        self, delivery: Delivery, payload: Callable[[], Any], secrets: Sequence[bytes]
    ) -> Verification:
        """See :class:`Verifier`."""
        verify_headers(delivery, secrets)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """See :class:`Verifier`."""
        return sign_headers(delivery, secret, delivery.header("webhook-id"))


@dataclass(frozen=True)
class Token:
    """The secret itself, somewhere in the request. It does not protect the body.

    :param kind: where it is.
    :param name: the header, the argument in the URL, or the path in the body.
    """

    kind: Literal["header", "query", "body", "bearer"]
    name: str

    def verify(
        self, delivery: Delivery, payload: Callable[[], Any], secrets: Sequence[bytes]
    ) -> Verification:
        """See :class:`Verifier`."""
        verify_token(self._sent(delivery, payload), secrets)
        return "token"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """See :class:`Verifier`."""
        text = secret.decode("utf-8", "surrogateescape")
        if self.kind == "query":
            return delivery.replace(uri=with_argument(delivery.uri, self.name, secret))
        if self.kind == "header":
            return delivery.replace(headers={self.name: text})
        if self.kind == "bearer":
            return delivery.replace(headers={self.name: f"Bearer {text}"})
        payload = decode(json_text(delivery, form=True), Any)
        place, last = self._place(payload)
        if place is None:
            raise ValueError(f"the payload has no place for the token at {self.name!r}")
        place[last] = text
        return with_json(delivery, payload)

    def _sent(self, delivery: Delivery, payload: Callable[[], Any]) -> bytes | None:
        if self.kind == "query":
            return only_argument(delivery.query, self.name)
        if self.kind == "body":
            # Only this kind of secret must be searched for in the body before anything is verified.
            found, last = self._place(payload())
            value = found.get(last) if found is not None else None
            return value.encode("utf-8", "replace") if isinstance(value, str) else None
        sent = delivery.getHeader(self.name.encode("ascii"))
        if self.kind == "header" or sent is None:
            return sent
        scheme, _, token = sent.partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" else None

    def _place(self, payload: Any) -> tuple[dict[str, Any] | None, str]:
        *way, last = self.name.split(".")
        for key in way:
            payload = payload.get(key) if isinstance(payload, dict) else None
        return (payload if isinstance(payload, dict) else None), last

    @property
    def place(self) -> Mapping[str, Sequence[str]]:
        """The names of the headers or arguments that contain it."""
        return {self.kind: (self.name,)}

    def stripped(self, delivery: Delivery, payload: Any) -> Delivery:
        """A verified delivery without the token in its body.

        :param payload: the decoded body.
        """
        return with_json(delivery, _without(payload, self.name.split(".")))


def _without(payload: dict[str, Any], way: list[str]) -> dict[str, Any]:
    """A payload without the value at a path."""
    key, *rest = way
    if rest:
        return {**payload, key: _without(payload[key], rest)}
    return {name: value for name, value in payload.items() if name != key}


# What a user may write ----------------------------------------------------------------------------


def signature(written: object) -> Verifier:
    """Compile the option ``signature``.

    :raises TypeError: it is not what the page of the dialect says; the message follows the option's name.
    :raises ValueError: the same.
    """
    if written == STANDARD_WEBHOOKS:
        return StandardWebhook()
    if not isinstance(written, Mapping):
        raise TypeError(f"must be a dict with 'header', or {STANDARD_WEBHOOKS!r}")
    check_names(written, Signature.__dataclass_fields__)
    algorithm, encoding = written.get("algorithm", "sha256"), written.get("encoding", "hex")
    for name, value, valid in (
        ("algorithm", algorithm, DIGEST_SIZES),
        ("encoding", encoding, ("hex", "base64")),
    ):
        if value not in tuple(valid):
            raise ValueError(f"has the {name} {value!r}{nearest(str(value), valid)}")
    stamp, signed_id = written.get("timestamp"), written.get("id")
    made = Signature(
        **_part(written, "the option"),
        algorithm=algorithm,
        encoding=cast("Encoding", encoding),
        signed=_signed(written.get("signed", "{body}")),
        timestamp=None if stamp is None else _timestamp(stamp),
        id=None if signed_id is None else Part(**_part_alone("id", signed_id)),
    )
    for place in ("timestamp", "id"):
        if (place in made.signed[1::2]) != (getattr(made, place) is not None):
            raise ValueError(f"needs {place!r} both as a name and in 'signed' ('{{{place}}}'), or in neither")
    return made


def _signed(template: object) -> tuple[str, ...]:
    pieces = tuple(_PLACE.split(text(template)))
    for name in pieces[1::2]:
        if name not in ("body", "timestamp", "id"):
            raise ValueError(f"has {{{name}}} in 'signed'{nearest(name, ('body', 'timestamp', 'id'))}")
    if pieces[1::2].count("body") != 1:
        raise ValueError("must have {body} once in 'signed'")
    return pieces


def _timestamp(written: object) -> Timestamp:
    names = (*Part.__dataclass_fields__, "unit", "tolerance")
    part = _part_alone("timestamp", written, names)
    values = written if isinstance(written, Mapping) else {}
    unit = values.get("unit", "s")
    if unit not in tuple(_UNITS):
        raise ValueError(f"has in 'timestamp' the unit {unit!r}{nearest(str(unit), _UNITS)}")
    try:
        tolerance = seconds(values.get("tolerance", TIMESTAMP_TOLERANCE))
    except TypeError as error:
        raise TypeError(f"has in 'timestamp' a 'tolerance' that {error}") from None
    return Timestamp(**part, unit=_UNITS[unit], tolerance=tolerance)


def _part_alone(
    where: str, written: object, names: Sequence[str] = tuple(Part.__dataclass_fields__)
) -> dict[str, Any]:
    if isinstance(written, str):
        return {"header": _header(written, where)}
    if not isinstance(written, Mapping):
        raise TypeError(f"has a {where!r} that is neither the name of a header nor a dict")
    try:
        check_names(written, names)
    except ValueError as error:
        raise ValueError(f"{error} (in {where!r})") from None
    return _part(written, repr(where))


def _part(written: Mapping[str, Any], where: str) -> dict[str, Any]:
    prefix, separator = written.get("prefix", ""), written.get("separator")
    if not isinstance(prefix, str) or not (separator is None or (isinstance(separator, str) and separator)):
        raise TypeError(f"has a 'prefix' or 'separator' that is not a str (in {where})")
    return {"header": _header(written.get("header"), where), "prefix": prefix, "separator": separator}


def _header(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or not value.isascii():
        raise TypeError(f"needs the name of a header (in {where})")
    return value


def token_in(written: object) -> Token:
    """Compile the option ``token_in``.

    :raises TypeError: it is not what the page of the dialect says; the message follows the option's name.
    :raises ValueError: the same.
    """
    if written == BEARER:
        return Token("bearer", "Authorization")
    if not isinstance(written, Mapping) or len(written) != 1:
        raise TypeError(f"must be {BEARER!r}, or a dict with one of 'header', 'query' and 'body'")
    check_names(written, ("header", "query", "body"))
    ((kind, name),) = written.items()
    if not isinstance(name, str) or not name or not all(name.split(".")):
        raise TypeError(f"needs a name in {kind!r}")
    if kind == "header":
        _header(name, "'header'")
    return Token(kind, name)


__all__ = [
    "BEARER",
    "STANDARD_WEBHOOKS",
    "Signature",
    "StandardWebhook",
    "Token",
    "Verifier",
    "signature",
    "token_in",
]

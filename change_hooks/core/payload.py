"""From a body to a payload: content type, character set, JSON, shape.

Strategy: an oddity in the encoding never costs a delivery. A byte-order mark, another character set, an
invalid byte or a lone surrogate is repaired (with U+FFFD). A field whose type differs from the documentation
costs at most itself; any other problem is an error that names the field. Fast decoding (msgspec, straight
from the bytes to the shape) is tried first, and repair only after it has failed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import msgspec

from change_hooks.core.change import moment
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.core.forms import parse_urlencoded
from change_hooks.core.lenient import fit
from change_hooks.core.pieces import decoder_for, in_pieces

T = TypeVar("T")

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
#: The most objects, and the most commas, in a document. The largest pushes have some ten thousand.
MOST_OBJECTS = 500_000
MOST_COMMAS = 2_000_000
#: A smaller document, in bytes, cannot hold so many: counting takes a tenth of the time that 2,048 commits
#: take.
ROOM = 3 * MOST_OBJECTS
#: Up to this size, in bytes, an invalid document is repaired by decoding it twice.
SMALL = 1024 * 1024
#: A larger document, in bytes, is processed in a thread and decoded in pieces: it would block the reactor for
#: more than 20 ms.
LARGE = 2 * 1024 * 1024
#: The key under which a delivery keeps its document as plain objects, once they have been used.
OPENED = "opened"
#: The supported character sets, by their names in a content type.
CHARSETS = {
    name: codec
    for codec, names in {
        "utf-8": "utf-8 utf8",
        "ascii": "us-ascii ascii",
        "iso-8859-1": "iso-8859-1 latin1 latin-1 iso8859-1",
        "iso-8859-2": "iso-8859-2 latin2",
        "iso-8859-5": "iso-8859-5",
        "iso-8859-7": "iso-8859-7",
        "iso-8859-15": "iso-8859-15 latin9",
        "cp1250": "windows-1250 cp1250",
        "cp1251": "windows-1251 cp1251",
        "cp1252": "windows-1252 cp1252",
        "koi8-r": "koi8-r",
        "utf-16": "utf-16",
        "utf-16-le": "utf-16le",
        "utf-16-be": "utf-16be",
        "shift_jis": "shift_jis shift-jis sjis",
        "euc_jp": "euc-jp",
        "euc_kr": "euc-kr",
        "gb18030": "gb18030 gbk gb2312",
        "big5": "big5",
    }.items()
    for name in names.split()
}


class Shape(msgspec.Struct, gc=False):
    """The base of the payload types in the dialects, which declare only the fields that are used.

    An optional field has a default and allows None: forges omit a missing value, or send null.
    """

    #: The optional fields without whose value an event would be mistaken for another one: if such a field is
    #: present and does not fit, that is an error.
    decisive: ClassVar[tuple[str, ...]] = ()


def content_type(delivery: Delivery) -> tuple[str, str]:
    """The media type, in lower case (``""`` if there is none), and the character set (default ``utf-8``)."""
    header = delivery.getHeader(b"content-type")
    if header is None or header == b"application/json":
        return ("", "utf-8") if header is None else (JSON, "utf-8")
    kind, _, rest = header.decode("latin-1").partition(";")
    charset = "utf-8"
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower() or "utf-8"
    return kind.strip().lower(), charset


def is_json(kind: str) -> bool:
    """Whether this is ``application/json`` or an ``application/...+json``."""
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def raw_json(delivery: Delivery, *, form: bool, json: bool = True) -> tuple[bytes, str]:
    """The JSON document of a delivery as it was sent, from the body only, and its character set.

    Some forges sign this document even if they send it in a form.

    :param form: accept a form body with the document in its only field ``payload``.
    :param json: accept a JSON body; a body without a content type is JSON.
    :raises UnsupportedContentType: for another content type.
    :raises BadPayload: for a form without exactly one ``payload``.
    """
    kind, charset = content_type(delivery)
    if json and (kind == "" or is_json(kind)):
        return delivery.body, charset
    if form and kind == FORM:
        payloads = parse_urlencoded(delivery.body).get(b"payload", [])
        if len(payloads) != 1:
            raise BadPayload(f"the form must contain it exactly once, not {len(payloads)} times", "payload")
        return payloads[0], charset
    taken = [name for name, takes in ((JSON, json), (FORM, form)) if takes]
    raise UnsupportedContentType(f"the content type must be {' or '.join(taken)}")


def json_text(delivery: Delivery, *, form: bool, json: bool = True) -> bytes:
    """The same in UTF-8.

    :raises UnsupportedContentType: for another content type, or an unknown character set.
    :raises BadPayload: for a form without exactly one ``payload``.
    """
    if json and delivery.getHeader(b"content-type") == b"application/json":
        return delivery.body.removeprefix(codecs.BOM_UTF8)
    return _in_utf8(*raw_json(delivery, form=form, json=json))


def without(delivery: Delivery, names: Collection[str], *, form: bool) -> Delivery:
    """A delivery without some top-level fields of its JSON document: secrets, which are never stored.

    :param names: the names of the fields.
    :param form: see :func:`raw_json`.
    :returns: the same delivery if it has none of them.
    :raises UnsupportedContentType: like :func:`json_text`.
    :raises BadPayload: like :func:`json_text`, and like :func:`decode` if it may have one of them.
    """
    document = json_text(delivery, form=form)
    # Decoding the document takes as long as all other steps, and it rarely has any of the fields.
    is_there = any(b'"%b"' % name.encode() in document for name in names)
    if not is_there and _ESCAPED_LETTER.search(document) is None:
        return delivery
    payload = delivery.made[OPENED] = decode(document, Any)
    if not isinstance(payload, dict) or payload.keys().isdisjoint(names):
        return delivery
    return with_json(delivery, {name: value for name, value in payload.items() if name not in names})


def with_json(delivery: Delivery, payload: Any) -> Delivery:
    """A delivery with another JSON document, with the same content type and character set.

    :param payload: plain objects, which must not be changed afterwards: the document is not decoded again.
    :raises UnsupportedContentType: the character set is unknown.
    """
    kind, charset = content_type(delivery)
    body = json.dumps(payload).encode(_codec(charset))
    copy = delivery.replace(body=urlencode({"payload": body}).encode() if kind == FORM else body)
    copy.made[OPENED] = payload
    return copy


#: A letter written as an escape, which may hide a name.
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")


def _in_utf8(body: bytes, charset: str) -> bytes:
    codec = _codec(charset)
    if codec in {"utf-8", "ascii"}:
        return body.removeprefix(codecs.BOM_UTF8)
    return body.decode(codec, "replace").lstrip("\ufeff").encode("utf-8", "replace")


def _codec(charset: str) -> str:
    codec = CHARSETS.get(charset)
    if codec is None:
        raise UnsupportedContentType("the charset of the content type is not known; use utf-8")
    return codec


def decode(text: bytes, shape: Any, left_out: list[str] | None = None) -> Any:
    """Decode the JSON document *text* as *shape* (a type that msgspec knows; ``Any`` for plain objects).

    Invalid UTF-8 and lone surrogates become U+FFFD; optional fields of the wrong type are left out.

    :param left_out: see :func:`~change_hooks.core.lenient.fit`.
    :raises BadPayload: *text* is not valid JSON, is nested too deeply, has too many objects, or a required
        field has the wrong type.
    """
    if len(text) > ROOM and (text.count(b"{") > MOST_OBJECTS or text.count(b",") > MOST_COMMAS):
        raise BadPayload("the JSON has too many objects")
    try:
        return _decode_lenient(text, shape, left_out)
    except msgspec.ValidationError as error:
        raise BadPayload(_malformed(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _decode_repaired(text, shape, error, left_out)
    except RecursionError:
        raise BadPayload("the JSON is nested too deeply") from None


#: Matches a pair of surrogates, or a lone one.
_SURROGATES = re.compile(
    rb"\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2}))"
)


def _without_lone(text: bytes) -> bytes:
    """The same with U+FFFD for lone surrogates. It never holds the interpreter's lock for long, as a single
    substitution in the whole text would.
    """
    kept, begin, at = list[bytes](), 0, 0
    while (found := _SURROGATES.search(text, at)) is not None:
        start, at = found.span()
        before = start
        while before and text[before - 1] == _BACKSLASH:
            before -= 1
        if (start - before) % 2:
            at = start + 1  # The backslash is escaped itself.
        elif found["lone"]:
            kept += (text[begin:start], b"\\ufffd")
            begin = at
    return b"".join((*kept, text[begin:]))


(_BACKSLASH,) = b"\\"


def _decode_repaired(text: bytes, shape: Any, first: Exception, left_out: list[str] | None) -> Any:
    clean = _without_lone(text.decode("utf-8", "replace").encode())
    try:
        return _decode_lenient(clean, shape, left_out)
    except (msgspec.DecodeError, RecursionError):
        if len(text) > SMALL:
            raise BadPayload(_malformed(first)) from None
    try:
        document = json.loads(clean.decode())
        raw = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        raw = raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return _decode_lenient(raw.encode(), shape, left_out)
    except RecursionError:
        raise BadPayload("the JSON is nested too deeply") from None
    except (json.JSONDecodeError, msgspec.DecodeError):
        raise BadPayload(_malformed(first)) from None


def _decode_lenient(text: bytes, shape: Any, left_out: list[str] | None) -> Any:
    if len(text) > LARGE:
        return fit(in_pieces(text.strip(), shape), shape, left_out)
    try:
        return decoder_for(shape).decode(text)
    except msgspec.ValidationError:
        return fit(decoder_for(Any).decode(text), shape, left_out)


def _malformed(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the body is not valid JSON"
    return f"the body is not valid JSON ({error})"


def convert(payload: Any, shape: type[T], left_out: list[str] | None = None) -> T:
    """Convert a decoded payload (a mapping) to the shape; one that has the shape is returned unchanged.

    :param left_out: see :func:`~change_hooks.core.lenient.fit`.
    :raises BadPayload: a required field has the wrong type; the message names it.
    """
    if isinstance(payload, shape):
        return payload
    try:
        return msgspec.convert(payload, shape)
    except msgspec.ValidationError:
        return fit(payload, shape, left_out)


def expect_mapping(payload: Any) -> Mapping[str, Any]:
    """*payload* if it is a JSON object.

    :raises BadPayload: it is not.
    """
    if not isinstance(payload, Mapping):
        raise BadPayload("expected an object", "$")
    return payload


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)? ?(Z|z|UTC|GMT|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)


def epoch(text: str | None) -> int | None:
    """A date and time in seconds since the epoch; None if the text is not one. Forges write ISO 8601 with
    ``T`` or a space, any offset (UTC if there is none), with or without seconds and fractions.
    """
    if not text:
        return None
    if len(text) > LONGEST_DATE:
        return None
    offset = _offset(text[19:])
    try:
        moment = datetime.fromisoformat(text if offset is None else text[:19])
        if offset is not None and moment.tzinfo is None:
            since = moment - _EPOCH
            return since.days * 86400 + since.seconds - offset
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() // 1)
    except (ValueError, OverflowError):
        return _epoch_by_parts(text)


def when(written: str | float | None, unit: int = 1) -> int | None:
    """A date in seconds since the epoch; None if *value* is not a date. It may be a number, digits, or a text
    that :func:`epoch` reads.

    :param unit: numbers are in units of 1/*unit* seconds.
    """
    if isinstance(written, str):
        if not (written.isascii() and written.isdigit()):
            return epoch(written)
        if len(written) > LONGEST_NUMBER:
            return None
        written = int(written)
    return None if written is None else moment(written, unit)


#: No date has more digits, in any unit.
LONGEST_NUMBER = 20
_EPOCH = datetime(1970, 1, 1)
#: The longest text that can be a date, in characters; so no long text is cached.
LONGEST_DATE = 48
_OFFSET = re.compile(r"(?:[.,]\d+)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)


@lru_cache(maxsize=1024)
def _offset(tail: str) -> int | None:
    """The offset in the last part of a date, in seconds east of UTC; None for an unusual one."""
    found = _OFFSET.fullmatch(tail)
    if found is None:
        return None
    sign, hours, minutes = found.groups("0")
    return (-60 if sign == "-" else 60) * (60 * int(hours) + int(minutes))


def _epoch_by_parts(text: str) -> int | None:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, _, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
        moment = moment + offset if sign == "-" else moment - offset
        return int(moment.replace(tzinfo=timezone.utc).timestamp())
    except (ValueError, OverflowError):
        return None


__all__ = [
    "FORM",
    "JSON",
    "LONGEST_NUMBER",
    "MULTIPART",
    "Shape",
    "content_type",
    "convert",
    "decode",
    "decoder_for",
    "epoch",
    "expect_mapping",
    "is_json",
    "json_text",
    "raw_json",
    "when",
    "with_json",
    "without",
]

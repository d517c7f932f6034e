"""Forms and queries as browsers and curl write them, parsed within limits.

Source: WHATWG URL, "application/x-www-form-urlencoded parsing" (only ``&`` separates); RFC 7578,
"multipart/form-data".
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from urllib.parse import quote_from_bytes, unquote_to_bytes

from change_hooks.core.errors import BadPayload

Arguments = dict[bytes, list[bytes]]

#: The most fields in a form or query, and the most parts in a multipart body. No hook needs a hundred.
MOST_FIELDS = 1000
#: The longest head of a part, in bytes.
LONGEST_HEAD = 8192
#: Longer texts, in bytes, are unquoted by C code: 25 MiB take 0.1 s instead of 2.
LONG = 64 * 1024

_NAME = re.compile(rb';\s*name\*?=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_BOUNDARY = re.compile(rb';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def unquoted(text: bytes) -> bytes:
    """Decode ``a+b%21`` to ``a b!``."""
    text = text.replace(b"+", b" ")
    if len(text) < LONG or _BAD_ESCAPE.search(text):
        return unquote_to_bytes(text)
    return a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))


def parse_urlencoded(text: bytes) -> Arguments:
    """Parse ``a=1&b=2``: empty values are kept, items without ``=`` ignored.

    :raises BadPayload: there are more than :data:`MOST_FIELDS` items.
    """
    args: Arguments = {}
    if not text:
        return args
    if text.count(b"&") >= MOST_FIELDS:
        raise BadPayload(f"more than {MOST_FIELDS} fields")
    for item in text.split(b"&"):
        name, equals, value = item.partition(b"=")
        if equals:
            args.setdefault(unquoted(name), []).append(unquoted(value))
    return args


def only_argument(args: Arguments, name: str) -> bytes | None:
    """The value of an argument that occurs exactly once; otherwise None."""
    values = args.get(name.encode(), [])
    return values[0] if len(values) == 1 else None


def with_argument(uri: bytes, name: str, value: bytes) -> bytes:
    """*uri* with an argument added to its query."""
    argument = f"{quote_from_bytes(name.encode(), '')}={quote_from_bytes(value, '')}".encode("ascii")
    return uri + (b"&" if b"?" in uri else b"?") + argument


def parse_multipart(body: bytes, content_type: bytes) -> Arguments:
    """The fields of a ``multipart/form-data`` body; parts without a name are left out.

    :param content_type: the header, with its ``boundary``.
    :raises BadPayload: there is no boundary, or there are more than :data:`MOST_FIELDS` parts.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise BadPayload("the content type of a multipart form needs a boundary")
    delimiter = b"\r\n--" + (found[1] or found[2])
    body = b"\r\n" + body
    if body.count(delimiter) > MOST_FIELDS + 1:
        raise BadPayload(f"more than {MOST_FIELDS} parts")
    args: Arguments = {}
    # The part before the first delimiter is a preamble, and the part after the last one ("--") an epilogue.
    for part in body.split(delimiter)[1:]:
        if part.startswith(b"--"):
            break
        head, separator, value = part.partition(b"\r\n\r\n")
        if not separator or len(head) > LONGEST_HEAD:
            continue
        name = _name(head)
        if name:
            args.setdefault(name, []).append(value)
    return args


def _name(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition":
            found = _NAME.search(value)
            if found is not None:
                return (found[1] or found[2] or b"").replace(b"\\", b"")
    return b""


__all__ = [
    "MOST_FIELDS",
    "Arguments",
    "only_argument",
    "parse_multipart",
    "parse_urlencoded",
    "unquoted",
    "with_argument",
]

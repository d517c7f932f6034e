"""Writes a delivery without its secrets, for ``capture``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from change_hooks.cli.choosing import config_and_ids, found_by, reader_of
from change_hooks.cli.configured import read_config
from change_hooks.config import HooksConfig
from change_hooks.core.delivery import Delivery
from change_hooks.journal import Whole
from change_hooks.testing.anonymous import Anonymous
from change_hooks.testing.recorded import Recorded, in_short

#: Headers that say where a request came from or went to: private, and irrelevant to handlers.
_ON_THE_WAY = re.compile(r"host|content-length|x-forwarded.*|forwarded|via|x-real-ip|x-request-id|cf-.*")
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


def run(words: tuple[str, ...], folder: Path, case: str) -> None:
    """Write the files, and print their paths."""
    config, names = config_and_ids(words)
    if len(names) != 1:
        raise click.UsageError("which delivery? Give one id; 'change-hooks deliveries' lists them")
    hooks = read_config(config).hooks
    reader = reader_of(hooks)
    seqs = found_by(reader, names[0])
    if len(seqs) > 1:
        raise click.ClickException(f"{len(seqs)} deliveries begin with {names[0]!r}; give more of the id")
    captured = _captured(hooks, reader.whole(seqs[0]), case)
    try:
        paths = captured.save(folder)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    for path in paths:
        click.echo(str(path))


def _captured(hooks: HooksConfig, whole: Whole, case: str) -> Recorded:
    stored, delivery = whole.stored, whole.delivery
    if delivery is None:
        raise click.ClickException(
            f"nothing of it is stored except that it was {stored.state}: {stored.reason}"
        )
    options = _options(hooks, stored.dialect)
    anonymous = Anonymous(_secrets(options))
    event = _NO_NAME.sub("_", stored.event).strip("_") or "delivery"
    special = _NO_NAME.sub("_", case or (stored.delivery or "")[:8]).strip("_") or "captured"
    expected: Any = [in_short(change) for change in whole.changes] or {"reason": stored.reason}
    return Recorded(
        name=f"{options.get('dialect', stored.dialect)}/{event}__{special}",
        body=anonymous.text(_document(delivery)).encode(),
        headers={name: anonymous.text(value) for name, value in _headers(delivery)},
        expected=msgspec.json.decode(anonymous.text(msgspec.json.encode(expected).decode())),
        uri=anonymous.text("".join(delivery.uri.decode("latin-1").partition("?")[1:])),
        options=_public(options),
        received=stored.received,
    )


def _document(delivery: Delivery) -> str:
    """The document that was sent; in a form, it is in the field ``payload``."""
    values = delivery.args.get(b"payload")
    document = values[0] if values and b"form" in _content_type(delivery) else delivery.body
    try:
        msgspec.json.decode(document)
        return document.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise click.ClickException("its body is not a JSON document, so there is nothing to write") from None


def _content_type(delivery: Delivery) -> bytes:
    return (delivery.getHeader(b"content-type") or b"").lower()


def _headers(delivery: Delivery) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), values[0].decode("utf-8", "replace"))
        for name, values in delivery.requestHeaders.getAllRawHeaders()
        if not _ON_THE_WAY.fullmatch(name.decode("latin-1").lower())
    ]


def _options(hooks: HooksConfig, dialect: str) -> Mapping[str, Any]:
    for endpoint in hooks.endpoints:
        if endpoint.name == dialect and isinstance(endpoint.options, Mapping):
            return endpoint.options
    return {}


def _secrets(options: Mapping[str, Any]) -> list[str]:
    texts: list[str] = []
    for name in ("secret", "token"):
        value = options.get(name)
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, (str, bytes)):
                texts.append(each if isinstance(each, str) else each.decode("utf-8", "replace"))
    return texts


def _public(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the files may contain: no secrets and no code."""
    said = {}
    for name, value in options.items():
        if name not in ("secret", "token", "auth", "custom_class", "class", "strict", "dialect"):
            try:
                said[name] = msgspec.json.decode(msgspec.json.encode(value))
            except TypeError:
                continue
    return said


__all__ = ["run"]

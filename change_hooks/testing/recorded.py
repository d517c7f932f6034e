"""Recorded deliveries: what a sender sent, and the expected result, as files.

A delivery consists of three files in a folder named like its dialect: ``EVENT__CASE.json``, the document that
was sent, byte for byte; ``EVENT__CASE.headers.json``, the request's headers without secrets; and
``EVENT__CASE.changes.json``: a list of changes, each with the fields that differ from their defaults, or, if
there are none, an object with the ``reason``, or with the ``status`` and the ``field`` of a refusal.

Among the headers, the key ``""`` holds other facts: ``uri``, the part after ``/change_hook/DIALECT``;
``options`` of the endpoint; and ``received``, in seconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery

#: When recorded deliveries are received, in seconds since the epoch, unless they say otherwise.
RECEIVED = 1795514400.0
_CHANGES = ".changes.json"


@dataclass(frozen=True)
class Recorded:
    """One recorded delivery, and its expected result.

    :param name: ``DIALECT/EVENT__CASE``.
    :param body: the document, as in its file.
    :param headers: as sent, without signatures and tokens. If the ``Content-Type`` is that of a form, the
        document is sent in the form's field ``payload``.
    :param expected: the changes (:func:`in_short`), or the reason or refusal if there are none.
    :param uri: the part after ``/change_hook/DIALECT``.
    :param options: the endpoint's options.
    :param received: when it was received, in seconds since the epoch.
    """

    name: str
    body: bytes
    headers: Mapping[str, str]
    expected: Any
    uri: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    received: float = RECEIVED

    @classmethod
    def load(cls, folder: Path, name: str) -> Recorded:
        """Read a recorded delivery.

        :param name: for instance ``github/push__tag``.
        :raises OSError: one of its files cannot be read.
        """
        headers = json.loads(_file(folder, name, ".headers.json").read_text("utf-8"))
        about = headers.pop("", {})
        body = _file(folder, name, ".json").read_bytes()
        expected = json.loads(_file(folder, name, _CHANGES).read_text("utf-8"))
        return cls(name, body, headers, expected, **about)

    def save(self, folder: Path) -> list[Path]:
        """Write its files.

        :returns: their paths.
        :raises FileExistsError: one of them already exists; nothing is written.
        """
        about = {"uri": self.uri, "options": dict(self.options), "received": self.received}
        said = {name: value for name, value in about.items() if value}
        contents = {
            _file(folder, self.name, ".json"): self.body,
            _file(folder, self.name, ".headers.json"): _encoded({**self.headers, "": said}),
            _file(folder, self.name, _CHANGES): _encoded(self.expected),
        }
        for path in contents:
            if path.exists():
                raise FileExistsError(f"{path} already exists")
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return list(contents)

    @property
    def dialect(self) -> str:
        """The dialect's name."""
        return self.name.partition("/")[0]

    @property
    def payload(self) -> Any:
        """The document, decoded."""
        return json.loads(self.body)

    def sent(self, body: bytes | None = None) -> bytes:
        """The request's body: the document, or the form that it is sent in.

        :param body: another document instead of the recorded one.
        """
        document = self.body if body is None else body
        if "form" in self.headers.get("Content-Type", ""):
            return urlencode({"payload": document}).encode("ascii")
        return document

    def delivery(self, document: bytes | None = None, headers: Mapping[str, str] | None = None) -> Delivery:
        """The request.

        :param document: another document instead of the recorded one.
        :param headers: additional headers, for instance a signature.
        """
        raw = Headers()
        for name, value in {**self.headers, **(headers or {})}.items():
            raw.addRawHeader(name.encode("ascii"), value.encode("utf-8"))
        return Delivery(
            b"POST",
            f"/change_hook/{self.dialect}{self.uri}".encode(),
            raw,
            self.sent(document),
            dialect=self.dialect,
            received=self.received,
        )


def _file(folder: Path, name: str, ending: str) -> Path:
    return folder / f"{name}{ending}"


def _encoded(value: Any) -> bytes:
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()


def recorded(folder: Path, dialect: str = "*", event: str = "*") -> Iterator[Recorded]:
    """The deliveries in a folder, of one dialect and event, or all of them, sorted by name."""
    for path in sorted(folder.glob(f"{dialect}/{event}__*{_CHANGES}")):
        yield Recorded.load(folder, path.relative_to(folder).as_posix().removesuffix(_CHANGES))


def in_short(change: Change) -> dict[str, object]:
    """The fields of a change that differ from their defaults."""
    default = Change().as_dict()
    return {name: value for name, value in change.as_dict().items() if value != default[name]}


__all__ = ["RECEIVED", "Recorded", "in_short", "recorded"]

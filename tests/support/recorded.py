"""The recorded deliveries in ``tests/recorded``; its README says how they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery

FOLDER = Path(__file__).parents[1] / "recorded"
#: When recorded deliveries are received, in seconds since the epoch, unless they say otherwise.
RECEIVED = 1795514400.0


@dataclass(frozen=True)
class Recorded:
    """One recorded delivery, and what must come of it.

    :param name: ``DIALECT/EVENT__CASE``.
    :param body: the document, as it stands in its file.
    :param headers: as sent, without signatures and tokens.
    :param expected: the changes, each with its fields that are not default, or what an answer without changes says.
    """

    name: str
    body: bytes
    headers: dict[str, str]
    expected: Any
    uri: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    received: float = RECEIVED

    @property
    def dialect(self) -> str:
        """The dialect's name."""
        return self.name.partition("/")[0]

    @property
    def payload(self) -> Any:
        """The document, decoded."""
        return json.loads(self.body)

    def sent(self, body: bytes | None = None) -> bytes:
        """The request's body: the document, or the form that it is sent in."""
        document = self.body if body is None else body
        if "form" in self.headers.get("Content-Type", ""):
            return urlencode({"payload": document}).encode("ascii")
        return document

    def delivery(self, document: bytes | None = None, headers: dict[str, str] | None = None) -> Delivery:
        """The request.

        :param document: another document in the place of the recorded one.
        :param headers: more of them, a signature for instance.
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


def recorded(dialect: str = "*", event: str = "*") -> Iterator[Recorded]:
    """Those of one dialect and event, or all, by name."""
    for path in sorted(FOLDER.glob(f"{dialect}/{event}__*.changes.json")):
        yield load(path.relative_to(FOLDER).as_posix().removesuffix(".changes.json"))


def load(name: str) -> Recorded:
    """The one called *name*: ``github/push__tag``."""
    headers = json.loads((FOLDER / f"{name}.headers.json").read_text())
    about = headers.pop("", {})
    body = (FOLDER / f"{name}.json").read_bytes()
    expected = json.loads((FOLDER / f"{name}.changes.json").read_text())
    return Recorded(name, body, headers, expected, **about)


def in_short(change: Change) -> dict[str, Any]:
    """The fields of a change that are not default."""
    default = Change().as_dict()
    return {name: value for name, value in change.as_dict().items() if value != default[name]}

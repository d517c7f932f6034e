"""The query of a request: the filter, and where the list begins."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec

from change_hooks.journal import STATES, StoredDelivery, Wanted

#: How many fields a request may have.
FIELDS = 2000
#: The longest value of a filter, in characters.
LONGEST = 500
#: The names of the filters in an address.
FILTERS = ("state", "endpoint", "sink", "repository", "branch", "text")
_FURTHEST = 2**62

Fields = dict[str, list[str]]


class Query(msgspec.Struct, frozen=True):
    """A filter; empty fields match everything.

    :param before: only deliveries before this ``seq``; 0: from the newest on.
    """

    state: str = ""
    endpoint: str = ""
    sink: str = ""
    repository: str = ""
    branch: str = ""
    text: str = ""
    before: int = 0

    @classmethod
    def of(cls, fields: Fields) -> Query:
        """The filter in the fields of an address; invalid values are ignored."""
        given = {name: fields.get(name, [""])[-1].strip()[:LONGEST] for name in FILTERS}
        if given["state"] not in STATES:
            given["state"] = ""
        return cls(**given, before=place_of(fields.get("before", [""])[-1]) or 0)

    @property
    def filtered(self) -> bool:
        """Whether any filter is set."""
        return any(getattr(self, name) for name in FILTERS)

    @property
    def wanted(self) -> Wanted:
        """The same as a query of the journal."""
        return Wanted(
            state=self.state or None,
            dialect=self.endpoint or None,
            sink=self.sink or None,
            repository=self.repository or None,
            branch=self.branch or None,
            text=self.text or None,
        )

    def matches(self, line: StoredDelivery) -> bool:
        """Whether a delivery matches."""
        return self.wanted.matches(line)

    def but(self, **other: Any) -> Query:
        """The same with other values."""
        return msgspec.structs.replace(self, **other)

    def encoded(self) -> str:
        """The query in an address, with its question mark; empty if nothing is set."""
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if value}
        return f"?{urlencode(fields)}" if fields else ""


def fields_of(encoded: bytes) -> Fields:
    """The fields of a query or a form.

    :raises ValueError: there are too many of them.
    """
    return parse_qs(encoded.decode("latin-1"), max_num_fields=FIELDS, errors="replace")


def place_of(text: str) -> int | None:
    """A ``seq`` in the journal; None: it is not one."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    place = int(text)
    return place if 0 < place < _FURTHEST else None


__all__ = ["FILTERS", "Fields", "Query", "fields_of", "place_of"]

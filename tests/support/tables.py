"""The tables of the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([^`]+)`")


class Row(NamedTuple):
    """A row of a table: what its first cell names, and what stands below each heading."""

    names: list[str]
    cells: Mapping[str, str]


def rows(path: Path, first: str, section: str = "") -> list[Row]:
    """The rows of all tables whose first heading is *first*.

    :param section: only of what stands below this heading.
    """
    text = path.read_text("utf-8")
    if section:
        text = re.split(r"^#+ ", text.partition(f"# {section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        head, _, *body = ([cell.strip() for cell in line[1:-2].split("|")] for line in table.splitlines(True))
        if head[0] == first:
            found += [
                Row(CODE.findall(cells[0]), dict(zip(head, cells, strict=True))) for cells in body if cells
            ]
    return found


def named(found: list[Row]) -> list[str]:
    return sorted(name for row in found for name in row.names)


__all__ = ["CODE", "DOCS", "Row", "named", "rows"]

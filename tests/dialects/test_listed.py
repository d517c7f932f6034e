"""Every registered dialect has its row in the README, and its page."""

from __future__ import annotations

import json
import re
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENTRIES = {
    entry.name: entry
    for entry in distribution("change-hooks").entry_points.select(group="change_hooks.dialects")
}
NAME = re.compile(r"`(\w+)`")


def readme_rows() -> dict[str, tuple[str, str]]:
    """By each name in the first column of the table of dialects."""
    section = (ROOT / "README.md").read_text().partition("\n## Dialects\n")[2].partition("\n## ")[0]
    rows: dict[str, tuple[str, str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in NAME.findall(cells[0]):
            assert name not in rows, f"{name} is listed twice"
            rows[name] = (cells[1], cells[2])
    return rows


def test_the_readme_lists_all_dialects_and_no_others() -> None:
    assert sorted(readme_rows()) == sorted(ENTRIES)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_row_says_what_the_class_says(name: str) -> None:
    handler: Any = ENTRIES[name].load()
    assert readme_rows()[name] == (handler.sender, handler.verified_by)
    assert handler.sender
    assert handler.verified_by


def test_every_dialect_has_a_page() -> None:
    folder = ROOT / "docs" / "reference" / "dialects"
    text = (folder / "index.md").read_text()
    toctree = text.partition("```{toctree}\n:hidden:\n")[2].partition("```")[0].split()
    pages = {path.stem for path in folder.glob("*.md")} - {"index"}
    assert sorted(toctree) == sorted(pages)
    for name, entry in ENTRIES.items():
        same = {other.name for other in ENTRIES.values() if other.value == entry.value}
        assert pages & same, f"{name} has no page"


@pytest.mark.parametrize("name", sorted({entry.module for entry in ENTRIES.values()}))
def test_a_dialect_can_be_read_at_a_glance(name: str) -> None:
    path = Path(import_module(name).__file__ or "")
    assert len(path.read_text("utf-8").splitlines()) <= (80 if name.endswith(".gitea") else 120)


#: What each page has; poller has no changes of its own, and the options of generic are its fields.
HEADINGS = (
    "(On the forge|At the sender)",
    "In the configuration",
    "(Fields of a change|Options: the contents)",
)
PAGES = ROOT / "docs" / "reference" / "dialects"


@pytest.mark.parametrize("name", sorted({path.stem for path in PAGES.glob("*.md")} - {"index"}))
def test_a_page_says_what_to_do_at_the_forge_and_here_and_what_comes_of_it(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    wanted = HEADINGS[:2] if name == "poller" else (*HEADINGS, "An example")
    places = [re.search(f"^## {heading}$", page, re.MULTILINE) for heading in wanted]
    assert None not in places, wanted
    assert [place.start() for place in places if place] == sorted(place.start() for place in places if place)
    assert "ci.example.com/change_hook/" in page
    assert "```python" in page
    if name != "poller":
        example = page.rpartition("## An example")[2]
        shown = re.findall(r"\{literalinclude\} (\S+)", example)
        assert len(shown) == 2
        payload, changes = (json.loads((PAGES / path).read_text("utf-8")) for path in shown)
        assert payload
        assert {"revision", "branch"} <= set(changes if isinstance(changes, dict) else changes[0])

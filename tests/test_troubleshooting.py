"""The page for troubleshooting has every message, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import change_hooks

from .support.messages import messages

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "troubleshooting.md"
#: Made of what other programs say.
COMPOSED = {
    "missing or wrong credentials (HTTP Basic)",
    "duplicate of …, which was accepted before; 'change-hooks replay' processes it again",
    "the event lists no changes",
}


def listed() -> set[str]:
    """The messages that the page explains."""
    text = PAGE.read_text()
    terms = re.findall(r"^(`.*)\n: ", text, re.MULTILINE)
    return {message for term in terms for message in re.findall(r"`([^`]+)`", term)}


@pytest.mark.parametrize("kind", ["answer", "doubt", "incident", "log"])
def test_every_message_is_explained(kind: str) -> None:
    found = messages()[kind]
    assert len(found) > 10
    explained = listed()
    missing = {text for text in found if text not in explained and f"…: {text}" not in explained}
    assert missing == set(), f"{PAGE} does not explain these"


def test_the_page_explains_no_message_that_there_is_not() -> None:
    known = {text for kind in messages().values() for text in kind} | COMPOSED
    assert {text for text in listed() if text not in known and text.removeprefix("…: ") not in known} == set()


def test_what_is_composed_stands_in_the_source() -> None:
    source = "".join(path.read_text() for path in Path(change_hooks.__file__).parent.rglob("*.py"))
    for text in COMPOSED:
        assert all(part in source for part in text.split(" 'change-hooks")[0].split("…")), text

"""Text of others, made fit to be shown to people."""

from __future__ import annotations

_JOINER = "\u200d"


def printable(text: str, *, lines: bool = False) -> str:
    """*text* without anything that a terminal or a browser could act on: control characters, and those that
    turn the direction of writing.

    :param lines: leave its lines apart.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == _JOINER or (lines and character == "\n")
        else "\ufffd"
        for character in text
    )


__all__ = ["printable"]

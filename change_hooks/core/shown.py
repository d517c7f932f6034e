"""Makes text from outside safe to display."""

from __future__ import annotations

_JOINER = "\u200d"
#: The longest name of a repository or a branch in a log line, in characters.
LONGEST_NAME = 200


def printable(text: str, *, lines: bool = False) -> str:
    """*text* without anything that a terminal or a browser could act on: control characters, and characters
    that change the direction of writing.

    :param lines: keep line breaks and tabs.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == _JOINER or (lines and character in "\n\t")
        else "\ufffd"
        for character in text
    )


def short_name(name: str) -> str:
    """A name, for a log line."""
    return printable(name[:LONGEST_NAME])


def counted(count: int, one: str, many: str = "") -> str:
    """``1 change``, ``2 changes``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def one_line(text: str, most: int) -> str:
    """The beginning of *text* on one line, printable: nobody can forge a line of a log with it.

    :param most: how many characters.
    """
    return printable(" ".join(text[:most].split()))


def reason_of(error: BaseException | None) -> str:
    """Why the operating system refused something, without the number of the error."""
    return getattr(error, "strerror", None) or str(error)


def shown_error(error: BaseException | None, most: int = 500) -> str:
    """An error's type and its own text, on one line.

    :param error: None is a failure without an exception.
    :param most: how many characters of its text.
    """
    try:
        text = one_line(str(error), most)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


__all__ = ["counted", "one_line", "printable", "reason_of", "short_name", "shown_error"]

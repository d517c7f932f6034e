"""Reads the password checkers of a configuration."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker


def read_checkers(where: str, written: Any) -> tuple[tuple[Any, ...], list[str]]:
    """The password checkers in a configuration, and the errors in them.

    :param where: where they are configured, for the messages.
    :param written: the value in the configuration; None: not set.
    """
    if written is None:
        return (), []
    checkers = tuple(written) if isinstance(written, (list, tuple)) else (written,)
    return checkers, [
        f"{where} must be a list of ICredentialsChecker, for instance"
        f" [strcred.makeChecker('file:changehook.passwd')]; {type(checker).__name__} is not one"
        for checker in checkers
        if not ICredentialsChecker.providedBy(checker)
    ]


__all__ = ["read_checkers"]

"""A forge's API that a test has made itself, in the place of those that are installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class Installed:
    """What is installed: one API, whatever the forge's name.

    :param api: it; None: there is none.
    """

    def __init__(self, api: Any) -> None:
        self.api = api
        #: What it was asked for: the names of forges, and what the API was made of.
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def load(self, name: str) -> Any:
        if self.api is None:
            raise KeyError(name)

        def make(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            return self.api

        return make


@contextmanager
def knowing(api: Any) -> Iterator[Installed]:
    """Handlers have this API of their forge."""
    installed = Installed(api)
    with patch("change_hooks.dialects.event_handler.installed", lambda groups: installed):
        yield installed

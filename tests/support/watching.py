"""An observer that remembers what it was told."""

from __future__ import annotations

from typing import Any

from change_hooks.observer import Observer


class Watching(Observer):
    """Everything in one list, times left out."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.seconds: list[float] = []

    def delivery_answered(
        self, endpoint: str, event: str, outcome: str, seconds: float | None, changes: int
    ) -> None:
        self.seconds += [] if seconds is None else [seconds]
        self.seen.append(("answered", endpoint, event, outcome, changes))

    def changes_accepted(self, endpoint: str, changes: int, way: str) -> None:
        self.seen.append(("changes", endpoint, changes, way))

    def attempt_made(self, sink: str, outcome: str, seconds: float, error: str) -> None:
        self.seconds.append(seconds)
        self.seen.append(("attempt", sink, outcome, error))

    def dead_letter(self, sink: str, error: str) -> None:
        self.seen.append(("dead letter", sink, error))

    def journal_committed(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.seen.append(("committed",))

    def journal_unavailable(self) -> None:
        self.seen.append(("unavailable",))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [tuple(rest) for first, *rest in self.seen if first == kind]

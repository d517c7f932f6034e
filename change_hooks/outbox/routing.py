"""Decides which sink gets which part of a delivery, when the delivery is stored.

Strategy: a sink is called once for each *unit*: a change, a push (all changes of one ref), or the whole
delivery. The conditions are tested on every change, and a unit is wanted if one of its changes is; it is
always delivered whole, so that the newest change of a push is the head of its ref. A sink that wants only the
latest of a group skips units that a later unit of the group, which is also waiting, supersedes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, NamedTuple

from twisted.logger import Logger

from change_hooks.core.address import repository_names
from change_hooks.core.change import MISSING, Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.fetched import is_sent
from change_hooks.core.push import Push, pushes
from change_hooks.core.verdicts import Verdict
from change_hooks.journal import Routes
from change_hooks.outbox.coalescing import Quiet

#: The fields of ``only`` and ``unless``.
CONDITION_FIELDS = ("repositories", "branches", "categories", "projects", "dialects", "codebases", "files")
#: The fields of ``latest_per``.
GROUP_FIELDS = ("repository", "branch", "category", "project", "codebase", "dialect")

log = Logger()


class Unit(NamedTuple):
    """Changes of a delivery that a sink gets in one call.

    :param changes: their indexes, ascending.
    :param group: a sink that wants only the latest gets only the last unit of each group.
    """

    changes: tuple[int, ...]
    group: str = ""


class Routing(NamedTuple):
    """Why a sink gets a unit, or does not.

    :param changes: their indexes, ascending.
    :param group: see :class:`Unit`.
    :param verdicts: the results for each condition's fields, and for ``when``. For ``unless``, a passed test
        means that the field matches.
    """

    sink: str
    changes: tuple[int, ...]
    wanted: bool
    group: str
    verdicts: list[Verdict]


class Patterns:
    """fnmatch patterns, case-sensitive.

    :param patterns: at least one.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.written = tuple(patterns)
        self._match = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in self.written)).match

    def any_of(self, texts: Iterable[str]) -> bool:
        """Whether one of *texts* matches."""
        return any(map(self._match, texts))

    def all_of(self, texts: Iterable[str]) -> bool:
        """Whether all of *texts* match."""
        return all(map(self._match, texts))


@dataclass(frozen=True)
class Condition:
    """A condition of ``only`` or ``unless``: all of the fields named in it must match.

    :param every_file: for ``unless``: all files must match, not just one.
    """

    patterns: Mapping[str, Patterns]
    every_file: bool = False

    def holds(self, change: Change, dialect: str) -> bool:
        """Whether it holds for a change of an endpoint. Unknown files are ignored."""
        return all(self._field(name, change, dialect) for name in self.patterns)

    def verdicts(self, option: str, change: Change, dialect: str) -> list[Verdict]:
        """Each of its fields, and whether it matches.

        :param option: the condition's option, ``only`` or ``unless``.
        """
        return [
            Verdict(
                f"{option} {name}",
                patterns.written,
                tuple(dict.fromkeys(text for text in _texts(name, change, dialect) if text)),
                self._field(name, change, dialect),
            )
            for name, patterns in self.patterns.items()
        ]

    def _field(self, name: str, change: Change, dialect: str) -> bool:
        patterns = self.patterns[name]
        return (
            self._files(change, patterns)
            if name == "files"
            else patterns.any_of(_texts(name, change, dialect))
        )

    def _files(self, change: Change, patterns: Patterns) -> bool:
        if "files" in change.properties.get(MISSING, ()):
            return not self.every_file
        if self.every_file:
            return bool(change.files) and patterns.all_of(change.files)
        return patterns.any_of(change.files)


def _texts(name: str, change: Change, dialect: str) -> Sequence[str]:
    if name == "files":
        return change.files
    if name == "repositories":
        return repository_names(change.repository)
    if name == "branches":
        branch = change.branch or ""
        return branch, branch.removeprefix("refs/heads/")
    texts = {
        "categories": change.category,
        "projects": change.project,
        "codebases": change.codebase,
        "dialects": dialect,
    }
    return (texts[name] or "",)


@dataclass(frozen=True)
class RoutedSink:
    """A sink and its routing.

    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, an
        :class:`~change_hooks.interfaces.IDeliverySink` or a callable.
    :param only: one of these must hold, if there are any.
    :param unless: none of these may hold.
    :param when: called with each unit: a change, or a push.
    :param per: ``'change'``, ``'push'`` or ``'delivery'``.
    :param latest_per: fields; only the newest of the units with equal fields is wanted. None: all are.
    :param quiet: how long a group must be quiet before its newest unit is delivered; None: no wait.
    :param attempts: failures after which a unit becomes a dead letter.
    :param time_limit: for each attempt, in seconds; None: the sink limits the time itself.
    :param concurrency: for how many queues the sink may be called at the same time.
    """

    sink: Any
    only: Sequence[Condition] = ()
    unless: Sequence[Condition] = ()
    when: Callable[[Change], object] | None = None
    per: str = "change"
    latest_per: Sequence[str] | None = None
    quiet: Quiet | None = None
    attempts: int = 100
    time_limit: float | None = 60.0
    concurrency: int = 32

    @property
    def wants_all(self) -> bool:
        """Whether the sink gets each change on its own, unconditionally."""
        conditions = self.only or self.unless or self.when is not None or self.latest_per is not None
        return not conditions and self.per == "change"

    @property
    def whole(self) -> bool:
        """Whether all changes of a delivery are needed to decide what the sink gets."""
        return self.per != "change" or self.latest_per is not None

    def wanted(self, name: str, changes: Sequence[Change], dialect: str) -> list[Unit]:
        """The units of a delivery that the sink gets.

        :param name: the sink's name.
        :param dialect: the endpoint's name.
        """
        return self.parted(name, changes, dialect)[0]

    def parted(self, name: str, changes: Sequence[Change], dialect: str) -> tuple[list[Unit], list[Unit]]:
        """The units of a delivery that the sink gets, and those that it does not get. See :meth:`wanted`."""
        if self.wants_all:
            return [Unit((index,)) for index in range(len(changes))], []
        wanted: list[Unit] = []
        unwanted: list[Unit] = []
        for indexes in self._units(changes):
            unit = Unit(tuple(indexes), self._group(changes[indexes[-1]], dialect))
            wants = self._wants(name, [changes[index] for index in indexes], dialect)
            (wanted if wants else unwanted).append(unit)
        return wanted, unwanted

    def _units(self, changes: Sequence[Change]) -> Sequence[Sequence[int]]:
        if self.per == "push":
            return pushes(changes)
        if self.per == "delivery":
            return [range(len(changes))] if changes else []
        return [[index] for index in range(len(changes))]

    def _group(self, change: Change, dialect: str) -> str:
        if self.latest_per is None:
            return ""
        return " | ".join(
            dialect if name == "dialect" else getattr(change, name) or "-" for name in self.latest_per
        )

    def _wants(self, name: str, changes: list[Change], dialect: str) -> bool:
        if not any(self._lets_through(change, dialect) for change in changes):
            return False
        if self.when is None:
            return True
        try:
            return bool(self.when(self.item(changes)))
        except Exception as error:
            # It is called again before the unit is delivered; an error then is a failure of the sink.
            log.error("'when' of the sink {sink} broke: {kind}", sink=name, kind=type(error).__name__)
            return True

    def _lets_through(self, change: Change, dialect: str) -> bool:
        if self.only and not any(condition.holds(change, dialect) for condition in self.only):
            return False
        return not any(condition.holds(change, dialect) for condition in self.unless)

    def verdicts(self, name: str, changes: Sequence[Change], delivery: Delivery) -> list[Routing]:
        """All tests of each unit that a delivery has for this sink, and whether the unit is wanted.

        :param name: the sink's name.
        """
        if not self.can_have(delivery):
            came = Verdict("arrived in a request", ("yes",), ("no",), passed=False)
            return [
                Routing(name, tuple(indexes), wanted=False, group="", verdicts=[came])
                for indexes in self._units(changes)
            ]
        return [self._routing(name, indexes, changes, delivery.dialect) for indexes in self._units(changes)]

    def can_have(self, delivery: Delivery) -> bool:
        """Whether the sink can get a delivery: one that did not arrive in a request cannot be forwarded."""
        return self.per != "delivery" or is_sent(delivery)

    def _routing(self, name: str, indexes: Sequence[int], changes: Sequence[Change], dialect: str) -> Routing:
        unit = [changes[index] for index in indexes]
        verdicts = [
            verdict
            for change in unit
            for option, conditions in (("only", self.only), ("unless", self.unless))
            for condition in conditions
            for verdict in condition.verdicts(option, change, dialect)
        ]
        wanted = self._wants(name, unit, dialect)
        if self.when is not None:
            let_through = any(self._lets_through(change, dialect) for change in unit)
            asked = ("yes" if wanted else "no",) if let_through else ("not asked",)
            verdicts.append(Verdict("when", ("true",), asked, wanted or not let_through))
        return Routing(name, tuple(indexes), wanted, self._group(unit[-1], dialect), verdicts)

    def item(self, changes: Sequence[Change]) -> Change:
        """The argument of the sink's call: a change, or a push."""
        return Push.of(changes) if self.per == "push" else changes[-1]


def routes(sinks: Mapping[str, RoutedSink], changes: Sequence[Change], delivery: Delivery) -> Routes:
    """Which sinks want any changes of a delivery with these changes, and which do not. Changes that did not
    arrive in a request are never for a sink that forwards requests.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    for name, routed in sinks.items():
        wants: Sequence[object] = ()
        if routed.can_have(delivery):
            wants = changes if routed.wants_all else routed.wanted(name, changes, delivery.dialect)
        (wanted if wants else unwanted).append(name)
    return Routes(tuple(wanted), tuple(unwanted))


__all__ = [
    "CONDITION_FIELDS",
    "GROUP_FIELDS",
    "Condition",
    "Patterns",
    "RoutedSink",
    "Routing",
    "Unit",
    "routes",
]

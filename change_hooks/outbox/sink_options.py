"""The options of every sink, besides the sink's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from change_hooks.core.names import nearest
from change_hooks.core.options import count, seconds
from change_hooks.interfaces import IDeliverySink
from change_hooks.outbox.coalescing import Quiet
from change_hooks.outbox.routing import CONDITION_FIELDS, GROUP_FIELDS, Condition, Patterns, RoutedSink

#: How long one call of a sink may take, in seconds.
SINK_TIME_LIMIT = 60.0
#: For how many queues a sink may be called concurrently.
CONCURRENCY = 32
#: The default of ``latest_per`` if only ``quiet`` is set.
GROUP = ("repository", "branch")
#: The default of ``quiet_limit``, as a multiple of ``quiet``.
QUIET_LIMIT = 10
#: The names of these options.
NAMES = (
    *("only", "unless", "when", "per", "latest_per", "quiet", "quiet_limit"),
    *("attempts", "time_limit", "concurrency"),
)


def routed(sink: Any, written: Mapping[str, Any], attempts: int) -> tuple[RoutedSink, list[str]]:
    """Read the options of a sink.

    :param written: those of :data:`NAMES` that the user wrote. None selects an option's default.
    :param attempts: the default of ``attempts`` for this sink.
    :returns: the sink with its options, and the problems, each beginning with the option's name.
    """
    reader = _Reader({name: value for name, value in written.items() if value is not None})
    read = RoutedSink(
        sink,
        only=reader.conditions("only", every_file=False),
        unless=reader.conditions("unless", every_file=True),
        when=reader.when(),
        per=reader.per(sink),
        latest_per=reader.latest_per(),
        quiet=reader.quiet(),
        attempts=int(reader.number("attempts", getattr(sink, "attempts", attempts), whole=True)),
        time_limit=reader.time_limit(getattr(sink, "time_limit", SINK_TIME_LIMIT)),
        concurrency=int(reader.number("concurrency", getattr(sink, "concurrency", CONCURRENCY), whole=True)),
    )
    return read, reader.problems


class _Reader:
    def __init__(self, written: Mapping[str, Any]) -> None:
        self._written = written
        self.problems: list[str] = []

    def number(self, name: str, default: float, *, whole: bool = False) -> float:
        check = count if whole else seconds
        try:
            return check(self._written.get(name, default))
        except TypeError as error:
            self.problems.append(f"{name!r} {error}")
            return 1

    def time_limit(self, default: float | None) -> float | None:
        if default is None and "time_limit" not in self._written:
            return None
        return self.number("time_limit", 1.0 if default is None else default)

    def conditions(self, name: str, *, every_file: bool) -> tuple[Condition, ...]:
        value = self._written.get(name, ())
        mappings = [value] if isinstance(value, Mapping) else value
        if not isinstance(mappings, (list, tuple)) or not all(isinstance(each, Mapping) for each in mappings):
            self.problems.append(
                f"{name!r} must be a dict of fields and patterns, for instance {{'branches': ['main']}},"
                " or a list of those"
            )
            return ()
        return tuple(Condition(dict(self._patterns(name, each)), every_file) for each in mappings)

    def _patterns(self, name: str, mapping: Mapping[Any, Any]) -> Iterator[tuple[str, Patterns]]:
        for field, patterns in mapping.items():
            texts = [patterns] if isinstance(patterns, str) else patterns
            if field not in CONDITION_FIELDS:
                self.problems.append(f"{name!r}: no field {field!r}{nearest(str(field), CONDITION_FIELDS)}")
            elif not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
                self.problems.append(f"{name!r}: {field!r} must be a list of patterns, for instance ['main']")
            elif not texts:
                self.problems.append(f"{name!r}: {field!r} is empty; leave it out, or write a pattern")
            else:
                yield field, Patterns(texts)

    def when(self) -> Callable[[Any], object] | None:
        value = self._written.get("when")
        if value is None or callable(value):
            return value
        self.problems.append("'when' must be a callable that takes the change")
        return None

    def per(self, sink: Any) -> str:
        if IDeliverySink.providedBy(sink):
            if self._written.get("per", "delivery") != "delivery":
                self.problems.append("'per' is 'delivery' for this sink; leave it out")
            return "delivery"
        value: str = self._written.get("per", getattr(sink, "per", "change"))
        if value not in ("change", "push"):
            self.problems.append("'per' must be 'change' or 'push'")
            return "change"
        return value

    def latest_per(self) -> tuple[str, ...] | None:
        value = self._written.get("latest_per")
        if value is None:
            return GROUP if "quiet" in self._written else None
        if not isinstance(value, (list, tuple)) or not value:
            self.problems.append(
                "'latest_per' must be a list of fields, for instance ('repository', 'branch')"
            )
            return None
        for name in value:
            if name not in GROUP_FIELDS:
                self.problems.append(f"'latest_per': no field {name!r}{nearest(str(name), GROUP_FIELDS)}")
        return tuple(name for name in value if name in GROUP_FIELDS)

    def quiet(self) -> Quiet | None:
        if "quiet" not in self._written:
            if "quiet_limit" in self._written:
                self.problems.append("'quiet_limit' needs 'quiet'")
            return None
        seconds = self.number("quiet", 1.0)
        at_most = self.number("quiet_limit", QUIET_LIMIT * seconds)
        if at_most < seconds:
            self.problems.append("'quiet_limit' must not be less than 'quiet'")
        return Quiet(seconds, at_most)


__all__ = ["NAMES", "routed"]

"""The sinks of a configuration: ``change_hook_sinks``, read and created."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path, PurePath
from typing import Any

from change_hooks.core.names import nearest
from change_hooks.core.options import count, seconds
from change_hooks.interfaces import IChangeSink, IDeliverySink
from change_hooks.outbox.routing import RoutedSink
from change_hooks.outbox.sink_options import NAMES, routed
from change_hooks.plugins import SINK_GROUPS, PluginError, installed
from change_hooks.references import resolved
from change_hooks.sinks.base import read_option, takes_alarms

#: Options of every sink that a sink may apply itself, and how they are checked.
_SHARED: Mapping[str, Callable[[Any], float]] = {"time_limit": seconds, "concurrency": count}
#: Arguments of our own sinks that are not options.
INSIDE = {"http", "clock", "reactor", "start"}


def read_sinks(written: Any, attempts: int, base: Path) -> tuple[dict[str, RoutedSink], list[str]]:
    """Create the configured sinks.

    :param written: the value of ``change_hook_sinks``; None: not set.
    :param attempts: the attempts of a sink without an option for them.
    :param base: the folder for relative paths.
    :returns: the sinks by name, and the errors.
    """
    if written is None:
        return {}, []
    if not isinstance(written, Mapping) or not all(isinstance(name, str) for name in written):
        return {}, [
            "change_hook_sinks must be a dict of names and sinks, for instance"
            " {'build': {'sink': 'command', 'argv': ['/usr/local/bin/build']}}"
        ]
    reader = _Reader(base)
    read = {name: reader.routed_sink(name, value, attempts) for name, value in written.items()}
    return {name: sink for name, sink in read.items() if sink is not None}, reader.problems


class _Reader:
    def __init__(self, base: Path) -> None:
        self._base = base
        self.problems: list[str] = []

    def routed_sink(self, name: str, value: Any, attempts: int) -> RoutedSink | None:
        where = f"change_hook_sinks: {name!r}"
        options = dict(value) if isinstance(value, Mapping) else {"sink": value}
        kind = options.pop("sink", None)
        ours = {option: options.pop(option) for option in tuple(options) if option in NAMES}
        if isinstance(kind, str):
            sink = self._made(where, name, kind, options, ours)
        elif not (IChangeSink.providedBy(kind) or IDeliverySink.providedBy(kind) or callable(kind)):
            self.problems.append(f"{where} must be a sink, a callable, or a dict with a key 'sink'")
            return None
        else:
            sink = kind
            self.problems += [
                f"{where}: unknown option {option!r}{nearest(str(option), NAMES)}" for option in options
            ]
        if sink is None:
            return None
        read, problems = routed(sink, ours, attempts)
        self.problems += [f"{where}: {problem}" for problem in problems]
        return read

    def _made(self, where: str, name: str, kind: str, options: dict[str, Any], ours: dict[str, Any]) -> Any:
        """Create a sink of a kind. It gets those of *ours* that it declares, and applies them itself."""
        registry = installed(SINK_GROUPS)
        try:
            factory = registry.load(kind)
            asked = signature(factory).parameters
            own = self._shared(ours, asked)
            base = {"base": self._base} if "base" in asked else {}
            self._refuse_unknown(where, options, asked)
            values = self._values(options, getattr(factory, "mappings", ()))
            return factory(name=name, **base, **values, **own)
        except KeyError:
            self.problems.append(f"{where}: no sink of this name{nearest(kind, registry.names())}")
        except (PluginError, TypeError, ValueError) as error:
            self.problems.append(f"{where}: {error}")
        except Exception as error:
            self.problems.append(f"{where}: {type(error).__name__}: {error}")
        return None

    def _refuse_unknown(self, where: str, options: dict[str, Any], asked: Mapping[str, Parameter]) -> None:
        """Report options that the sink does not have, and return the others."""
        if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in asked.values()):
            return
        taken = {*asked} - {"name", "base"}
        written = {*taken, *NAMES} - INSIDE
        for option in [option for option in options if option not in taken]:
            del options[option]
            self.problems.append(f"{where}: unknown option {option!r}{nearest(str(option), written)}")

    def _shared(self, ours: dict[str, Any], asked: Container[str]) -> dict[str, Any]:
        """The configured options, of those that every sink has, that this sink applies itself."""
        taken = {option: ours.pop(option) for option in _SHARED if option in asked and option in ours}
        return {
            option: read_option(option, value, _SHARED[option], default=0.0)
            for option, value in taken.items()
            if value is not None
        }

    def _values(self, options: Mapping[str, Any], mappings: Sequence[str]) -> dict[str, Any]:
        """The options of a sink, with references replaced by secrets.

        :param mappings: options whose values are mappings, never references.
        :raises ValueError: a secret does not exist.
        """
        values: dict[str, Any] = {}
        for name, value in options.items():
            try:
                if name in mappings and isinstance(value, Mapping):
                    values[name] = {key: resolved(each, self._base) for key, each in value.items()}
                else:
                    values[name] = resolved(value, self._base)
            except ValueError as error:
                raise ValueError(f"option {name!r} {error}") from None
        return values


def as_written(value: object) -> object:
    """The sinks as the user wrote them, for comparison when the configuration is read again. Functions and
    other objects are created again then; they count as equal if they have the same type and name.
    """
    if isinstance(value, Mapping):
        return {key: as_written(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_written(each) for each in value]
    if value is None or isinstance(value, (str, bytes, int, float, PurePath)):
        return value
    return type(value), getattr(value, "__qualname__", "")


def read_alarms(names: Any, sinks: Mapping[str, RoutedSink]) -> tuple[tuple[str, ...], list[str]]:
    """Read ``change_hook_alarms``, and return its errors.

    :param sinks: the configured sinks.
    """
    if names is None:
        return (), []
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return (), ["change_hook_alarms must be a list of names of change_hook_sinks"]
    problems = []
    for name in names:
        if name not in sinks:
            problems.append(f"change_hook_alarms: no sink {name!r}{nearest(name, sinks)}")
        elif not takes_alarms(sinks[name].sink):
            problems.append(
                f"change_hook_alarms: the sink {name!r} cannot receive alarms; 'http', 'command', 'amqp'"
                " and callables can"
            )
    return tuple(names), problems


__all__ = ["INSIDE", "as_written", "read_alarms", "read_sinks"]

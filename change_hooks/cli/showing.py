"""Formats deliveries and changes, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import click
import msgspec

from change_hooks.core.delivery import Delivery
from change_hooks.core.shown import counted, printable
from change_hooks.journal import Attempt, SinkState, StoredChange, StoredDelivery, Whole

#: The length of the longest state of a delivery.
WIDEST = len("delivered")
#: The colours of states on a terminal; :func:`click.echo` leaves them out elsewhere.
COLOURS = {
    "delivered": "green",
    "taken": "green",
    "pending": "yellow",
    "waiting": "yellow",
    "retrying": "yellow",
    "failed": "red",
    "refused": "red",
}


def coloured(state: str, text: str = "") -> str:
    """A state, or *text*, in the state's colour."""
    return click.style(text or state, fg=COLOURS[state]) if state in COLOURS else text or state


def change_line(stored: StoredChange) -> str:
    """A change, in one line."""
    change = stored.change
    first_line = change.comments.partition("\n")[0]
    return printable(
        f"{shown_time(change.when_timestamp)}  {stored.key}"
        f"  {change.repository or '-'} {change.branch or '-'} {(change.revision or '-')[:12]}"
        f"  {change.author or '-'}: {first_line}"
    )


def delivery_line(stored: StoredDelivery) -> str:
    """A delivery, in one line."""
    about = " ".join(filter(None, (stored.event, stored.repository, stored.branch, stored.author)))
    parts = (
        shown_time(stored.received),
        coloured(stored.state) + " " * (WIDEST - len(stored.state)),
        printable(f"{stored.dialect or '-'}/{stored.delivery or '-'}"),
        printable(about),
        f"{counted(stored.changes, 'change')}, {counted(stored.bytes, 'byte')}",
        ", ".join(f"{printable(name)} {coloured(word)}" for name, word in stored.sinks.items()),
        printable(stored.reason),
    )
    return "  ".join(filter(None, parts))


def shown_time(seconds: float | None) -> str:
    """A time for people: UTC, to the second."""
    if seconds is None:
        return "-".ljust(20)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _headers(delivery: Delivery) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("utf-8", "replace"))
        for name, values in delivery.requestHeaders.getAllRawHeaders()
        for value in values
    ]


def _payload(delivery: Delivery) -> Any:
    """The body: decoded if it is JSON, otherwise as text."""
    try:
        return msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return delivery.body.decode("utf-8", "replace")


def _requestas_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "method": delivery.method.decode("latin-1"),
        "uri": delivery.uri.decode("latin-1"),
        "headers": _headers(delivery),
        "payload": _payload(delivery),
    }


def as_json(whole: Whole) -> dict[str, Any]:
    """All that is known about a delivery, as plain objects."""
    return {
        **msgspec.structs.asdict(whole.stored),
        **({} if whole.delivery is None else _requestas_json(whole.delivery)),
        "changes": [change.as_dict() for change in whole.changes],
        "sinks": [msgspec.structs.asdict(state) for state in whole.sinks],
        "attempts": [msgspec.structs.asdict(attempt) for attempt in whole.attempts],
    }


def _requestas_text(delivery: Delivery) -> Iterator[str]:
    payload = _payload(delivery)
    if not isinstance(payload, str):
        payload = msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()
    yield printable(f"{delivery.method.decode('latin-1')} {delivery.uri.decode('latin-1')}")
    yield from (printable(f"{name}: {value}") for name, value in _headers(delivery))
    yield ""
    yield printable(payload, lines=True)
    yield ""


def as_text(whole: Whole) -> str:
    """All that is known about a delivery, for people."""
    request = () if whole.delivery is None else _requestas_text(whole.delivery)
    after = [
        *(f"change {index}: {_fields(change.as_dict())}" for index, change in enumerate(whole.changes)),
        *(_sink_line(state) for state in whole.sinks),
        *(line for attempt in whole.attempts for line in _attempt_lines(attempt)),
    ]
    return "\n".join([delivery_line(whole.stored), "", *request, *map(printable, after)]) + "\n"


def _fields(fields: dict[str, Any]) -> str:
    return msgspec.json.encode({name: value for name, value in fields.items() if value}).decode()


def _sink_line(state: SinkState) -> str:
    if state.state == "failed":
        return f"sink {state.sink}: gave up delivering change {state.index}: {state.error}"
    if state.state not in ("waiting", "retrying"):
        return f"sink {state.sink}: {state.state}"
    why = (
        f", {state.attempts} attempts failed, next at {shown_time(state.due)}: {state.error}"
        if state.attempts
        else ""
    )
    return f"sink {state.sink}: waits for change {state.index} and those after it{why}"


def _attempt_lines(attempt: Attempt) -> Iterator[str]:
    error = f": {attempt.error}" if attempt.error else ""
    yield (
        f"{shown_time(attempt.at)}  sink {attempt.sink}: change {attempt.index} {attempt.outcome}"
        f" in {attempt.seconds:.3f} s{error}"
    )
    yield from (f"    | {line}" for line in attempt.output.split("\n") if line)


__all__ = ["as_json", "as_text", "change_line", "coloured", "delivery_line", "shown_time"]

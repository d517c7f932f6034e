"""Looking into a journal, and repeating what is in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import sleep, time
from typing import Any

import click
import msgspec
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

from change_hooks.cli.common import config_argument, fail, json_option, print_json, printable, read_config
from change_hooks.config import HooksConfig
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal import STATES, Attempt, SinkState, StoredChange, StoredDelivery, Wanted, Whole
from change_hooks.journal.address import make_journal, open_reader
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.reader import Reader, Tail
from change_hooks.outbox.retention import DAY

#: How often ``--follow`` looks for new changes, in seconds.
FOLLOW = 0.5

_AGO = re.compile(r"(\d+)([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Moment(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A time: ISO 8601 (UTC unless it says otherwise), or how long ago: ``30m``, ``12h``, ``7d``."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Seconds since the epoch."""
        if isinstance(value, float):
            return value
        ago = _AGO.fullmatch(value)
        if ago is not None:
            return time() - int(ago[1]) * _UNITS[ago[2]]
        try:
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(
                f"{value!r} is no time; write 2026-11-24, 2026-11-24T13:00:00Z, 30m, 12h or 7d", param, ctx
            )
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def choosing(command: Any) -> Any:
    """The options that choose deliveries."""
    for option in (
        click.option("--until", type=Moment(), help="Received before then."),
        click.option("--since", type=Moment(), help="Received then or later; or how long ago: 12h, 7d."),
        click.option("--repository", help="With a change of this repository; * and ? match any."),
        click.option("--dialect", help="Come in at this endpoint."),
    ):
        command = option(command)
    return command


_state_option = click.option("--state", type=click.Choice(STATES), help="In this state.")


def reader_of(hooks: HooksConfig) -> Reader:
    """Reads the journal of a configuration; ends the program when there is none."""
    if hooks.journal is None:
        raise click.ClickException("the configuration says change_hook_journal: None; nothing is kept")
    try:
        return open_reader(hooks.journal)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    except ConfigurationError as error:
        fail(error)
        raise


def config_and_ids(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """``CONFIG ID ...``, or ``ID ...`` for the embedded default."""
    if words and Path(words[0]).is_file():
        return Path(words[0]), list(words[1:])
    return None, list(words)


@click.command()
@config_argument
@json_option
@click.option("--follow", is_flag=True, help="Go on with the changes that come.")
def changes(config: Path | None, as_json: bool, follow: bool) -> None:
    """Print the changes in the journal, oldest first."""
    reader = reader_of(read_config(config))
    tail = Tail(reader)
    while True:
        lines = tail.news()
        for stored in (change for line in lines if line.changes for change in reader.changes_of(line.seq)):
            if as_json:
                print_json(stored.as_json())
            else:
                click.echo(_change_line(stored))
        if lines:
            continue
        if not follow:
            return
        sys.stdout.flush()
        sleep(FOLLOW)


@click.command()
@config_argument
@json_option
@_state_option
@choosing
def deliveries(config: Path | None, as_json: bool, **wanted: Any) -> None:
    """Print the deliveries in the journal, newest first."""
    for stored in reader_of(read_config(config)).deliveries(Wanted(**wanted)):
        if as_json:
            print_json(msgspec.structs.asdict(stored))
        else:
            click.echo(_delivery_line(stored))


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] ID")
@json_option
def show(words: tuple[str, ...], as_json: bool) -> None:
    """Print all that is known of a delivery: what came, its changes, and what became of them.

    ID is a delivery's id, its beginning, or DIALECT/ID.
    """
    config, names = config_and_ids(words)
    if not names:
        raise click.UsageError("which delivery? Give its id; 'change-hooks deliveries' lists them")
    reader = reader_of(read_config(config))
    for name in names:
        for seq in found_by(reader, name):
            whole = reader.whole(seq)
            if as_json:
                print_json(_as_json(whole))
            else:
                click.echo(_as_text(whole))


def found_by(reader: Reader, name: str) -> list[int]:
    """The places of the deliveries called *name*; ends the program when there is none."""
    found = reader.find(name)
    if not found:
        raise click.ClickException(f"no delivery {name!r}; 'change-hooks deliveries' lists them")
    return found


@inlineCallbacks
def open_journal(journal: SQLJournal) -> Any:
    """Open a journal; end the program when it cannot be used."""
    try:
        yield journal.open()
    except Unavailable as error:
        click.echo(f"error: {error.message}; is another process writing for long?", err=True)
        raise SystemExit(1) from None


@click.command()
@config_argument
@json_option
@click.option("--older-than", type=float, metavar="DAYS", help="Instead of change_hook_keep.")
@click.option("--failed", is_flag=True, help="Those that have failed, instead of those that were delivered.")
def prune(config: Path | None, as_json: bool, older_than: float | None, failed: bool) -> None:
    """Delete old deliveries. What is not delivered to every sink stays."""
    hooks = read_config(config)
    reader_of(hooks)
    days = hooks.keep if older_than is None else older_than
    if days is None:
        raise click.UsageError("the configuration says change_hook_keep: None; give --older-than DAYS")
    before = time() - days * DAY
    pruned: list[int] = [0]

    def tell() -> None:
        if as_json:
            print_json({"pruned": pruned[0]})
        else:
            click.echo(f"{pruned[0]} deliveries deleted")

    @inlineCallbacks
    def delete(reactor: Any) -> Any:
        journal: SQLJournal = make_journal(hooks.journal or "", reactor.callFromThread)
        yield open_journal(journal)
        while True:
            some = yield (journal.prune_failed if failed else journal.prune)(before)
            if not some:
                break
            pruned[0] += some
        yield journal.close()
        tell()

    react(delete)


# How things are shown ------------------------------------------------------------------------------


def _change_line(stored: StoredChange) -> str:
    change = stored.change
    first_line = change.comments.partition("\n")[0]
    return printable(
        f"{shown_time(change.when_timestamp)}  {stored.key.dialect}/{stored.key.delivery}#{stored.key.index}"
        f"  {change.repository or '-'} {change.branch or '-'} {(change.revision or '-')[:12]}"
        f"  {change.author or '-'}: {first_line}"
    )


def _delivery_line(stored: StoredDelivery) -> str:
    about = " ".join(filter(None, (stored.event, stored.repository, stored.branch, stored.author)))
    sinks = ", ".join(f"{name} {word}" for name, word in stored.sinks.items())
    parts = (
        f"{shown_time(stored.received)}  {stored.state:9}  {stored.dialect or '-'}/{stored.delivery or '-'}",
        about,
        f"{stored.changes} changes, {stored.bytes} bytes",
        sinks,
        stored.reason,
    )
    return printable("  ".join(filter(None, parts)))


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
    """The body: decoded when it is JSON, as text when it is not."""
    try:
        return msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return delivery.body.decode("utf-8", "replace")


def _request_as_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "method": delivery.method.decode("latin-1"),
        "uri": delivery.uri.decode("latin-1"),
        "headers": _headers(delivery),
        "payload": _payload(delivery),
    }


def _as_json(whole: Whole) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(whole.stored),
        **({} if whole.delivery is None else _request_as_json(whole.delivery)),
        "changes": [change.as_dict() for change in whole.changes],
        "sinks": [msgspec.structs.asdict(state) for state in whole.sinks],
        "attempts": [msgspec.structs.asdict(attempt) for attempt in whole.attempts],
    }


def _request_as_text(delivery: Delivery) -> Iterator[str]:
    payload = _payload(delivery)
    if not isinstance(payload, str):
        payload = msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()
    yield printable(f"{delivery.method.decode('latin-1')} {delivery.uri.decode('latin-1')}")
    yield from (printable(f"{name}: {value}") for name, value in _headers(delivery))
    yield ""
    yield printable(payload, lines=True)
    yield ""


def _as_text(whole: Whole) -> str:
    request = () if whole.delivery is None else _request_as_text(whole.delivery)
    after = [
        *(f"change {index}: {_fields(change.as_dict())}" for index, change in enumerate(whole.changes)),
        *(_sink_line(state) for state in whole.sinks),
        *(_attempt_line(attempt) for attempt in whole.attempts),
    ]
    return "\n".join([_delivery_line(whole.stored), "", *request, *map(printable, after)]) + "\n"


def _fields(fields: dict[str, Any]) -> str:
    return msgspec.json.encode({name: value for name, value in fields.items() if value}).decode()


def _sink_line(state: SinkState) -> str:
    if state.state == "failed":
        return f"sink {state.sink}: gave up change {state.index}: {state.error}"
    if state.state not in ("waiting", "retrying"):
        return f"sink {state.sink}: {state.state}"
    why = (
        f", {state.attempts} attempts failed, next at {shown_time(state.due)}: {state.error}"
        if state.attempts
        else ""
    )
    return f"sink {state.sink}: waits for change {state.index} and what follows it{why}"


def _attempt_line(attempt: Attempt) -> str:
    error = f": {attempt.error}" if attempt.error else ""
    return (
        f"{shown_time(attempt.at)}  sink {attempt.sink}: change {attempt.index} {attempt.outcome}"
        f" in {attempt.seconds:.3f} s{error}"
    )


__all__ = [
    "Moment",
    "changes",
    "choosing",
    "config_and_ids",
    "deliveries",
    "found_by",
    "open_journal",
    "prune",
    "reader_of",
    "show",
    "shown_time",
]

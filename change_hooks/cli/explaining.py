"""Makes all tests of deliveries again, for ``explain``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

from change_hooks.cli.choosing import config_and_ids, found_by, reader_of
from change_hooks.cli.common import print_json
from change_hooks.cli.configured import Configured, read_config
from change_hooks.cli.showing import delivery_line
from change_hooks.config import HooksConfig
from change_hooks.core.errors import DeliveryError
from change_hooks.core.found import About, Found
from change_hooks.core.screening import Kept
from change_hooks.core.shown import counted, printable, shown_error
from change_hooks.core.verdicts import Verdict
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.journal import TRACES, StoredDelivery, Whole
from change_hooks.outbox.routing import Routing
from change_hooks.tree import idle_tree, replaying

#: The longest value that is printed for people, in characters, and how many values are printed.
LONGEST = 120
MOST = 8
NOT_KEPT = (
    "its body is not stored, so not all tests can be repeated; the reason above is that of the"
    " configuration then. Have the forge send it again to see what the configuration says now"
)
REFUSED = "it was not verified, so the options were not tested"


class Explained(msgspec.Struct, frozen=True):
    """Why a delivery gives its changes, with the current configuration.

    :param changes: how many changes it gives.
    :param reason: why there are none.
    :param tests: for each event, or each change that a handler returns, every test of the options; if
        the body is not stored, the tests that are possible without it.
    :param unknown: the names of the tests that need the body.
    :param routing: for each sink, and each unit that it would get, every test.
    """

    dialect: str
    delivery: str
    state: str
    changes: int = 0
    reason: str = ""
    tests: list[list[Verdict]] = []
    unknown: list[str] = []
    routing: list[Routing] = []

    def as_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        return {
            **msgspec.structs.asdict(self),
            "tests": [[msgspec.structs.asdict(test) for test in tests] for tests in self.tests],
            "routing": [
                {**routing._asdict(), "verdicts": [msgspec.structs.asdict(test) for test in routing.verdicts]}
                for routing in self.routing
            ],
        }


def run(words: tuple[str, ...], *, as_json: bool) -> None:
    """Print all tests of the deliveries."""
    config, names = config_and_ids(words)
    if not names:
        raise click.UsageError("which delivery? Give its id; 'change-hooks deliveries' lists them")
    configured = read_config(config)
    hooks = configured.hooks
    reader = reader_of(hooks)
    wholes = [reader.whole(seq) for name in names for seq in found_by(reader, name)]

    @inlineCallbacks
    def tell(reactor: Any) -> Any:
        for whole in wholes:
            explained = yield _explained(hooks, whole, reactor)
            if as_json:
                print_json(explained.as_json())
            else:
                for line in _lines(configured, whole.stored, explained):
                    click.echo(printable(line))

    react(tell)


@inlineCallbacks
def _explained(hooks: HooksConfig, whole: Whole, reactor: Any) -> Any:
    stored = whole.stored
    begun = Explained(stored.dialect, stored.delivery, stored.state)
    if whole.delivery is None:
        kept = _of_trace(hooks, stored, reactor)
        made = [kept.verdicts] if kept.verdicts else []
        return msgspec.structs.replace(begun, reason=stored.reason, tests=made, unknown=kept.unknown)
    tests: list[list[Verdict]] = []
    try:
        found: Found = yield replaying(hooks, reactor, judged=lambda made: tests.append(list(made)))(
            whole.delivery
        )
    except DeliveryError as error:
        return msgspec.structs.replace(begun, reason=error.message, tests=tests)
    except Exception as error:
        reason = f"the handler broke: {shown_error(error)}"
        return msgspec.structs.replace(begun, reason=reason, tests=tests)
    routing = [
        routing
        for name, sink in hooks.sinks.items()
        for routing in sink.verdicts(name, found, whole.delivery)
    ]
    return msgspec.structs.replace(
        begun, changes=len(found), reason=found.reason, tests=tests, routing=routing
    )


def _of_trace(hooks: HooksConfig, stored: StoredDelivery, reactor: Any) -> Kept:
    """The tests that are possible with the trace of a request without changes."""
    handler = idle_tree(hooks, reactor).handlers.get(stored.dialect)
    if stored.state != "ignored" or not isinstance(handler, EventHandler):
        return Kept([], [])
    return handler.kept(About(stored.event, stored.repository, stored.branch, stored.author))


def _lines(configured: Configured, stored: StoredDelivery, explained: Explained) -> Iterator[str]:
    yield delivery_line(stored)
    if stored.state in TRACES:
        yield from _lines_of_trace(stored, explained)
        return
    reason = f": {explained.reason}" if explained.reason else ""
    yield f"  now: {counted(explained.changes, 'change') if explained.changes else 'no change'}{reason}"
    for number, tests in enumerate(explained.tests):
        yield f"  options, event {number}:"
        yield from map(_test, tests)
    if not explained.tests:
        yield "  options: the handler makes its changes itself, without testing the forges' options"
    for routing in explained.routing:
        which = ", ".join(map(str, routing.changes))
        group = f", the latest of {routing.group}" if routing.group else ""
        yield f"  sink {routing.sink}, change {which}: {'wanted' if routing.wanted else 'not wanted'}{group}"
        yield from map(_match, routing.verdicts)
    if configured.in_master:
        yield "  the Buildbot master's own sink: wants every change"
    elif not configured.hooks.sinks:
        yield "  sinks: none in the configuration; the program that has the sinks decides"


def _lines_of_trace(stored: StoredDelivery, explained: Explained) -> Iterator[str]:
    yield f"  {NOT_KEPT}"
    if stored.state == "refused":
        yield f"  {REFUSED}"
        return
    if explained.tests:
        yield "  options, as far as they can be tested:"
        yield from map(_test, explained.tests[0])
    if explained.unknown:
        yield f"    unknown  {', '.join(explained.unknown)}: these need its body"
    yield "  sinks: not tested, because it gave no change"


def _test(verdict: Verdict) -> str:
    word = "passes " if verdict.passed else "REFUSES"
    reason = f" -- {verdict.reason}" if verdict.reason else ""
    return f"    {word}  {_asked(verdict)}{reason}"


def _match(verdict: Verdict) -> str:
    return f"    {'matches       ' if verdict.passed else 'does not match'}  {_asked(verdict)}"


def _asked(verdict: Verdict) -> str:
    wanted = f"wants {_some(verdict.wanted)}" if verdict.wanted else "not set"
    return f"{verdict.test}: {_some(verdict.value) or '-'} ({wanted})"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return ", ".join(_short(text) for text in texts[:MOST]) + more


def _short(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


__all__ = ["run"]

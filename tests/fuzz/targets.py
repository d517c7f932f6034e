"""What is fed with what nobody would write: bytes to every handler, values to every option.

Each target raises AssertionError, or whatever else should not come out, for what it was given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from inspect import signature
from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from change_hooks.config import read_www
from change_hooks.core.change import FIRST, LATEST, Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, DeliveryError
from change_hooks.core.options import option_names
from change_hooks.plugins import SINK_GROUPS, installed
from tests.support.recorded import load, recorded

#: How many inputs a target is given: few in CI, many by ``nox -s fuzz``.
RUNS = int(os.environ.get("FUZZ_RUNS", "3000"))
#: What decides about them, so that a failure can be had again.
SEED = os.environ.get("FUZZ_SEED", "20261125")


# Bytes to changes ---------------------------------------------------------------------------------


@cache
def seeds() -> tuple[tuple[Any, Delivery], ...]:
    """A handler and a delivery for each recorded one."""
    found = []
    for each in recorded():
        recording = load(each.name)
        handler = installed().load(recording.dialect)(None, recording.options or True)
        found.append((handler, recording.delivery().replace(verification="none")))
    base = installed().load("base")(None, True)
    fields = {"revision": "1", "when": 1, "files": ["a"], "properties": {"a": [1]}}
    sent = found[0][1].replace(body=json.dumps(fields).encode(), headers={"Content-Type": "application/json"})
    return (*found, (base, sent))


def changes(number: int, body: bytes, content_type: bytes | None = None) -> None:
    """Give a body to the handler of a seed. It gives changes, or refuses it."""
    handler, sent = seeds()[number % len(seeds())]
    sent = sent.replace(body=body)
    if content_type is not None:
        sent = sent.replace(headers={"Content-Type": content_type.decode("latin-1")})
    given: Deferred[Any] = maybeDeferred(handler.getChanges, sent)
    results: list[Any] = []
    given.addBoth(results.append)
    assert results, "it waits for something"
    if isinstance(results[0], Failure):
        error = results[0].value
        if not isinstance(error, DeliveryError) or error.status >= 500:
            results[0].raiseException()
        assert error.message.isprintable()
        return
    for change in results[0][0]:
        assert change.when_timestamp is None or FIRST <= change.when_timestamp <= LATEST
        assert msgspec.json.decode(msgspec.json.encode(change), type=Change) == change
    head, stored = sent.dump()
    assert Delivery.restore(head, stored).body == body


#: What breaks readers of JSON, forms and multipart.
TOKENS = (
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"9" * 400,
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xff",
        b"\x00",
        b"\xef\xbb\xbf",
    ),
    *(
        b"[" * 2000,
        b'{"a":' * 600,
        b"[]",
        b"{}",
        b'""',
        b'"',
        b",",
        b"%",
        b"%ff",
        b"&",
        b"=",
        b"--x\r\n",
        b";",
    ),
    *(
        b"\xe2\x80\xae",
        b"\xc2\x9b31m",
        b"\\",
        b"\r\n",
        b"refs/heads/",
        b"0" * 40,
        b"1" * 40,
        b"http://[",
        b"@",
    ),
)
CONTENT_TYPES = (
    *(b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b""),
    *(
        b"application/json; charset=utf-16",
        b"multipart/form-data; boundary*=utf-8''x",
        b"a/b+json; charset=idna",
    ),
)


def mutated(random: Random, body: bytes) -> bytes:
    """A body with some of it changed, left out, doubled or replaced."""
    for _ in range(random.choice((1, 1, 2, 4))):
        first = random.randrange(len(body) + 1)
        last = min(len(body), first + random.choice((0, 1, 2, 8, 40, 400)))
        middle = random.choice(
            (random.choice(TOKENS), random.randbytes(random.randrange(4)), body[first:last] * 2, b"")
        )
        body = body[:first] + middle + body[last:]
    return body


def with_another_value(random: Random, document: Any) -> Any:
    """A document in which one value is another one."""
    if isinstance(document, dict) and document and random.random() < 0.9:
        key = random.choice(list(document))
        return {**document, key: with_another_value(random, document[key])}
    if isinstance(document, list) and document and random.random() < 0.9:
        index = random.randrange(len(document))
        return [*document[:index], with_another_value(random, document[index]), *document[index + 1 :]]
    wild = (
        None,
        True,
        0,
        -1,
        10**30,
        1e300,
        "",
        "\u202e\x9b\x00",
        "refs/heads/x",
        [],
        {},
        [None],
        {"": {}},
        "a" * 5000,
    )
    return random.choice(wild)


def random_changes(random: Random) -> None:
    """One input for :func:`changes`."""
    number = random.randrange(len(seeds()))
    body = seeds()[number][1].body
    if random.random() < 0.5:
        with suppress(ValueError):
            body = json.dumps(with_another_value(random, json.loads(body))).encode()
    else:
        body = mutated(random, body)
    changes(number, body, random.choice(CONTENT_TYPES) if random.random() < 0.1 else None)


# The www dict -------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7.5, 10**400, 1e308, float("nan"), float("inf"), complex(1, 2)),
    *(
        "",
        "x",
        "\x00",
        "\ud800",
        "*",
        "(",
        "http://[",
        "https://u:p@[x",
        "sqlite:///",
        "postgresql://",
        "tcp:",
    ),
    *(b"", b"x", [], (), {}, set(), [None], [[]], [1, "x"], ["("], {"a": 1}, {1: 2}, {None: None}, {"": ""}),
    *({"env": "NOT_SET"}, {"env": None}, {"file": "/not/there"}, {"file": 1}, {"credential": []}),
    *({"regex": "("}, {"regex": 1}, {"regex": "x", "permission": []}, {"app": 1, "key": None}),
    *(object(), type, int, len, Exception, range(3), frozenset({1}), json, lambda *_: 1),
)
KEYS = ("port", "change_hook", *(f"change_hook_{name}" for name in (
    *("dialects", "auth", "max_body", "max_in_flight", "journal", "sinks", "attempts", "answer_within", "keep"),
    *("keep_trace", "hosts", "admin", "alarms", "trusted_proxies", "rate", "bogus"),
)))  # fmt: skip
SINKS: dict[str, dict[str, Any]] = {
    "http": {"url": "http://x/"},
    "forward": {"url": "http://x/"},
    "amqp": {"url": "amqp://x/"},
    "command": {"argv": ["true"]},
    "buildbot_pb": {"master": "x:1"},
}
_ROUTING = ("only", "unless", "when", "per", "latest_per", "attempts", "time_limit", "format", "quiet")


@cache
def places() -> tuple[Callable[[Any], Any], ...]:
    """Where a value may stand: each makes a ``www`` of one."""
    return tuple(_places())


def _places() -> Iterator[Callable[[Any], Any]]:
    yield lambda odd: odd
    yield lambda odd: {"change_hook_sinks": {"a": odd}}
    yield lambda odd: {"change_hook_sinks": {"a": {"sink": odd}}}
    for key in KEYS:
        yield lambda odd, key=key: {key: odd}
    for name in installed().names():
        options = getattr(installed().load(name), "Options", None)
        yield lambda odd, name=name: {"change_hook_dialects": {name: odd}}
        for option in {
            *(option_names(options) if options else ()),
            "dialect",
            "class",
            "auth",
            "allow",
            "bogus",
        }:
            yield lambda odd, name=name, option=option: {
                "change_hook_dialects": {"e": {"dialect": name, option: odd}}
            }
    for kind, right in SINKS.items():
        for option in {*signature(installed(SINK_GROUPS).load(kind)).parameters, *_ROUTING, "bogus"}:
            yield lambda odd, kind=kind, right=right, option=option: {
                "change_hook_sinks": {"a": {"sink": kind, **right, option: odd}}
            }
        for field in ("repositories", "branches", "files", "bogus"):
            yield lambda odd, kind=kind, right=right, field=field: {
                "change_hook_sinks": {"a": {"sink": kind, **right, "only": {field: odd}}}
            }


def configuration(random: Random) -> None:
    """Read a ``www`` with odd values in some places. It is right, or an error says what is wrong."""
    www: dict[str, Any] = {}
    for _ in range(random.choice((1, 1, 1, 3))):
        odd = random.choice(ODD)
        made = random.choice(places())(
            random.choice((odd, [odd], {"x": odd})) if random.random() < 0.3 else odd
        )
        www = {**www, **made} if isinstance(made, dict) else made
        if not isinstance(www, dict):
            break
    try_www(www)


def try_www(www: Any) -> None:
    """Read a ``www``."""
    try:
        read_www(www)
    except ConfigurationError as error:
        assert error.problems

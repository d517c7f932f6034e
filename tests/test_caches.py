"""Nothing that a sender sends is kept for good: caches have a bound, and nothing grows with what comes."""

from __future__ import annotations

import ast
import gc
import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twisted.internet.task import Clock

import change_hooks
from change_hooks import make_resource
from change_hooks.testing import build
from tests.support.connections import Connection, Transport, site

#: Functions that are given nothing but names of ours.
OURS = {"address_of", "content_of", "migrations"}
FLOOD = 40
SECRET = "a long enough secret"


def caches() -> Iterator[tuple[str, str, ast.expr]]:
    """The file and name of each function whose results are kept, and the decorator that says so."""
    for path in sorted(Path(change_hooks.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for decorator in getattr(node, "decorator_list", ()):
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                name = ast.unparse(called).rpartition(".")[2]
                if name in ("cache", "lru_cache"):
                    yield path.name, getattr(node, "name", ""), decorator


def test_every_cache_has_a_bound() -> None:
    found = list(caches())
    assert len(found) > 5
    for path, name, decorator in found:
        written = ast.unparse(decorator)
        unbounded = "lru_cache" not in written or "None" in written
        assert name in OURS or not unbounded, f"{path}: {name} keeps everything; give it a maxsize"


def sizes() -> dict[int, tuple[Any, int]]:
    """Every container, and what it holds."""
    gc.collect()
    kinds = (dict, list, set, Counter)
    return {id(each): (each, len(each)) for each in gc.get_objects() if isinstance(each, kinds)}


def is_ours(container: Any) -> bool:
    """Not a table of modules, nor one of addresses in memory, as those have that measure coverage."""
    first = next(iter(container), None)
    return first != "sys" and not (isinstance(first, int) and first > 2**40)


def grown(before: dict[int, tuple[Any, int]]) -> list[str]:
    """Containers that have got more by half of a flood."""
    now = sizes()
    return [
        f"{type(each).__name__} {str(list(each)[:2])[:99]}"
        for key, (each, size) in now.items()
        if each is not before and key in before and size - before[key][1] > FLOOD // 2 and is_ours(each)
    ]


def flood(number: int) -> list[bytes]:
    """Requests of one sender, with another value wherever there can be one."""
    dialects = {"change_hook_dialects": {"github": {"secret": SECRET}, "gitlab": {"secret": SECRET}}}
    day = (
        f"{2000 + number // 300}-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}"
    )
    owner = {"login": f"u{number}", "name": f"n{number}", "email": f"{number}@x"}
    commit = {"id": f"{number:040x}", "message": f"m{number}", "timestamp": f"{day}:00.{number}+01:00"}
    payload = {
        "ref": f"refs/heads/b{number}",
        "after": commit["id"],
        "repository": {"full_name": f"o/r{number}", "html_url": f"https://x/{number}"},
        "commits": [{**commit, "author": owner, "added": [f"a{number}"]}],
        "sender": owner,
        "installation": {"id": number},
        f"field{number}": number,
    }
    made = [
        build(dialects, "github", "push", payload, id=f"id-{number}", secret=SECRET),
        build(dialects, "github", f"event{number}", payload, id=f"e-{number}", secret=SECRET),
        build(dialects, "github", "push", payload, id=f"f-{number}", secret=f"forged {number}, and long"),
        build(
            dialects, "gitlab", "Push Hook", payload, secret=SECRET, headers={"Content-Type": f"x/{number}"}
        ),
        build(
            dialects,
            "github",
            "push",
            payload,
            headers={"Content-Type": f"application/json; charset=x{number}"},
        ),
        build(dialects, "github", "push", payload, query={f"q{number}": f"{number}"}, secret=SECRET),
    ]
    requests = [
        b"%b %b HTTP/1.1\r\nHost: h%d\r\nContent-Length: %d\r\n%b\r\n%b"
        % (
            each.method,
            each.uri,
            number,
            len(each.body),
            b"".join(
                b"%b: %b\r\n" % (name, value)
                for name, values in each.requestHeaders.getAllRawHeaders()
                for value in values
            ),
            each.body,
        )
        for each in made
    ]
    form = urlencode({f"k{number}": number, "revision": number, "when": f"{day}:30Z"}).encode()
    plain = b"Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%b"
    requests += [
        b"POST /change_hook/base HTTP/1.1\r\n" + plain % (len(form), form),
        b"POST /change_hook/name%d HTTP/1.1\r\n" % number + plain % (0, b""),
        b"METHOD%d /change_hook/base HTTP/1.1\r\n" % number + plain % (0, b""),
    ]
    return requests


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Connection:
    # What is bounded by a larger number is bounded by a smaller one here.
    monkeypatch.setattr("change_hooks.web.senders.MOST_ADDRESSES", 5)
    clock: Any = Clock()
    www = {
        "change_hook_dialects": {
            "github": {"secret": SECRET, "github_property_whitelist": ["github.*"]},
            "gitlab": {"secret": SECRET},
            "base": {"allow": ["192.0.2.0/24", "198.51.100.0/24", "10.0.0.0/8"]},
        },
        "change_hook_rate": 10,
    }
    made = Connection()
    made.site = site(make_resource(www, sink=lambda change: None, clock=clock), 10_000, clock, "own")
    return made


def test_nothing_grows_with_what_strangers_and_forges_send(served: Connection) -> None:
    def send(number: int) -> None:
        for request in flood(number):
            each = Connection(to=served, transport=Transport(f"10.0.{number // 200}.{number % 200}"))
            each.send(request)
            assert len(each.statuses) == 1, each.answer
            each.lose()

    # The first flood imports what is needed only then, and fills what has a bound.
    for number in range(FLOOD):
        send(number)
    before = sizes()
    for number in range(FLOOD, 2 * FLOOD):
        send(number)
    assert grown(before) == []
    for module in pkgutil.walk_packages(change_hooks.__path__, "change_hooks."):
        if module.name.split(".")[1] in ("core", "dialects", "web", "intake", "journal"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, _lru_cache_wrapper) and name not in OURS:
                    kept = value.cache_info()
                    assert kept.maxsize is not None
                    assert kept.currsize <= kept.maxsize

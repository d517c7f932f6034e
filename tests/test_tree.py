"""Endpoints that work, and those that are off."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.process.properties import Interpolate, renderer
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from change_hooks import Change, HookHandler, make_resource
from change_hooks.config import read_www
from change_hooks.core.errors import ConfigurationError, EndpointOff, UnknownDialect
from change_hooks.dialects.handler import Context
from change_hooks.intake.inline import InlineIntake
from change_hooks.journal import Trace
from change_hooks.tree import Tree, unmade
from change_hooks.web.admission import Gate
from tests.conftest import Client, delivery, result_of

FIELDS = {"revision": "1", "comments": "c"}


class Broken:
    def __init__(self, master: Any, options: Any) -> None:
        raise RuntimeError("not today")

    def getChanges(self, request: Any) -> Any:
        """Never called."""


class Picky(HookHandler):
    Options = None

    def __init__(self, master: Any, options: Any) -> None:
        raise ConfigurationError(["option 'x' is wrong", "option 'y' too"])


@pytest.fixture
def logged() -> Any:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield lambda: [
        event["log_format"].format(**event) for event in events if event["log_level"].name == "error"
    ]
    globalLogPublisher.removeObserver(events.append)


def planted(dialects: Any, *, auth: Any = None, tracer: Any = lambda trace: None) -> Tree:
    www = {"change_hook_dialects": dialects, "change_hook_journal": None, "change_hook_auth": auth}
    clock: Any = Clock()
    return Tree(read_www(www), Context(clock=clock), InlineIntake(lambda change: None), Gate(), tracer=tracer)


def test_a_handler_that_cannot_be_made_turns_off_its_endpoint_alone(logged: Any) -> None:
    traces: list[Trace] = []
    dialects = {"x": {"custom_class": Broken}, "y": {"custom_class": Picky}, "base": True}
    tree = planted(dialects, tracer=traces.append)
    assert tree.off == ["x", "y"]
    first, *others = logged()
    assert "the dialect 'x' is off" in first
    assert "RuntimeError: not today" in first
    assert others == [
        "the dialect 'y' is off: option 'x' is wrong",
        "the dialect 'y' is off: option 'y' too",
    ]
    client = Client(tree.root)
    assert client.post("/base", data=FIELDS).status == 202
    for path in ("/x", "/x/", "/x/more"):
        reply = client.post(path, data=FIELDS)
        assert (reply.status, reply.header("retry-after")) == (503, "30")
        assert reply.text.startswith("this endpoint is off")
    assert [(trace.dialect, trace.status) for trace in traces] == [("x", 503)] * 3
    with pytest.raises(EndpointOff):
        result_of(tree.found_again(delivery(dialect="x")))
    with pytest.raises(UnknownDialect):
        result_of(tree.found_again(delivery(dialect="z")))
    tree.retire()
    assert client.post("/base", data=FIELDS).status == 503


def test_an_endpoint_that_is_off_still_asks_for_the_password() -> None:
    checker = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    own = planted({"x": {"custom_class": Broken, "auth": [checker]}})
    assert Client(own.root).post("/x").status == 401
    assert Client(own.root).post("/x", auth=("user", "password")).status == 503
    common = planted({"x": {"custom_class": Broken}}, auth=[checker])
    assert Client(common.root).post("/x").status == 401


def test_the_embedded_resource_goes_on_with_the_others(logged: Any, changes: list[Change]) -> None:
    dialects = {"x": {"custom_class": Broken}, "base": True}
    client = Client(make_resource({"change_hook_dialects": dialects}, sink=changes.append))
    assert client.post("/x").status == 503
    assert client.post("/base", data=FIELDS).status == 202
    assert len(logged()) == 1


def test_an_endpoint_is_off_until_its_options_have_been_rendered(changes: list[Change]) -> None:
    waiting: Deferred[str] = Deferred()

    @renderer
    def project(properties: Any) -> Deferred[str]:
        return waiting

    dialects = {"gitlab": {"project": project, "codebase": Interpolate("c%(kw:n)s", n="1")}}
    tree = planted(dialects)
    client = Client(tree.root)
    assert tree.off == ["gitlab"]
    assert client.post("/gitlab").status == 503
    waiting.callback("rendered")
    assert tree.off == []
    assert client.post("/gitlab", json={}).status == 400


def test_what_is_rendered_after_the_next_reconfiguration_takes_nothing_more() -> None:
    waiting: Deferred[str] = Deferred()

    @renderer
    def project(properties: Any) -> Deferred[str]:
        return waiting

    tree = planted({"gitlab": {"project": project}, "base": True})
    tree.retire()
    waiting.callback("rendered")
    assert "the configuration has just changed" in Client(tree.root).post("/gitlab").text


def test_what_is_rendered_to_something_wrong_is_off(logged: Any) -> None:
    tree = planted({"gitlab": {"branches": renderer(lambda properties: 5)}})
    assert tree.off == ["gitlab"]
    assert logged() == ["the dialect 'gitlab' is off: option 'branches' must be a list of str"]


def test_what_cannot_be_made_is_found_without_serving_it() -> None:
    dialects = {"x": {"custom_class": Broken}, "y": {"custom_class": Picky}, "base": True}
    assert list(unmade(read_www({"change_hook_dialects": dialects}))) == [
        "dialect 'x': could not create its handler: RuntimeError: not today",
        "dialect 'y': option 'x' is wrong",
        "dialect 'y': option 'y' too",
    ]

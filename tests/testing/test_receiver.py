from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred, fail
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from change_hooks import (
    Change,
    ConfigurationError,
    Delivery,
    EventHandler,
    HookHandler,
    RefUpdate,
    Repository,
)
from change_hooks.core.sink_answers import SinkRefused
from change_hooks.outbox.working import FIRST_RETRY
from change_hooks.testing import MemorySink, Receiver, Unsettled, handle, post

BASE: dict[str, Any] = {"change_hook_dialects": {"base": True}}
CI: dict[str, Any] = {"sink": "command", "argv": ["/bin/false"], "only": {"branches": ["main"]}}


class Acme(EventHandler):
    event_header = "X-Event"
    id_headers = ("X-Id",)

    def handle_push(self, payload: Any) -> Any:
        return RefUpdate(repository=Repository(name="api"), ref=payload["ref"], after=payload["after"])


PUSH = {"ref": "refs/heads/main", "after": "a" * 40}


def test_a_result_says_what_came_of_a_delivery() -> None:
    result = handle(Acme, "push", PUSH, options={"codebase": "api"}, id="7")
    assert (result.status, result.text, result.reason, result.delivery) == (202, "1 change found", "", "7")
    (event,) = result.events
    assert isinstance(event, RefUpdate)
    assert event.ref == "refs/heads/main"
    (change,) = result.changes
    assert (change.branch, change.revision, change.codebase) == ("main", "a" * 40, "api")
    assert result.headers.getRawHeaders("content-type") == ["application/json"]


def test_the_options_decide_behind_the_events() -> None:
    result = handle(Acme, "push", PUSH, options={"branches": ["release/*"]})
    assert (result.status, result.changes, len(result.events)) == (202, [], 1)
    assert result.reason == "the branch matches none of the option 'branches'"


def test_a_delivery_without_a_reason() -> None:
    class Silent(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return [], None

    assert handle(Silent).reason == ""


def test_what_is_refused_has_a_reason() -> None:
    result = handle(Acme, "", PUSH)
    assert (result.status, result.changes) == (400, [])
    assert result.reason == result.text
    assert "header X-Event" in result.reason
    assert post(BASE, "base", form={"revision": "1"}, query={"x": "y"}).status == 202


def test_an_answer_may_be_text() -> None:
    assert (
        post(BASE, "base", form={"revision": "1"}, headers={"Accept": "text/plain"}).text == "1 change found"
    )
    closed = {**BASE, "change_hook_auth": [InMemoryUsernamePasswordDatabaseDontUse(ann=b"pw")]}
    assert post(closed, "base", form={"revision": "1"}).status == 401
    assert post(closed, "base", form={"revision": "1"}, auth=("ann", "pw")).status == 202


def test_a_handler_that_breaks_says_where() -> None:
    class Broken(HookHandler):
        def getChanges(self, request: Any) -> Any:
            raise KeyError("missing")

    result = handle(Broken)
    assert result.status == 500
    assert "KeyError" in result.log
    assert "in getChanges" in result.log
    assert post(BASE, "base", form={"revision": "1"}).log == ""


def test_what_comes_again_is_a_duplicate() -> None:
    with Receiver({"change_hook_dialects": {"acme": {"custom_class": Acme}}}) as receiver:
        assert receiver.post("acme", "push", PUSH, id="7").text == "1 change found"
        again = receiver.post("acme", "push", PUSH, id="7")
        assert (again.status, again.changes, again.delivery) == (202, [], "7")
        assert again.reason.startswith("duplicate of 7")
        assert [len(receiver.events), len(receiver.deliveries())] == [2, 1]
        assert receiver.changes_of("acme", "8") == []


def test_a_sink_named_by_its_kind_is_in_memory_and_routed_as_before(tmp_path: Path) -> None:
    www = {
        **BASE,
        "change_hook_sinks": {
            "ci": CI,
            "all": MemorySink("all"),
            "to": {"sink": "forward", "url": "http://x/"},
        },
    }
    with Receiver(www, base=tmp_path) as receiver:
        for branch in ("main", "other"):
            receiver.post("base", form={"branch": branch, "revision": branch})
        receiver.settle()
        (taken,) = receiver.sinks["ci"].taken
        # A command is run once for each push.
        assert type(taken[1]).__name__ == "Push"
        assert [change.branch for change in receiver.sinks["ci"].changes] == ["main"]
        assert [change.branch for change in www["change_hook_sinks"]["all"].changes] == ["main", "other"]
        assert "all" not in receiver.sinks
        assert len(receiver.delivery_sinks["to"].deliveries) == 2


def test_without_a_sink_there_is_one_in_memory() -> None:
    with Receiver(BASE) as receiver:
        receiver.post("base", form={"revision": "1"})
        assert [change.revision for change in receiver.sinks["sink"].changes] == ["1"]
        assert receiver.sinks["sink"].taken[0][0] is not None


def test_a_sink_of_ones_own_is_called() -> None:
    taken: list[Change] = []
    with Receiver(BASE, sink=taken.append) as receiver:
        receiver.post("base", form={"revision": "1"})
    assert [change.revision for change in taken] == ["1"]
    assert receiver.sinks == {}


def test_settling_goes_through_all_retries() -> None:
    with Receiver(BASE) as receiver:
        receiver.sinks["sink"].fail(times=3)
        receiver.post("base", form={"revision": "1"})
        assert [stored.state for stored in receiver.waiting()] == ["waiting"]
        with pytest.raises(Unsettled, match=r"after 0\.2 seconds deliveries are waiting"):
            receiver.settle(FIRST_RETRY / 5)
        receiver.settle()
        assert receiver.waiting() == []
        assert len(receiver.sinks["sink"].changes) == 1
        assert receiver.clock.seconds() >= 3 * FIRST_RETRY


def test_what_a_sink_refuses_is_a_dead_letter() -> None:
    with Receiver(BASE) as receiver:
        receiver.sinks["sink"].fail(SinkRefused("never"))
        receiver.post("base", form={"revision": "1"})
        receiver.settle()
        assert [stored.state for stored in receiver.deliveries()] == ["failed"]


def test_a_receiver_goes_on_where_the_one_before_ended() -> None:
    with Receiver(BASE) as first:
        first.sinks["sink"].fail()
        first.post("base", form={"revision": "1"})
    with Receiver(BASE, beside=first) as second:
        second.settle()
        assert [change.revision for change in second.sinks["sink"].changes] == ["1"]
        assert [stored.state for stored in second.deliveries()] == ["delivered"]


def test_two_receivers_share_a_journal() -> None:
    www = {"change_hook_dialects": {"acme": {"custom_class": Acme}}}
    with Receiver(www) as one, Receiver(www, beside=one) as other:
        assert one.post("acme", "push", PUSH, id="7").text == "1 change found"
        assert other.post("acme", "push", PUSH, id="7").reason.startswith("duplicate of 7")
        other.advance(1)
        assert one.clock.seconds() == 1


def test_a_handler_that_waits_is_answered_in_time() -> None:
    later: Deferred[Any] = Deferred()

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return later

    with Receiver({"change_hook_dialects": {"x": {"custom_class": Slow}}}) as receiver:
        result = receiver.post("x")
        assert (result.status, result.changes) == (202, [])
        assert "still being looked up" in result.reason
        assert receiver.clock.seconds() == 5
        later.callback(([{"revision": "1"}], "git"))
        receiver.settle()
        assert [change.revision for change in receiver.sinks["sink"].changes] == ["1"]
        assert [change.revision for change in receiver.changes_of("x", result.delivery)] == ["1"]


def test_forges_are_asked_through_what_is_given_and_else_nobody() -> None:
    asked: list[bytes] = []

    class Forge(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> bytes:
            asked.append(request.path)
            return b"answer"

    class Asks(HookHandler):
        async def getChanges(self, request: Any) -> Any:
            response = await self.context.http.get("http://forge.example/x")
            return [{"revision": str(response.code)}], None

    www = {"change_hook_dialects": {"x": {"custom_class": Asks}}}
    stub = StubTreq(Forge())
    with Receiver(www, http=stub) as receiver:
        receiver.post("x")
        receiver.settle()
        assert [change.revision for change in receiver.sinks["sink"].changes] == ["200"]
    assert asked == [b"/x"]
    assert [change.revision for change in post(www, "x").changes] == ["404"]


def test_a_wrong_configuration_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="gihub"):
        Receiver({"change_hook_dialects": {"gihub": True}})


def test_an_answer_that_does_not_come_is_an_error() -> None:
    with Receiver(BASE) as receiver:
        receiver.journal.append = lambda *arguments, **more: Deferred()  # type: ignore[method-assign]
        with pytest.raises(Unsettled, match="after 60 seconds there is no response yet"):
            receiver.post("base", form={"revision": "1"})


def test_a_request_that_cannot_be_sent_is_an_error() -> None:
    with Receiver(BASE) as receiver, pytest.raises(ValueError, match="Invalid"):
        receiver.send(Delivery(b"PO ST", b"/change_hook/base", Headers(), b""))


def test_what_goes_wrong_at_the_end_is_an_error() -> None:
    receiver = Receiver(BASE)
    receiver.stop()
    receiver.service.stopService = lambda: fail(OSError("no"))  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no"):
        receiver.stop()


def test_what_gave_nothing_has_left_its_trace() -> None:
    www = {"change_hook_dialects": {"acme": {"custom_class": Acme, "secret": "a long enough secret"}}}
    with Receiver(www) as receiver:
        result = receiver.post("acme", "push", PUSH, secret="another")
        assert [(each.state, each.reason) for each in receiver.deliveries()] == [("refused", result.reason)]

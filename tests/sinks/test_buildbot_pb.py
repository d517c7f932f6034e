from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from change_hooks.core.change import Change
from change_hooks.core.push import Push
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.interfaces import IChangeSink
from change_hooks.sinks.buildbot_pb import CUT, LONGEST_TEXT, BuildbotPB, fields_of
from tests.support.change_port import SinkAndMaster

from ..conftest import result_of


def test_a_change_is_handed_over_and_the_connection_kept() -> None:
    both = SinkAndMaster()
    assert IChangeSink.providedBy(both.sink)
    assert result_of(both.add(Change(author="\u00c4nn", files=["a"], when_timestamp=5))) is None
    assert result_of(both.add(Change(revision="2"))) is None
    first, second = both.port.changes
    assert (first["who"], first["files"], first["when"]) == ("\u00c4nn", ["a"], 5)
    assert "revision" not in first
    assert second["revision"] == "2"
    assert len(both.reactor.tcpClients) == 1


def test_a_wrong_password_is_an_error() -> None:
    both = SinkAndMaster(passwd="wrong")
    with pytest.raises(SinkError, match="does not accept the user and password"):
        result_of(both.add(Change()))
    assert both.port.changes == []


def test_what_the_master_refuses_is_an_error_and_the_connection_is_kept() -> None:
    both = SinkAndMaster()
    both.port.broken = True
    with pytest.raises(SinkError, match="the master refused it"):
        result_of(both.add(Change()))
    both.port.broken = False
    assert result_of(both.add(Change())) is None
    assert len(both.reactor.tcpClients) == 1


def test_a_text_too_long_for_the_way_is_cut() -> None:
    fields = fields_of(Change(comments="\u00e4" * LONGEST_TEXT, author="a"))
    assert len(fields["comments"].encode()) == LONGEST_TEXT - 1
    assert fields["who"] == "a"


def test_the_address_is_checked() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        BuildbotPB("nonsense")


def test_a_master_that_does_not_answer_is_connected_to_anew() -> None:
    both = SinkAndMaster()
    result_of(both.add(Change(revision="1")))
    both.port.answer = Deferred()
    hanging = both.add(Change(revision="2"))
    hanging.cancel()
    with pytest.raises(CancelledError):
        result_of(hanging)
    both.port.answer = None
    assert result_of(both.add(Change(revision="2"))) is None
    assert len(both.reactor.tcpClients) == 2


def test_a_connection_that_was_lost_is_made_anew() -> None:
    both = SinkAndMaster()
    result_of(both.add(Change(revision="1")))
    both.pump.server.transport.loseConnection()
    both.pump.flush()
    assert result_of(both.add(Change(revision="2"))) is None
    assert [fields["revision"] for fields in both.port.changes] == ["1", "2"]
    assert len(both.reactor.tcpClients) == 2
    both.sink.close()


def test_what_does_not_fit_through_is_cut_wherever_it_stands_and_named() -> None:
    change = Change(
        files=["\u00e4" * LONGEST_TEXT],
        properties={"list": ["x" * (LONGEST_TEXT + 1)], "y" * (LONGEST_TEXT + 1): 2**500, "n": 5},
    )
    fields = fields_of(change)
    assert len(fields["files"][0].encode()) == LONGEST_TEXT - 1
    assert fields["properties"]["list"] == ["x" * LONGEST_TEXT]
    assert fields["properties"]["y" * LONGEST_TEXT] == hex(2**500)
    assert fields["properties"][CUT] == ["files", "properties"]
    assert CUT not in change.properties
    both = SinkAndMaster()
    result_of(both.add(change))
    assert both.port.changes[0]["files"] == fields["files"]


def test_of_a_push_the_master_gets_the_newest_change() -> None:
    fields = fields_of(Push.of([Change(revision="1"), Change(revision="2")]))
    assert fields["revision"] == "2"
    assert "changes" not in fields


def test_what_does_not_fit_all_the_same_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.sinks.buildbot_pb.LONGEST_TEXT", 10**7)
    both = SinkAndMaster()
    with pytest.raises(SinkRefused, match="Perspective Broker"):
        result_of(both.add(Change(comments="x" * 10**6)))
    monkeypatch.undo()
    assert result_of(both.add(Change())) is None

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.push import Push
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import OUTPUT_KEPT, SinkBusy, SinkError
from change_hooks.core.verification import verify_standard_webhook
from change_hooks.http_answers import NoAnswer
from change_hooks.interfaces import IAlarmSink, IChangeSink
from change_hooks.journal import ChangeKey
from change_hooks.sinks import Http
from change_hooks.sinks.http import ANSWER_READ, BUSY
from tests.conftest import has_fired, result_of
from tests.support.asking import Server, head
from tests.support.receiver import Receiver

KEY = ChangeKey("github", "guid", 3)


def post(receiver: Receiver, key: Any = KEY, change: Change | None = None, **options: Any) -> Any:
    clock, http = Clock(), StubTreq(receiver)
    clock.advance(1_700_000_000)
    sink = Http("https://ci.example/hook", http=http, clock=clock, **options)
    assert IChangeSink.providedBy(sink)
    taken = sink.add_change(change or Change(branch="\u00e4"), key)
    http.flush()
    return taken


def test_a_change_is_posted_and_signed() -> None:
    receiver = Receiver()
    assert result_of(post(receiver, secret="s3cret")) is None
    ((headers, body),) = receiver.got
    fields = json.loads(body)
    assert (fields["branch"], fields["dialect"], fields["delivery"], fields["index"]) == (
        "\u00e4",
        "github",
        "guid",
        3,
    )
    name, at, signature = (
        headers.getRawHeaders(f"webhook-{part}")[0] for part in ("id", "timestamp", "signature")
    )
    verify_standard_webhook(body, name, at, signature, [b"s3cret"], now=1_700_000_000)


def test_the_id_is_the_same_at_every_attempt_and_another_for_every_change() -> None:
    receiver = Receiver()
    for key in (KEY, KEY, KEY._replace(index=4), None):
        result_of(post(receiver, key))
    first, second, third, fourth = (headers.getRawHeaders("webhook-id") for headers, _ in receiver.got)
    assert first == second
    assert len({first[0], third[0], fourth[0]}) == 3
    assert receiver.got[0][0].getRawHeaders("webhook-signature") is None


@pytest.mark.parametrize("status", [301, 400, 409, 500, 503])
def test_another_status_is_a_failure(status: int) -> None:
    with pytest.raises(SinkError, match=str(status)) as caught:
        result_of(post(Receiver(status, {"Retry-After": "120", "Location": "https://other.example/"})))
    assert caught.value.retry_after == 120
    assert not isinstance(caught.value, SinkBusy)


@pytest.mark.parametrize("status", [408, 425, 429])
@pytest.mark.parametrize(("headers", "wait"), [({}, BUSY), ({"Retry-After": "120"}, 120.0)])
def test_a_status_that_speaks_of_the_moment_is_no_failure_of_the_change(
    status: int, headers: dict[str, str], wait: float
) -> None:
    with pytest.raises(SinkBusy, match=str(status)) as caught:
        result_of(post(Receiver(status, headers)))
    assert caught.value.retry_after == wait


class Hanging:
    def request(self, method: str, url: str, **_: Any) -> Deferred[Any]:
        return Deferred()


@pytest.mark.parametrize("limit", [5, 120])
def test_a_server_that_hangs_is_given_up_after_the_limit_and_no_sooner(limit: float) -> None:
    clock = Clock()
    sink = Http("http://ci.example/", http=Hanging(), clock=clock, time_limit=limit)
    assert sink.time_limit is None  # Nobody else is to keep the time.
    taken = sink.add_change(Change(), KEY)
    clock.advance(limit - 1)
    assert not has_fired(taken)
    clock.advance(1)
    with pytest.raises(NoAnswer, match=str(limit)):
        result_of(taken)


def test_the_end_of_an_answer_that_refuses_is_kept() -> None:
    receiver = Receiver(422, answer=b"x" * 10_000 + b"no such project")
    with pytest.raises(SinkError) as caught:
        result_of(post(receiver))
    assert caught.value.output == "x" * (OUTPUT_KEPT - 15) + "no such project"


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (500, False)])
def test_an_answer_without_end_is_not_read_to_its_end(status: int, accepted: bool) -> None:
    taken = post(Receiver(status, answer=bytes(ANSWER_READ + 1)))
    if accepted:
        assert result_of(taken) is None
    else:
        with pytest.raises(SinkError, match="500"):
            result_of(taken)


class Answering:
    """Answers a status, and a body that the test brings."""

    def __init__(self, status: int, headers: dict[str, list[str]] | None = None) -> None:
        self.code, self.headers = status, Headers(headers or {})
        self.body: Any = None
        self.transport = StringTransport()

    def request(self, method: str, url: str, **_: Any) -> Deferred[Any]:
        return succeed(self)

    def deliverBody(self, body: Any) -> None:
        self.body = body
        body.makeConnection(self.transport)


def sent_to(http: Any, **options: Any) -> tuple[Any, Clock]:
    clock = Clock()
    sink = Http("http://ci.example/", http=http, clock=clock, time_limit=5.0, **options)
    return sink.add_change(Change(), KEY), clock


def test_a_status_that_accepts_counts_whatever_becomes_of_the_body() -> None:
    broken = Answering(200)
    taken, _ = sent_to(broken)
    assert result_of(taken) is None
    broken.body.dataReceived(b"abc")
    broken.body.connectionLost(Failure(ConnectionLost()))
    slow = Answering(202)
    taken, clock = sent_to(slow)
    assert result_of(taken) is None
    clock.advance(4)
    assert not slow.transport.disconnecting
    clock.advance(1)
    assert slow.transport.disconnecting


@pytest.mark.parametrize("is_late", [False, True])
def test_a_status_that_refuses_counts_whatever_becomes_of_the_body(is_late: bool) -> None:
    http = Answering(503, {"Retry-After": ["7"]})
    taken, clock = sent_to(http)
    http.body.dataReceived(b"abc")
    assert not has_fired(taken)
    if is_late:
        clock.advance(5)
    else:
        http.body.connectionLost(Failure(ConnectionLost()))
    with pytest.raises(SinkError, match="status 503") as caught:
        result_of(taken)
    assert caught.value.retry_after == 7


def test_what_is_broken_off_while_its_answer_is_read_has_failed_for_that() -> None:
    http = Answering(503)
    taken, _ = sent_to(http)
    taken.cancel()
    with pytest.raises(CancelledError):
        result_of(taken)
    assert http.transport.disconnecting


def test_a_cloud_event_in_binary_mode_has_its_attributes_in_headers() -> None:
    receiver = Receiver()
    change = Change(branch='\u00e4 "b', when_timestamp=1_700_000_000)
    result_of(post(receiver, change=change, format="cloudevents"))
    ((headers, body),) = receiver.got
    sent = {
        name: headers.getRawHeaders(f"ce-{name}")[0] for name in ("id", "source", "type", "subject", "time")
    }
    assert sent == {
        "id": headers.getRawHeaders("webhook-id")[0],
        "source": "/change_hook/github",
        "type": "change_hooks.change",
        "subject": "%C3%A4%20%22b",
        "time": "2023-11-14T22:13:20Z",
    }
    assert headers.getRawHeaders("content-type") == ["application/json"]
    assert json.loads(body)["branch"] == change.branch


def test_a_cloud_event_in_structured_mode_is_its_body() -> None:
    receiver = Receiver()
    result_of(post(receiver, None, change=Push.of([Change()]), format="cloudevents-structured"))
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert headers.getRawHeaders("content-type") == ["application/cloudevents+json"]
    assert (event["specversion"], event["type"], event["source"]) == (
        "1.0",
        "change_hooks.push",
        "/change_hook/",
    )
    assert event["data"]["changes"] == [Change().as_dict()]
    assert "subject" not in event
    assert "time" not in event


def test_a_connection_is_kept_for_the_next_change_and_closed_at_the_end() -> None:
    server = Server(lambda reactor: Http("http://127.0.0.1:99/", clock=reactor))
    result_of(server.http.close())
    for _ in range(2):
        taken = server.http.add_change(Change(), None)
        server.connect()
        server.answer(head(0))
        assert result_of(taken) is None
    assert len(server.transports) == 1
    closed = server.http.close()
    assert server.transports[0].disconnecting
    server.lose()
    result_of(closed)


@pytest.mark.parametrize(
    ("url", "message"), [("file:///etc/passwd", "url"), ("https://", "host"), (5, "url")]
)
def test_another_address_is_refused(url: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Http(url)


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'cloudevents'"):
        Http("http://ci.example/", format="xml")


def test_an_alarm_is_posted_like_a_change() -> None:
    receiver = Receiver()
    clock, http = Clock(), StubTreq(receiver)
    sink = Http("https://ops.example/hook", http=http, clock=clock)
    assert IAlarmSink.providedBy(sink)
    taken = sink.add_alarm(ReceiverAlarm("silent", "github", "nothing came", 5.0, "17"))
    http.flush()
    assert result_of(taken) is None
    ((headers, body),) = receiver.got
    assert headers.getRawHeaders("webhook-id") == ["msg_17"]
    assert headers.getRawHeaders("content-type") == ["application/json"]
    assert json.loads(body) == {
        "event": "silent",
        "subject": "github",
        "text": "nothing came",
        "at": 5.0,
        "id": "17",
        "error": "",
        "count": 0,
    }

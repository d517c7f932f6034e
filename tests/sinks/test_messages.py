from __future__ import annotations

import json

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import amqp, http, rabbitmq
from cloudevents.core.formats.json import JSONFormat

from change_hooks.core.change import Change
from change_hooks.core.push import Push, PushKey
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.journal import ChangeKey
from change_hooks.sinks.messages import (
    LONGEST_SUBJECT,
    alarm_message,
    event_headers,
    event_properties,
    fields_of,
    message_of,
)

KEY = ChangeKey("github", "guid", 3)
CHANGE = Change(branch='\u00e4 "%', when_timestamp=1_700_000_000, files=["a"])
MODES = ("cloudevents", "cloudevents-structured")


def is_right(event: BaseCloudEvent) -> None:
    assert event.get_specversion() == "1.0"
    assert event.get_id() == message_of(CHANGE, KEY).id
    assert event.get_source() == "/change_hook/github"
    assert event.get_type() == "change_hooks.change"
    assert event.get_subject() == CHANGE.branch
    assert event.get_time().isoformat() == "2023-11-14T22:13:20+00:00"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == fields_of(CHANGE, KEY)


@pytest.mark.parametrize("mode", MODES)
def test_the_sdk_reads_what_http_sends(mode: str) -> None:
    message = message_of(CHANGE, KEY, mode)
    headers = {"content-type": message.content_type, **event_headers(message)}
    is_right(http.from_http(http.HTTPMessage(headers, message.body), JSONFormat()))


@pytest.mark.parametrize("mode", MODES)
def test_the_sdk_reads_what_amqp_sends(mode: str) -> None:
    message = message_of(CHANGE, KEY, mode)
    headers = event_properties(message)
    is_right(
        rabbitmq.from_rabbitmq(
            rabbitmq.RabbitMQMessage(headers, message.content_type, message.body), JSONFormat()
        )
    )
    properties = {"content-type": message.content_type}
    is_right(amqp.from_amqp(amqp.AMQPMessage(properties, headers, message.body), JSONFormat()))


def test_a_branch_that_is_too_long_for_a_header_is_no_subject() -> None:
    assert "subject" in message_of(Change(branch="x" * LONGEST_SUBJECT), KEY, "cloudevents").attributes
    assert (
        "subject" not in message_of(Change(branch="x" * (LONGEST_SUBJECT + 1)), KEY, "cloudevents").attributes
    )


def test_a_push_is_another_type_of_event_with_the_key_of_the_push() -> None:
    message = message_of(Push.of([CHANGE]), PushKey("github", "guid", "main"), "cloudevents")
    assert message.attributes["type"] == "change_hooks.push"
    assert b'"ref":"main"' in message.body
    assert message.id != message_of(CHANGE, KEY).id


@pytest.mark.parametrize("subject", ["build", ""])
def test_an_alarm_as_a_cloudevent(subject: str) -> None:
    alarm = ReceiverAlarm("sink_failing", subject, "it fails", 1_700_000_000.0, "17", "no")
    plain = alarm_message(alarm)
    assert (plain.id, plain.content_type, json.loads(plain.body)) == (
        "msg_17",
        "application/json",
        alarm.as_dict(),
    )
    binary = alarm_message(alarm, "cloudevents")
    attributes = {
        "specversion": "1.0",
        "id": "msg_17",
        "source": "/change_hook",
        "type": "change_hooks.sink_failing",
        "time": "2023-11-14T22:13:20Z",
        **({"subject": subject} if subject else {}),
    }
    assert (binary.attributes, binary.body) == (attributes, plain.body)
    structured = alarm_message(alarm, "cloudevents-structured")
    assert structured.content_type == "application/cloudevents+json"
    assert json.loads(structured.body) == {
        **attributes,
        "datacontenttype": "application/json",
        "data": alarm.as_dict(),
    }

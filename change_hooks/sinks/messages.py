"""How a change is written for another program: one JSON object, or a CloudEvent.

Source: CloudEvents 1.0.2; its JSON format, HTTP binding and AMQP binding.
"""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.push import Push
from change_hooks.core.receiver_alarm import ReceiverAlarm

#: The valid values of the option ``format``.
FORMATS = ("change", "cloudevents", "cloudevents-structured")
#: The longest branch that is put into a header, in characters.
LONGEST_SUBJECT = 500
#: The characters that need no quoting in an HTTP header. Source: CloudEvents, HTTP binding, 3.1.3.2.
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')

_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """A change, ready to be sent.

    :param id: the same in every attempt.
    :param attributes: those of the CloudEvent, if they are not in the body.
    """

    id: str
    content_type: str
    body: bytes
    attributes: dict[str, str]


def fields_of(change: Change, key: Any) -> dict[str, Any]:
    """The fields of a change, and those of its key."""
    fields = change.as_dict()
    if key is not None:
        fields.update(key._asdict())
    return fields


def message_of(change: Change, key: Any, format: str = "change") -> Message:
    """Serialize a change.

    :param format: one of :data:`FORMATS`.
    """
    fields = fields_of(change, key)
    body = _encode(fields)
    name = "|".join(map(str, key)).encode() if key is not None else body
    message_id = "msg_" + sha256(name).hexdigest()[:32]
    if format == "change":
        return Message(message_id, "application/json", body, {})
    attributes = _attributes(change, key, message_id)
    if format == "cloudevents":
        return Message(message_id, "application/json", body, attributes)
    event = {**attributes, "datacontenttype": "application/json", "data": fields}
    return Message(message_id, "application/cloudevents+json", _encode(event), {})


def alarm_message(alarm: ReceiverAlarm, format: str = "change") -> Message:
    """Serialize an event about the receiver.

    :param format: one of :data:`FORMATS`.
    """
    fields = alarm.as_dict()
    message_id = f"msg_{alarm.id}"
    if format == "change":
        return Message(message_id, "application/json", _encode(fields), {})
    attributes = {
        "specversion": "1.0",
        "id": message_id,
        "source": "/change_hook",
        "type": f"change_hooks.{alarm.event}",
        "time": _moment(int(alarm.at)),
    }
    if alarm.subject:
        attributes["subject"] = alarm.subject
    if format == "cloudevents":
        return Message(message_id, "application/json", _encode(fields), attributes)
    event = {**attributes, "datacontenttype": "application/json", "data": fields}
    return Message(message_id, "application/cloudevents+json", _encode(event), {})


def _attributes(change: Change, key: Any, id: str) -> dict[str, str]:
    dialect = key.dialect if key is not None else ""
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": f"/change_hook/{quote(dialect, safe='')}",
        "type": "change_hooks.push" if isinstance(change, Push) else "change_hooks.change",
    }
    if change.branch and len(change.branch) <= LONGEST_SUBJECT:
        attributes["subject"] = change.branch
    if change.when_timestamp is not None:
        attributes["time"] = _moment(change.when_timestamp)
    return attributes


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def known_format(value: object) -> str:
    """Check that *value* is one of :data:`FORMATS`."""
    if value not in FORMATS:
        raise ValueError(f"must be one of {', '.join(map(repr, FORMATS))}")
    return str(value)


def event_headers(message: Message) -> dict[str, str]:
    """The HTTP headers of a CloudEvent in binary mode. Source: HTTP binding, 3.1.3."""
    return {f"ce-{name}": quote(value, safe=_PLAIN) for name, value in message.attributes.items()}


def event_properties(message: Message) -> dict[str, str]:
    """The headers of an AMQP 0-9-1 message that is a CloudEvent in binary mode: those that become the
    application properties of AMQP 1.0 (AMQP binding, 3.1.3), and those that the SDKs for RabbitMQ read.
    """
    return {
        prefix + name: value
        for name, value in message.attributes.items()
        for prefix in ("cloudEvents_", "ce-")
    }


__all__ = [
    "FORMATS",
    "Message",
    "alarm_message",
    "event_headers",
    "event_properties",
    "fields_of",
    "known_format",
    "message_of",
]

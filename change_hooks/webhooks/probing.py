"""Tests whether a receiver accepts a secret, by sending it a delivery of an event that no handler handles."""

from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec
from twisted.web.http_headers import Headers

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import AddressNotAllowed
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.http_answers import NoAnswer, ask

#: The name of the event.
EVENT = "change-hooks-probe"
TIME_LIMIT = 10.0


async def accepts(http: Any, clock: Any, handler: EventHandler[Any], url: str, secret: str) -> str | None:
    """Test whether a receiver accepts a secret.

    :param http: a treq ``HTTPClient``.
    :param url: of the endpoint; it may have a user and a password.
    :returns: why it does not, or an empty string when it does. None: the receiver cannot be reached from
        here, or accepts nothing from here (option ``allow``).
    """
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    body = msgspec.json.encode({"object_kind": EVENT, "event_name": EVENT, "eventType": EVENT})
    delivery = Delivery(
        b"POST",
        parts.path.encode(),
        Headers({"content-type": ["application/json"]}),
        body,
        dialect=handler.context.name,
        received=time(),
    )
    delivery = delivery.replace(headers=dict(handler.naming(EVENT, str(uuid4()))))
    delivery = handler.sign(delivery, secret.encode())
    for value in getattr(handler.settings, "authorization", ())[:1]:
        delivery = delivery.replace(headers={"Authorization": value.decode("utf-8", "replace")})
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    try:
        answer = await ask(
            http,
            "POST",
            place.geturl(),
            clock=clock,
            time_limit=TIME_LIMIT,
            data=body,
            headers=delivery.requestHeaders,
            auth=login if any(login) else None,
        )
    except NoAnswer:
        return None
    except Exception:
        return None
    if answer.status == 202:
        return ""
    if answer.status == 403 and AddressNotAllowed().message.encode() in answer.body:
        return None
    return f"the response is {answer.status}"


__all__ = ["EVENT", "accepts"]

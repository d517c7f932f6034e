"""The document of a delivery, decoded once.

If the body itself names the event or the delivery, it is read in several places. All of them use one decoded
document, so that they cannot disagree, and a large body is decoded only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.lenient import fit
from change_hooks.core.payload import LARGE, OPENED, convert, decode
from change_hooks.core.pieces import convert_in_pieces


def opened(delivery: Delivery, text: Callable[[], bytes]) -> Any:
    """The document of a delivery as plain objects, which must not be changed. Errors are remembered, too.

    :param text: returns the JSON document.
    :raises BadPayload: like :func:`~change_hooks.core.payload.decode`, or *text*.
    """
    made = delivery.made
    found = made.get(OPENED, made)
    if found is made:  # Another handler may forget what is made of it while this one works on it in a thread.
        try:
            found = decode(text(), Any)
        except BadPayload as error:
            found = error
        made[OPENED] = found
    if isinstance(found, BadPayload):
        raise found
    return found


def opened_as(delivery: Delivery, shape: Any, text: Callable[[], bytes], left_out: list[str]) -> Any:
    """The document of a delivery, converted to a shape.

    :param left_out: see :func:`~change_hooks.core.lenient.fit`.
    :raises BadPayload: like :func:`opened`, or the document does not fit.
    """
    if shape is Any:
        return opened(delivery, text)
    made = delivery.made
    payload, unread = made.get(shape, (None, None))
    if unread is None:
        document, unread = opened(delivery, text), list[str]()
        if len(delivery.body) > LARGE:
            payload = fit(convert_in_pieces(document, shape), shape, unread)
        else:
            payload = convert(document, shape, unread)
        made[shape] = payload, unread
    left_out += unread
    return payload


__all__ = ["opened", "opened_as"]

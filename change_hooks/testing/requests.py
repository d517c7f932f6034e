"""Requests as forges send them, with ids and signatures made by the dialect that reads them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from secrets import token_hex
from time import time
from typing import Any, Literal, TypedDict
from urllib.parse import urlencode
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.web.http_headers import Headers
from typing_extensions import Unpack

from change_hooks.config import read_www
from change_hooks.configured_endpoints import EndpointConfig
from change_hooks.core.delivery import Delivery
from change_hooks.core.payload import FORM, JSON
from change_hooks.core.stored import ALL
from change_hooks.core.verification import as_secrets
from change_hooks.dialects.handler import Context, HookHandler, make_handler

#: A JSON document, or the body as it is.
Payload = Mapping[str, object] | Sequence[object] | bytes


class _Configured(Enum):
    CONFIGURED = "the first secret of the configuration"


#: The secret of the configuration; the first one if there are several.
CONFIGURED = _Configured.CONFIGURED
#: The secret that signs a request; None: it is not signed.
Secret = str | bytes | None | Literal[_Configured.CONFIGURED]


class Sent(TypedDict, total=False):
    """How a request is sent.

    :param secret: the secret that signs it, as the dialect does; the configuration's by default. None: the
        request is not signed.
    :param id: the delivery's id; a new one by default.
    :param form: fields of a form to send instead of a payload.
    :param query: arguments of the URL.
    :param headers: headers to add or replace.
    :param auth: user and password for HTTP Basic authentication.
    :param sign: a signing function of your own, applied last; for instance :func:`ed25519`.
    """

    secret: Secret
    id: str
    form: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    auth: tuple[str, str]
    sign: Callable[[Delivery], Delivery]


def build(
    www: Mapping[str, object],
    endpoint: str,
    event: str = "",
    payload: Payload = b"",
    **sent: Unpack[Sent],
) -> Delivery:
    """Build a request as the forge of an endpoint sends it.

    :param www: the configuration.
    :param endpoint: the endpoint's name: a key of ``change_hook_dialects``.
    :param event: the event's name, as in ``handle_<event>``; empty if the payload names it.
    :param payload: the payload. A dialect that accepts only forms gets it in the field ``payload``.
    :param sent: see :class:`Sent`.
    :raises ConfigurationError: *www* has errors.
    :raises LookupError: there is no such endpoint.
    :raises ValueError: the configuration's secret is a callable; pass the secret to use.
    """
    entry = _entry(www, endpoint)
    made = make_handler(entry.handler, entry.options, Context(name=endpoint))
    handler: HookHandler[Any] | None = made if isinstance(made, HookHandler) else None
    document, form = _document(payload), sent.get("form")
    is_form = form is not None or not getattr(made, "takes_json", True)
    delivery = Delivery(
        b"POST",
        _uri(endpoint, sent.get("query")),
        Headers({"content-type": [FORM if is_form else JSON]}),
        urlencode({"payload": document} if form is None else form).encode() if is_form else document,
        dialect=endpoint,
        received=time(),
        stored=ALL if handler is None else handler.stored(),
    )
    named = {} if handler is None else handler.naming(event, sent.get("id") or str(uuid4()))
    delivery = delivery.replace(headers={**named, **_login(sent.get("auth")), **sent.get("headers", {})})
    key = _key(handler, sent.get("secret", CONFIGURED))
    if handler is not None and key is not None:
        delivery = handler.sign(delivery, key)
    sign = sent.get("sign")
    return delivery if sign is None else sign(delivery)


def _document(payload: Payload) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()


def _login(auth: tuple[str, str] | None) -> dict[str, str]:
    if auth is None:
        return {}
    return {"Authorization": f"Basic {b64encode(':'.join(auth).encode()).decode('ascii')}"}


def _entry(www: Mapping[str, object], endpoint: str) -> EndpointConfig:
    entries = {entry.name: entry for entry in read_www(www).endpoints}
    if endpoint not in entries:
        raise LookupError(f"no endpoint {endpoint!r}; valid names are {', '.join(sorted(entries))}")
    return entries[endpoint]


def _uri(endpoint: str, query: Mapping[str, str] | None) -> bytes:
    return f"/change_hook/{endpoint}{'?' + urlencode(query) if query else ''}".encode()


def _key(handler: HookHandler[Any] | None, given: Secret) -> bytes | None:
    if given is CONFIGURED:
        found = getattr(getattr(handler, "settings", None), "secret", None)
        if callable(found):
            raise ValueError("the configuration's secret is a callable; give the one to sign with")
        return as_secrets(found)[0] if found else None
    return given.encode() if isinstance(given, str) else given


def ed25519(key: Ed25519PrivateKey) -> Callable[[Delivery], Delivery]:
    """Sign like SourceHut; for the parameter ``sign`` of :func:`build`.

    :param key: the private key; the configuration has the public one.
    """

    def sign(delivery: Delivery) -> Delivery:
        nonce = token_hex(8)
        signature = b64encode(key.sign(delivery.body + nonce.encode("ascii"))).decode("ascii")
        return delivery.replace(headers={"X-Payload-Nonce": nonce, "X-Payload-Signature": signature})

    return sign


__all__ = ["CONFIGURED", "Payload", "Secret", "Sent", "build", "ed25519"]

"""Checks over the network: the webhooks, whether the forge reaches us, its clock, the certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from twisted.internet.threads import deferToThread

from change_hooks.core.shown import reason_of
from change_hooks.doctor.findings import Finding
from change_hooks.doctor.local import of_certificate
from change_hooks.forges.rest import RestError
from change_hooks.forges.webhooks.base import shown_url
from change_hooks.webhooks.keeping import Judged, Keeper, shown_last
from change_hooks.webhooks.places import Place
from change_hooks.webhooks.probing import accepts

#: How far two clocks may differ, in seconds: signed timestamps and an App's tokens tolerate a few minutes.
APART = 60.0
TIME_LIMIT = 10.0

#: Returns the certificate of a server, given its host and port, as DER.
Certificates = Callable[[str, int], bytes]


async def look_at_webhook(place: Place, clock: Any) -> list[Finding]:
    """Check one webhook, whether the forge reaches us, and the forge's clock."""
    name = f"{place.endpoint}, {place.source.name}"
    try:
        judged = await Keeper(place, clock).judge()
    except RestError as error:
        return [Finding("webhook", "problem", f"{name}: {error}")]
    return [*_of_webhook(name, judged), *_of_clock(name, place.api.ahead)]


def _of_webhook(name: str, judged: Judged) -> Iterator[Finding]:
    for problem in judged.problems:
        yield Finding("webhook", "problem", f"{name}: {problem}")
    for doubt in judged.doubts:
        yield Finding("webhook", "warning", f"{name}: {doubt}")
    if judged.hook is None:
        return
    if not judged.problems:
        yield Finding("webhook", "good", f"{name}: webhook {judged.hook.number} is set up correctly")
    if judged.last is None:
        yield Finding("reach", "good", f"{name}: the forge does not say whether its deliveries arrive")
    elif judged.last.status:
        yield Finding(
            "reach",
            "good",
            f"{name}: the forge reaches this receiver; the last delivery: {shown_last(judged.last)}",
        )
    else:
        yield Finding(
            "reach", "problem", f"{name}: the forge does not reach this receiver: {shown_last(judged.last)}"
        )


def _of_clock(name: str, ahead: float | None) -> Iterator[Finding]:
    if ahead is None:
        return
    if abs(ahead) <= APART:
        yield Finding("clock", "good", f"{name}: this clock and the forge's agree")
    else:
        where = "behind" if ahead > 0 else "ahead of"
        yield Finding(
            "clock", "problem", f"{name}: this clock is {abs(ahead):.0f} s {where} the forge's; set it right"
        )


async def look_at_receiver(place: Place, http: Any, clock: Any) -> list[Finding]:
    """Check whether the receiver responds at its address, and accepts the secret."""
    url = place.wanted.url
    if not url or place.wanted.secret is None:
        return []
    if not place.wanted.secret:
        unknown = (
            f"{shown_url(url)} was not tried, because the option 'secret' of {place.endpoint} is a callable"
        )
        return [Finding("reach", "warning", unknown)]
    said = await accepts(http, clock, place.handler, url, place.wanted.secret)
    if said is None:
        lost = (
            f"{shown_url(url)} cannot be reached from here; the forge may still be able to reach it (a"
            " firewall, the option 'allow')"
        )
        return [Finding("reach", "warning", lost)]
    if said:
        return [Finding("reach", "problem", f"{shown_url(url)} does not accept a signed delivery: {said}")]
    return [Finding("reach", "good", f"{shown_url(url)} accepts a delivery signed with the secret")]


async def look_at_certificate(url: str, now: float, fetch: Certificates | None = None) -> list[Finding]:
    """Check the certificate at the address that forges send to.

    :param now: seconds since the epoch.
    :param fetch: runs in a thread.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return []
    name = f"{parts.hostname}:{parts.port or 443}"
    try:
        der = await deferToThread(fetch or _fetched, parts.hostname, parts.port or 443)
    except ssl.SSLCertVerificationError as error:
        return [
            Finding("certificate", "problem", f"{name}: {error.verify_message}; forges refuse to send there")
        ]
    except (OSError, ValueError) as error:
        return [Finding("certificate", "warning", f"{name} cannot be reached from here: {reason_of(error)}")]
    return [of_certificate(name, x509.load_der_x509_certificate(der), now)]


def _fetched(host: str, port: int) -> bytes:
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), TIME_LIMIT) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


__all__ = ["APART", "look_at_certificate", "look_at_receiver", "look_at_webhook"]

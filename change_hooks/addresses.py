"""Addresses of listening ports, as URLs to click on."""

from __future__ import annotations

import re

from twisted.internet.address import UNIXAddress

from change_hooks.core.shown import reason_of


def clickable(address: object, port: str) -> str:
    """The URL to open in a browser.

    :param address: the address that the port listens on, an ``IAddress``.
    :param port: the endpoint string that it was made from.
    """
    if isinstance(address, UNIXAddress):
        name = address.name
        return f"unix:{name.decode('utf-8', 'replace') if isinstance(name, bytes) else name}"
    return _url(port.partition(":")[0], getattr(address, "host", ""), getattr(address, "port", ""))


def written_url(port: str) -> str | None:
    """The URL to which an endpoint string leads; None: it leads to none, as that of a UNIX socket."""
    kind, *written = re.split(r"(?<!\\):", port)
    fields = dict(field.partition("=")[::2] for field in written)
    number = fields.get("port") or (written[0] if written else "")
    if kind not in ("tcp", "tcp6", "ssl") or not number.isdecimal() or int(number) == 0:
        return None
    return _url(kind, fields.get("interface", "").replace("\\", ""), number)


def why_not(error: BaseException | None) -> str:
    """Why a port could not be opened."""
    return reason_of(getattr(error, "socketError", error))


def _url(kind: str, host: str, number: object) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (shown, not listened on)
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return f"{'https' if kind in ('ssl', 'tls') else 'http'}://{host}:{number}"


__all__ = ["clickable", "why_not", "written_url"]

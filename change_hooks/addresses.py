"""Addresses of listening ports, as URLs to click on."""

from __future__ import annotations

from twisted.internet.address import UNIXAddress


def clickable(address: object, port: str) -> str:
    """The URL to open in a browser.

    :param address: the address that the port listens on, an ``IAddress``.
    :param port: the endpoint string that it was made from.
    """
    if isinstance(address, UNIXAddress):
        name = address.name
        return f"unix:{name.decode('utf-8', 'replace') if isinstance(name, bytes) else name}"
    host, number = getattr(address, "host", ""), getattr(address, "port", "")
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (shown, not listened on)
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return f"{'https' if port.startswith(('ssl:', 'tls:')) else 'http'}://{host}:{number}"


__all__ = ["clickable"]

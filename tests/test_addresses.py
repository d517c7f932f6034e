"""Addresses as people click on them."""

import errno

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError

from change_hooks.addresses import clickable, why_not, written_url


@pytest.mark.parametrize(
    ("address", "port", "shown"),
    [
        (IPv4Address("TCP", "127.0.0.1", 8010), "tcp:8010:interface=127.0.0.1", "http://127.0.0.1:8010"),
        (IPv4Address("TCP", "0.0.0.0", 8443), "ssl:8443:privateKey=k.pem", "https://localhost:8443"),
        (IPv6Address("TCP", "::", 8010), "tcp6:8010", "http://localhost:8010"),
        (IPv6Address("TCP", "::1", 8010), "tcp6:8010", "http://[::1]:8010"),
        (UNIXAddress(b"/run/hooks.socket"), "unix:/run/hooks.socket", "unix:/run/hooks.socket"),
        (UNIXAddress(None), "unix:", "unix:None"),
    ],
)
def test_it_can_be_opened(address: object, port: str, shown: str) -> None:
    assert clickable(address, port) == shown


@pytest.mark.parametrize(
    ("port", "url"),
    [
        ("tcp:8010", "http://localhost:8010"),
        ("tcp:8010:interface=127.0.0.1", "http://127.0.0.1:8010"),
        ("tcp:interface=10.0.0.5:port=8010", "http://10.0.0.5:8010"),
        (r"tcp6:8010:interface=\:\:1", "http://[::1]:8010"),
        (r"tcp:8010:interface=\:\:", "http://localhost:8010"),
        ("tcp6:8010", "http://localhost:8010"),
        ("ssl:8443:privateKey=k.pem:certKey=c.pem", "https://localhost:8443"),
        ("unix:/run/hooks.socket", None),
        ("haproxy:tcp:8010", None),
        ("systemd:domain=INET:index=0", None),
        ("tcp:0", None),
        ("tcp:http", None),
        ("tcp", None),
    ],
)
def test_an_endpoint_string_leads_to_a_url_or_to_none(port: str, url: str | None) -> None:
    assert written_url(port) == url


def test_why_a_port_cannot_be_opened_is_said_once() -> None:
    used = OSError(errno.EADDRINUSE, "Address already in use")
    assert why_not(CannotListenError("127.0.0.1", 8010, used)) == "Address already in use"
    assert why_not(used) == "Address already in use"
    assert why_not(OverflowError("bind(): port must be 0-65535.")) == "bind(): port must be 0-65535."

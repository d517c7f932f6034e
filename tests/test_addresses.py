"""Addresses as people click on them."""

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from change_hooks.addresses import clickable


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

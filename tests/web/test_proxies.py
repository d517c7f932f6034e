from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from change_hooks.core.delivery import ClientAddress
from change_hooks.journal import Trace
from change_hooks.web.proxies import TrustedProxies, one_client
from tests.support.connections import Connection, FrontKind, head, twisted_request
from tests.support.logs import logged

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"])


def seen(
    peer: Any = "127.0.0.1", proxies: TrustedProxies = PROXIES, **headers: str | list[str]
) -> str | None:
    request: Any = twisted_request(b"POST", b"/", {}, b"")
    request.client = IPv4Address("TCP", peer, 1) if isinstance(peer, str) else peer
    for name, values in headers.items():
        listed = [values] if isinstance(values, str) else values
        request.requestHeaders.setRawHeaders(name.replace("_", "-"), listed)
    return proxies.client(request)


@pytest.mark.parametrize(
    ("written", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("198.51.100.7, 192.0.2.1 ,10.1.2.3,  10.0.0.9", "192.0.2.1"),
        (["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("192.0.2.1, 2001:db8:ffff::1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1, unknown", None),
        ("192.0.2.1, ", None),
        ("localhost", None),
        ("192.0.2.999", None),
        ("", None),
    ],
)
def test_the_rightmost_address_that_is_not_trusted_is_the_client(
    written: str | list[str], client: str | None
) -> None:
    assert seen(x_forwarded_for=written) == client


@pytest.mark.parametrize(
    ("written", "client"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
        ("proto=https; For=192.0.2.1", "192.0.2.1"),
        ('for="192.0.2.1:4711"', "192.0.2.1"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("for=198.51.100.7, for=192.0.2.1, for=10.0.0.1", "192.0.2.1"),
        ("for=192.0.2.1, for=_hidden", None),
        ("for=192.0.2.1, proto=http", None),
        ("xfor=192.0.2.1", None),
        ('by="for=192.0.2.1"', None),
    ],
)
def test_the_header_forwarded_says_it_too(written: str, client: str | None) -> None:
    assert seen(forwarded=written) == client


def test_where_both_headers_are_there_they_must_agree() -> None:
    assert seen(x_forwarded_for="192.0.2.1", forwarded="for=192.0.2.1") == "192.0.2.1"
    assert seen(x_forwarded_for="192.0.2.1", forwarded="for=198.51.100.7") is None


def test_nobody_else_is_believed() -> None:
    assert seen("192.0.2.9", x_forwarded_for="192.0.2.1", forwarded="for=192.0.2.1") is None
    assert seen("127.0.0.1") is None


def test_the_peer_of_a_unix_socket_is_trusted_by_name() -> None:
    peer = UNIXAddress("/run/x.sock")
    assert seen(peer, x_forwarded_for="192.0.2.1") is None
    assert seen(peer, TrustedProxies(["unix"]), x_forwarded_for="192.0.2.1") == "192.0.2.1"
    assert not PROXIES.trusts(ClientAddress("TCP", "nonsense"))
    assert bool(TrustedProxies(["unix"])) and bool(PROXIES) and not TrustedProxies()


@given(st.binary(), st.binary())
def test_whatever_is_written_gives_an_address_or_none(forwarded_for: bytes, forwarded: bytes) -> None:
    request: Any = twisted_request(b"POST", b"/", {}, b"")
    request.client = IPv4Address("TCP", "127.0.0.1", 1)
    request.requestHeaders = Headers({b"x-forwarded-for": [forwarded_for], b"forwarded": [forwarded]})
    client = PROXIES.client(request)
    assert client is None or one_client(client)


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/x.sock", "/run/x.sock"),
        ("", ""),
    ],
)
def test_in_ipv6_a_client_is_a_network(host: str, client: str) -> None:
    assert one_client(host) == client


@pytest.mark.parametrize("front", ["own", "twisted"])
@pytest.mark.parametrize(
    ("peer", "forwarded", "origin", "status"),
    [
        ("127.0.0.1", b"X-Forwarded-Host: CI.example.com", b"https://ci.example.com", 202),
        ("127.0.0.1", b"X-Forwarded-Host: ci.example.com:443", b"https://ci.example.com", 202),
        ("127.0.0.1", b"X-Forwarded-Host: ci.example.com, inner", b"https://ci.example.com", 202),
        ("127.0.0.1", b'Forwarded: for=192.0.2.1;host="ci.example.com"', b"https://ci.example.com", 202),
        ("127.0.0.1", b"X-Forwarded-Host: ci.example.com", b"https://evil.example", 403),
        ("127.0.0.1", b"X-Forwarded-Host: ", b"null", 403),
        ("127.0.0.1", b"Forwarded: for=192.0.2.1", b"https://ci.example.com", 403),
        ("192.0.2.9", b"X-Forwarded-Host: ci.example.com", b"https://ci.example.com", 403),
    ],
)
def test_the_name_that_a_trusted_proxy_forwards_is_ours(
    front: FrontKind, peer: str, forwarded: bytes, origin: bytes, status: int
) -> None:
    www: dict[str, Any] = {"change_hook_trusted_proxies": ["127.0.0.1"]}
    connection = Connection(www=www, host=peer, front=front)
    connection.send(head(forwarded, b"Origin: " + origin, b"Content-Length: 10") + b"revision=1")
    assert connection.statuses == [status]


@pytest.mark.parametrize("front", ["own", "twisted"])
def test_the_client_is_stored_logged_and_traced_by_both_fronts(front: FrontKind) -> None:
    www: dict[str, Any] = {"change_hook_trusted_proxies": ["127.0.0.1"]}
    connection = Connection(www=www, host="127.0.0.1", front=front)
    forwarded = b"X-Forwarded-For: 6.6.6.6, 192.0.2.1"
    with logged() as log:
        for path in (b"/change_hook/base", b"/change_hook"):
            connection.send(head(forwarded, b"Content-Length: 10", path=path) + b"revision=1")
        connection.send(head(b"Content-Length: 10") + b"revision=1")
        other = Connection(to=connection, host="192.0.2.9")
        other.send(head(forwarded, b"Content-Length: 10") + b"revision=1")
    lines = [line.partition(": ")[0].partition(" from ")[2] for line in log if " 202 " in line]
    assert lines == ["192.0.2.1", "192.0.2.1", "127.0.0.1", "192.0.2.9"]


def test_a_refused_password_is_traced_with_the_client() -> None:
    traces: list[Trace] = []
    from twisted.internet.task import Clock

    from change_hooks.config import read_www
    from change_hooks.dialects.handler import Context
    from change_hooks.intake.inline import InlineIntake
    from change_hooks.tree import Tree
    from change_hooks.web.admission import Gate
    from tests.support.connections import Transport, site

    users: Any = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    www = {
        "change_hook_dialects": {"base": True},
        "change_hook_auth": [users],
        "change_hook_trusted_proxies": "127.0.0.1",
        "change_hook_journal": None,
    }
    tree = Tree(read_www(www), Context(), InlineIntake(print), Gate(), tracer=traces.append)
    clock: Any = Clock()
    channel = site(tree.root, 100, clock, "own").buildProtocol(None)
    channel.makeConnection(Transport("127.0.0.1"))
    channel.dataReceived(head(b"Content-Length: 0", b"Forwarded: for=192.0.2.1"))
    assert [(trace.status, trace.client) for trace in traces] == [(401, "192.0.2.1")]


def test_a_resource_without_proxies_has_none_in_its_way() -> None:
    connection = Connection()
    connection.send(head(b"X-Forwarded-For: 192.0.2.77", b"Content-Length: 10") + b"revision=1")
    assert isinstance(connection.site.resource, Resource)
    assert connection.statuses == [202]

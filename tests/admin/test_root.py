"""Who is let in."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.test.requesthelper import DummyRequest

from change_hooks.admin.root import FOREIGN, LARGEST_FORM, Admin
from change_hooks.admin.settings import AdminSettings

HERE = IPv4Address("TCP", "127.0.0.1", 1)
AWAY = IPv4Address("TCP", "10.0.0.7", 1)
CHECKER = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
PASSWORD = b"Basic YW5uOnNlY3JldA=="


class Data(Resource):
    isLeaf = True

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data

    def render(self, request: Any) -> bytes:
        return self.data


def admin(settings: AdminSettings | None = None) -> Admin:
    made = Admin(settings)
    made.add("", Data(b"the page"))
    made.add("healthz", Data(b"alive"), password=False)
    return made


def ask(
    mounted: Admin, path: str = "", *, host: bytes | None = b"localhost:8011", peer: Any = HERE, **more: bytes
) -> tuple[int, bytes]:
    request: Any = DummyRequest([segment.encode() for segment in path.split("/")])
    if host is not None:
        request.requestHeaders.setRawHeaders(b"host", [host])
    for name, value in more.items():
        request.requestHeaders.setRawHeaders(name.encode(), [value])
    request.client = peer
    resource: Any = mounted
    while request.postpath and not resource.isLeaf:
        segment = request.postpath.pop(0)
        request.prepath.append(segment)
        resource = resource.getChildWithDefault(segment, request)
    request.render(resource)
    return request.responseCode or 200, b"".join(request.written)


PAGE = (200, b"the page")
REFUSED = (403, FOREIGN.encode() + b"\n")


@pytest.mark.parametrize("host", [b"localhost", b"localhost:8011", b"127.0.0.1:9000", b"LOCALHOST:1"])
@pytest.mark.parametrize("peer", [HERE, IPv6Address("TCP", "::1", 1), UNIXAddress(b"/x")])
def test_this_machine_is_let_in_by_its_own_names(host: bytes, peer: Any) -> None:
    assert ask(admin(), host=host, peer=peer) == PAGE


@pytest.mark.parametrize(
    "host",
    [
        None,
        b"",
        b"evil.example",
        b"localhost.evil.example",
        b"evil.example#localhost",
        b"localhost@evil.example",
        b"evil.example:8011",
        b"[::1",
        b"\xff",
        b"127.0.0.2",
    ],
)
def test_a_page_of_another_site_is_not(host: bytes | None) -> None:
    assert ask(admin(), host=host) == REFUSED


def test_nor_is_another_machine_that_uses_these_names() -> None:
    assert ask(admin(), peer=AWAY) == REFUSED
    assert ask(admin(), "healthz", peer=AWAY) == REFUSED
    assert ask(admin(), peer=object()) == REFUSED


def test_the_address_that_it_listens_on_is_such_a_name() -> None:
    mounted = admin(AdminSettings("…", "127.0.0.2"))
    assert ask(mounted, host=b"127.0.0.2:8011") == PAGE
    assert ask(mounted, host=b"127.0.0.1:8011") == REFUSED
    assert ask(admin(AdminSettings("…", "::1")), host=b"[::1]:8011") == PAGE


def test_a_host_that_is_listed_is_let_in_from_everywhere() -> None:
    mounted = admin(AdminSettings(hosts=("ci.example.org",)))
    assert ask(mounted, host=b"CI.example.org", peer=AWAY) == PAGE
    assert ask(mounted, host=b"localhost", peer=AWAY) == REFUSED


def test_with_passwords_everybody_needs_one() -> None:
    mounted = admin(AdminSettings(auth=(CHECKER,)))
    assert ask(mounted)[0] == 401
    assert ask(mounted, authorization=b"Basic YW5uOndyb25n")[0] == 401
    assert ask(mounted, host=b"any.example", peer=AWAY, authorization=PASSWORD) == PAGE
    assert ask(mounted, "nothing")[0] == 401


def test_but_for_what_is_open() -> None:
    assert ask(admin(AdminSettings(auth=(CHECKER,))), "healthz") == (200, b"alive")


def test_a_reconfiguration_holds_from_the_next_request_on() -> None:
    mounted = admin(AdminSettings(auth=(CHECKER,)))
    mounted.reconfigure(AdminSettings(auth=(InMemoryUsernamePasswordDatabaseDontUse(ann=b"new"),)))
    assert ask(mounted, authorization=PASSWORD)[0] == 401
    mounted.reconfigure(None)
    assert ask(mounted) == PAGE
    assert ask(mounted, host=b"evil.example") == REFUSED


def test_what_is_not_there_is_said_in_plain_text() -> None:
    assert ask(admin(), "nothing") == (404, b"there is no such page\n")


def test_where_it_is_mounted_its_address_ends_in_a_slash() -> None:
    root = Resource()
    root.putChild(b"hooks", admin())
    request: Any = DummyRequest([])
    request.prepath = [b"x", b"hooks"]
    request.render(root.children[b"hooks"])
    assert request.responseCode == 308
    assert request.responseHeaders.getRawHeaders("location") == ["hooks/"]


def test_on_a_port_of_its_own_it_takes_no_more_than_a_form() -> None:
    mounted = admin()
    site = mounted.site(Clock())
    assert site.resource is mounted
    assert site.max_body == LARGEST_FORM

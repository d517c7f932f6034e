from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from change_hooks import make_resource
from change_hooks.core.errors import BadPayload, ConfigurationError
from change_hooks.dialects.handler import check_options
from change_hooks.dialects.poller import PollingHandler
from tests.conftest import Client, delivery

SVN = "https://svn.example.com/svnroot/amanda"


MULTIPART = f'--XX\r\nContent-Disposition: form-data; name="poller"\r\n\r\n{SVN}\r\n--XX--\r\n'.encode()


class Poller:
    def __init__(self, name: Any, result: Any = None) -> None:
        self.name, self.result, self.forced = name, result, 0

    def force(self) -> Any:
        self.forced += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def poke(pollers: list[Poller], options: Any, method: str, path: str, **arguments: Any) -> Any:
    resource = make_resource({"change_hook_dialects": {"poller": options}}, sink=print, pollers=pollers)
    return Client(resource)(method, f"/poller{path}", **arguments)


@pytest.mark.parametrize(
    ("method", "path", "arguments"),
    [
        ("GET", f"?poller={SVN}", {}),
        ("POST", f"?poller={SVN}", {}),
        ("POST", "", {"data": {"poller": SVN}}),
        ("POST", "", {"data": MULTIPART, "headers": {"Content-Type": "multipart/form-data; boundary=XX"}}),
    ],
    ids=["get", "query", "form", "multipart"],
)
@pytest.mark.parametrize("name", [SVN, SVN.encode()])
def test_a_poller_by_name(name: Any, method: str, path: str, arguments: Any) -> None:
    named, other = Poller(name), Poller("other")
    reply = poke([named, other], True, method, path, **arguments)
    assert (reply.status, reply.text) == (202, "no change found: polling with 1 poller\n")
    assert (named.forced, other.forced) == (1, 0)


def test_all_of_them_when_none_is_named() -> None:
    pollers = [Poller("a"), Poller("b")]
    assert poke(pollers, True, "GET", "").text == "no change found: polling with 2 pollers\n"
    assert [poller.forced for poller in pollers] == [1, 1]


@pytest.mark.parametrize("allowed", [["a"], [b"a"]])
def test_allowed_restricts(allowed: Any) -> None:
    pollers = [Poller("a"), Poller(b"b")]
    reply = poke(pollers, {"allowed": allowed}, "GET", "?poller=b")
    assert (reply.status, reply.text) == (
        400,
        "poller: there is no such poller (option 'allowed'); the server's log names them\n",
    )
    assert poke(pollers, {"allowed": allowed}, "GET", "").status == 202
    assert poke(pollers, {"allowed": []}, "GET", "").status == 202
    assert [poller.forced for poller in pollers] == [1, 0]


def test_an_unknown_name_polls_nothing_and_is_not_echoed() -> None:
    poller = Poller("a")
    reply = poke([poller], True, "GET", "?poller=a&poller=%3Cb%3E")
    assert (reply.status, poller.forced, "<b>" in reply.text) == (400, 0, False)
    with pytest.raises(BadPayload, match="no such poller"):
        PollingHandler(None, True).getChanges(delivery(uri=b"/?poller=x"))


def test_nobody_waits_and_a_failure_is_logged() -> None:
    async def later() -> None:
        raise RuntimeError("the server is away")

    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        pollers = [Poller("a", Deferred()), Poller("b", RuntimeError("x")), Poller("c", later())]
        assert poke(pollers, True, "GET", "").status == 202
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["name"] for event in events if "failed" in event.get("what", "")] == ["b", "c"]


def test_the_options() -> None:
    with pytest.raises(ConfigurationError, match="allowed"):
        PollingHandler(None, {"allowed": "a"})
    assert len(check_options(PollingHandler, True)[1]) == 1
    assert check_options(PollingHandler, True, protected=True) == ([], [])


def test_another_method_is_refused() -> None:
    reply = poke([], True, "PUT", "")
    assert (reply.status, reply.header("allow")) == (405, "GET, POST, HEAD, OPTIONS")


def test_a_host_that_knows_no_reasons_gets_an_empty_list() -> None:
    from tests.support.connections import twisted_request

    request = twisted_request(b"POST", b"/poller", {}, b"")
    assert PollingHandler(None, True).getChanges(request) == ([], None)

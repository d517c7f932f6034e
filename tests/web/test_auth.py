from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.cred import strcred
from twisted.cred.checkers import (
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.web.guard import HTTPAuthSessionWrapper
from twisted.web.resource import Resource
from zope.interface import Interface, implementer

from change_hooks import Change, make_resource
from change_hooks.web.auth import BasicAuth, Realm
from tests.conftest import Client, result_of
from tests.support.connections import Connection, head
from tests.support.logs import logged


def users(**passwords: str) -> Any:
    database = InMemoryUsernamePasswordDatabaseDontUse()
    for name, password in passwords.items():
        database.addUser(name.encode(), password.encode())
    return database


def serve(changes: list[Change], auth: Any, dialects: Any = None) -> Client:
    www = {"change_hook_dialects": dialects or {"base": True}, "change_hook_auth": auth}
    resource = make_resource(www, sink=changes.append)
    assert isinstance(resource, HTTPAuthSessionWrapper)
    return Client(resource)


def test_the_example_of_the_specification(
    changes: list[Change], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("changehook.passwd").write_text("user:password\n")
    c: dict[str, Any] = {}
    c["www"] = dict(
        change_hook_dialects={"base": True}, change_hook_auth=[strcred.makeChecker("file:changehook.passwd")]
    )
    client = Client(make_resource(c["www"], sink=changes.append))
    for path in ("/base", "/base/", "", "/", "//base", "//", "///base"):
        assert client.post(path, data={"revision": "1"}).status == 401
        assert client.post(path, data={"revision": "1"}, auth=("user", "wrong")).status == 401
        assert client.post(path, data={"revision": "1"}, auth=("nobody", "password")).status == 401
    assert changes == []
    for path in ("/base", "/base/", "", "/", "//base"):
        assert client.post(path, data={"revision": "1"}, auth=("user", "password")).status == 202
    assert len(changes) == 5


def test_the_refusal_is_plain_text_with_a_challenge(changes: list[Change]) -> None:
    reply = serve(changes, [users(a="b")]).post("/base")
    assert (reply.status, reply.phrase) == (401, b"Unauthorized")
    assert reply.header("www-authenticate") == 'basic realm="change_hook"'
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Bearer x", "basic Og==", "Basic " + "QQ" * 5000])
def test_malformed_credentials_are_401(changes: list[Change], header: str) -> None:
    assert serve(changes, [users(a="b")]).post("/base", headers={"Authorization": header}).status == 401


def test_any_of_several_checkers_lets_in(changes: list[Change]) -> None:
    client = serve(changes, [users(a="b"), AllowAnonymousAccess()])
    assert client.post("/base", data={"revision": "1"}).status == 202
    assert client.post("/base", data={"revision": "1"}, auth=("a", "b")).status == 202
    assert client.post("/base", data={"revision": "1"}, auth=("a", "c")).status == 401


def test_an_unknown_dialect_asks_for_the_password_too(changes: list[Change]) -> None:
    client = serve(changes, [users(a="b")])
    assert client.post("/github").status == 401
    assert client.post("/github", auth=("a", "b")).status == 404


def test_the_auth_of_a_dialect_overrides_the_general_one(changes: list[Change]) -> None:
    dialects = {
        "base": {"auth": [users(base="1")]},
        "open": {"dialect": "base", "auth": []},
        "general": {"dialect": "base"},
    }
    client = serve(changes, [users(general="2")], dialects)

    def status(path: str, *auth: str) -> int:
        return client.post(path, data={"revision": "1"}, auth=auth or None).status

    for path in ("/base", "/base/", "", "/"):
        assert status(path) == 401, path
        assert status(path, "general", "2") == 401
        assert status(path, "base", "1") == 202
    assert status("/open") == 202
    assert status("/general") == 401
    assert status("/general", "base", "1") == 401
    assert status("/general", "general", "2") == 202
    assert status("/base/x", "base", "1") == 404


def test_a_dialect_may_have_auth_where_there_is_no_general_one(changes: list[Change]) -> None:
    www = {"change_hook_dialects": {"base": {"auth": users(a="b")}, "open": {"dialect": "base"}}}
    client = Client(make_resource(www, sink=changes.append))
    assert client.post("/base", data={"revision": "1"}).status == 401
    assert client.post("", data={"revision": "1"}, auth=("a", "b")).status == 202
    assert client.post("/open", data={"revision": "1"}).status == 202


def test_the_password_is_seen_by_the_handler(changes: list[Change]) -> None:
    seen: list[Any] = []

    class Custom:
        def __init__(self, master: Any, options: Any) -> None:
            pass

        def getChanges(self, request: Any) -> Any:
            seen.append((request.getUser(), request.getPassword()))
            return [], None

    serve(changes, [users(a="b")], {"x": {"custom_class": Custom}}).post("/x", auth=("a", "b"))
    assert seen == [(b"a", b"b")]


def test_there_is_nothing_to_log_in_to_but_a_resource() -> None:
    portal = Portal(Realm(Resource()), [AllowAnonymousAccess()])
    from twisted.cred.credentials import Anonymous

    with pytest.raises(NotImplementedError):
        result_of(portal.login(Anonymous(), None, Interface))
    assert BasicAuth(Resource(), []).isLeaf is False


@implementer(ICredentialsChecker)
class Slow:
    """Says later whose password is right."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("body", [b"revision=1", b"rev", b"x" * 100])
def test_who_has_gone_before_his_password_was_looked_at_is_not_answered(body: bytes, right: bool) -> None:
    checker = Slow()
    connection = Connection(www={"change_hook_auth": [checker]})
    length = b"Content-Length: %d" % max(10, len(body))
    connection.send(head(length, b"Authorization: Basic dXNlcjpwYXNzd29yZA==") + body)
    connection.lose()
    with logged() as log:
        if right:
            checker.waiting[0].callback(b"user")
        else:
            checker.waiting[0].errback(UnauthorizedLogin())
    assert (connection.answer, connection.changes, list(log)) == (b"", [], [])


def test_who_sent_too_much_before_his_password_was_looked_at_has_one_answer() -> None:
    checker = Slow()
    connection = Connection(www={"change_hook_auth": [checker]})
    basic = b"Authorization: Basic dXNlcjpwYXNzd29yZA=="
    connection.send(head(b"Transfer-Encoding: chunked", basic) + b"65\r\n" + b"x" * 101)
    assert (connection.statuses, connection.closed) == ([413], True)
    checker.waiting[0].callback(b"user")
    assert connection.statuses == [413]

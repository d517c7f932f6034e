from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface import implementer

from change_hooks import (
    Change,
    ChangeHookService,
    ConfigurationError,
    HookHandler,
    IChangeSink,
    make_resource,
)
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.verification import sign_hmac
from change_hooks.durable import GRACE
from change_hooks.interfaces import IDeliverySink
from change_hooks.service import sink_name
from change_hooks.standalone import StandaloneService
from change_hooks.standalone_settings import Settings, standalone_settings
from change_hooks.testing import MemoryJournal
from change_hooks.web.endpoint import SECRET_WITHIN
from tests.conftest import Client, delivery, has_fired, result_of
from tests.support.hosted import BASE, Hosted, Reactor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


DUPLICATE = "duplicate of 7, which was accepted before; 'change-hooks replay' processes it again"


def test_a_change_is_kept_before_the_answer_and_handed_to_the_sink(
    tmp_path: Path, changes: list[Change]
) -> None:
    hosted = Hosted(BASE, tmp_path, sink=changes.append)
    hosted.start()
    started = hosted.client.start("POST", "/base", data={"revision": "1"})
    hosted.client.flush()
    assert not has_fired(started)
    assert changes == []
    hosted.run()
    assert hosted.client.finish(started).text == "1 change found\n"
    assert [change.revision for change in changes] == ["1"]
    assert (tmp_path / "change-hooks.sqlite").exists()


def test_a_delivery_that_comes_again_is_a_duplicate(tmp_path: Path, changes: list[Change]) -> None:
    class Custom(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return [{}], None

        def delivery_id(self, delivery: Any) -> str | None:
            return delivery.header("X-Id")

    hosted = Hosted({"change_hook_dialects": {"x": {"custom_class": Custom}}}, tmp_path, sink=changes.append)
    hosted.start()
    assert hosted.post("/x", headers={"X-Id": "7"}).text == "1 change found\n"
    reply = hosted.post("/x", headers={"X-Id": "7", "Accept": "application/json"})
    assert (reply.status, reply.json) == (202, {"changes": 0, "message": DUPLICATE, "delivery": "7"})
    assert hosted.post("/x", headers={"X-Id": "8"}).text == "1 change found\n"
    assert hosted.post("/x").text == "1 change found\n"
    assert len(changes) == 3


def test_nothing_refused_is_kept(tmp_path: Path) -> None:
    hosted = Hosted({"change_hook_dialects": {"base": {"secret": "s"}}}, tmp_path)
    hosted.start()
    size = (tmp_path / "change-hooks.sqlite").stat().st_size
    assert (
        hosted.post(
            data=b"revision=1", headers={**FORM, "X-Hub-Signature-256": sign_hmac(b"revision=1", b"x")}
        ).status
        == 403
    )
    assert (tmp_path / "change-hooks.sqlite").stat().st_size == size
    assert not list((tmp_path).glob("*.tmp"))


def test_until_it_is_started_it_answers_503(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path)
    reply = hosted.client.post("/base", data={"revision": "1"})
    assert (reply.status, reply.header("retry-after")) == (503, "30")
    assert "not started" in reply.text


def test_a_journal_that_cannot_be_written_is_503(tmp_path: Path) -> None:
    hosted = Hosted({**BASE, "change_hook_journal": "sqlite:///missing/x.sqlite"}, tmp_path)
    hosted.start()
    assert hosted.post(data={"revision": "1"}).status == 503
    (tmp_path / "missing").mkdir()
    assert hosted.post(data={"revision": "1"}).status == 202


def test_a_shutdown_answers_what_is_in_flight_and_refuses_what_is_new(tmp_path: Path) -> None:
    waiting: Deferred[Any] = Deferred()

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return waiting

    hosted = Hosted({"change_hook_dialects": {"base": True, "slow": {"custom_class": Slow}}}, tmp_path)
    hosted.start()
    started = hosted.client.start("POST", "/slow")
    hosted.client.flush()
    stopped = hosted.service.stopService()
    refused = hosted.client.post("/base", data={"revision": "1"})
    assert (refused.status, refused.header("retry-after")) == (503, "30")
    assert "shutting down" in refused.text
    assert not has_fired(stopped)
    waiting.callback(([{}], None))
    hosted.run()
    assert hosted.client.finish(started).status == 202
    hosted.run()
    assert has_fired(stopped)


@pytest.mark.parametrize("journal", [True, False])
def test_a_secret_that_never_comes_is_answered_and_keeps_no_service_from_stopping(
    tmp_path: Path, changes: list[Change], journal: bool
) -> None:
    def never(received: Any) -> Deferred[Any]:
        return Deferred(lambda cancelled: None)

    async def never_either(received: Any) -> str:
        return str(await never(received))

    dialects = {
        "one": {"dialect": "base", "secret": never},
        "two": {"dialect": "base", "secret": never_either},
    }
    www = {"change_hook_dialects": dialects, **({} if journal else {"change_hook_journal": None})}
    hosted = Hosted(www, tmp_path, sink=changes.append)
    turn = hosted.run if journal else lambda: hosted.reactor.advance(0)
    hosted.service.startService()
    turn()
    started = [hosted.client.start("POST", f"/{name}", data={"revision": "1"}) for name in dialects]
    hosted.client.flush()
    stopped = hosted.service.stopService()
    assert not any(map(has_fired, (*started, stopped)))
    hosted.reactor.advance(SECRET_WITHIN)
    turn()
    answers = [hosted.client.finish(each) for each in started]
    assert [(each.status, each.header("retry-after")) for each in answers] == [(503, "30")] * 2
    turn()
    assert has_fired(stopped)
    assert changes == []


def test_without_a_journal_the_sink_is_called_before_the_answer(
    tmp_path: Path, changes: list[Change]
) -> None:
    hosted = Hosted({**BASE, "change_hook_journal": None}, tmp_path, sink=changes.append)
    assert hosted.client.post("/base", data={"revision": "1"}).status == 202
    assert len(changes) == 1
    hosted.service.startService()
    assert has_fired(hosted.service.stopService())
    assert list(tmp_path.iterdir()) == []
    assert hosted.client.post("/base", data={"revision": "1"}).status == 503


def test_without_a_journal_there_must_be_a_sink(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="sink"):
        Hosted({**BASE, "change_hook_journal": None}, tmp_path)


def test_a_handler_gets_what_surrounds_it(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Curious(HookHandler):
        def getChanges(self, request: Any) -> Any:
            context = self.context
            seen.append((context.name, self.master, context.pollers, context.http, context.clock))
            return [], None

    hosted = Hosted(
        {"change_hook_dialects": {"x": {"custom_class": Curious}}},
        tmp_path,
        master="m",
        pollers=["p"],
        http="h",
    )
    hosted.start()
    hosted.post("/x")
    assert seen == [("x", "m", ["p"], "h", hosted.reactor)]


def test_sinks_have_names() -> None:
    from zope.interface import implementer

    @implementer(IChangeSink)
    class Named:
        name = "mine"

    assert sink_name(Named()) == "mine"
    assert sink_name(print) == "sink"


# Reconfiguration.


def test_what_a_sink_says_of_itself_is_checked_before_the_service_begins(tmp_path: Path) -> None:
    class Build:
        time_limit = "600"

        def __call__(self, change: Change) -> None: ...

    with pytest.raises(ConfigurationError, match="the sink 'sink': 'time_limit' must be a positive number"):
        ChangeHookService({}, sink=Build(), base=tmp_path)


def signed(secret: str) -> dict[str, Any]:
    return {
        "data": b"revision=1",
        "headers": {**FORM, "X-Hub-Signature-256": sign_hmac(b"revision=1", secret.encode())},
    }


def test_a_reconfiguration_swaps_secrets_and_dialects_at_once(tmp_path: Path, changes: list[Change]) -> None:
    hosted = Hosted({"change_hook_dialects": {"base": {"secret": "old"}}}, tmp_path, sink=changes.append)
    hosted.start()
    mounted = hosted.service.resource
    assert hosted.post(**signed("old")).status == 202
    hosted.service.reconfigure(
        {"change_hook_dialects": {"base": {"secret": "new"}, "more": {"dialect": "base"}}}
    )
    assert hosted.service.resource is mounted
    assert hosted.post(**signed("old")).status == 403
    assert hosted.post(**signed("new")).status == 202
    assert hosted.post("/more", data={"revision": "1"}).status == 202
    assert hosted.post("", **signed("new")).status == 202
    hosted.service.reconfigure({"change_hook_dialects": {}})
    assert hosted.post(**signed("new")).status == 404
    assert len(changes) == 4


def users(password: str) -> Any:
    database = InMemoryUsernamePasswordDatabaseDontUse()
    database.addUser(b"user", password.encode())
    return database


def test_a_reconfiguration_swaps_authentication_at_once(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path)
    hosted.start()

    def status(password: str | None = None) -> int:
        auth = None if password is None else ("user", password)
        code: int = hosted.post(data={"revision": "1"}, auth=auth).status
        return code

    assert status() == 202
    hosted.service.reconfigure({**BASE, "change_hook_auth": [users("old")]})
    assert (status(), status("old")) == (401, 202)
    hosted.service.reconfigure({**BASE, "change_hook_auth": [users("new")]})
    assert (status("old"), status("new")) == (401, 202)
    hosted.service.reconfigure(BASE)
    assert status() == 202


def test_who_has_just_passed_the_old_password_is_not_let_in(tmp_path: Path, changes: list[Change]) -> None:
    from twisted.cred.checkers import ICredentialsChecker
    from twisted.cred.credentials import IUsernamePassword
    from zope.interface import implementer

    asked: list[Deferred[bytes]] = []

    @implementer(ICredentialsChecker)
    class Slow:
        credentialInterfaces = (IUsernamePassword,)

        def requestAvatarId(self, credentials: Any) -> Deferred[bytes]:
            asked.append(Deferred())
            return asked[-1]

    hosted = Hosted({**BASE, "change_hook_auth": [Slow()]}, tmp_path, sink=changes.append)
    hosted.start()
    started = hosted.client.start("POST", "/base", data={"revision": "1"}, auth=("user", "old"))
    hosted.client.flush()
    hosted.service.reconfigure({**BASE, "change_hook_auth": [users("new")]})
    asked[0].callback(b"user")
    reply = hosted.client.finish(started)
    assert (reply.status, reply.header("retry-after")) == (503, "1")
    assert changes == []


def test_deliveries_in_flight_are_finished_under_the_old_configuration(
    tmp_path: Path, changes: list[Change]
) -> None:
    waiting: Deferred[Any] = Deferred()

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return waiting

    hosted = Hosted({"change_hook_dialects": {"slow": {"custom_class": Slow}}}, tmp_path, sink=changes.append)
    hosted.start()
    started = hosted.client.start("POST", "/slow")
    hosted.client.flush()
    hosted.service.reconfigure(BASE)
    waiting.callback(([{}], None))
    hosted.run()
    assert hosted.client.finish(started).status == 202
    assert len(changes) == 1


def test_a_wrong_configuration_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    hosted = Hosted({"change_hook_dialects": {"base": {"secret": "old"}}}, tmp_path)
    hosted.start()
    with pytest.raises(ConfigurationError):
        hosted.service.reconfigure({"change_hook_dialects": {"base": {"secret": 5}}})
    assert hosted.post(**signed("old")).status == 202


def test_another_journal_takes_a_restart(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path)
    hosted.start()
    hosted.service.reconfigure({**BASE, "change_hook_journal": "sqlite:///other.sqlite"})
    assert hosted.post(data={"revision": "1"}).status == 202
    assert not (tmp_path / "other.sqlite").exists()


def warnings_of(hosted: Hosted, www: dict[str, Any]) -> list[str]:
    with capturedLogs() as logs:
        hosted.service.reconfigure(www)
    texts = [formatEvent(event) for event in logs if event["log_level"] is LogLevel.warn]
    return [text for text in texts if "restart" in text]


class Filter:
    def __call__(self, change: Change) -> bool:
        return True


def test_sinks_that_have_changed_are_said_until_the_restart(tmp_path: Path) -> None:
    def www(**options: Any) -> dict[str, Any]:
        run = {"sink": "command", "argv": ["true"], "when": Filter(), **options}
        return {**BASE, "change_hook_sinks": {"run": run, "show": lambda change: None}}

    hosted = Hosted(www(), tmp_path)
    hosted.start()
    said = ["change_hook_sinks has changed; restart to apply it"]
    # Code is made anew whenever a configuration is read.
    assert warnings_of(hosted, www()) == []
    for _ in range(2):
        assert warnings_of(hosted, www(argv=["false"])) == said
        assert warnings_of(hosted, www(only={"branches": ["main"]})) == said
        assert warnings_of(hosted, BASE) == said
    assert warnings_of(hosted, www()) == []
    other = {**www(), "change_hook_journal": "sqlite:///other.sqlite"}
    for _ in range(2):
        assert warnings_of(hosted, other) == ["change_hook_journal has changed; restart to apply it"]


@implementer(IDeliverySink)
class Whole:
    """Remembers the signatures that came."""

    name = "whole"

    def __init__(self) -> None:
        self.taken: list[str | None] = []

    def add_delivery(self, received: Delivery) -> None:
        self.taken.append(received.getHeader("X-Hub-Signature-256"))


@pytest.mark.parametrize("is_given", [False, True])
def test_signatures_are_stored_for_the_sinks_in_force(tmp_path: Path, is_given: bool) -> None:
    sink = Whole()
    www = {"change_hook_dialects": {"base": {"secret": "s"}}}
    signature = sign_hmac(b"revision=1", b"s")
    if is_given:
        hosted = Hosted(www, tmp_path, sink=sink)
    else:
        hosted = Hosted({**www, "change_hook_sinks": {"whole": sink}}, tmp_path)
    hosted.start()
    for _ in range(2):
        assert (
            hosted.post(data=b"revision=1", headers={**FORM, "X-Hub-Signature-256": signature}).status == 202
        )
        hosted.run()
        hosted.service.reconfigure(www)
    assert sink.taken == [signature] * 2


def test_what_is_sent_on_is_signed_as_the_endpoints_of_now_say(tmp_path: Path) -> None:
    def www(name: str) -> dict[str, Any]:
        dialects = {"azuredevops": {"secret": "a long enough secret", "secret_header": name}}
        sinks = {"on": {"sink": "forward", "url": "http://127.0.0.1:1/", "secret": "another secret"}}
        return {"change_hook_dialects": dialects, "change_hook_sinks": sinks}

    hosted = Hosted(www("X-Old"), tmp_path)
    (forward,) = (routed.sink for routed in hosted.service.config.sinks.values())
    received = delivery(b"{}", dialect="azuredevops")
    assert forward.sign_as(received, b"theirs").getHeader("X-Old") == "theirs"
    hosted.service.reconfigure(www("X-New"))
    assert forward.sign_as(received, b"theirs").getHeader("X-New") == "theirs"
    hosted.service.reconfigure(BASE)
    assert forward.sign_as(received, b"theirs") is received


# The server of its own.


ADMIN = {**BASE, "change_hook_admin": {"port": 8011}}


def test_the_page_for_operators_has_a_port_of_its_own_until_the_end(tmp_path: Path) -> None:
    hosted = Hosted(ADMIN, tmp_path)
    hosted.start()
    ((number, site, _, interface),) = hosted.reactor.tcpServers
    assert (number, interface) == (8011, "127.0.0.1")
    assert site.resource is hosted.service.admin
    ended = hosted.service.stopService()
    hosted.run()
    assert has_fired(ended)


def test_without_a_port_nothing_is_opened(tmp_path: Path) -> None:
    hosted = Hosted({**BASE, "change_hook_admin": {}}, tmp_path)
    hosted.start()
    assert hosted.reactor.tcpServers == []


def test_who_may_see_it_changes_at_once_and_the_port_with_a_restart(tmp_path: Path) -> None:
    checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
    public = {"port": "tcp:8011", "auth": [checker]}
    hosted = Hosted({**BASE, "change_hook_admin": public}, tmp_path)
    hosted.service.reconfigure({**BASE, "change_hook_admin": {**public, "payloads": False}})
    assert not hosted.service.admin.settings.payloads
    # The port that everybody reaches is open still, so it does not lose its password.
    for admin in (None, {"port": 8011}, {}):
        hosted.service.reconfigure({**BASE, "change_hook_admin": admin})
        assert hosted.service.admin.settings.auth == (checker,)


def test_a_plain_resource_has_no_page() -> None:
    with pytest.raises(ConfigurationError, match="change_hook_admin is for a ChangeHookService"):
        make_resource(ADMIN, sink=print)


def test_of_several_processes_one_has_the_port(tmp_path: Path) -> None:
    path = tmp_path / "hooks.cfg"
    path.write_text(f"c = {{'www': {ADMIN}}}")
    first = StandaloneService(path, Reactor())
    assert first.hooks.admin.settings.port is not None
    del first
    other = StandaloneService(path, Reactor(), first=False)
    assert other.hooks.admin.settings.port is None
    other.reload()
    assert other.hooks.admin.settings.port is None


def configured(folder: Path, text: str) -> Path:
    path = folder / "hooks.cfg"
    path.write_text(text)
    return path


CONFIG = (
    "c = {'www': {'port': %s, 'change_hook_journal': %s, 'change_hook_dialects': {'base': {'secret': %r}}}}"
)


def test_the_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    www = {**BASE, "change_hook_hosts": ["localhost"], "change_hook_admin": {"port": 8011}}
    assert standalone_settings(None) == Settings(www, tmp_path, "tcp:8010:interface=127.0.0.1", tmp_path)


def test_a_port_is_a_number_or_an_endpoint(tmp_path: Path) -> None:
    assert standalone_settings(configured(tmp_path, CONFIG % (81, None, "x"))).port == "tcp:81"
    assert standalone_settings(configured(tmp_path, CONFIG % ("'unix:x'", None, "x"))).port == "unix:x"


@pytest.fixture
def keep_sighup() -> Any:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def standalone(path: Path) -> tuple[StandaloneService, Reactor, Client]:
    reactor = Reactor()
    service = StandaloneService(path, reactor)
    journal: Any = service.hooks.journal
    submit = journal.writer.submit

    def at_once(operation: Any) -> Any:
        deferred = submit(operation)
        for _ in range(2):
            reactor.advance(0)
        journal.writer.run_submitted()
        return deferred

    journal.writer.submit = at_once
    journal.writer.start = lambda: None
    journal.writer.stop = lambda: succeed(None)
    return service, reactor, Client(service.hooks.resource)


@pytest.mark.usefixtures("keep_sighup")
def test_it_listens_where_the_configuration_says_and_reads_it_again(tmp_path: Path) -> None:
    path = configured(tmp_path, CONFIG % (8111, "'sqlite:///j.sqlite'", "old"))
    service, reactor, client = standalone(path)
    service.check_journal()
    service.startService()
    result_of(service.listen())
    assert [server[0] for server in reactor.tcpServers] == [8111]
    assert client.post("/base", **signed("old")).status == 202

    configured(tmp_path, CONFIG % (8112, "'sqlite:///j.sqlite'", "new"))
    os.kill(os.getpid(), signal.SIGHUP)
    assert client.post("/base", **signed("old")).status == 403
    assert client.post("/base", **signed("new")).status == 202

    configured(tmp_path, "c = {'www': {'change_hook_dialects': {'bas': True}}}")
    service.reload()
    assert client.post("/base", **signed("new")).status == 202
    assert has_fired(service.stopService())
    assert client.post("/base", **signed("new")).status == 503


def test_the_limits_of_its_site_follow_a_reconfiguration(tmp_path: Path) -> None:
    hooks = ChangeHookService({**BASE, "change_hook_max_body": 1000}, clock=Reactor(), base=tmp_path)
    site = hooks.site
    assert site.max_body == 1000
    assert (site.room.limit, site.room.share) == (8000, 4000)
    hooks.reconfigure({**BASE, "change_hook_max_body": 2000, "change_hook_max_in_flight": 3000})
    assert hooks.site is site
    assert site.max_body == 2000
    assert (site.room.limit, site.room.share) == (3000, 2000)


def test_what_is_not_a_hook_is_404_in_plain_text(tmp_path: Path) -> None:
    service, _, _ = standalone(configured(tmp_path, CONFIG % (1, "'sqlite:///j.sqlite'", "x")))
    from treq.testing import StubTreq

    response = result_of(StubTreq(service.hooks.site.resource).get("http://x/"))
    assert response.code == 404
    assert "/change_hook/DIALECT" in result_of(response.text())
    assert has_fired(service.stopService())


def test_a_journal_that_cannot_be_opened_is_found_before_the_first_delivery(tmp_path: Path) -> None:
    service, _, _ = standalone(configured(tmp_path, CONFIG % (1, "'sqlite:///missing/j.sqlite'", "x")))
    with pytest.raises(ConfigurationError, match=r"change_hook_journal: .*missing"):
        service.check_journal()


def test_sinks_of_the_configuration(tmp_path: Path, changes: list[Change]) -> None:
    kept: list[Change] = []
    hosted = Hosted({**BASE, "change_hook_sinks": {"a": kept.append}}, tmp_path, sink=changes.append)
    hosted.start()
    reply = hosted.client.start("POST", "/base", data={"revision": "1"})
    hosted.client.flush()
    hosted.run()
    assert hosted.client.finish(reply).status == 202
    hosted.run()
    assert (len(kept), len(changes)) == (1, 1)
    hosted.service.reconfigure(BASE)


def test_without_a_journal_there_is_exactly_one_sink(tmp_path: Path, changes: list[Change]) -> None:
    www = {**BASE, "change_hook_journal": None, "change_hook_sinks": {"a": changes.append}}
    hosted = Hosted(www, tmp_path)
    hosted.service.startService()
    assert hosted.client.post("/base", data={"revision": "1"}).status == 202
    assert len(changes) == 1
    with pytest.raises(ConfigurationError, match="exactly one sink"):
        Hosted(www, tmp_path, sink=changes.append)
    with pytest.raises(ConfigurationError, match="change_hook_sinks is for"):
        make_resource(www, sink=changes.append)


@implementer(IChangeSink)
class Closing:
    """Hands over for as long as it is not closed."""

    name = "closing"

    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []
        self.closed = 0
        self.error: Exception | None = None

    def add_change(self, change: Change, key: Any) -> Deferred[Any]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def close(self) -> Deferred[None]:
        self.closed += 1
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.errback(RuntimeError("closed"))
        if self.error is not None:
            raise self.error
        return succeed(None)


def test_a_sink_is_closed_when_the_service_stops(tmp_path: Path) -> None:
    sink = Closing()
    hosted = Hosted(BASE, tmp_path, sink=sink)
    hosted.start()
    stopped = hosted.service.stopService()
    hosted.run()
    assert sink.closed == 1
    assert has_fired(stopped)


def test_the_journal_is_closed_when_all_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = Hosted(BASE, tmp_path, sink=lambda change: Deferred())
    hosted.start()
    hosted.post(data={"revision": "1"})
    recording: Deferred[None] = Deferred()
    closed: list[bool] = []
    close = hosted.journal.close
    monkeypatch.setattr(hosted.journal, "record", lambda outcomes: recording)
    monkeypatch.setattr(hosted.journal, "close", lambda: closed.append(True) or close())
    stopped = hosted.service.stopService()
    hosted.reactor.advance(GRACE)
    hosted.run()
    assert closed == []
    recording.callback(None)
    hosted.run()
    assert closed == [True]
    assert has_fired(stopped)


def test_a_hand_over_has_some_seconds_before_its_sink_is_closed(tmp_path: Path) -> None:
    sink = Closing()
    hosted = Hosted(BASE, tmp_path, sink=sink)
    hosted.start()
    assert hosted.post(data={"revision": "1"}).status == 202
    hosted.run()
    assert len(sink.waiting) == 1
    stopped = hosted.service.stopService()
    hosted.reactor.advance(GRACE - 0.1)
    assert sink.closed == 0
    hosted.reactor.advance(0.1)
    assert sink.closed == 1
    hosted.run()
    hosted.run()
    assert has_fired(stopped)


def test_a_sink_that_cannot_be_closed_stops_no_other(tmp_path: Path) -> None:
    broken, whole = Closing(), Closing()
    broken.error = RuntimeError("broken")
    hosted = Hosted({**BASE, "change_hook_sinks": {"a": broken, "b": whole}}, tmp_path)
    hosted.start()
    stopped = hosted.service.stopService()
    hosted.run()
    assert (broken.closed, whole.closed) == (1, 1)
    assert has_fired(stopped)


def test_a_sink_that_never_closes_does_not_keep_the_service_from_stopping(tmp_path: Path) -> None:
    class Never(Closing):
        def close(self) -> Deferred[None]:
            super().close()
            return Deferred()

    for www in (BASE, {**BASE, "change_hook_journal": None}):
        sinks = [Never() for _ in range(1 + (www is BASE))]
        hosted = Hosted(
            {**www, "change_hook_sinks": {f"s{number}": sink for number, sink in enumerate(sinks)}}, tmp_path
        )
        hosted.service.startService()
        if hosted.journal is not None:
            hosted.run()
        stopped = hosted.service.stopService()
        hosted.reactor.advance(GRACE - 0.1)
        assert not has_fired(stopped)
        assert [sink.closed for sink in sinks] == [1] * len(sinks)
        hosted.reactor.advance(0.1)
        if hosted.journal is not None:
            hosted.run()
        assert has_fired(stopped)


class Opening(Closing):
    """Takes nothing while it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str | None] = []
        self.is_open = False

    def open(self) -> None:
        self.is_open = True
        if self.error is not None:
            raise self.error

    def add_change(self, change: Change, key: Any) -> Deferred[Any]:
        if self.is_open:
            self.taken.append(change.revision)
        return succeed(None)

    def close(self) -> Deferred[None]:
        self.is_open = False
        return super().close()


def test_a_service_that_was_stopped_may_be_started_again(tmp_path: Path) -> None:
    sink, broken = Opening(), Opening()
    broken.error = RuntimeError("broken")
    www = {"change_hook_dialects": {"base": {"secret": "s"}}, "change_hook_sinks": {"a": broken, "b": sink}}
    reactor = Reactor()
    journal = MemoryJournal(clock=reactor.seconds)
    service = ChangeHookService(www, clock=reactor, base=tmp_path, journal=journal)
    client = Client(service.resource)
    for number in "12":
        service.startService()
        body = f"revision={number}".encode()
        headers = {**FORM, "X-Hub-Signature-256": sign_hmac(body, b"s")}
        assert client.post("/base", data=body, headers=headers).status == 202
        assert client.post("/base", data=b"revision=0", headers=headers).status == 403
        stopped = service.stopService()
        reactor.advance(1)
        assert has_fired(stopped)
    assert sink.taken == ["1", "2"]
    states = [line.state for line in journal.reader().after(0)]
    assert sorted(states) == ["delivered", "delivered", "refused", "refused"]


def test_a_sink_is_closed_without_a_journal_too(tmp_path: Path) -> None:
    sink = Closing()
    hosted = Hosted({**BASE, "change_hook_journal": None}, tmp_path, sink=sink)
    hosted.service.startService()
    assert has_fired(hosted.service.stopService())
    assert sink.closed == 1


def test_a_sink_that_hangs_does_not_keep_the_service_from_stopping(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path, sink=lambda change: Deferred())
    hosted.start()
    assert hosted.post(data={"revision": "1"}).status == 202
    hosted.run()
    stopped = hosted.service.stopService()
    hosted.reactor.advance(GRACE)
    hosted.run()
    hosted.run()
    assert has_fired(stopped)


def test_a_sink_that_hangs_does_not_keep_it_from_stopping_without_a_journal(tmp_path: Path) -> None:
    hosted = Hosted({**BASE, "change_hook_journal": None}, tmp_path, sink=lambda change: Deferred())
    hosted.service.startService()
    hosted.client.start("POST", "/base", data={"revision": "1"})
    hosted.client.flush()
    stopped = hosted.service.stopService()
    hosted.reactor.advance(GRACE - 0.1)
    assert not has_fired(stopped)
    hosted.reactor.advance(0.1)
    assert has_fired(stopped)


def test_a_service_that_is_stopped_while_its_journal_opens_does_not_start(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path, sink=lambda change: None)
    opened: Deferred[None] = Deferred()
    hosted.journal.open = lambda: opened
    hosted.service.startService()
    stopped = hosted.service.stopService()
    opened.errback(Unavailable("not there"))
    hosted.run()
    assert has_fired(stopped)
    assert hosted.reactor.getDelayedCalls() == []


def test_a_service_has_loaded_what_it_may_need_later() -> None:
    """Apart from dialects and sinks that a new configuration names. A newer version may be installed by then."""
    code = """if True:
        import sys, change_hooks.service
        before = set(sys.modules)
        from change_hooks.config import read_www
        read_www({
            "change_hook_admin": {"port": 8011, "auth": []},
            "change_hook_dialects": {
                "github": {"secret": "a long enough secret", "class": lambda *_, **__: None},
                "gitlab": {"secret": "a long enough secret", "token": "t", "recover": {"from": ["o/r"]}},
            },
        })
        import change_hooks.http_client, twisted.internet.endpoints
        late = {name for name in sys.modules if name.startswith(("change_hooks.", "twisted.internet."))} - before
        print(*sorted(name for name in late if not name.startswith("change_hooks.dialects.")))
    """
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "\n"


def test_a_second_service_on_a_journal_needs_a_name(tmp_path: Path) -> None:
    first = Hosted(BASE, tmp_path)
    with pytest.raises(ConfigurationError, match="give this one a name of its own"):
        Hosted(BASE, tmp_path)
    Hosted(BASE, tmp_path, name="second")
    first.start()
    first.service.stopService()
    first.run()
    again = Hosted(BASE, tmp_path)
    with pytest.raises(ConfigurationError, match="give this one a name of its own"):
        first.service.startService()
    assert again.journal is not None


def test_services_that_share_a_journal_keep_to_what_came_to_them(tmp_path: Path) -> None:
    class Named(HookHandler[Any]):
        def getChanges(self, request: Any) -> Any:
            return [{"revision": request.args[b"revision"][0].decode()}], None

        def delivery_id(self, delivery: Any) -> str | None:
            return "the-same"

    www = {"change_hook_dialects": {"x": {"custom_class": Named}}}
    kept: dict[str, list[Change]] = {"": [], "second": []}
    both = {name: Hosted(www, tmp_path, sink=kept[name].append, name=name) for name in kept}
    for hosted in both.values():
        hosted.start()
    for name, hosted in both.items():
        assert hosted.post("/x", data={"revision": f"of {name}"}).text == "1 change found\n"
    for _ in range(3):
        for hosted in both.values():
            hosted.reactor.advance(60)
            hosted.run()
    assert {name: [change.revision for change in changes] for name, changes in kept.items()} == {
        "": ["of "],
        "second": ["of second"],
    }
    assert both["second"].post("/x", data={"revision": "again"}).text.startswith("duplicate of the-same,")


def test_a_service_finishes_only_what_was_postponed_by_its_own(tmp_path: Path) -> None:
    class Slow(HookHandler[Any]):
        def getChanges(self, request: Any) -> Any:
            return Deferred()

    class Fast(HookHandler[Any]):
        def getChanges(self, request: Any) -> Any:
            return [{"revision": "1"}], None

    slow = {"change_hook_dialects": {"x": {"custom_class": Slow}}, "change_hook_answer_within": 1}
    first = Hosted(slow, tmp_path)
    first.start()
    started = first.client.start("POST", "/x")
    first.client.flush()
    first.reactor.advance(1)
    first.run()
    assert first.client.finish(started).status == 202
    first.service.stopService()
    first.reactor.advance(GRACE)
    first.run()
    changes: dict[str, list[Change]] = {"second": [], "": []}
    for name in changes:
        hosted = Hosted(
            {"change_hook_dialects": {"x": {"custom_class": Fast}}},
            tmp_path,
            sink=changes[name].append,
            name=name,
        )
        hosted.start()
        hosted.reactor.advance(60)
        hosted.run()
    assert changes["second"] == []
    assert len(changes[""]) == 1


def test_one_that_is_stopped_while_it_opens_its_journal_reports_no_error(tmp_path: Path) -> None:
    hosted = Hosted(BASE, tmp_path)
    opened: Deferred[None] = Deferred()
    hosted.journal.open = lambda: opened
    with capturedLogs() as events:
        hosted.service.startService()
        hosted.service.stopService()
        opened.errback(Unavailable("the journal is closed"))
        hosted.run()
    assert [event for event in events if event["log_level"] >= LogLevel.error] == []

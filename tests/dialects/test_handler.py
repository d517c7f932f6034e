from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, execute, succeed

from change_hooks.core.change import Change, InvalidChange
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import (
    BadPayload,
    ConfigurationError,
    SignatureMismatch,
    SignatureMissing,
    Unavailable,
)
from change_hooks.core.events import (
    Comment,
    Commit,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.core.options import ForgeOptions, Options, flag, option, read_options, seconds, text, texts
from change_hooks.core.payload import LARGE, Shape
from change_hooks.core.policy import MAX_CHANGES
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.handler import Context, HookHandler, check_options, in_thread, make_handler
from change_hooks.dialects.methods import method_name, printable, shaped
from change_hooks.flow import as_deferred, proceed
from tests.conftest import delivery, has_fired, result_of
from tests.support.changes import none_for
from tests.support.knowing import knowing

#: A secret that nobody warns of.
LONG_ENOUGH = "a secret of thirty-two characters"


class Push(Shape):
    ref: str
    repository: str = "https://forge.example/ann/api"
    project: str = "ann/api"


@dataclass(frozen=True)
class ToyOptions(ForgeOptions):
    toy_property_whitelist: tuple[str, ...] = option((), texts)


class ToyHandler(EventHandler):
    """A forge as small as can be."""

    Options = ToyOptions
    forge = "toy"
    event_header = "X-Toy-Event"
    id_headers = ("X-Toy-Hook", "X-Toy-Delivery")
    signature_header = "X-Toy-Signature"

    @shaped(Push)
    def handle_push(self, payload: Push) -> Any:
        change = Change(branch=payload.ref, repository=payload.repository, project=payload.project, src="git")
        return [change], "git"

    @shaped(Push)
    def handle_pr_opened(self, payload: Push, event: str) -> Any:
        return [{"branch": payload.ref, "category": event}], "git"

    def handle_plain(self, payload: Mapping[str, Any]) -> Any:
        return [{"branch": payload["ref"]}], "hg"

    def handle_named(self, payload: Mapping[str, Any], event: str) -> Any:
        return [{"branch": event}], None

    def handle_any(self, *everything: Any) -> Any:
        return [{"branch": str(len(everything))}], None

    async def handle_coroutine(self, payload: Mapping[str, Any]) -> Any:
        return [{"branch": await succeed("later")}], "git"

    def handle_deferred(self, payload: Mapping[str, Any]) -> Any:
        self.waiting: Deferred[Any] = Deferred()
        return self.waiting


def toy(body: bytes = b'{"ref": "main"}', event: str = "push", uri: bytes = b"/toy", **headers: str) -> Any:
    return delivery(body, uri=uri, headers={"X-Toy-Event": event, **headers})


def changes_of(handler: EventHandler, received: Any) -> list[dict[str, Any]]:
    found, src = handler.getChanges(received)
    return [
        (change if isinstance(change, Change) else Change.from_mapping({"src": src, **change})).as_dict()
        for change in found
    ]


def test_both_arities_of_a_method_with_and_without_a_shape() -> None:
    handler = ToyHandler(None, {})
    assert changes_of(handler, toy())[0]["branch"] == "main"
    assert changes_of(handler, toy(event="pr:opened"))[0]["category"] == "pr:opened"
    assert changes_of(handler, toy(event="plain"))[0]["src"] == "hg"
    assert changes_of(handler, toy(event="named"))[0]["branch"] == "named"
    assert changes_of(handler, toy(event="any"))[0]["branch"] == "2"


def test_whether_a_signature_is_claimed_is_seen_by_names_that_nothing_keeps() -> None:
    handler = ToyHandler(None, {})
    for name, claimed in (("X-Any-Signature", True), ("X-Odd-Name", False)):
        received = delivery(b"", headers={name: "x"})
        assert handler.claims_signature(received) is claimed
        assert name.lower().encode() not in received.dump()[0]


def test_a_method_may_be_a_coroutine_or_return_a_deferred() -> None:
    handler = ToyHandler(None, {"project": "p"})
    changes, src = result_of(handler.getChanges(toy(event="coroutine")))
    assert (changes[0].branch, changes[0].project, src) == ("later", "p", "git")
    waiting = handler.getChanges(toy(event="deferred"))
    assert not has_fired(waiting)
    handler.waiting.callback(([], "git"))
    assert result_of(waiting) == ([], "git")


def test_a_subclass_may_pass_a_mapping_to_a_shaped_method() -> None:
    class Louder(ToyHandler):
        def handle_push(self, payload: Any) -> Any:  # type: ignore[override]
            changes, src = super().handle_push({**payload, "ref": payload["ref"].upper()})
            return changes, src

    assert changes_of(Louder(None, {}), toy())[0]["branch"] == "MAIN"
    assert changes_of(Louder(None, {}), toy(b'{"ref": "x", "repository": []}'))[0]["repository"] == (
        "https://forge.example/ann/api"
    )
    with pytest.raises(BadPayload, match=r"\$\.ref"):
        ToyHandler(None, {}).getChanges(toy(b'{"ref": []}'))


def test_an_event_without_a_method_is_no_error_and_is_named() -> None:
    found, src = ToyHandler(None, {}).getChanges(toy(event="issue<\x07>"))
    assert none_for(found)
    assert found.reason == "the event 'issue???' is not handled"
    assert src == "git"


def test_an_event_is_not_an_attribute() -> None:
    for event in ("_", "__class__", ""):
        if event:
            assert none_for(ToyHandler(None, {}).getChanges(toy(event=event))[0])


def test_a_missing_event_is_a_bad_payload_that_names_the_header() -> None:
    with pytest.raises(BadPayload, match="X-Toy-Event"):
        ToyHandler(None, {}).getChanges(delivery(b"{}"))


def test_a_payload_for_a_method_without_a_shape_is_an_object() -> None:
    with pytest.raises(BadPayload, match="object"):
        ToyHandler(None, {}).getChanges(toy(b"[]", event="plain"))


def test_names_of_methods_and_of_events() -> None:
    assert method_name("pr:opened") == "handle_pr_opened"
    assert method_name("Push Hook") == "handle_Push_Hook"
    assert printable("a\r\nb<>" + "x" * 100) == "a??b??" + "x" * 58


# Verification.


def signed(body: bytes = b'{"ref": "main"}', secret: bytes = b"s3cret", **more: Any) -> Any:
    return toy(body, **{"X-Toy-Signature": sign_hmac(body, secret)}, **more)


@pytest.mark.parametrize("secret", ["s3cret", b"s3cret", ["old", "s3cret"]])
def test_a_secret_of_any_form_is_checked_before_anything_is_read(secret: Any) -> None:
    handler = ToyHandler(None, {"secret": secret})
    assert handler.signed
    received = signed()
    assert changes_of(handler, received)
    assert proceed(handler.verified(received)).verification == "signature"
    for forged in (signed(secret=b"other"), signed(b"no json", secret=b"other")):
        with pytest.raises(SignatureMismatch):
            handler.getChanges(forged)
    with pytest.raises(SignatureMissing):
        handler.getChanges(toy(b"no json"))


def test_a_large_body_is_checked_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Any] = []

    def in_thread(function: Any, *arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        waiting.append(lambda: execute(function, *arguments).chainDeferred(result))
        return result

    monkeypatch.setattr("change_hooks.dialects.handler.in_thread", in_thread)
    handler = ToyHandler(None, {"secret": "s3cret"})
    body = b'{"ref": "%s"}' % (b"x" * LARGE)
    genuine, forged = signed(body), signed(body, secret=b"other")
    found, refused = handler.getChanges(genuine), handler.getChanges(forged)
    assert not has_fired(found)
    for check in waiting:
        check()
    assert len(waiting) == 4  # The genuine one is decoded in threads, too.
    assert result_of(found)[0]
    with pytest.raises(SignatureMismatch):
        result_of(refused)


def test_where_no_reactor_runs_there_are_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor

    body = b'{"ref": "%s"}' % (b"x" * LARGE)
    handler = ToyHandler(None, {"secret": "s3cret"})
    assert changes_of(handler, signed(body))
    threads: list[Any] = []
    monkeypatch.setattr(reactor, "running", True)
    monkeypatch.setattr("change_hooks.dialects.handler.deferToThread", lambda *called: threads.append(called))
    in_thread(len, body)
    assert threads == [(len, body)]


def test_a_secret_may_be_looked_up_by_delivery() -> None:
    def lookup(received: Any) -> Any:
        return {"1": "s3cret", "2": succeed(["x", "s3cret"]), "3": None}[received.header("x-hook")]

    handler = ToyHandler(None, {"secret": lookup})
    assert changes_of(handler, signed(**{"X-Hook": "1"}))
    later = signed(**{"X-Hook": "2"})
    assert result_of(handler.getChanges(later))[0][0].branch == "main"
    assert result_of(proceed(handler.verified(later))).verification == "signature"
    with pytest.raises(SignatureMismatch, match="no secret"):
        handler.getChanges(signed(**{"X-Hook": "3"}))
    with pytest.raises(SignatureMismatch):
        result_of(handler.getChanges(signed(secret=b"y", **{"X-Hook": "2"})))


def test_a_coroutine_may_look_up_the_secret() -> None:
    async def lookup(received: Any) -> str:
        return "s3cret"

    assert result_of(ToyHandler(None, {"secret": lookup}).getChanges(signed()))[0]


def test_a_delivery_that_was_verified_before_is_not_verified_again() -> None:
    handler = ToyHandler(None, {"secret": "s3cret"})
    assert changes_of(handler, toy().replace(verification="signature"))
    assert changes_of(handler, toy().replace(verification="none"))


def test_a_secret_that_cannot_be_used_now_asks_the_sender_to_come_again() -> None:
    with pytest.raises(Unavailable, match="'secret'"):
        ToyHandler(None, {"secret": lambda received: 5}).getChanges(signed())


def test_a_signature_that_need_not_be_there_must_be_where_the_endpoint_is_signed() -> None:
    class Careless(ToyHandler):
        def verify(self, delivery: Any, secrets: Any) -> Any:
            return "none"

    with pytest.raises(SignatureMissing):
        Careless(None, {"secret": "s3cret"}).getChanges(toy())


def test_a_password_in_front_verifies_what_nothing_else_does() -> None:
    handler = make_handler(ToyHandler, {}, Context(protected=True))
    assert proceed(handler.verified(toy())).verification == "password"
    assert proceed(ToyHandler(None, {}).verified(toy())).verification == "none"


def test_a_delivery_is_named_by_its_headers_together() -> None:
    handler = ToyHandler(None, {})
    assert handler.delivery_id(toy(**{"X-Toy-Hook": "h", "X-Toy-Delivery": "d"})) == "h:d"
    assert handler.delivery_id(toy(**{"X-Toy-Delivery": "d"})) is None
    assert HookHandler(None, None).delivery_id(toy()) is None


# Options.


def test_project_and_codebase_of_the_url_win_over_the_options() -> None:
    handler = ToyHandler(None, {"project": "p", "codebase": lambda payload: payload["ref"] + "!"})
    assert changes_of(handler, toy())[0]["project"] == "p"
    assert changes_of(handler, toy())[0]["codebase"] == "main!"
    found = changes_of(handler, toy(uri=b"/toy?project=u%C3%A4&codebase=c&x=1"))[0]
    assert (found["project"], found["codebase"]) == ("u\u00e4", "c")
    assert changes_of(handler, toy(uri=b"/toy?project=&x=1"))[0]["project"] == "p"
    assert changes_of(ToyHandler(None, {"codebase": "fixed"}), toy())[0]["codebase"] == "fixed"


def test_without_options_the_forges_own_project_stays() -> None:
    found = changes_of(ToyHandler(None, {}), toy(uri=b"/toy?x=1"))[0]
    assert (found["project"], found["codebase"]) == ("ann/api", None)


@pytest.mark.parametrize(
    ("options", "option_named"),
    [
        ({"repositories": ["bob/*"]}, "repositories"),
        ({"branches": ["release/*"]}, "branches"),
    ],
)
def test_what_matches_no_pattern_gives_no_change_and_says_why(options: Any, option_named: str) -> None:
    found, _ = ToyHandler(None, options).getChanges(toy())
    assert none_for(found)
    assert option_named in found.reason


@pytest.mark.parametrize(
    "options",
    [{"repositories": ["ann/*"]}, {"repositories": ["https://forge.example/*"]}, {"branches": ["x", "ma*"]}],
)
def test_what_matches_a_pattern_is_taken(options: Any) -> None:
    assert len(changes_of(ToyHandler(None, options), toy())) == 1


def test_the_repository_address_may_be_made_by_a_callable() -> None:
    handler = ToyHandler(None, {"repository_url": lambda payload: "x:" + payload["ref"]})
    assert changes_of(handler, toy())[0]["repository"] == "x:main"


def test_listed_properties_are_taken_and_the_methods_own_win() -> None:
    handler = ToyHandler(None, {"toy_property_whitelist": ["toy.*"]})
    assert changes_of(handler, toy(b'{"ref": "m", "a": {"b": 1}}'))[0]["properties"] == {
        "toy.ref": "m",
        "toy.a.b": 1,
    }


@pytest.mark.parametrize(
    ("options", "message", "count"),
    [
        ({}, "x [skip ci]", 0),
        ({}, "x [SKIP CI]", 0),
        ({}, "x", 1),
        ({"skips": []}, "[skip ci]", 1),
        ({"skips": ["^WIP"]}, "WIP: x", 0),
    ],
)
def test_skips_look_at_a_message(options: Any, message: str, count: int) -> None:
    class Pushed(ToyHandler):
        def handle_update(self, payload: Any) -> Any:
            head = Commit("1c9f", payload["message"])
            return RefUpdate(repository=Repository(), ref="refs/heads/m", after="1c9f", commits=[head])

        def handle_changes(self, payload: Any) -> Any:
            return [{"comments": payload["message"]}], "git"

    for event in ("update", "changes"):
        body = b'{"message": "%s"}' % message.encode()
        found, _ = Pushed(None, options).getChanges(toy(body, event=event))
        assert len(found) == count
        assert bool(found.reason) == (not count)


def test_the_options_are_applied_to_changes_that_a_method_makes_by_itself() -> None:
    class Telling(ToyHandler):
        def handle_told(self, payload: Any) -> Any:
            return [{"comments": "x [Skip CI]", "branch": "main"}], "git"

    assert Telling(None, {}).getChanges(toy(event="told"))[0].reason
    assert len(Telling(None, {"skips": []}).getChanges(toy(event="told"))[0]) == 1


def test_a_decorator_of_a_users_own_runs() -> None:
    ran: list[str] = []

    def counted(method: Any) -> Any:
        @wraps(method)
        def counting(*arguments: Any) -> Any:
            ran.append(method.__name__)
            return method(*arguments)

        return counting

    def bare(method: Any) -> Any:
        return lambda *arguments: (ran.append("bare"), method(*arguments))[1]

    class Decorated(ToyHandler):
        handle_push = counted(ToyHandler.handle_push)
        handle_pr_opened = bare(ToyHandler.handle_pr_opened)

    handler = Decorated(None, {})
    assert changes_of(handler, toy())[0]["branch"] == "main"
    assert changes_of(handler, toy(event="pr:opened"))[0]["branch"] == "main"
    assert ran == ["handle_push", "bare"]


def test_a_handler_has_its_context_while_its_constructor_runs() -> None:
    class Curious(ToyHandler):
        def __init__(self, master: Any, options: Any) -> None:
            super().__init__(master, options)
            self.seen = self.context.name, self.context.http, master

    handler = make_handler(Curious, {}, Context(name="toy", http="client", master="m"))
    assert handler.seen == ("toy", "client", "m")


def test_what_its_own_headers_hold_is_stored_and_what_is_secret_is_not() -> None:
    class Declaring(ToyHandler):
        headers = ("X-Toy-Event", "X-Toy-Token")
        secret_headers = ("X-Toy-Token",)
        secret_arguments = ("token",)

    stored = Declaring(None, True).stored()
    assert (stored.keeps(b"x-toy-event"), stored.keeps(b"x-toy-token"), stored.keeps(b"x-other")) == (
        True,
        False,
        False,
    )
    assert stored.secret_arguments == {b"token"}
    plain = ToyHandler(None, True).stored()
    assert [plain.keeps(name) for name in (b"x-toy-event", b"x-toy-hook", b"x-other")] == [True, True, False]
    assert not plain.keeps(b"x-other", [b"x-other"])


def test_of_a_class_that_looks_into_the_request_itself_what_it_reads_is_stored() -> None:
    class Looking(ToyHandler):
        def event(self, delivery: Delivery, document: bytes) -> str:
            return delivery.header("X-Other") or ""

    class Saying(Looking):
        headers = ("X-Other",)

    looking, saying = Looking(None, True).stored(), Saying(None, True).stored()
    assert [looking.keeps(b"x-other", read) for read in ((), (b"x-other",))] == [False, True]
    assert [saying.keeps(name) for name in (b"x-toy-event", b"x-other", b"x-more")] == [True, True, False]
    headers = {"X-Other": "plain", "X-More": "m"}
    received = delivery(b'{"ref": "x"}', headers=headers, stored=looking, verification="none")
    Looking(None, True).getChanges(received)
    again = Delivery.restore(*received.dump())
    assert (again.header("x-other"), again.header("x-more")) == ("plain", None)


def test_where_nothing_can_be_verified_though_it_must_be_the_delivery_is_refused() -> None:
    class Lax(ToyHandler):
        def verify(self, delivery: Any, secrets: Any) -> Any:
            return "none"

    with pytest.raises(SignatureMissing):
        Lax(None, {"secret": "s3cret"}).getChanges(signed())


@pytest.mark.parametrize("returned", ["", [], 5, [None]])
def test_a_callable_that_returns_no_secret_is_our_own_trouble(returned: Any) -> None:
    handler = ToyHandler(None, {"secret": lambda received: returned})
    with pytest.raises(Unavailable, match="option 'secret'"):
        handler.getChanges(signed())


def test_too_many_changes_are_refused() -> None:
    class Many(ToyHandler):
        def handle_many(self, payload: Any) -> Any:
            return [{}] * (MAX_CHANGES + 1), "git"

    with pytest.raises(BadPayload, match="more than"):
        Many(None, {"project": "x"}).getChanges(toy(event="many"))
    with pytest.raises(BadPayload, match="more than"):
        Many(None, {}).getChanges(toy(event="many"))


def test_a_mapping_with_an_unknown_key_is_an_error_that_names_it() -> None:
    class Wrong(ToyHandler):
        def handle_wrong(self, payload: Any) -> Any:
            return [{"brunch": "x"}], "git"

    with pytest.raises(InvalidChange, match="brunch"):
        Wrong(None, {"project": "x"}).getChanges(toy(event="wrong"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"secrt": "x"}, "unknown option 'secrt'; did you mean 'secret'"),
        ({"colour": "x"}, "unknown option 'colour'; valid names are actions, allow, api, auth"),
        ({"secret": 5}, "option 'secret' "),
        ({"secret": ""}, "option 'secret' is empty"),
        ({"project": 5}, "option 'project' must be a str"),
        ({"skips": 5}, "option 'skips' must be a list"),
        ({"skips": ["("]}, "option 'skips' '\\(' is not a valid regular"),
        ({"repositories": [1]}, "option 'repositories' must be a list"),
        ({"repository_url": "ftp"}, "option 'repository_url' must be"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        ToyHandler(None, options)


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ToyHandler(None, {"secret": 5, "project": 5, "secrt": 1})
    assert len(caught.value.problems) == 3


def test_none_means_the_default() -> None:
    assert ToyHandler(None, {"secret": None, "skips": None}).settings == ToyHandler(None, None).settings
    assert ToyHandler(None, True).options == {}


def test_a_class_of_the_users_own_may_read_options_of_its_own() -> None:
    class Custom(ToyHandler):
        pass

    Custom(None, {"colour": "red"})
    problems, doubts = check_options(Custom, {"colour": "red", "secret": LONG_ENOUGH})
    assert problems == []
    assert doubts == ["unknown option 'colour'; valid names are " + ", ".join(sorted(_names(ToyOptions)))]
    problems, _ = check_options(Custom, {"secrt": "x"})
    assert len(problems) == 1


def _names(options: type[Options]) -> list[str]:
    from change_hooks.core.options import option_names

    return list(option_names(options))


def test_open_doors_are_doubtful() -> None:
    assert check_options(ToyHandler, {"secret": LONG_ENOUGH}) == ([], [])
    problems, doubts = check_options(ToyHandler, {"secret": "x"})
    assert (problems, len(doubts)) == ([], 1)
    assert "16" in doubts[0]
    assert check_options(ToyHandler, True, protected=True) == ([], [])
    assert len(check_options(ToyHandler, {})[1]) == 1
    assert check_options(HookHandler, {"anything": 1}) == ([], [])
    assert check_options(int, {}) == ([], [])


def test_a_handler_with_options_and_no_doubts() -> None:
    class Careless(HookHandler):
        Options = Options

    assert check_options(Careless, {}) == ([], [])
    assert check_options(Careless, {"x": 1})[0] == [
        "unknown option 'x'; valid names are allow, auth, custom_class, dialect, expect_every"
    ]


@pytest.mark.parametrize(
    ("options", "protected", "doubted"),
    [
        ({"replay": False}, False, True),
        ({"replay": False}, True, False),
        ({"replay": False, "secret": "x" * 20}, False, False),
        ({}, False, False),
    ],
)
def test_replay_is_about_what_was_verified(options: Any, protected: bool, doubted: bool) -> None:
    doubts = ToyHandler.doubts(options, protected)
    assert ["'replay': False has no effect" in doubt for doubt in doubts].count(True) == doubted


def test_a_callable_address_and_a_callable_codebase_share_one_decoding() -> None:
    handler = ToyHandler(
        None, {"codebase": lambda payload: "c", "repository_url": lambda payload: payload["ref"]}
    )
    found = changes_of(handler, toy())[0]
    assert (found["codebase"], found["repository"]) == ("c", "main")


def test_an_option_may_have_a_name_that_is_no_identifier() -> None:
    @dataclass(frozen=True)
    class Named(Options):
        class_: Any = option(None, text, "class")
        on: bool = option(default=False, check=flag)
        wait: float = option(1.0, seconds)

    read, problems, unknown = read_options(Named, {"class": "X", "on": True, "wait": 2, "class_": 1})
    assert (read.class_, read.on, read.wait) == ("X", True, 2)  # type: ignore[attr-defined]
    assert (problems, unknown) == ([], ["class_"])
    _, problems, _ = read_options(Named, {"on": 1, "wait": -1})
    assert len(problems) == 2


def test_the_bare_handler_takes_any_options_and_has_no_changes() -> None:
    handler = HookHandler("master", {"x": 1})
    assert (handler.master, handler.options, handler.signed) == ("master", {"x": 1}, False)
    with pytest.raises(NotImplementedError):
        handler.getChanges(toy())
    assert proceed(handler.verified(toy())).verification == "none"


def test_as_deferred_takes_plain_values() -> None:
    assert result_of(as_deferred(5)) == 5


def test_a_live_request_gives_plain_dicts() -> None:
    from tests.support.connections import twisted_request

    request = twisted_request(b"POST", b"/toy", {b"X-Toy-Event": b"push"}, b'{"ref": "main"}')
    found, src = ToyHandler(None, {}).getChanges(request)
    assert found[0]["branch"] == "main"
    assert src == "git"
    request = twisted_request(b"POST", b"/toy", {b"X-Toy-Event": b"coroutine"}, b'{"ref": "main"}')
    found, _ = result_of(ToyHandler(None, {}).getChanges(request))
    assert found[0]["branch"] == "later"


# What is looked up.

UPDATE = RefUpdate(repository=Repository(full_name="ann/api"), ref="refs/heads/main", after="1c9f")
PULL = PullRequest(repository=Repository(full_name="ann/api"), number=7, action="opened")
COMMENT = Comment(pull_request=PULL, text="/build")


class Lookups:
    """A forge's API that knows everything."""

    def __init__(self, *, allowed: bool = True, revision: str | None = "1c9f") -> None:
        self.asked: list[Any] = []
        self.requests = object()
        self.revision = revision
        self.allowed = allowed

    def enrich(self, event: Any, *, complete: bool) -> Any:
        self.asked.append((type(event).__name__, complete))
        if isinstance(event, PullRequest):
            return succeed(replace(event, files=["a"]))
        if isinstance(event, Comment):
            head = Side(revision=self.revision)
            return succeed(replace(event, pull_request=replace(event.pull_request, files=["a"], head=head)))
        return succeed(replace(event, commits=[Commit("1c9f", "m", files=["a"])]))

    def permission(self, repository: Any, who: Person, wanted: str) -> Any:
        self.asked.append((repository.full_name, who.login, wanted))
        return succeed(self.allowed)


class Telling(ToyHandler):
    """Reports what it was told to report."""

    telling: Any = None

    def handle_tell(self, payload: Any) -> Any:
        return self.telling


def told(events: Any, options: Any = None, *, verified: Any = "signature", **more: Any) -> Any:
    handler, lookups = Telling(None, options or {}), Lookups(**more)
    handler.telling = events
    with knowing(lookups):
        found = handler.getChanges(toy(event="tell").replace(verification=verified))
    return (result_of(found) if isinstance(found, Deferred) else found)[0], lookups.asked


def test_what_a_pull_request_lacks_is_looked_up_on_demand_and_of_verified_deliveries_only() -> None:
    found, asked = told(PULL, {"complete": True})
    assert (found[0].files, asked) == (["a"], [("PullRequest", True)])
    assert told(PULL)[1] == []
    assert told(PULL, {"complete": True}, verified="none")[1] == []
    assert told(replace(PULL, files=[]), {"complete": True})[1] == []


def test_what_is_not_wanted_is_not_looked_up() -> None:
    found, asked = told(PULL, {"complete": True, "actions": ["closed"]})
    assert none_for(found)
    assert asked == []
    found, asked = told([PULL, replace(PULL, action="closed")], {"complete": True})
    assert (len(found), asked) == (1, [("PullRequest", True)])


@pytest.mark.parametrize(
    ("event", "lacking"),
    [
        (UPDATE, True),
        (replace(UPDATE, commits=[Commit("1c9f", "m")]), True),
        (replace(UPDATE, commits=[Commit("1c9f", "m", files=[])]), False),
        (replace(UPDATE, commits=[Commit("1c9f", "m", files=[])], before="0b8e", total=2), True),
        (replace(UPDATE, commits=[Commit("1c9f", "m", files=[])], before="0b8e", total=True), True),
        (replace(UPDATE, head=Commit("1c9f", "m", files=[])), False),
        (replace(UPDATE, head=Commit("1c9f", None, files=[])), True),
        (replace(UPDATE, commits=[Commit("1c9f", "m", files=[])], total=1), False),
        (replace(UPDATE, after=None, before="1c9f"), False),
    ],
)
def test_what_a_push_lacks_is_looked_up_on_demand(event: RefUpdate, lacking: bool) -> None:
    assert told(event, {"complete": True})[1] == ([("RefUpdate", True)] if lacking else [])
    assert told(event)[1] == []


def test_a_command_is_taken_of_those_who_may_give_it() -> None:
    options = {"commands": {"regex": "^/build", "permission": "write"}}
    comment = replace(COMMENT, author=Person(login="ann"))
    found, asked = told(comment, options)
    assert (found[0].files, found[0].properties["command"]) == (["a"], "/build")
    assert found[0].revision == "1c9f"
    assert asked == [("ann/api", "ann", "write"), ("Comment", False)]
    found, _ = told(comment, options, allowed=False)
    assert "may do this" in found.reason
    found, asked = told([comment, replace(comment, text="nice")], options)
    assert (len(found), len(asked)) == (1, 2)
    found, _ = told(comment, options, revision=None)
    assert "current commit" in found.reason


def test_a_forge_without_an_api_has_its_changes_as_they_come() -> None:
    silent = Telling(None, {"complete": True})
    silent.telling = PULL
    found, _ = silent.getChanges(toy(event="tell").replace(verification="signature"))
    assert found[0].properties["change_hook_missing"] == ["files"]


def test_a_handler_has_the_api_of_its_forge() -> None:
    with pytest.raises(ConfigurationError, match="there is no client for the API of 'toy'"):
        _ = ToyHandler(None, {}).api
    assert GitHubEventHandler(None, {}).api is not None


def test_several_events_and_what_is_ignored() -> None:
    found, _ = told([UPDATE, Ignored("x"), UPDATE])
    assert len(found) == 2
    assert told(Ignored("not today"))[0].reason == "not today"
    assert told(([Change(branch="x")], "git"))[0][0].branch == "x"
    assert told((Ignored("x"), None))[0].reason == "x"
    assert told([])[0].reason == "the event lists no changes"


def test_an_api_is_made_once_with_the_options_and_the_context() -> None:
    handler = make_handler(ToyHandler, {}, Context(http="http"))
    with knowing(Lookups()) as installed:
        assert handler.api is handler.api
    assert installed.asked == [("toy", (handler.settings, "http", None))]


def test_a_maker_of_handlers_that_is_no_class_is_given_master_and_options() -> None:
    context = Context(master="m", name="toy")
    made = make_handler(
        lambda master, options: SimpleNamespace(given=(master, options), getChanges=print), {"x": 1}, context
    )
    assert made.given == ("m", {"x": 1})
    ours = make_handler(partial(ToyHandler), {}, context)
    assert (ours.master, ours.context) == ("m", context)
    with pytest.raises(ConfigurationError, match="its handler is a tuple, without getChanges"):
        make_handler(lambda *given: given, {}, context)


def test_a_secret_in_the_environment_that_is_not_there_is_named() -> None:
    problems, _ = check_options(ToyHandler, {"secret": {"env": "NO_SUCH_VARIABLE_HERE"}})
    assert len(problems) == 1
    assert problems[0].startswith("option 'secret' ")


def test_replay_is_nothing_without_what_verifies() -> None:
    without = {"replay": False}
    assert "'replay': False has no effect" in str(check_options(ToyHandler, without)[1])
    secret = {**without, "secret": "a long enough secret"}
    assert check_options(ToyHandler, secret) == ([], [])
    (doubt,) = [
        each for each in check_options(ToyHandler, without, protected=True)[1] if "replay" in each
    ] or [""]
    assert doubt == ""

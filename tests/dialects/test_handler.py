from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute, succeed

from change_hooks.core.change import Change, InvalidChange, NoChange
from change_hooks.core.errors import BadPayload, ConfigurationError, SignatureMismatch, SignatureMissing
from change_hooks.core.options import ForgeOptions, Options, flag, option, read_options, seconds, text, texts
from change_hooks.core.payload import Shape
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.handler import (
    LARGE,
    MAX_CHANGES,
    REMEMBERED_EVENTS,
    EventHandler,
    HookHandler,
    check_options,
    method_name,
    not_told,
    printable,
    shaped,
)
from change_hooks.flow import as_deferred
from tests.conftest import delivery, has_fired, result_of


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
    with pytest.raises(BadPayload, match=r"\$\.repository"):
        Louder(None, {}).getChanges(toy(b'{"ref": "x", "repository": 5}'))


def test_an_event_without_a_method_is_no_error_and_is_named() -> None:
    found, src = ToyHandler(None, {}).getChanges(toy(event="issue<\x07>"))
    assert isinstance(found, NoChange)
    assert found.reason == "the event 'issue???' is not handled"
    assert src == "git"


def test_an_event_is_not_an_attribute() -> None:
    for event in ("_", "__class__", ""):
        if event:
            assert isinstance(ToyHandler(None, {}).getChanges(toy(event=event))[0], NoChange)


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


# Proof.


def signed(body: bytes = b'{"ref": "main"}', secret: bytes = b"s3cret", **more: Any) -> Any:
    return toy(body, **{"X-Toy-Signature": sign_hmac(body, secret)}, **more)


@pytest.mark.parametrize("secret", ["s3cret", b"s3cret", ["old", "s3cret"]])
def test_a_secret_of_any_form_is_checked_before_anything_is_read(secret: Any) -> None:
    handler = ToyHandler(None, {"secret": secret})
    assert handler.signed
    received = signed()
    assert changes_of(handler, received)
    assert received.verified
    for forged in (signed(secret=b"other"), signed(b"no json", secret=b"other")):
        with pytest.raises(SignatureMismatch):
            handler.getChanges(forged)
        assert not forged.verified
    with pytest.raises(SignatureMissing):
        handler.getChanges(toy(b"no json"))


def test_a_large_body_is_checked_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Any] = []

    def in_thread(function: Any, *arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        waiting.append(lambda: execute(function, *arguments).chainDeferred(result))
        return result

    monkeypatch.setattr("change_hooks.dialects.handler.deferToThread", in_thread)
    handler = ToyHandler(None, {"secret": "s3cret"})
    body = b'{"ref": "%s"}' % (b"x" * LARGE)
    genuine, forged = signed(body), signed(body, secret=b"other")
    found, refused = handler.getChanges(genuine), handler.getChanges(forged)
    assert not has_fired(found)
    assert not genuine.verified
    for check in waiting:
        check()
    assert result_of(found)[0]
    assert genuine.verified
    with pytest.raises(SignatureMismatch):
        result_of(refused)
    assert not forged.verified


def test_a_secret_may_be_looked_up_by_delivery() -> None:
    def lookup(received: Any) -> Any:
        return {"1": "s3cret", "2": succeed(["x", "s3cret"]), "3": None}[received.header("x-hook")]

    handler = ToyHandler(None, {"secret": lookup})
    assert changes_of(handler, signed(**{"X-Hook": "1"}))
    later = signed(**{"X-Hook": "2"})
    assert result_of(handler.getChanges(later))[0][0].branch == "main"
    assert later.verified
    with pytest.raises(SignatureMismatch, match="no secret"):
        handler.getChanges(signed(**{"X-Hook": "3"}))
    with pytest.raises(SignatureMismatch):
        result_of(handler.getChanges(signed(secret=b"y", **{"X-Hook": "2"})))


def test_a_coroutine_may_look_up_the_secret() -> None:
    async def lookup(received: Any) -> str:
        return "s3cret"

    assert result_of(ToyHandler(None, {"secret": lookup}).getChanges(signed()))[0]


def test_a_delivery_that_was_proved_before_is_not_asked_for_its_proof() -> None:
    handler = ToyHandler(None, {"secret": "s3cret"})
    received = toy()
    received.mark_verified()
    assert changes_of(handler, received)


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
    assert isinstance(found, NoChange)
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


def test_the_repository_address_is_of_the_kind_asked_for() -> None:
    urls = {"https": "https://f/x", "ssh": "git@f:x", "html": None}
    assert ToyHandler(None, {}).address("https", **urls) == "https://f/x"
    assert ToyHandler(None, {"repository_url": "ssh"}).address("https", **urls) == "git@f:x"
    assert ToyHandler(None, {"repository_url": "html"}).address("https", **urls) == "https://f/x"
    assert ToyHandler(None, {}).address("html", **urls) == "https://f/x"
    assert ToyHandler(None, {}).address("https") == ""


def test_listed_properties_are_taken_and_the_methods_own_win() -> None:
    handler = ToyHandler(None, {"toy_property_whitelist": ["toy.*"]})
    assert changes_of(handler, toy(b'{"ref": "m", "a": {"b": 1}}'))[0]["properties"] == {
        "toy.ref": "m",
        "toy.a.b": 1,
    }


def test_skips_look_at_a_message() -> None:
    handler = ToyHandler(None, {})
    assert handler.skipped("x [skip ci]") is not None
    assert handler.skipped("x") is None
    assert ToyHandler(None, {"skips": []}).skipped("[skip ci]") is None
    assert ToyHandler(None, {"skips": ["^WIP"]}).skipped("WIP: x") is not None


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
        ({"colour": "x"}, "unknown option 'colour'; there are auth, branches"),
        ({"secret": 5}, "option 'secret' expected str"),
        ({"secret": ""}, "option 'secret' is empty"),
        ({"project": 5}, "option 'project' must be a str"),
        ({"skips": "x"}, "option 'skips' must be a list"),
        ({"skips": ["("]}, "option 'skips' '\\(' is no regular"),
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
    problems, doubts = check_options(Custom, {"colour": "red", "secret": "x"})
    assert problems == []
    assert doubts == ["unknown option 'colour'; there are " + ", ".join(sorted(_names(ToyOptions)))]
    problems, _ = check_options(Custom, {"secrt": "x"})
    assert len(problems) == 1


def _names(options: type[Options]) -> list[str]:
    from change_hooks.core.options import option_names

    return list(option_names(options))


def test_open_doors_are_doubtful() -> None:
    assert check_options(ToyHandler, {"secret": "x"}) == ([], [])
    assert check_options(ToyHandler, True, protected=True) == ([], [])
    assert len(check_options(ToyHandler, {})[1]) == 1
    assert check_options(HookHandler, {"anything": 1}) == ([], [])
    assert check_options(int, {}) == ([], [])


def test_a_handler_with_options_and_no_doubts() -> None:
    class Careless(HookHandler):
        Options = Options

    assert check_options(Careless, {}) == ([], [])
    assert check_options(Careless, {"x": 1})[0] == [
        "unknown option 'x'; there are auth, custom_class, dialect"
    ]


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
    handler.prove(received := toy())
    assert received.verified


def test_as_deferred_takes_plain_values() -> None:
    assert result_of(as_deferred(5)) == 5


def test_what_was_not_told_is_a_property() -> None:
    assert not_told("files") == {"change_hook_missing": ["files"]}


def test_a_live_request_gives_plain_dicts() -> None:
    from tests.support.connections import twisted_request

    request = twisted_request(b"POST", b"/toy", {b"X-Toy-Event": b"push"}, b'{"ref": "main"}')
    found, src = ToyHandler(None, {}).getChanges(request)
    assert found[0]["branch"] == "main"
    assert src == "git"
    request = twisted_request(b"POST", b"/toy", {b"X-Toy-Event": b"coroutine"}, b'{"ref": "main"}')
    found, _ = result_of(ToyHandler(None, {}).getChanges(request))
    assert found[0]["branch"] == "later"


def test_senders_cannot_fill_the_memory_with_names_of_events() -> None:
    handler = ToyHandler(None, {})
    for number in range(REMEMBERED_EVENTS + 10):
        assert changes_of(handler, toy(event=f"pr{chr(0x100 + number)}opened"))
    assert len(handler._by_event) == REMEMBERED_EVENTS

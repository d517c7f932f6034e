"""A new secret: what is done in which order, and what stays when something goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks.core.errors import ConfigurationError
from change_hooks.forges.rest import RestError
from change_hooks.http_answers import NoAnswer
from change_hooks.testing import Receiver
from change_hooks.webhooks.probing import accepts
from change_hooks.webhooks.rotation import Rotation, Turn
from change_hooks.webhooks.secret_file import SecretFile, file_of, fresh
from tests.conftest import has_fired, result_of
from tests.support.answers import Answers
from tests.support.fake_api import Say
from tests.support.fake_webhooks import FakeGitHubWebhooks
from tests.support.keeping import SECRET, URL, Keeping

HOOK = f"{URL}/change_hook/github"


class Rotating:
    """One rotation."""

    def __init__(
        self, folder: Path, *, lines: str = f"{SECRET}\n", said: str | None = "", **more: Any
    ) -> None:
        (folder / "secret").write_text(lines)
        self.file = SecretFile(folder / "secret")
        self.kept = Keeping("github", FakeGitHubWebhooks("token T"), strict=True)
        self.api = self.kept.api
        self.api.add(HOOK)
        self.steps: list[str] = []
        #: The secrets in the file when the receiver, and when the forge was asked.
        self.seen: list[list[str]] = []
        self.said = said
        options = {
            "reader": None,
            "probe": self.probe,
            "grace": 0.0,
            "wait": 1.0,
            "test": None,
            "resume": False,
        }
        self.rotation = Rotation(
            Turn(self.file, [self.kept.place]),
            tell=self.steps.append,
            clock=self.kept.clock,
            **{**options, **more},
        )
        true = self.api.take

        def take(hook: Any, new: Any) -> None:
            self.seen.append(self.file.read())
            true(hook, new)

        self.api.take = take

    async def probe(self, place: Any, new: str) -> str | None:
        assert self.file.read()[0] == new
        return self.said

    def run(self) -> None:
        self.kept.run(self.rotation.run())


def test_the_new_one_is_accepted_before_the_forge_has_it_and_the_old_one_until_after(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, grace=60.0)
    done: Any = Deferred.fromCoroutine(rotating.rotation.run())
    new, old = rotating.file.read()
    assert old == SECRET
    assert rotating.seen == [[new, old]]
    assert rotating.api.secrets == {5: new}
    rotating.kept.clock.advance(59)
    assert rotating.file.read() == [new, old]
    rotating.kept.clock.advance(1)
    result_of(done)
    assert rotating.file.read() == [new]
    assert rotating.steps[-2:] == [
        "waiting 60 s for deliveries in flight",
        f"{rotating.file.path}: removed the old secret",
    ]
    assert not any(new in step or old in step for step in rotating.steps)


@pytest.mark.parametrize(
    ("said", "problem"), [("the response is 403", "does not accept"), (None, "cannot be reached")]
)
def test_a_receiver_that_does_not_accept_it_changes_nothing(
    tmp_path: Path, said: str | None, problem: str
) -> None:
    rotating = Rotating(tmp_path, said=said)
    with pytest.raises(ConfigurationError) as error:
        rotating.run()
    assert problem in error.value.problems[0]
    assert rotating.file.read() == [SECRET]
    assert rotating.api.written() == []


def test_with_one_that_was_broken_off_nothing_is_taken_back(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, lines=f"new\n{SECRET}\n", said="the response is 403", resume=True)
    with pytest.raises(ConfigurationError):
        rotating.run()
    assert rotating.file.read() == ["new", SECRET]


def test_nobody_need_be_asked(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, said="never", probe=None)
    rotating.run()
    assert len(rotating.file.read()) == 1


@pytest.mark.parametrize("resume", [False, True])
def test_no_forge_is_told_what_is_not_in_the_file_any_more(tmp_path: Path, resume: bool) -> None:
    async def edited(place: Any, new: str) -> str:
        (tmp_path / "secret").write_text("another one\n")
        return ""

    rotating = Rotating(
        tmp_path, probe=edited, lines=f"new\n{SECRET}\n" if resume else f"{SECRET}\n", resume=resume
    )
    with pytest.raises(ConfigurationError, match="has been changed in the meantime"):
        rotating.run()
    assert rotating.api.written() == []
    assert rotating.file.read() == ["another one"]


@pytest.mark.parametrize("hooks", [0, 2])
def test_without_exactly_one_webhook_it_does_not_begin(tmp_path: Path, hooks: int) -> None:
    rotating = Rotating(tmp_path)
    rotating.api.hooks.clear()
    for _ in range(hooks):
        rotating.api.add(HOOK)
    with pytest.raises(ConfigurationError) as error:
        rotating.run()
    assert f"{hooks} webhooks lead to this address" in error.value.problems[0]
    assert rotating.file.read() == [SECRET]


def test_a_forge_that_cannot_be_asked_before_it_begins(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path)
    rotating.api.instead = [Say({}, 401)]
    with pytest.raises(ConfigurationError):
        rotating.run()
    assert rotating.file.read() == [SECRET]


def test_a_forge_that_fails_in_the_middle_leaves_both_and_the_next_run_goes_on(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path)
    rotating.api.instead = [None, None, Say({}, 500)]
    with pytest.raises(RestError, match="both secrets are accepted; --resume continues"):
        rotating.run()
    new, old = rotating.file.read()
    assert old == SECRET
    again = Rotating(tmp_path, lines=f"{new}\n{old}\n", resume=True)
    again.run()
    assert again.api.secrets == {5: new}
    assert again.file.read() == [new]


def test_a_test_that_does_not_come_leaves_both(tmp_path: Path) -> None:
    class Empty:
        def newest(self) -> int:
            return 0

        def after(self, seq: int) -> list[Any]:
            return []

    rotating = Rotating(tmp_path, reader=Empty())
    done: Any = Deferred.fromCoroutine(rotating.rotation.run())
    for _ in range(8):
        rotating.kept.clock.advance(0.25)
    with pytest.raises(RestError, match="did not arrive within 1 s"):
        result_of(done)
    assert len(rotating.file.read()) == 2


@pytest.mark.parametrize(("lines", "problem"), [("", "holds no secret"), ("a\nb\n", "holds 2 secrets")])
def test_a_file_with_none_or_several_is_said(tmp_path: Path, lines: str, problem: str) -> None:
    rotating = Rotating(tmp_path, lines=lines)
    with pytest.raises(ConfigurationError) as error:
        rotating.run()
    assert problem in error.value.problems[0]


# The file ----------------------------------------------------------------------------------------


def test_the_file_keeps_its_mode_and_a_link_to_it_stays(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "there").chmod(0o640)
    (tmp_path / "link").symlink_to("there")
    SecretFile(tmp_path / "link").exchange(["old"], ["new", "old"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new\nold\n"
    assert (tmp_path / "there").stat().st_mode & 0o7777 == 0o640
    assert {path.name for path in tmp_path.iterdir()} == {"there", "link"}


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SecretFile(tmp_path / "none")
    with pytest.raises(ConfigurationError):
        file.read()
    with pytest.raises(ConfigurationError):
        file.exchange([], ["x"])
    (tmp_path / "none").write_text("old")
    with pytest.raises(ConfigurationError, match="has been changed in the meantime"):
        file.exchange(["older"], ["x"])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError) as error:
        file.exchange(["old"], ["x"])
    assert "No space left on device" in error.value.problems[0]
    assert [path.name for path in tmp_path.iterdir()] == ["none"]
    assert file.read() == ["old"]


def test_one_whose_owner_cannot_stay_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SecretFile(tmp_path / "secret")
    file.path.write_text("old")
    true = os.fstat

    def another(descriptor: int) -> os.stat_result:
        found = list(true(descriptor))
        found[4] += 1  # The owner.
        return os.stat_result(found)

    def denied(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fstat", another)
    monkeypatch.setattr(os, "fchown", denied)
    with pytest.raises(ConfigurationError, match="run this as its owner, or as root"):
        file.exchange(["old"], ["new"])
    assert file.read() == ["old"]


def test_two_at_once_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    first = Rotating(tmp_path, grace=60.0)
    going: Any = Deferred.fromCoroutine(first.rotation.run())
    with pytest.raises(ConfigurationError, match="another 'change-hooks hook rotate'"):
        Rotating(tmp_path, lines="\n".join(first.file.read()) + "\n", resume=True).run()
    first.kept.clock.advance(60.0)
    assert has_fired(going)
    assert len(first.file.read()) == 1


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / ".secret.lock").symlink_to("elsewhere")
    with pytest.raises(ConfigurationError, match=r"\.secret\.lock cannot be opened"):
        Rotating(tmp_path).run()


def test_only_a_first_secret_in_a_file_can_be_changed(tmp_path: Path) -> None:
    assert file_of("x", [{"file": "a"}, "b"], tmp_path).path == (tmp_path / "a").resolve()
    for written in ("a", None, {"env": "X"}, ["b", {"file": "a"}], []):
        with pytest.raises(ConfigurationError) as error:
            file_of("github", written, tmp_path)
        assert error.value.problems[0].startswith("github: its secret is not in a file")


def test_a_new_one_is_of_the_kind_of_the_old_one() -> None:
    assert fresh("whsec_eA==").startswith("whsec_")
    assert len(fresh("x")) >= 40
    assert fresh("x") != fresh("x")


# Asking the receiver ----------------------------------------------------------------------------


def asked(http: Any, url: str = HOOK, dialect: str = "github", **options: Any) -> str | None:
    kept = Keeping(dialect, FakeGitHubWebhooks(), **options)
    found: str | None = result_of(
        Deferred.fromCoroutine(accepts(http, Clock(), kept.place.handler, url, SECRET))
    )
    return found


def test_what_it_answers_is_said() -> None:
    site = Answers(202)
    assert asked(StubTreq(site), "https://user:pass%20word@ci.example.com/change_hook/github") == ""
    assert site.login == (b"user", b"pass word")
    assert asked(StubTreq(Answers(403))) == "the response is 403"


@pytest.mark.parametrize("reason", [NoAnswer("none"), Refused()])
def test_one_that_is_not_there(reason: Exception) -> None:
    class Gone:
        def request(self, *arguments: Any, **more: Any) -> Any:
            return fail(reason)

    assert asked(Gone()) is None


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("github", {"strict": True}),
        ("gitlab", {}),
        ("gitea", {"api": "https://gitea.example", "authorization": "Bearer a long enough one"}),
        ("bitbucketcloud", {}),
        ("bitbucketserver", {"api": "https://bitbucket.example"}),
    ],
)
def test_a_receiver_accepts_it_and_makes_no_change_of_it(dialect: str, options: dict[str, Any]) -> None:
    www = {"change_hook_dialects": {dialect: {"secret": [SECRET], **options}}}
    with Receiver(www) as receiver:
        http = StubTreq(Root(receiver))
        url = f"https://ci.example.com/change_hook/{dialect}"
        assert asked(http, url, dialect, **options) == ""
        assert [line.changes for line in receiver.deliveries()] in ([], [0])


class Root(Resource):
    """The receiver under its usual path."""

    def __init__(self, receiver: Any) -> None:
        super().__init__()
        self.putChild(b"change_hook", receiver.service.resource)

from __future__ import annotations

import os
from errno import EMFILE
from pathlib import Path
from time import time
from typing import Any

import pytest

from change_hooks import ConfigurationError, make_resource
from change_hooks.config import read_www
from change_hooks.core.verification import ChangingSecrets, as_secrets
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.plugins import webhooks
from change_hooks.references import SETTLED, FileSecrets, files_in, resolved, resolved_secrets
from change_hooks.testing import Receiver

from .support.logs import logged


def test_secrets_stand_in_the_environment_in_files_and_in_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "from the environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "hook").write_text("from systemd")
    (tmp_path / "secret").write_text("from a file\n")
    assert resolved({"env": "X"}) == "from the environment"
    assert resolved({"file": "secret"}, tmp_path) == "from a file"
    assert resolved({"file": str(tmp_path / "secret")}) == "from a file"
    assert resolved([{"credential": "hook"}, "as it is", None, 5]) == ["from systemd", "as it is", None, 5]
    assert resolved({"app": 1, "key": {"env": "X"}}) == {"app": 1, "key": "from the environment"}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"env": "MISSING"}, "MISSING, which is not set"),
        ({"env": "EMPTY"}, "EMPTY, which is empty"),
        ({"env": ""}, "needs a name"),
        ({"env": 5}, "needs a name"),
        ({"file": "missing"}, "missing, which cannot be read"),
        ({"file": "binary"}, "binary, which is not text"),
        ({"file": "blank"}, "blank, which is empty"),
        ({"credential": "x"}, "CREDENTIALS_DIRECTORY"),
    ],
)
def test_a_secret_that_is_missing_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: Any, why: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "blank").write_text(" \n")
    with pytest.raises(ValueError, match=why):
        resolved(reference, tmp_path)


def test_a_configuration_may_refer_to_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    www = {"change_hook_dialects": {"github": {"secret": {"env": "X"}, "strict": True}}}
    with pytest.raises(ConfigurationError, match="'secret' refers to the environment variable X"):
        make_resource(www, sink=print)
    monkeypatch.setenv("X", "a long enough secret")
    make_resource(www, sink=print)


# Those of the option 'secret', in files that change -----------------------------------------------

NEW, OLD = "a new and long secret", "an old and long secret"


def secrets_in(folder: Path, written: object = None) -> FileSecrets:
    (folder / "secret").write_text(f"{OLD}\n")
    return FileSecrets(written or {"file": "secret"}, folder)


def exchange(folder: Path, text: str) -> None:
    """Put another file in the place of the one with the secret."""
    (folder / "new").write_text(text)
    (folder / "new").replace(folder / "secret")


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"\xef\xbb\xbfa long enough secret\r\n")
    assert resolved({"file": "s"}, tmp_path) == "a long enough secret"


def test_several_lines_are_several_secrets(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{NEW}\n\n{OLD}\r\n")
    assert resolved_secrets({"file": "secret"}, tmp_path) == [NEW, OLD]
    assert resolved_secrets([{"file": "secret"}, "third"], tmp_path) == [[NEW, OLD], "third"]
    assert resolved_secrets("as it\nis", tmp_path) == "as it\nis"
    (tmp_path / "secret").write_text(f"{NEW}\n")
    assert resolved_secrets({"file": "secret"}, tmp_path) == NEW


def test_a_secret_counts_from_the_moment_when_it_is_in_the_file_until_it_is_gone(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path)
    assert secrets.now() == [OLD.encode()]
    exchange(tmp_path, f"{NEW}\n{OLD}\n")
    assert secrets.now() == [NEW.encode(), OLD.encode()]
    exchange(tmp_path, f"{NEW}\n")
    assert secrets.now() == [NEW.encode()]
    assert NEW not in repr(secrets)


@pytest.mark.parametrize("text", ["\n", " \n", "whsec_no key\n", None])
def test_what_cannot_be_read_changes_nothing_and_is_said_once(tmp_path: Path, text: str | None) -> None:
    secrets = secrets_in(tmp_path)
    exchange(tmp_path, "x\n" if text is None else text)
    if text is None:
        (tmp_path / "secret").unlink()
    with logged() as messages:
        assert secrets.now() == secrets.now() == [OLD.encode()]
    assert len(messages) == 1
    assert "the current secrets stay in use" in messages[0]
    exchange(tmp_path, f"{NEW}\n")
    assert secrets.now() == [NEW.encode()]


def test_one_that_could_not_be_read_is_read_as_soon_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = secrets_in(tmp_path)
    exchange(tmp_path, f"{NEW}\n")
    with monkeypatch.context() as patch, logged() as messages:
        patch.setattr(Path, "read_text", fails)
        assert secrets.now() == [OLD.encode()]
    assert len(messages) == 1
    assert secrets.now() == [NEW.encode()]


def fails(*_: object) -> str:
    raise OSError(EMFILE, "Too many open files")


def test_one_that_is_being_written_counts_when_all_of_it_is_there(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path)
    with (tmp_path / "secret").open("w") as file:
        file.write(NEW[:1])
        file.flush()
        assert secrets.now() == [OLD.encode()]
        file.write(f"{NEW[1:]}\n")
    assert secrets.now() == [NEW.encode()]
    (tmp_path / "secret").write_text(OLD)
    assert secrets.now() == [NEW.encode()]
    os.utime(tmp_path / "secret", (time() - SETTLED + 1,) * 2)
    assert secrets.now() == [NEW.encode()]
    os.utime(tmp_path / "secret", (time() - SETTLED - 1,) * 2)
    assert secrets.now() == [OLD.encode()]


def test_a_file_that_was_put_in_its_place_is_whole(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path)
    exchange(tmp_path, NEW)
    assert secrets.now() == [NEW.encode()]


def test_others_stand_beside_those_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "one of the environment")
    secrets = secrets_in(tmp_path, [{"file": "secret"}, {"env": "A_SECRET"}, "one written out whole"])
    exchange(tmp_path, f"{NEW}\n")
    assert secrets.now() == [NEW.encode(), b"one of the environment", b"one written out whole"]


def test_only_files_are_looked_at(tmp_path: Path) -> None:
    assert files_in({"env": "X"}, tmp_path) == files_in("text", tmp_path) == files_in(None, tmp_path) == []
    assert files_in([{"file": "a"}, ({"file": "/b"},)], tmp_path) == [tmp_path / "a", Path("/b")]


def test_what_may_change_says_what_counts_now() -> None:
    with pytest.raises(NotImplementedError):
        as_secrets(ChangingSecrets())


def test_an_endpoint_accepts_what_is_in_the_file_now(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{OLD}\n")
    file = str(tmp_path / "secret")
    www = {"change_hook_dialects": {"github": {"secret": {"file": file}, "strict": True}}}

    def status(receiver: Receiver, secret: str) -> int:
        return receiver.post("github", "ping", {"zen": "Keep it simple."}, secret=secret).status

    with Receiver(www) as receiver:
        assert (status(receiver, OLD), status(receiver, NEW)) == (202, 403)
        exchange(tmp_path, f"{NEW}\n{OLD}\n")
        assert (status(receiver, OLD), status(receiver, NEW)) == (202, 202)
        exchange(tmp_path, f"{NEW}\n")
        assert (status(receiver, OLD), status(receiver, NEW)) == (403, 202)


def test_a_subclass_reads_the_secrets_of_a_file_as_those_that_are_written(tmp_path: Path) -> None:
    class Own(GitHubEventHandler):
        pass

    def made(text: str) -> Own:
        (tmp_path / "secret").write_text(text)
        options = {"secret": {"file": "secret"}, "custom_class": Own}
        (endpoint,) = read_www({"change_hook_dialects": {"github": options}}, base=tmp_path).endpoints
        return Own(None, endpoint.options)

    one = made(f"{OLD}\n")
    assert one.options["secret"] == OLD
    assert isinstance(one.settings.secret, ChangingSecrets)
    exchange(tmp_path, f"{NEW}\n")
    assert (list(one.settings.secret), len(one.settings.secret)) == ([NEW.encode()], 1)
    assert made(f"{NEW}\n{OLD}\n").options["secret"] == [NEW, OLD]


def test_a_class_made_for_buildbots_gets_what_was_in_the_file(tmp_path: Path) -> None:
    class Own(webhooks.github):  # type: ignore[name-defined, misc]
        pass

    (tmp_path / "secret").write_text(f"{OLD}\n")
    options = {"secret": {"file": "secret"}, "strict": True, "class": Own}
    (endpoint,) = read_www({"change_hook_dialects": {"github": options}}, base=tmp_path).endpoints
    assert endpoint.options["secret"] == OLD


def test_a_file_that_holds_no_good_secret_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_no key\n")
    with pytest.raises(ConfigurationError, match="option 'secret' begins with 'whsec_'"):
        read_www({"change_hook_dialects": {"gitlab": {"secret": {"file": "secret"}}}}, base=tmp_path)


def test_a_secret_that_cannot_be_read_is_the_only_problem(tmp_path: Path) -> None:
    secret = {"file": "missing"}
    www = {"change_hook_dialects": {"github": {"secret": secret, "strict": True, "token": secret}}}
    with pytest.raises(ConfigurationError) as raised:
        read_www(www, base=tmp_path)
    assert [problem.partition(" refers to ")[0] for problem in raised.value.problems] == [
        "dialect 'github': option 'secret'",
        "dialect 'github': option 'token'",
    ]

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from change_hooks.clients import mercurial
from change_hooks.clients.mercurial import Poster, Refused, cleaned


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "http://x:port/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="not the address"):
        Poster(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("localhost:8010/change_hook/base", "http://localhost:8010/change_hook/base"),
        ("https://ann:s3cret@build.example.com/x?project=a", "https://build.example.com/x"),
    ],
)
def test_an_address_is_shown_without_a_password(url: str, shown: str) -> None:
    assert Poster(url).url == shown


@pytest.mark.parametrize("url", ["ftp://ann:s3cret@x/", "http://ann:s3cret@[x/", "ann:s3cret@x:y/z"])
def test_a_password_is_not_in_what_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        Poster(url)
    assert "s3cret" not in str(refused.value)


def test_user_and_password_may_stand_in_the_address() -> None:
    written = Poster("https://a%40b:c%3Ad@build.example.com/x").headers["Authorization"]
    assert written == Poster("https://build.example.com/x", "a@b", "c:d").headers["Authorization"]


class Answering(Poster):
    """A poster to a receiver that answers so."""

    answers: dict[str, int]

    def post(self, fields: dict[str, str]) -> str:
        status = self.answers.get(fields["revision"], 202)
        if status >= 300:
            raise Refused(f"{fields['revision']}: {status}", status)
        return "1 change found"


@pytest.mark.parametrize(
    ("answers", "sent", "problems"),
    [
        ({}, 3, []),
        ({"1": 400}, 2, ["1: 400"]),
        ({"1": 413, "3": 422}, 1, ["1: 413", "3: 422"]),
        ({"1": 503}, 0, ["1: 503"]),
        ({"2": 403}, 1, ["2: 403"]),
    ],
)
def test_a_change_that_is_wrong_costs_only_itself(
    answers: dict[str, int], sent: int, problems: list[str]
) -> None:
    poster = Answering("https://build.example.com/x")
    poster.answers = answers
    assert poster.post_all({"revision": number} for number in "123") == (sent, problems)


def test_nothing_that_a_terminal_acts_on_is_printed() -> None:
    assert cleaned("a\x1b[2J\x9b1m\u202eb\nc\u2028\r") == "a\ufffd[2J\ufffd1m\ufffdb\nc\ufffd\ufffd"


def test_it_stands_alone(tmp_path: Path) -> None:
    """No third-party package, and nothing of ours: only what comes with Python."""
    copy = tmp_path / "hook.py"
    copy.write_text(Path(mercurial.__file__).read_text())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import runpy; runpy.run_path('hook.py')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

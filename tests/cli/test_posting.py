"""Posting to a receiver from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner

from change_hooks.cli import main
from change_hooks.cli.posting import Posted, post
from change_hooks.clients.mercurial import Poster

URL = "http://localhost:1/change_hook/base"


def answering(monkeypatch: pytest.MonkeyPatch, status: int, answer: str) -> list[dict[str, str]]:
    """Each response is that one; returns the headers of the requests."""
    sent: list[dict[str, str]] = []

    def exchange(poster: Poster, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        sent.append(headers)
        return status, answer

    monkeypatch.setattr(Poster, "_exchange", exchange)
    return sent


def posted(url: str = URL) -> Posted:
    return post(url, {"secret": None}, lambda poster: poster.post({"branch": "main"}))


def test_the_id_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = answering(monkeypatch, 202, '{"changes": 1, "message": "1 change found", "delivery": "a1"}')
    assert posted() == Posted("1 change found", "a1")
    assert sent[0]["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("1 change found", Posted("1 change found")),
        ('{"message": "no"}', Posted("no")),
        ('{"message": 1}', Posted('{"message": 1}')),
        ("[1]", Posted("[1]")),
    ],
)
def test_any_other_response_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, answer: str, read: Posted
) -> None:
    answering(monkeypatch, 202, answer)
    assert posted() == read


def test_a_refusal_is_shown_without_its_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 403, '{"changes": 0, "message": "the signature does not match"}')
    with pytest.raises(ClickException) as raised:
        posted()
    assert raised.value.message == f"{URL}: 403 the signature does not match"


@pytest.mark.parametrize("command", [["send", URL, "-b", "main"], ["simulate", "base", "--to", URL]])
def test_both_commands_print_it(monkeypatch: pytest.MonkeyPatch, command: list[str], tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    answering(monkeypatch, 202, '{"changes": 1, "message": "1 change found", "delivery": "a1"}')
    assert CliRunner().invoke(main, command).stdout == "a1: 1 change found\n"
    printed = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert printed == {"delivery": "a1", "message": "1 change found"}

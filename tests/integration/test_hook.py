"""``change-hooks hook``: a small forge and a server, over real sockets, and the webhook between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.forge_process import forge_process
from ..support.hook_command import SECRET, github, hook
from .conftest import Server


def test_a_webhook_is_made_and_its_ping_arrives(server: Callable[..., Server], tmp_path: Path) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(github(api))
        url = running.url.removesuffix("/change_hook")
        status, (line,), said = hook(tmp_path, "ensure", "--url", url)
        assert (status, said) == (0, "")
        assert (line["endpoint"], line["source"], line["outcome"]) == ("github", "o/r", "created")
        assert (line["hook"], line["url"]) == ("5", f"{running.url}/github")
        assert (line["events"], line["problems"]) == (["pull_request", "push"], [])
        assert line["test"]["outcome"] == "arrived"
        status, (line,), said = hook(tmp_path, "ensure", "--url", url)
        assert (status, line["outcome"], line["hook"]) == (0, "updated", "5")
        status, (line,), said = hook(tmp_path, "check", "--url", url)
        assert (status, line["outcome"], line["last"]["status"]) == (0, "good", 202)
        assert SECRET not in json.dumps(line)


def test_a_webhook_that_does_not_reach_the_server_is_said(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(github(api))
        status, (line,), _ = hook(
            tmp_path, "ensure", "--url", "http://127.0.0.1:9/change_hook", "--wait", "1"
        )
        assert (status, line["outcome"], line["test"]["outcome"]) == (1, "created", "missing")
        assert "the forge says: no answer (failed to connect to host)" in line["test"]["said"]
        status, (line,), _ = hook(tmp_path, "check", "--url", running.url)
        assert status == 1
        assert line["problems"] == ["wrong URL: webhook 5 leads to http://127.0.0.1:9/change_hook/github"]
        status, (line,), _ = hook(tmp_path, "check")
        assert status == 1
        assert line["problems"][0].startswith("the last delivery failed: no answer (failed to connect")


def test_a_server_with_another_secret_is_said(server: Callable[..., Server], tmp_path: Path) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(github(api))
        config = tmp_path / "hooks.cfg"
        config.write_text(config.read_text().replace(SECRET, "another long secret"))
        status, (line,), _ = hook(tmp_path, "ensure", "--url", running.url)
        assert (status, line["test"]["outcome"]) == (1, "refused")
        assert "403" in line["test"]["said"]


@pytest.mark.parametrize(
    ("dialect", "fake", "repository", "words", "outcome"),
    [
        ("gitlab", "FakeGitLabWebhooks('t0ken', send=send)", "o/r", ["--test"], "arrived"),
        ("gitea", "FakeGiteaWebhooks('token t0ken', send=send)", "o/r", [], "arrived"),
        ("bitbucketcloud", "FakeBitbucketCloudWebhooks('Bearer t0ken', send=send)", "o/r", [], "unsent"),
        ("bitbucketserver", "FakeBitbucketServerWebhooks('Bearer t0ken', send=send)", "o/r", [], "arrived"),
        ("azuredevops", "FakeAzureWebhooks('Basic OnQwa2Vu', send=send)", "acme/p/r", [], "arrived"),
    ],
)
def test_the_webhooks_of_the_other_forges(
    server: Callable[..., Server],
    tmp_path: Path,
    dialect: str,
    fake: str,
    repository: str,
    words: list[str],
    outcome: str,
) -> None:
    with forge_process(tmp_path, fake) as api:
        options = {"secret": SECRET, "token": "t0ken", "api": f"http://127.0.0.1:{api.port}"}
        running = server(f"'change_hook_dialects': {{{dialect!r}: {options!r}}}")
        meant = ("--url", running.url, "--repository", repository)
        status, (line,), said = hook(tmp_path, "ensure", *meant, *words)
        assert (status, said, line["outcome"], line["problems"]) == (0, "", "created", [])
        assert line["test"]["outcome"] == outcome, line["test"]["said"]
        status, (line,), _ = hook(tmp_path, "check", *meant)
        assert (status, line["outcome"]) == (0, "good")
        status, (line,), _ = hook(tmp_path, "ensure", *meant, "--no-test")
        assert (status, line["outcome"]) == (0, "updated")


@pytest.mark.parametrize(
    ("token", "words", "status", "said"),
    [
        ("wrong", ["ensure", "--url", "https://ci.example.com"], 1, "webhooks need: for a classic token"),
        ("t0ken", ["ensure"], 2, "give --url https://YOUR.HOST"),
        ("t0ken", ["check", "gitlab"], 1, "no endpoint 'gitlab'"),
    ],
)
def test_what_does_not_work_says_what_to_do(
    server: Callable[..., Server], tmp_path: Path, token: str, words: list[str], status: int, said: str
) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        server(github(api, token=token))
        ended, lines, errors = hook(tmp_path, *words)
        assert ended == status
        assert said in errors + json.dumps(lines)
        assert "wrong" not in errors.replace("it is wrong or has expired", "")


def test_an_empty_secret_is_never_written(server: Callable[..., Server], tmp_path: Path) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        secret = repr("a long enough secret")
        running = server(github(api).replace(secret, f"lambda delivery: {secret}"))
        status, _, errors = hook(tmp_path, "ensure", "github", "--url", running.url, "--secret", "")
        assert status == 1
        assert "the secret is a callable; give the one to write with --secret" in errors

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import change_hooks.cli as cli
from change_hooks.cli.simulate import page_of
from change_hooks.core.verification import sign_hmac
from change_hooks.vcs.tools import ToolError

URL = "http://localhost:1/change_hook/base"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def dry(*arguments: str) -> dict[str, Any]:
    result = run("send", URL, "--dry-run", *arguments)
    assert result.exit_code == 0, result.output
    fields: dict[str, Any] = json.loads(result.output)
    return fields


def test_what_would_be_sent_is_shown() -> None:
    fields = dry("-w", "Ann", "-f", "a", "-f", "b", "-p", "x=1", "-p", '{"y": [2]}', "--secret", "s3cret")
    assert fields["url"] == URL
    assert (fields["author"], json.loads(fields["files"])) == ("Ann", ["a", "b"])
    assert json.loads(fields["properties"]) == {"x": "1", "y": [2]}
    assert "s3cret" not in json.dumps(fields)


def test_the_author_is_who_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert dry()["author"] == "ann"


def test_a_user_without_a_name_sends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def getuser() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", getuser)
    assert dry()["author"] == "nobody"


@pytest.mark.parametrize(
    ("value", "said"),
    [("x", "neither key=value"), ("=x", "neither key=value"), ("{", "not a valid JSON object")],
)
def test_a_property_that_is_none_is_named(value: str, said: str) -> None:
    result = run("send", URL, "-p", value)
    assert result.exit_code == 2
    assert said in result.output


def test_what_is_no_address_is_an_error() -> None:
    result = run("send", "ftp://x", "-b", "main")
    assert result.exit_code == 1
    assert "not the address of a receiver" in result.output


@pytest.mark.parametrize(
    "event", ["push", "tag", "new-branch", "forced-push", "deletion", "pull-request", "ping"]
)
def test_without_a_repository_the_commits_are_made_up(
    event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = [run("simulate", "github", event, "--to", URL, "--commits", "2", "--dry-run") for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0]
    assert "there is no Git repository with commits here: the commits are made up" in results[0].output
    one, other = (json.loads(json.loads(result.stdout)["body"]) for result in results)
    assert event == "ping" or one != other
    if event == "push":
        assert one["repository"]["html_url"] == "https://forge.example/owner/project"
        assert len(one["commits"]) == 2
        assert all("README.md" in json.dumps(commit) for commit in one["commits"])


def test_what_is_no_repository_is_an_error(tmp_path: Path) -> None:
    result = run("simulate", "github", "push", "--repo", str(tmp_path / "none"), "--to", URL)
    assert result.exit_code == 1
    assert "git: " in result.output


class Repository:
    """A repository with this remote."""

    path = "/srv/api"

    def __init__(self, origin: str | None) -> None:
        self.origin = origin

    def git(self, *arguments: str) -> bytes:
        if arguments == ("remote",):
            return b"" if self.origin is None else b"origin\n"
        if self.origin is None:
            raise ToolError("no such remote")
        return self.origin.encode() + b"\n"


@pytest.mark.parametrize(
    ("origin", "page"),
    [
        ("https://ann:s3cret@github.com/octo-org/api.git", "https://github.com/octo-org/api"),
        ("git@github.com:octo-org/api.git", "https://github.com/octo-org/api"),
        ("ssh://git@host:/a/b.git", "https://host/a/b"),
        ("ssh://git@host:7999/a/b.git", "https://host/a/b"),
        ("/srv/git/api.git", "https://forge.example/owner/api"),
        (None, "https://forge.example/owner/api"),
    ],
)
def test_the_web_page_of_a_remote(origin: str | None, page: str) -> None:
    repository: Any = Repository(origin)
    assert page_of(repository) == page


def configured(folder: Path, dialects: str, port: str = "8123") -> str:
    path = folder / "hooks.cfg"
    path.write_text(f"c = {{'www': {{'port': {port}, 'change_hook_dialects': {dialects}}}}}\n")
    return str(path)


@pytest.fixture
def repository(tmp_path: Path) -> str:
    import subprocess

    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), (*name, "commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return str(tmp_path)


def test_address_and_secret_are_taken_from_the_configuration(repository: str, tmp_path: Path) -> None:
    config = configured(tmp_path, "{'mine': {'dialect': 'github', 'secret': ['s3cret', 'old']}}")
    result = run("simulate", "mine", "tag", config, "--repo", repository, "--dry-run")
    assert result.exit_code == 0, result.output
    sent = json.loads(result.output)
    assert sent["url"] == "http://localhost:8123/change_hook/mine"
    assert sent["headers"]["X-Hub-Signature-256"] == sign_hmac(sent["body"].encode(), b"s3cret")
    assert json.loads(sent["body"])["ref"] == "refs/tags/v1.0"


@pytest.mark.parametrize(
    ("dialects", "port", "said"),
    [
        ("{'gitlab': True}", "8123", "has no endpoint 'github'; valid names are gitlab"),
        (
            "{'github': True}",
            "'unix:/run/x'",
            "no URL can be derived from 'unix:/run/x'; set one with --to",
        ),
        ("{'github': {'secret': {'env': 'X'}}}", "8123", "environment variable X, which is not set"),
        ("{'github': {'secret': len}}", "8123", "give it with --secret"),
    ],
)
def test_what_a_configuration_does_not_tell_is_said(
    dialects: str, port: str, said: str, repository: str, tmp_path: Path
) -> None:
    result = run("simulate", "github", configured(tmp_path, dialects, port), "--repo", repository)
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give --to URL, or a configuration file"),
        (("psh",), "'psh' is neither an event nor a file; valid events are push"),
        (("push", "tag"), "give one event"),
    ],
)
def test_wrong_arguments_of_simulate(arguments: tuple[str, ...], said: str) -> None:
    result = run("simulate", "github", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())

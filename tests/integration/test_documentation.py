"""Every example of the README and the documentation, run as it stands."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

from change_hooks.config import read_www
from change_hooks.core.verification import sign_hmac
from tests.support.programs import curl

from .conftest import PATIENCE, Server, eventually, free_port, program

DUPLICATE = "duplicate of 1, which was accepted before; 'change-hooks replay' processes it again\n"
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
#: The how-to pages whose configurations are complete. So are those of all dialects and sinks.
CONFIGURATIONS = ("protect.md", "behind-a-proxy.md", "buildbot-classes.md", "extend.md")
#: README.md's shell commands set up a whole environment: ``.ci/run`` runs them in a fresh clone.
DOCUMENTS = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts]


class Shell:
    """Runs the shell blocks of one document in one folder; a server goes on in the background.

    The documents' servers all have the default port, so they take turns.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: subprocess.Popen[bytes] | None = None
        self.turn = ExitStack()
        self.last = ("", "")
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def __call__(self, example: Example) -> str | None:
        *before, last = example.parsed.strip().replace("\\\n", " ").split("\n")
        commands = before if last.startswith("change-hooks serve") else [*before, last]
        if commands:
            done = self._run("\n".join(commands))
            if done.returncode:
                return f"{example.parsed}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        if commands != [*before, last]:
            lock = Path(tempfile.gettempdir()) / "change-hooks-port-8010"
            fcntl.flock(self.turn.enter_context(lock.open("w")), fcntl.LOCK_EX)
            leave_alone(8010, 8011)
            log = (self.folder / "server.log").open("w")
            self.server = subprocess.Popen(last.split(), cwd=self.folder, env=self.environment, stderr=log)
            eventually(lambda: curl("http://127.0.0.1:8010/")[0])
        return None

    def _run(self, commands: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.last = (commands, done.stdout)
        return done

    def shows(self, example: Example) -> str | None:
        """A block of text in a tutorial is what the last command prints, or what the server has logged."""
        wanted = ".*".join(re.escape(part) for part in example.parsed.strip().split("…"))
        commands, _ = self.last

        def printed() -> bool:
            log = self.folder / "server.log"
            if example.parsed.startswith("… ["):
                return re.search(f"^{wanted}$", log.read_text(), re.MULTILINE) is not None
            if commands.startswith("change-hooks deliveries"):  # A sink may still be at work.
                self._run(commands)
            return re.fullmatch(wanted, self.last[1].strip()) is not None

        try:
            eventually(printed)
        except AssertionError:
            return f"{example.parsed}\nis not what is printed:\n{self.last[1]}"
        return None

    def end(self) -> None:
        with self.turn:
            if self.server is not None:
                self.server.send_signal(signal.SIGTERM)
                assert self.server.wait(PATIENCE) == 0


def leave_alone(*ports: int) -> None:
    """What listens on a port of the examples is somebody's, and gets nothing."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                refuse = pytest.fail if os.environ.get("CI") else pytest.skip
                refuse(f"port {port} is in use")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    program("curl")
    shell = Shell(tmp_path)
    yield shell
    shell.end()


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_the_examples_of(path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.folder)
    parsers = [PythonCodeBlockParser(), CodeBlockParser("bash", shell)]
    if path.parent.name == "tutorial":
        parsers.append(CodeBlockParser("text", shell.shows))
    sybil = Sybil(parsers=parsers, path=str(ROOT))
    document = sybil.parse(path)
    for example in document.examples():
        example.evaluate()
        if path.parent.name in ("dialects", "sinks") or path.name in CONFIGURATIONS:
            is_valid(document.namespace, strict=path.parent.name == "dialects" or path.name == "protect.md")


def is_valid(namespace: dict[str, Any], *, strict: bool) -> None:
    """The configuration that an example has is valid.

    :param strict: it causes no warnings either.
    """
    for www in filter(None, (namespace.get("c", {}).get("www"), namespace.get("www"))):
        config = read_www(www)
        assert not strict or [each for each in config.warnings if "'poller'" not in each] == []


def test_the_python_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = list(
        Sybil(parsers=[PythonCodeBlockParser()], path=str(ROOT)).parse(ROOT / "README.md").examples()
    )
    assert len(examples) == 2
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("embedded", "ci/change_hook"),
        ("durable", "change_hook"),
        ("own_port", "change_hook"),
        ("in_klein", "ci/change_hook"),
    ],
)
def test_the_embedding_programs(name: str, path: str, tmp_path: Path) -> None:
    port = free_port()
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count("8080") == 1
    (tmp_path / "program.py").write_text(text.replace("8080", str(port)))
    server = Server([sys.executable, "program.py"], tmp_path, port)
    server.start()
    try:
        body = "author=Ann&branch=main&comments=Fix+it"
        url = f"http://127.0.0.1:{port}/{path}"
        sent = ["-d", body, "-H", f"X-Hub-Signature-256: {sign_hmac(body.encode(), b'a long enough secret')}"]
        for address in (f"{url}/base", f"{url}/base/", url):
            assert curl(*sent, address) == (202, "1 change found\n")
        assert curl("-d", body, f"{url}/base")[0] == 403
        assert curl(*sent, f"{url}/base-x")[0] == 404
        eventually(lambda: server.log.read_text().count("Ann changed main: Fix it") == 3)
    finally:
        assert server.stop() == 0


def test_the_first_dialect(tmp_path: Path) -> None:
    folder = installed("first_dialect", tmp_path)
    port = free_port()
    text = (EXAMPLES / "first_dialect" / "hooks.cfg").read_text()
    (tmp_path / "hooks.cfg").write_text(text.replace("8010", str(port)))
    command = ["env", f"PYTHONPATH={folder}", program("change-hooks")]
    checked = subprocess.run(
        [*command, "check", "hooks.cfg"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert "/change_hook/acme  acme_hooks.AcmeEventHandler" in checked.stdout
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "the configuration is good")
    push = {
        "repository": "https://acme.example/api",
        "branch": "main",
        "commits": [
            {"id": "1c9f", "message": "Fix", "author": {"name": "Ann", "email": "ann@example.com"}},
            {"id": "2d8e", "message": "Grüße", "author": {"name": "Änne", "email": "ä@example.com"}},
        ],
    }
    server = Server([*command, "serve", "hooks.cfg"], tmp_path, port)
    server.start()
    try:
        url = f"{server.url}/acme"
        assert post(url, push, "push", "1") == (202, "2 changes found\n")
        assert post(url, push, "push", "1") == (202, DUPLICATE)
        assert post(url, push, "star", "2")[0] == 202
        del push["branch"]
        status, answer = post(url, push, "push", "3")
        assert status == 400
        assert "$.branch" in answer
        assert post(url, push, "push", "4", "another secret")[0] == 403
    finally:
        assert server.stop() == 0
    printed = subprocess.run(
        [*command, "changes", "hooks.cfg", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    changes = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [change["author"] for change in changes] == ["Ann <ann@example.com>", "Änne <ä@example.com>"]
    assert [change["src"] for change in changes] == ["git", "git"]


def installed(example: str, tmp_path: Path) -> Path:
    """Install an example's package into a folder of its own."""
    folder = tmp_path / "installed"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"),
            *("--target", str(folder), str(EXAMPLES / example)),
        ],
        check=True,
    )
    return folder


def test_the_first_sink(tmp_path: Path) -> None:
    folder = installed("first_sink", tmp_path)
    port = free_port()
    text = (EXAMPLES / "first_sink" / "hooks.cfg").read_text()
    (tmp_path / "hooks.cfg").write_text(text.replace("8010", str(port)))
    command = ["env", f"PYTHONPATH={folder}", program("change-hooks")]
    server = Server([*command, "serve", "hooks.cfg"], tmp_path, port)
    server.start()
    try:
        for revision in ("revision=1", "author=nobody", "revision=2"):
            assert curl("-d", f"{revision}&branch=main", f"{server.url}/base")[0] == 202
        eventually(lambda: rows(tmp_path / "audit.sqlite") == [("main", "1"), ("main", "2")])
        eventually(lambda: "dead letter): it has no revision" in server.log.read_text())
    finally:
        assert server.stop() == 0


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT branch, revision FROM pushed ORDER BY revision").fetchall()


def test_on_push_run_this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("buildah")
    for name in ("BUILDAH_ISOLATION", "STORAGE_DRIVER"):
        monkeypatch.setenv(name, {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}[name])
    repository = Pushed(tmp_path / "site")
    monkeypatch.setenv("REPOSITORY", str(repository.folder / ".git"))
    served = tmp_path / "served"
    served.mkdir()
    port = free_port()
    for file in (EXAMPLES / "on_push_run").iterdir():
        (served / file.name).write_text(file.read_text().replace("8010", str(port)))
    server = Server([program("change-hooks"), "serve", "hooks.cfg"], served, port)
    server.start()
    try:
        first = repository.commit({"Makefile": "test:\n\t@echo all is well\n", "src/index": "one"})
        whole = {"Containerfile": "FROM scratch\nCOPY src /\n"}
        second = repository.commit(whole)
        push(server.url, [first, second], list(whole))
        eventually(lambda: (served / "current" / "src" / "index").exists())
        eventually(
            lambda: (served / "tests.log").exists() and "all is well" in (served / "tests.log").read_text()
        )
        eventually(lambda: f"site:{second}" in images() or None)
        assert f"site:{first}" not in images()
        third = repository.commit({"docs/a": "x"})
        push(server.url, [third], ["docs/a"])
        eventually(lambda: (served / "tests.log").read_text().count("all is well") == 2)
        push(server.url, ["f" * 40], ["docs/a"])
        eventually(lambda: "dead letter" in server.log.read_text())
        assert (served / "current").readlink() == Path("releases") / second
        assert f"site:{third}" not in images()
    finally:
        assert server.stop() == 0
        subprocess.run(["buildah", "rmi", f"site:{second}"], check=False, capture_output=True)


def images() -> str:
    shown = subprocess.run(
        ["buildah", "images", "--format", "{{.Name}}:{{.Tag}}"], check=True, capture_output=True, text=True
    )
    return shown.stdout


class Pushed:
    """A repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "-q", "-b", "main")

    def _git(self, *command: str) -> str:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
        done = subprocess.run(
            ["git", *who, *command], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "Work")
        return self._git("rev-parse", "HEAD")


def push(url: str, revisions: list[str], files: list[str]) -> None:
    """What GitHub sends of a push."""
    commits = [
        {
            "id": revision,
            "message": "Work",
            "timestamp": "2026-01-01T00:00:00Z",
            "url": f"https://github.com/octo/site/commit/{revision}",
            "author": {"name": "Ann", "email": "ann@example.com"},
            "added": files,
            "removed": [],
            "modified": [],
        }
        for revision in revisions
    ]
    repository = {"full_name": "octo/site", "html_url": "https://github.com/octo/site", "name": "site"}
    payload = {
        "ref": "refs/heads/main",
        "repository": repository,
        "commits": commits,
        "head_commit": commits[-1],
    }
    body = json.dumps({**payload, "before": "1" * 40, "after": revisions[-1]})
    sent = curl(
        *("-H", "Content-Type: application/json", "-H", "X-GitHub-Event: push"),
        *("-H", f"X-GitHub-Delivery: {revisions[-1]}", "--data-binary", body),
        *("-H", f"X-Hub-Signature-256: {sign_hmac(body.encode(), b'a long enough secret')}", f"{url}/github"),
    )
    assert sent[0] == 202, sent


def post(
    url: str, payload: dict[str, Any], event: str, delivery: str, secret: str = "a long enough secret"
) -> tuple[int, str]:
    body = json.dumps(payload)
    return curl(
        *("-H", "Content-Type: application/json", "-H", f"X-Acme-Event: {event}"),
        *("-H", f"X-Acme-Delivery: {delivery}", "--data-binary", body),
        *("-H", f"X-Acme-Signature: {sign_hmac(body.encode(), secret.encode())}", url),
    )


def test_the_examples_are_all_here() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert programs == {"embedded", "durable", "own_port", "in_klein", "subclassed"}
    assert importlib.util.find_spec("klein") is not None

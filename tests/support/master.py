"""A real Buildbot master."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from change_hooks.core.verification import sign_hmac
from tests.support.programs import curl, eventually, free_port, program
from tests.support.recorded import load


def get(master: str, what: str) -> list[dict[str, Any]]:
    """What the master's REST API lists; asked again when it does not answer."""
    for _ in range(4):
        # What comes of an answer without an end is printed too.
        body = curl("--max-time", "5", f"{master}/api/v2/{what}")[1]
        with suppress(json.JSONDecodeError):
            found: list[dict[str, Any]] = json.loads(body)[what]
            return found
    pytest.fail(f"no whole answer of the master: {body[-200:]}")


def changes_of(master: str) -> list[dict[str, Any]]:
    return get(master, "changes")


def deliver(master: str, name: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    given = [argument for header, value in headers.items() for argument in ("-H", f"{header}: {value}")]
    return curl(*given, "--data-binary", body.decode(), f"{master}/change_hook/{name}")


def example() -> Any:
    """A push of GitHub's."""
    return load("github/push__one_commit").payload


MASTER = """
from buildbot.plugins import changes, schedulers, secrets, util, worker
from change_hooks.hosts.buildbot import ChangeHooks

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "password")]
c["protocols"] = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
c["buildbotNetUsageData"] = None
c["builders"] = [util.BuilderConfig(name="b", workernames=["worker"], factory=util.BuildFactory())]
c["schedulers"] = [schedulers.AnyBranchScheduler(name="all", builderNames=["b"], treeStableTimer=None)]
c["change_source"] = [changes.GitPoller(repourl="file:///nowhere.git", branches=["main"], pollInterval=86400)]
c["db"] = {"db_url": "sqlite:///state.sqlite"}
c["secretsProviders"] = [secrets.SecretInAFile(dirname=basedir + "/secrets")]
c["services"] = SERVICES
c["www"] = {
    "port": "tcp:PORT:interface=127.0.0.1",
    "change_hook_dialects": {"github": {"secret": SECRET, "strict": True}, "poller": {}, MORE},
}
"""
SERVICE = "[ChangeHooks(change_hook_journal='sqlite:///hooks.sqlite')]"


@cache
def created(buildbot: str) -> Path:
    """The folder of a master that was just created. To create another takes a second each time."""
    folder = Path(mkdtemp())
    atexit.register(rmtree, folder)
    subprocess.run([buildbot, "create-master", str(folder)], check=True, capture_output=True)
    return folder


class Master:
    """A master in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.buildbot = program("buildbot")
        self.url = f"http://127.0.0.1:{self.port}"
        template = created(self.buildbot)
        copytree(template, folder, dirs_exist_ok=True)
        start = folder / "buildbot.tac"
        start.write_text(start.read_text().replace(str(template), str(folder)))
        (folder / "secrets").mkdir(mode=0o700)
        (folder / "secrets" / "hook").write_text("from a file")
        (folder / "secrets" / "hook").chmod(0o600)

    def _run(self, command: str) -> None:
        done = subprocess.run(
            [self.buildbot, command, str(self.folder)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + self.log()

    def log(self) -> str:
        log = self.folder / "twistd.log"
        return log.read_text() if log.exists() else ""

    def configure(
        self, secret: str = "'s3cret'", services: str = SERVICE, more: str = "", prelude: str = ""
    ) -> None:
        text = MASTER.replace("SERVICES", services).replace("SECRET", secret).replace("PORT", str(self.port))
        text = text.replace(", MORE", f", {more}")
        (self.folder / "master.cfg").write_text(prelude + text.replace("basedir", repr(str(self.folder))))

    def start(self, *, ours: bool = True) -> None:
        self._run("start")
        if ours:
            eventually(lambda: "application/json" in self.options())
        else:
            eventually(lambda: curl(f"{self.url}/api/v2/changes")[0] == 200)

    def options(self) -> str:
        return curl("-i", "-H", "Accept: application/json", f"{self.url}/change_hook/nothing")[1]

    def reconfig(self) -> None:
        self._run("reconfig")

    def checkconfig(self) -> tuple[int, str]:
        done = subprocess.run(
            [self.buildbot, "checkconfig", str(self.folder)], check=False, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self) -> None:
        """What ``buildbot stop`` does, which takes two seconds longer."""
        running = self.folder / "twistd.pid"
        os.kill(int(running.read_text()), signal.SIGTERM)
        eventually(lambda: not running.exists())

    def push(self, id: str, secret: bytes = b"s3cret", *, payload: Any = None) -> tuple[int, str]:
        body = json.dumps(payload or example()).encode()
        return deliver(
            self.url,
            "github",
            body,
            {
                "Content-Type": "application/json",
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": id,
                "X-Hub-Signature-256": sign_hmac(body, secret),
            },
        )

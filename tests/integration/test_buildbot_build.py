"""From a push to a build: a real master, a real worker, real repositories."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import CLIENTS, Git, Hg, run

from ..support.master import Master, changes_of, get
from .conftest import Server, eventually, free_port, program

CONFIG = """
from buildbot.plugins import changes, schedulers, secrets, steps, util, worker
from change_hooks.hosts.buildbot import ChangeHooks

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "password")]
c["protocols"] = {"pb": {"port": "tcp:WORKERS:interface=127.0.0.1"}}
c["buildbotNetUsageData"] = None
factory = util.BuildFactory([
    steps.Git(repourl=util.Property("repository"), mode="full", method="fresh"),
    steps.ShellCommand(command=["cat", "greeting"]),
])
c["builders"] = [util.BuilderConfig(name="b", workernames=["worker"], factory=factory)]
c["schedulers"] = [
    schedulers.AnyBranchScheduler(
        name="git", builderNames=["b"], treeStableTimer=None, change_filter=util.ChangeFilter(category="build")
    )
]
c["secretsProviders"] = [secrets.SecretInAFile(dirname=basedir + "/secrets")]
c["change_source"] = [
    changes.PBChangeSource(port="tcp:CHANGES:interface=127.0.0.1", user="change", passwd="a password")
]
c["services"] = [ChangeHooks(change_hook_journal="sqlite:///hooks.sqlite")]
c["db"] = {"db_url": "sqlite:///state.sqlite"}
c["www"] = {
    "port": "tcp:PORT:interface=127.0.0.1",
    "change_hook_dialects": {"base": {"secret": util.Interpolate("%(secret:hook)s")}},
}
"""


class BuildMaster(Master):
    """A master with a port for changes and one for workers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.changes, self.workers = free_port(), free_port()
        text = CONFIG.replace("basedir", repr(str(folder)))
        for name, port in (("PORT", self.port), ("CHANGES", self.changes), ("WORKERS", self.workers)):
            text = text.replace(name, str(port))
        (folder / "master.cfg").write_text(text)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildMaster]:
    master = BuildMaster(tmp_path_factory.mktemp("master"))
    master.start()
    yield master
    master.stop()


@pytest.fixture(scope="module")
def worker(master: BuildMaster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    command, folder = program("buildbot-worker"), tmp_path_factory.mktemp("worker")
    address = f"127.0.0.1:{master.workers}"
    create = [command, "create-worker", str(folder), address, "worker", "password"]
    subprocess.run(create, check=True, capture_output=True)
    started = subprocess.run([command, "start", str(folder)], check=False, capture_output=True, text=True)
    assert started.returncode == 0, started.stdout
    yield
    subprocess.run([command, "stop", str(folder)], check=True, capture_output=True)


@pytest.mark.usefixtures("worker")
def test_a_worker_builds_what_a_git_push_brought(master: BuildMaster, tmp_path: Path) -> None:
    hook = f"{master.url}/change_hook/base"
    git = Git(tmp_path, "--to", hook, "--category", "build", "--secret", "'from a file'")
    revision = git.commit("greeting", "hello")
    assert "1 change sent" in git.git("push", "origin", "main")

    def built() -> Any:
        return [build for build in get(master.url, "builds") if build["complete"]]

    (build,) = eventually(built)  # type: ignore[misc]
    assert build["state_string"] == "build successful"
    (change,) = [each for each in changes_of(master.url) if each["category"] == "build"]
    assert (change["revision"], change["branch"]) == (revision, "main")
    assert change["repository"] == str(git.there)


FORWARD = Path(__file__).parents[2] / "docs" / "examples" / "forward"


def test_the_documented_master(tmp_path: Path) -> None:
    (tmp_path / "master.cfg").write_text((FORWARD / "master.cfg").read_text())
    run("buildbot", "checkconfig", "master.cfg", cwd=tmp_path)


def test_github_and_bitbucket_outside_reach_a_master_inside(master: BuildMaster, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", "x")
    revision = git.commit("\u00fc", "\u00f6ne")
    port = free_port()
    text = (
        (FORWARD / "hooks.cfg")
        .read_text()
        .replace("tcp:8010", f"tcp:{port}:interface=127.0.0.1")
        .replace("9999", str(master.changes))
    )
    (tmp_path / "hooks.cfg").write_text(text)
    outside = Server([program("change-hooks"), "serve", "hooks.cfg"], tmp_path, port)
    outside.start()
    try:
        for dialect, secret in (
            ("github", "a long enough secret"),
            ("bitbucketcloud", "another long secret"),
        ):
            sent = ("change-hooks", "simulate", dialect, "push", "--repo", "work", "--secret", secret)
            answer = run(*sent, "--to", f"{outside.url}/{dialect}", cwd=tmp_path)
            assert answer.endswith("1 change found\n")

        def both() -> Any:
            found = [each for each in changes_of(master.url) if each["revision"] == revision]
            return found if len(found) == 2 else None

        arrived: Any = eventually(both)
        by_github = next(each for each in arrived if each["files"])
        assert (by_github["author"], by_github["comments"]) == ("\u00c4nn <ann@example.com>", "\u00f6ne")
        assert (by_github["files"], by_github["branch"]) == (["\u00fc"], "main")
        assert by_github["properties"]["event"] == ["push", "Change"]
        assert by_github["when_timestamp"] > 1_700_000_000
        assert outside.stop() == 0
    finally:
        if outside.process is not None and outside.process.poll() is None:
            outside.kill()


def test_a_master_that_is_down_gets_the_changes_later(server: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / "master"
    folder.mkdir()
    late = BuildMaster(folder)
    sink = {
        "sink": "buildbot_pb",
        "master": f"127.0.0.1:{late.changes}",
        "user": "change",
        "passwd": "a password",
    }
    running = server(f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {{'m': {sink!r}}}")
    run("change-hooks", "send", f"{running.url}/base", "-R", "1", "-b", "main", cwd=tmp_path)
    late.start()
    try:
        change: Any = eventually(lambda: changes_of(late.url))
        assert change[0]["revision"] == "1"
    finally:
        late.stop()


def test_a_mercurial_push_reaches_a_master(master: BuildMaster, tmp_path: Path) -> None:
    url = f"{master.url}/change_hook/base"
    hg = Hg(
        tmp_path,
        f"[hooks]\nchangegroup.x = python:{CLIENTS / 'mercurial.py'}:hook\n"
        f"[hgbuildbot]\nmaster = {url}\nsecret = from a file\n",
    )
    hg.commit("a", "h\u00f6")
    assert "1 change sent" in hg.push()
    arrived: Any = eventually(
        lambda: [each for each in changes_of(master.url) if each["comments"] == "h\u00f6"]
    )
    assert json.loads(json.dumps(arrived[0]["properties"])) == {"is_merge": [False, "Change"]}

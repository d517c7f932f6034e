"""The service ``ChangeHooks`` in a real Buildbot master."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from ..support.master import Master, changes_of, curl, example, get
from ..support.programs import eventually, free_port, program

DUPLICATE = "duplicate of 1, which was accepted before; 'change-hooks replay' processes it again\n"


@pytest.fixture
def master(tmp_path: Path) -> Any:
    master = Master(tmp_path)
    yield master
    if (tmp_path / "twistd.pid").exists():
        master.stop()


def test_changes_reach_the_master_through_the_journal(master: Master) -> None:
    master.configure()
    master.start()
    assert master.push("1") == (202, "1 change found\n")
    assert master.push("1") == (202, DUPLICATE)
    assert master.push("2", b"forged")[0] == 403
    eventually(lambda: get(master.url, "buildrequests"))
    (change,) = changes_of(master.url)
    assert change["comments"] == example()["head_commit"]["message"]
    assert curl("-d", "poller=nobody", f"{master.url}/change_hook/poller")[0] == 400
    assert "nowhere" not in curl("-d", "poller=nobody", f"{master.url}/change_hook/poller")[1]
    assert (master.folder / "hooks.sqlite").exists()

    master.configure("'a new one'")
    master.reconfig()
    assert master.push("3")[0] == 403
    assert master.push("3", b"a new one") == (202, "1 change found\n")
    master.configure("util.Secret('hook')")
    master.reconfig()
    assert master.push("4", b"a new one")[0] == 403
    assert master.push("4", b"from a file") == (202, "1 change found\n")
    eventually(lambda: len(changes_of(master.url)) == 3)
    looks_into_its_journal(master)

    master.stop()
    master.start()
    assert master.push("1", b"from a file") == (202, DUPLICATE)
    master.configure(services="[]")
    master.reconfig()
    eventually(lambda: "application/json" not in master.options())  # Buildbot's own again


def looks_into_its_journal(master: Master) -> None:
    """The command line, by ``master.cfg`` and by the journal alone; only the master can read its
    ``util.Secret``.
    """

    def change_hooks(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [program("change-hooks"), command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=master.folder.parent,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = str(master.folder / "master.cfg")
    assert "util.Secret" in Path(file).read_text()
    for replays, named in enumerate([(file,), ("--journal", f"sqlite:///{master.folder}/hooks.sqlite")]):
        lines = change_hooks("deliveries", *named, "--json").splitlines()
        listed = [json.loads(line) for line in lines]
        assert [line["delivery"] for line in listed if line["state"] == "delivered"] == ["4", "3", "1"]
        assert "buildbot: taken" in change_hooks("show", *named, "4")
        assert "nothing is waiting" in change_hooks("status", *named)
        replayed = change_hooks("replay", *named, "4", "--all-sinks")
        assert replayed == "Replayed 1 delivery; none failed.\n"
        eventually(lambda wanted=4 + replays: len(changes_of(master.url)) == wanted)
    explained = change_hooks("explain", file, "4")
    assert "now: 1 change" in explained
    assert "the Buildbot master's own sink: wants every change" in explained
    assert "journal: " + str(master.folder / "hooks.sqlite") in change_hooks("check", file)


def test_a_wrong_key_is_told_by_checkconfig(master: Master) -> None:
    master.configure(services="[ChangeHooks(change_hook_jurnal='x', change_hook_dialects={})]")
    status, text = master.checkconfig()
    assert status != 0
    assert "'change_hook_journal'" in text
    assert "belong to c['www']" in text
    assert text.count("change_hook_jurnal") == 1


WRONG = [
    ("'github2': {'dialect': 'github', 'stict': True}", "unknown option 'stict'; did you mean 'strict'?"),
    ("'nobody': {'secret': 'x'}", "dialect 'nobody': no dialect of this name"),
    ("'gitlab': {'secret': {'file': 'not-there'}}", "not-there, which cannot be read"),
]


def test_wrong_dialects_are_told_by_checkconfig_and_refused_by_reconfig(master: Master) -> None:
    master.configure()
    assert master.checkconfig()[0] == 0
    master.start()
    assert "no dialect is enabled" not in master.log()
    for number, (more, problem) in enumerate(WRONG, 1):
        master.configure("'a new one'", more=more)
        status, text = master.checkconfig()
        assert status != 0
        assert problem in text
        assert "c['www']: dialect" in text
        refused = subprocess.run(
            [master.buildbot, "reconfig", str(master.folder)], check=False, capture_output=True, text=True
        )
        assert refused.returncode != 0
        assert master.log().count("aborted without making any changes") == number
        assert problem in master.log()
        assert master.push(f"{number}") == (202, "1 change found\n")
        assert master.push(f"{number}b", b"a new one")[0] == 403
        eventually(lambda wanted=number: len(changes_of(master.url)) == wanted)


BROKEN = """'broken': {"custom_class": type("Broken", (), {
    "__init__": lambda self, master, options: 1 / 0, "getChanges": lambda self, request: ([], None)})}"""


def test_a_handler_that_cannot_be_made_turns_off_its_endpoint_alone(master: Master) -> None:
    master.configure(more="'broken': {'dialect': 'github', 'secret': 'old', 'strict': True}")
    master.start()
    master.configure("'a new one'", more=BROKEN)
    master.reconfig()
    assert "the dialect 'broken' is off: could not create its handler" in master.log()
    assert "ZeroDivisionError" in master.log()
    status, text = curl("-d", "{}", f"{master.url}/change_hook/broken")
    assert (status, "this endpoint is off" in text) == (503, True)
    assert curl("-d", "{}", f"{master.url}/change_hook/broken/")[0] == 503
    assert master.push("1")[0] == 403
    assert master.push("2", b"a new one") == (202, "1 change found\n")
    master.configure("'a third one'")
    master.reconfig()
    assert curl("-d", "{}", f"{master.url}/change_hook/broken")[0] == 404
    assert master.push("3", b"a third one")[0] == 202


def test_a_master_starts_with_a_handler_that_cannot_be_made(master: Master) -> None:
    master.configure(more=BROKEN)
    master.start()
    assert master.push("1") == (202, "1 change found\n")
    assert curl("-d", "{}", f"{master.url}/change_hook/broken")[0] == 503


def test_buildbots_own_hook_never_answers(master: Master) -> None:
    """Neither while the master starts nor while it stops: connections are refused, or the answer is ours."""
    master.configure()
    answers: list[str] = []
    for command in ("start", "stop"):
        with subprocess.Popen(
            [master.buildbot, command, str(master.folder)], stdout=subprocess.DEVNULL
        ) as to:
            while to.poll() is None:
                status, text = curl("-H", "Accept: application/json", f"{master.url}/change_hook/nothing")
                if status:
                    answers.append(f"{status} {text}")
    assert answers
    assert {answer[:3] for answer in answers} <= {"404", "503"}
    assert all('"message"' in answer for answer in answers)


def test_the_documented_resource_at_another_address(master: Master) -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "buildbot" / "internal.py"
    master.configure(services="services", prelude=example.read_text())
    master.start(ours=False)
    eventually(lambda: curl("-d", "revision=1", f"{master.url}/internal/base")[0] == 202)
    eventually(lambda: len(changes_of(master.url)) == 1)
    assert curl("-d", "revision=1", f"{master.url}/internal/github")[0] == 404


def test_the_documented_configuration(master: Master) -> None:
    examples = Path(__file__).parents[2] / "docs" / "examples" / "buildbot"
    (master.folder / "master.cfg").write_text((examples / "master.cfg").read_text())
    command = [master.buildbot, "checkconfig", str(master.folder / "master.cfg")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=master.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "github" in run_path(str(examples / "one_dialect.py"))["c"]["www"]["change_hook_dialects"]


def test_the_page_for_operators_is_on_a_port_of_its_own(master: Master) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    admin = f"change_hook_admin={{'port': {port}}}"
    master.configure(services=f"[ChangeHooks(change_hook_journal='sqlite:///hooks.sqlite', {admin})]")
    master.start()
    assert master.push("1") == (202, "1 change found\n")
    eventually(lambda: "delivered" in curl(f"{page}/")[1])
    status, delivery = curl(f"{page}/deliveries/1")
    assert status == 200
    assert "buildbot" in delivery
    assert curl("-H", "Host: evil.example", f"{page}/")[0] == 403
    assert curl(f"{master.url}/deliveries/1")[0] == 404

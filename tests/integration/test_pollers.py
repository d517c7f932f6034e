"""Pollers of a server of its own, looking into real repositories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from change_hooks.pollers import GitPoller, HgPoller, Looked, Poller, SVNPoller, split_file_branches
from change_hooks.vcs.tools import ToolError
from tests.support.programs import curl, program
from tests.support.repositories import Git, Hg, run
from tests.support.served import stored

from .conftest import Server, eventually


def configured(server: Callable[..., Server], folder: Path, source: str) -> Server:
    """A server with a poller that looks at the start, and when it is poked."""
    text = f"from change_hooks.pollers import *\nc['change_source'] = {source}\n"
    running = server("'change_hook_dialects': {'poller': True}")
    config = folder / "hooks.cfg"
    config.write_text(config.read_text() + text)
    running.kill()
    running.start()
    return running


def poke(running: Server) -> None:
    assert curl("-X", "POST", f"{running.url}/poller")[0] == 202


def seen(running: Server, folder: Path, count: int) -> list[str]:
    """Poke until there are so many changes; their revisions."""

    def enough() -> bool:
        poke(running)
        return len(stored(folder)) >= count

    eventually(enough)
    return [change["revision"] for change in stored(folder)]


def said(running: Server, what: str) -> None:
    eventually(lambda: what in running.log.read_text())


def test_a_git_repository(server: Callable[..., Server], tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "before the poller")
    git.git("push", "-q", "origin", "main")
    source = f"GitPoller({str(git.there)!r}, branches=['main', 'rel*'], pollInterval=0, pollAtLaunch=True, project='p')"
    running = configured(server, tmp_path, source)
    git_folder = tmp_path / "change-hooks-pollers"
    first = git.commit("\u00fc", "\u00f6ne")
    second = git.commit("b", "two")
    eventually(lambda: "gitpoller" in dump(tmp_path))
    git.git("push", "-q", "origin", "main")
    assert seen(running, tmp_path, 2) == [first, second]
    assert git_folder.exists()
    change = stored(tmp_path)[0]
    assert (change["comments"], change["files"], change["branch"]) == ("\u00f6ne", ["\u00fc"], "main")
    assert (change["project"], change["repository"], change["src"]) == ("p", str(git.there), "git")
    # Down, and up again: what came meanwhile is found at the start.
    running.kill()
    third = git.commit("c", "three")
    git.git("push", "-q", "origin", "main", "main:release", "main:unwanted")
    running.start()
    eventually(lambda: len(stored(tmp_path)) == 4)
    assert {(each["branch"], each["revision"]) for each in stored(tmp_path)[2:]} == {
        ("main", third),
        ("release", third),
    }
    # Forced back: where the branch is now.
    git.git("push", "-q", "-f", "origin", f"{first}:main")
    assert seen(running, tmp_path, 5)[4:] == [first]
    git.there.rename(tmp_path / "gone.git")
    poke(running)
    said(running, "does not appear to be a git repository")
    (tmp_path / "gone.git").rename(git.there)
    git.git("push", "-q", "origin", ":release")
    fourth = git.commit("d", "four")
    git.git("push", "-q", "-f", "origin", "main")
    assert seen(running, tmp_path, 6)[-1] == fourth
    assert running.stop() == 0


def dump(folder: Path) -> str:
    """What the journal remembers of pollers."""
    import sqlite3

    with sqlite3.connect(folder / "change-hooks.sqlite") as connection:
        return repr(
            connection.execute("SELECT name, value FROM memory WHERE name LIKE 'poller %'").fetchall()
        )


def looked(poller: Poller, folder: Path, state: Any = None) -> Looked:
    """A look of a poller, without a server; its state comes back as a journal gives it."""
    look = poller.look(state, folder / "kept")
    return Looked(look.found, json.loads(json.dumps(look.state)), look.problems, look.notes)


def found(look: Looked) -> list[tuple[str | None, str]]:
    return [(change.branch, change.comments) for each in look.found for change in each.changes]


def bare(folder: Path) -> Git:
    git = Git(folder, "--to", "x")
    (git.there / "hooks/post-receive").unlink()
    return git


SLOW = """
from pathlib import Path
from change_hooks.pollers import Poller
from change_hooks.vcs.tools import run

class Slow(Poller):
    def look(self, state, folder):
        Path("begun").touch()
        run(["sleep", "300"])

c['change_source'] = Slow("repository", pollAtLaunch=True)
"""


def test_a_server_ends_while_a_poller_looks(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server("'change_hook_dialects': {'base': True}")
    assert running.stop() == 0
    config = tmp_path / "hooks.cfg"
    config.write_text(config.read_text() + SLOW)
    running.start()
    eventually((tmp_path / "begun").exists)
    assert running.stop() == 0


def test_a_branch_in_the_place_of_a_folder_of_branches(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main", "main:refs/heads/feature")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.git("push", "-q", "origin", ":feature")
    git.git("push", "-q", "origin", "main:refs/heads/feature/foo")
    git.commit("b", "two")
    git.git("push", "-q", "origin", "main")
    look = looked(poller, tmp_path, state)
    assert sorted(found(look), key=str) == [("feature/foo", "one"), ("main", "two")]
    assert look.problems == []


def test_names_with_odd_letters(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    odd = ["a\u3000b", "c\u0085d", "e\u2028f"]
    git.git("push", "-q", "origin", *(f"main:refs/heads/{name}" for name in odd))
    head = git.git("rev-parse", "main").strip().encode()
    subprocess.run(["git", "-C", git.there, "update-ref", b"refs/heads/caf\xe9", head], check=True)
    look = looked(poller, tmp_path, state)
    assert {branch for branch, _ in found(look)} == {*odd, "caf\ufffd"}
    assert looked(poller, tmp_path, look.state).found == []


def test_a_history_that_was_rewritten_gives_its_head(tmp_path: Path) -> None:
    git = bare(tmp_path)
    for number in range(25):
        git.commit("a", f"{number}")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.git("commit", "-q", "--amend", "-m", "amended")
    git.git("push", "-q", "-f", "origin", "main")
    look = looked(poller, tmp_path, state)
    assert found(look) == [("main", "amended")]
    # Nor when its folder is gone, and the commit that it knew with it.
    shutil.rmtree(tmp_path / "kept")
    git.git("commit", "-q", "--amend", "-m", "amended again")
    git.git("push", "-q", "-f", "origin", "main")
    for command in ("reflog expire --expire=now --all", "gc -q --prune=now"):
        run("git", "-C", str(git.there), *command.split(), cwd=tmp_path)
    look = looked(poller, tmp_path, look.state)
    assert found(look) == [("main", "amended again")]
    assert "only its head is sent" in look.notes[0]


def test_of_another_history_only_the_head_is_news(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.git("checkout", "-q", "--orphan", "again")
    for number in range(3):
        git.commit("b", f"again {number}")
    git.git("push", "-q", "--force", "origin", "again:main")
    look = looked(poller, tmp_path, state)
    assert found(look) == [("main", "again 2")]
    assert look.notes == ["main: it shares nothing with the previous history; only its head is sent"]
    git.git("checkout", "-q", "--orphan", "pages")
    for number in range(2):
        git.commit("c", f"page {number}")
    git.git("push", "-q", "origin", "pages")
    assert found(looked(poller, tmp_path, look.state)) == [("pages", "page 0"), ("pages", "page 1")]


def test_what_a_git_that_was_killed_left_behind_stops_nothing(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    ours = poller.work_folder(tmp_path / "kept")
    (ref,) = (ours / "refs/polled").iterdir()
    ref.with_suffix(".lock").write_text("")
    (ours / "packed-refs.lock").write_text("")
    git.commit("a", "two")
    git.git("push", "-q", "origin", "main")
    look = looked(poller, tmp_path, state)
    assert (found(look), look.problems) == ([("main", "two")], [])
    (ours / "HEAD").write_text("not a ref")
    git.commit("a", "three")
    git.git("push", "-q", "origin", "main")
    look = looked(poller, tmp_path, look.state)
    assert (found(look), look.problems) == ([("main", "three")], [])


def test_a_copy_stays_while_git_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.commit("a", "two")
    git.git("push", "-q", "origin", "main")
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin/git"
    broken.write_text(f'#!/bin/sh\ncase "$*" in *--git-dir*) exit 128;; esac\nexec {program("git")} "$@"\n')
    broken.chmod(0o755)
    ours = poller.work_folder(tmp_path / "kept")
    objects = sorted(ours.rglob("objects/*/*"))
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        with pytest.raises(ToolError):
            looked(poller, tmp_path, state)
    assert sorted(ours.rglob("objects/*/*")) == objects
    assert found(looked(poller, tmp_path, state)) == [("main", "two")]


def test_a_copy_that_was_not_finished_is_not_taken_for_the_repository_around_it(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    (tmp_path / "kept").mkdir(exist_ok=True)
    run("git", "init", "-q", ".", cwd=tmp_path / "kept")
    poller.work_folder(tmp_path / "kept").mkdir(parents=True)
    looked(poller, tmp_path)
    assert run("git", "for-each-ref", cwd=tmp_path / "kept") == ""


def test_a_pull_of_mercurial_that_was_killed_stops_nothing(tmp_path: Path) -> None:
    hg = Hg(tmp_path, "")
    hg.commit("a", "one")
    hg.push()
    poller = HgPoller(str(tmp_path / "there"))
    state = looked(poller, tmp_path).state
    hg.commit("a", "two")
    hg.push()
    killing = ("--config", "hooks.pretxnchangegroup=kill -9 $PPID")
    ours = poller.work_folder(tmp_path / "kept")
    run("hg", "pull", "-q", *killing, poller.repourl, cwd=ours, status=-9)
    look = looked(poller, tmp_path, state)
    assert (found(look), look.problems) == ([("default", "two")], [])


def test_names_of_64_digits(tmp_path: Path) -> None:
    run("git", "init", "-q", "-b", "main", "--object-format=sha256", "there", cwd=tmp_path)
    there = tmp_path / "there"
    run("git", "commit", "-q", "--allow-empty", "-m", "one", cwd=there)
    poller = GitPoller(str(there))
    state = looked(poller, tmp_path).state
    run("git", "commit", "-q", "--allow-empty", "-m", "two", cwd=there)
    look = looked(poller, tmp_path, state)
    assert (found(look), look.problems) == ([("main", "two")], [])


def test_a_branch_that_is_wanted_later_is_not_news(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    git.commit("a", "two")
    git.git("push", "-q", "origin", "main:refs/heads/later")
    state = looked(GitPoller(str(git.there), branches=["main"]), tmp_path).state
    git.commit("a", "three")
    git.git("push", "-q", "origin", "main:refs/heads/later")
    look = looked(GitPoller(str(git.there), branches=["main", "later"]), tmp_path, state)
    assert found(look) == [("later", "three")]


def test_found_again_from_the_same_state_it_has_the_same_name(tmp_path: Path) -> None:
    git = bare(tmp_path)
    first = git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.commit("a", "two")
    git.git("push", "-q", "origin", "main")
    once = looked(poller, tmp_path, state)
    git.commit("a", "three")
    git.git("push", "-q", "origin", "main")
    again = looked(poller, tmp_path, state)
    assert [each.id for each in again.found][:1] == [each.id for each in once.found]
    # Set back, and forth again: news each time.
    git.git("push", "-q", "-f", "origin", f"{first}:main")
    back = looked(poller, tmp_path, again.state)
    git.git("push", "-q", "origin", "main")
    forth = looked(poller, tmp_path, back.state)
    names = [each.id for look in (again, back, forth) for each in look.found]
    assert len(names) == len(set(names)) == 5


def test_a_commit_or_a_branch_that_is_broken_costs_itself(tmp_path: Path) -> None:
    git = bare(tmp_path)
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    poller = GitPoller(str(git.there))
    state = looked(poller, tmp_path).state
    git.git("checkout", "-q", "-b", "broken")
    git.commit("b", "only here")
    blob = git.git("rev-parse", "HEAD:b").strip()
    git.git("checkout", "-q", "main")
    git.commit("c", "two")
    git.git("push", "-q", "origin", "main", "broken")
    (git.there / "objects" / blob[:2] / blob[2:]).unlink()
    look = looked(poller, tmp_path, state)
    assert found(look) == [("main", "two")]
    (problem,) = look.problems
    assert "broken cannot be fetched" in problem
    # Mended, it is found.
    shutil.copy(git.work / ".git/objects" / blob[:2] / blob[2:], git.there / "objects" / blob[:2])
    assert found(looked(poller, tmp_path, look.state)) == [("broken", "only here")]


def test_a_password_is_in_no_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "bin").mkdir()
    for tool in ("git", "hg", "svn"):
        script = tmp_path / "bin" / tool
        script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >>{seen}\necho 'fatal: no' >&2\nexit 1\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    url = "https://ann:s3c%40ret@git.example/x"
    for poller in (GitPoller(url), HgPoller(url), SVNPoller(url)):
        (poller.work_folder(tmp_path / "kept") / ".hg").mkdir(parents=True)
        with pytest.raises(ToolError):
            poller.look(None, tmp_path / "kept")
    assert seen.read_text().count("https://git.example/x") == 3
    assert "s3c" not in seen.read_text()


def test_a_file_name_of_mercurial_that_is_not_text(tmp_path: Path) -> None:
    hg = Hg(tmp_path, "")
    hg.commit("a", "one")
    hg.push()
    poller = HgPoller(str(tmp_path / "there"))
    state = looked(poller, tmp_path).state
    hg.commit("b\u2028c d%20", "two\u2028lines\nmore")
    Path(os.fsdecode(os.fsencode(hg.work) + b"/caf\xe9.txt")).write_text("x")
    hg.commit("b", "three")
    run("hg", "commit", "-q", "--close-branch", "-u", "x", "-m", "closed", cwd=hg.work)
    hg.push()
    look = looked(poller, tmp_path, state)
    assert found(look) == [("default", "two\u2028lines\nmore"), ("default", "three")]
    assert [each.changes[0].files for each in look.found] == [["b\u2028c d%20"], ["b", "caf\ufffd.txt"]]
    assert look.notes == ["closed branches, which give no change: default"]


def test_another_mercurial_repository_in_the_place_of_one(tmp_path: Path) -> None:
    hg = Hg(tmp_path, "")
    hg.commit("a", "one")
    hg.push()
    poller = HgPoller(str(tmp_path / "there"))
    state = looked(poller, tmp_path).state
    shutil.rmtree(tmp_path / "there")
    shutil.rmtree(hg.work)
    other = Hg(tmp_path, "")
    for number in range(3):
        other.commit("b", f"another {number}")
    other.push()
    look = looked(poller, tmp_path, state)
    assert found(look) == [("default", "another 2")]
    assert look.notes == ["a history shares nothing with the previous one; only its heads are sent"]
    other.commit("b", "more")
    other.push()
    assert found(looked(poller, tmp_path, look.state)) == [("default", "more")]


def test_more_heads_than_an_argument_has_room_for(tmp_path: Path) -> None:
    hg = Hg(tmp_path, "")
    hg.commit("a", "one")
    hg.push()
    poller = HgPoller(str(tmp_path / "there"))
    (known,) = looked(poller, tmp_path).state
    hg.commit("a", "two")
    hg.push()
    heads = [known, *(f"{number:040x}" for number in range(1, 4000))]
    assert found(looked(poller, tmp_path, heads)) == [("default", "two")]


@pytest.mark.parametrize(
    "spelled", ["My%20Project/caf%c3%a9", "My%20Project//caf%C3%A9", "My%20Project/caf\u00e9/"]
)
def test_an_address_as_subversion_spells_it(spelled: str, tmp_path: Path) -> None:
    run("svnadmin", "create", "there", cwd=tmp_path)
    root = f"file://{tmp_path}/there"
    folder = f"{root}/My%20Project/caf%C3%A9"
    layout = [f"{folder}/trunk", f"{folder}/branches/old"]
    run("svn", "mkdir", "-q", "--parents", "-m", "l", *layout, cwd=tmp_path)
    poller = SVNPoller(f"{root}/{spelled}", split_file=split_file_branches)
    state = looked(poller, tmp_path).state
    run("svn", "mkdir", "-q", "-m", "one", f"{folder}/trunk/a\u2028b", cwd=tmp_path)
    run("svn", "rm", "-q", "-m", "drop", f"{folder}/branches/old", cwd=tmp_path)
    run("svn", "mkdir", "-q", "-m", "elsewhere", f"{folder}/tags", cwd=tmp_path)
    look = looked(poller, tmp_path, state)
    assert found(look) == [(None, "one")]
    assert look.found[0].changes[0].files == ["a\u2028b/"]
    assert [note.partition(" (")[0] for note in look.notes] == [
        "revision 3 deleted branches/old",
        "revision 4 is on no branch",
    ]


def test_a_subversion_repository_that_went_back(tmp_path: Path) -> None:
    poller = SVNPoller(f"file://{tmp_path}/there")
    ids = []
    for date in ("2026-01-02", "2026-01-03"):
        shutil.rmtree(tmp_path / "there", ignore_errors=True)
        run("svnadmin", "create", "there", cwd=tmp_path)
        look = looked(poller, tmp_path, 7)
        assert (look.state, look.problems) == (0, ["the newest revision is 0, but it was 7 before"])
        allowed = tmp_path / "there/hooks/pre-revprop-change"
        allowed.write_text("#!/bin/sh\n")
        allowed.chmod(0o755)
        run("svn", "mkdir", "-q", "-m", date, f"{poller.address}/a", cwd=tmp_path)
        dated = ("propset", "-q", "--revprop", "-r", "1", "svn:date", f"{date}T00:00:00.000000Z")
        run("svn", *dated, poller.address, cwd=tmp_path)
        (of_one,) = looked(poller, tmp_path, 0).found
        assert of_one.changes[0].revision == "1"
        ids.append(poller.delivery(of_one, 0.0).id)
    assert ids[0] != ids[1]


def test_tags_of_a_git_repository(server: Callable[..., Server], tmp_path: Path) -> None:
    git = bare(tmp_path)
    first = git.commit("a", "one")
    running = configured(
        server, tmp_path, f"GitPoller({str(git.there)!r}, only_tags=True, pollInterval=0, pollAtLaunch=True)"
    )
    eventually(lambda: "gitpoller" in dump(tmp_path))
    git.git("tag", "-a", "-m", "x", "v1")
    git.git("push", "-q", "origin", "main", "--tags")
    assert seen(running, tmp_path, 1) == [first]
    assert stored(tmp_path)[0]["branch"] == "v1"


def test_a_mercurial_repository(server: Callable[..., Server], tmp_path: Path) -> None:
    hg = Hg(tmp_path, "")
    hg.commit("a", "before the poller")
    hg.push()
    running = configured(
        server,
        tmp_path,
        f"HgPoller({str(tmp_path / 'there')!r}, branches=['default', 'stable'], pollInterval=0, pollAtLaunch=True)",
    )
    eventually(lambda: "hgpoller" in dump(tmp_path))
    hg.commit("\u00fc", "\u00f6ne")
    hg.commit("b", "two", branch="stable")
    hg.commit("c", "three", branch="unwanted")
    hg.push()
    seen(running, tmp_path, 2)
    first, second = stored(tmp_path)
    assert (first["comments"], first["files"], first["branch"]) == ("\u00f6ne", ["\u00fc"], "default")
    assert (second["branch"], second["src"]) == ("stable", "hg")
    running.kill()
    run("hg", "update", "-q", "stable", cwd=hg.work)
    hg.commit("d", "four")
    hg.push()
    running.start()
    eventually(lambda: len(stored(tmp_path)) == 3)


def test_a_subversion_repository(server: Callable[..., Server], tmp_path: Path) -> None:
    run("svnadmin", "create", "there", cwd=tmp_path)
    root = f"file://{tmp_path}/there"
    layout = [f"{root}/amanda", f"{root}/amanda/trunk", f"{root}/amanda/branches", f"{root}/other"]
    run("svn", "mkdir", "-q", "-m", "layout", *layout, cwd=tmp_path)
    url = f"{root}/amanda"
    source = (
        f"SVNPoller(repourl={url!r}, split_file=split_file_branches, pollInterval=24*60*60, pollAtLaunch=True,"
        " revlinktmpl='https://svn.example.com/?rev=%s', histmax=2)"
    )
    running = configured(server, tmp_path, source)
    eventually(lambda: "svnpoller" in dump(tmp_path))
    run("svn", "checkout", "-q", root, "work", cwd=tmp_path)
    work = tmp_path / "work"

    def commit(path: str, message: str) -> None:
        (work / path).parent.mkdir(exist_ok=True)
        (work / path).write_text(message)
        run("svn", "add", "-q", "--force", "--parents", path, cwd=work)
        run("svn", "commit", "-q", "-m", message, "--username", "ann", cwd=work)

    commit("amanda/trunk/\u00fc", "\u00f6ne")
    commit("other/x", "somewhere else")
    commit("amanda/branches/1.x/b", "two")
    for number in range(3):
        commit("amanda/trunk/c", f"more {number}")
    # As in the specification.
    assert curl("-s", "-F", f"poller={url}", f"{running.url}/poller")[0] == 202
    assert seen(running, tmp_path, 5) == ["2", "4", "5", "6", "7"]
    first, second, *_ = stored(tmp_path)
    assert (first["author"], first["comments"], first["files"]) == ("ann", "\u00f6ne", ["\u00fc"])
    assert (first["branch"], second["branch"]) == (None, "branches/1.x")
    assert (first["repository"], first["src"]) == (url, "svn")
    assert first["revlink"] == "https://svn.example.com/?rev=2"
    assert curl("-F", "poller=nobody", f"{running.url}/poller")[0] == 400
    assert running.stop() == 0

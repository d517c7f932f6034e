"""Pollers of a server of its own, looking into real repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import Server, eventually
from .test_clients import Git, Hg, run
from .test_serve import curl, stored


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
    git = Git(tmp_path, "--to", "x")
    (git.there / "hooks/post-receive").unlink()
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
        return repr(connection.execute("SELECT name, value FROM memory").fetchall())


def test_tags_of_a_git_repository(server: Callable[..., Server], tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", "x")
    (git.there / "hooks/post-receive").unlink()
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

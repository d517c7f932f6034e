"""What hooks of real repositories send to a real receiver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import CLIENTS, Git, Hg, run
from tests.support.served import stored

from .conftest import Server, eventually, free_port, program

BASE = "'change_hook_dialects': {'base': {'secret': 's3cret'}}"


def changes(folder: Path, **wanted: Any) -> list[dict[str, Any]]:
    return [
        change for change in stored(folder) if all(change[name] == value for name, value in wanted.items())
    ]


@pytest.fixture
def receiver(server: Callable[..., Server]) -> Server:
    return server(BASE)


# Mercurial


def hgrc(url: str, **more: str) -> str:
    settings = {"master": url, "secret": "s3cret", "baseurl": "https://hg.example.com/", "strip": "2", **more}
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    return (
        f"[hooks]\nchangegroup.x = python:{CLIENTS / 'mercurial.py'}:hook\n"
        f"[web]\npush_ssl = false\nallow-push = *\n[hgbuildbot]\n{lines}\n"
    )


def test_a_mercurial_push_over_the_file_system(receiver: Server, tmp_path: Path) -> None:
    hg = Hg(
        tmp_path, hgrc(f"localhost:{receiver.port}/change_hook/base", project="pr\u00f6ject", category="c")
    )
    hg.commit("\u00fc", "\u00f6ne\n\nmore")
    hg.commit("b", "two", branch="stable")
    assert "2 changes sent to" in hg.push()
    first, second = stored(tmp_path)
    assert (first["author"], first["comments"]) == ("\u00c4nn <ann@example.com>", "\u00f6ne\n\nmore")
    assert (first["files"], first["branch"], second["branch"]) == (["\u00fc"], "default", "stable")
    assert (first["project"], first["category"], first["src"]) == ("pr\u00f6ject", "c", "hg")
    root = str(tmp_path / "there").split("/", 2)[-1]
    assert first["repository"] == f"https://hg.example.com/{root}"
    assert first["revlink"].endswith(f"/{root}/rev/{first['revision']}")
    assert first["when_timestamp"] > 1_700_000_000
    assert first["properties"] == {"is_merge": False}


def test_a_mercurial_push_over_hg_serve(receiver: Server, tmp_path: Path) -> None:
    more = {"branchtype": "dirname", "codebase": "core"}
    hg = Hg(tmp_path, hgrc(f"http://127.0.0.1:{receiver.port}/change_hook/base", **more))
    hg.commit("a", "one")
    port = free_port()
    command = [program("hg"), "serve", "-R", "there", "-a", "127.0.0.1", "-p", str(port)]
    server = Server(command, tmp_path, port)
    server.log = tmp_path / "hg.log"
    server.start()
    try:
        hg.push(f"http://127.0.0.1:{port}/")
        (change,) = stored(tmp_path)
        assert (change["branch"], change["codebase"]) == ("there", "core")
    finally:
        server.kill()


def test_a_receiver_that_is_down_or_refuses_costs_a_warning_and_never_the_push(
    receiver: Server, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/change_hook/base"
    masters = f"http://127.0.0.1:{free_port()}/, {url}, nonsense://x"
    hg = Hg(tmp_path, hgrc(masters))
    hg.commit("a", "one")
    said = hg.push()
    assert said.count("0 of 1 change sent") == 2
    assert "1 change sent to" in said
    hg.configure(hgrc(url, secret="wrong"))
    hg.commit("a", "two")
    assert "0 of 1 change sent" in hg.push()
    hg.configure(hgrc("").replace("master = \n", ""))
    hg.commit("a", "three")
    assert "set 'master'" in hg.push()
    hg.configure(hgrc(url, strip="many"))
    hg.commit("a", "four")
    assert "ValueError: invalid literal" in hg.push()
    assert len(run("hg", "log", "-q", cwd=tmp_path / "there").splitlines()) == 4
    assert len(stored(tmp_path)) == 1


def test_a_merge_and_a_branch_of_its_own(receiver: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{receiver.port}/change_hook/base"
    hg = Hg(tmp_path, hgrc(url, branch="always"))
    hg.commit("a", "one")
    hg.commit("b", "two", branch="stable")
    run("hg", "update", "-q", "default", cwd=hg.work)
    hg.commit("c", "three")
    run("hg", "merge", "-q", "stable", cwd=hg.work)
    run("hg", "commit", "-q", "-u", "x", "-m", "merged", cwd=hg.work)
    hg.push()
    assert [change["branch"] for change in stored(tmp_path)] == ["always"] * 4
    merge = stored(tmp_path)[-1]
    assert merge["properties"] == {"is_merge": True}
    assert merge["files"]


def test_what_a_strip_adds_again_is_no_push(receiver: Server, tmp_path: Path) -> None:
    hg = Hg(tmp_path, hgrc(f"{receiver.url}/base"))
    hg.commit("a", "one")
    hg.commit("b", "two")
    run("hg", "update", "-q", "0", cwd=hg.work)
    hg.commit("c", "another head")
    hg.push("--force")
    assert len(stored(tmp_path)) == 3
    run("hg", "--config", "extensions.strip=", "strip", "-q", "-r", "1", cwd=tmp_path / "there")
    assert len(run("hg", "log", "-q", cwd=tmp_path / "there").splitlines()) == 2
    assert len(stored(tmp_path)) == 3


def test_a_changeset_that_closes_its_branch_is_nothing_to_build(receiver: Server, tmp_path: Path) -> None:
    hg = Hg(tmp_path, hgrc(f"{receiver.url}/base"))
    hg.commit("a", "one")
    hg.commit("b", "two", branch="old")
    run("hg", "commit", "-q", "--close-branch", "-u", "x", "-m", "closed", cwd=hg.work)
    assert "old is closed: no change" in hg.push()
    assert [change["comments"] for change in stored(tmp_path)] == ["one", "two"]


# Git


def test_git_pushes_of_every_kind(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"{receiver.url}/base", "--project", "p", "--category", "c")
    first = git.commit("\u00fc b", "\u00f6ne\n\nmore")
    second = git.commit("b", "two")
    assert "2 changes sent" in git.git("push", "origin", "main")
    one, two = stored(tmp_path)
    assert (one["revision"], two["revision"]) == (first, second)
    assert (one["author"], one["committer"]) == ("\u00c4nn <ann@example.com>", "Bob <bob@example.com>")
    assert (one["comments"], one["files"]) == ("\u00f6ne\n\nmore", ["\u00fc b"])
    assert (one["branch"], one["project"], one["category"], one["src"]) == ("main", "p", "c", "git")
    assert one["repository"] == str(git.there)
    # A new branch on an old commit, and one with a commit of its own.
    git.git("push", "-q", "origin", "main:refs/heads/release/1")
    git.git("checkout", "-q", "-b", "topic", first)
    topic = git.commit("c", "three")
    git.git("push", "-q", "origin", "topic")
    assert [change["revision"] for change in changes(tmp_path, branch="release/1")] == [second]
    assert [change["revision"] for change in changes(tmp_path, branch="topic")] == [topic]
    # A merge brings all that the branch did not have.
    git.git("checkout", "-q", "main")
    git.git("merge", "-q", "-m", "merged", "topic")
    merged = git.git("rev-parse", "HEAD").strip()
    git.git("push", "-q", "origin", "main")
    assert [change["revision"] for change in changes(tmp_path, branch="main")][2:] == [topic, merged]
    assert changes(tmp_path, revision=merged)[0]["files"] == ["c"]
    # Tags: annotated, and moved; one that is no commit.
    git.git("tag", "-a", "-m", "a tag", "v1", first)
    blob = git.git("hash-object", "-w", "--stdin", stdin="x").strip()
    git.git("update-ref", "refs/tags/file", blob)
    git.git("push", "-q", "--tags", "origin")
    git.git("push", "-q", "-f", "origin", f"{second}:refs/tags/v1")
    assert [change["revision"] for change in changes(tmp_path, branch="v1")] == [first, second]
    # Forced back, forced to something else, deleted.
    git.git("push", "-q", "-f", "origin", f"{first}:main")
    (reset,) = changes(tmp_path, branch="main", revision=first)[1:]
    assert reset["properties"] == {"event": "push", "forced": True}
    before = len(stored(tmp_path))
    assert "0 changes sent" in git.git("push", "origin", ":topic", ":v1")
    git.git("push", "-q", "origin", "main:refs/notes/x")
    assert len(stored(tmp_path)) == before


def test_a_name_with_white_space_costs_no_other_one(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"{receiver.url}/base")
    git.commit("a", "one")
    odd = ["a\u3000b", "c\u0085d", "e\u2028f"]
    said = git.git("push", "origin", "main", *(f"main:refs/heads/{name}" for name in odd))
    assert "4 changes sent" in said
    assert {change["branch"] for change in stored(tmp_path)} == {"main", *odd}


def test_what_is_not_wanted_is_not_sent_and_said(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"{receiver.url}/base", "--branches", "main", "--branches", "'v*'")
    run("git", "-C", str(git.there), "config", "receive.advertisePushOptions", "true", cwd=tmp_path)
    git.commit("a", "one")
    said = git.git("push", "origin", "-o", "reason=test", "main", "main:refs/heads/topic")
    assert "topic matches none of --branches" in said
    (change,) = stored(tmp_path)
    assert change["properties"] == {"event": "push", "push_options": ["reason=test"]}
    git.commit("a", "two [skip ci]")
    assert "main is skipped" in git.git("push", "origin", "main")
    git.commit("a", "three")
    assert "ci.skip asks to skip the build" in git.git("push", "-o", "ci.skip", "origin", "main")
    assert len(stored(tmp_path)) == 1


def test_a_commit_whose_files_cannot_be_read_costs_no_other_one(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"{receiver.url}/base")
    git.commit("a", "one")
    git.git("push", "-q", "origin", "main")
    git.commit("b", "two")
    tree = git.git("rev-parse", "HEAD^{tree}").strip()
    git.commit("c", "three")
    (git.there / "hooks/post-receive").rename(tmp_path / "hook")
    git.git("push", "-q", "origin", "main")
    (git.there / "objects" / tree[:2] / tree[2:]).unlink()
    heads = git.git("rev-parse", "HEAD~2", "HEAD").split()
    said = run("sh", str(tmp_path / "hook"), cwd=git.there, stdin=f"{heads[0]} {heads[1]} refs/heads/main\n")
    assert "cannot be read" in said
    told = {change["comments"]: change["properties"] for change in stored(tmp_path)}
    assert set(told) == {"one", "two", "three"}
    assert told["two"] == {"event": "push", "change_hook_missing": ["files"]}


def test_thousands_of_commits_in_one_push(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"{receiver.url}/base")
    commits = "".join(
        f"commit refs/heads/main\ncommitter Bob <bob@example.com> {1_700_000_000 + number} +0000\n"
        f"data 1\nx\nM 100644 inline {number}\ndata 1\nx\n"
        for number in range(2000)
    )
    git.git("fast-import", "--quiet", stdin=commits)
    assert "2000 changes sent" in git.git("push", "origin", "main")
    told = stored(tmp_path)
    assert [change["files"] for change in told] == [[str(number)] for number in range(2000)]


def test_a_push_succeeds_without_a_receiver(tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", f"http://127.0.0.1:{free_port()}/change_hook/base")
    git.commit("a", "one")
    said = git.git("push", "origin", "main")
    assert "warning: 0 of 1 change sent" in said
    assert git.git("ls-remote", "origin", "main")


def test_run_by_hand_it_says_how_it_is_meant(receiver: Server, tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", "x")
    said = run("change-hooks", "notify", "git", "--to", "x", cwd=git.there, stdin="nonsense\n")
    assert "run it as a post-receive hook" in said


# Subversion


def test_subversion_commits(receiver: Server, tmp_path: Path) -> None:
    program("svnlook")
    run("svnadmin", "create", "there", cwd=tmp_path)
    url = f"file://{tmp_path}/there"
    hook = tmp_path / "there/hooks/post-commit"
    hook.write_text(
        f'#!/bin/sh\nCHANGE_HOOKS_SECRET=s3cret exec {program("change-hooks")} notify svn "$1" "$2" "$3"'
        f" --to {receiver.url}/base --repository https://svn.example.com/\n"
    )
    hook.chmod(0o755)
    layout = [f"{url}/trunk", f"{url}/branches", f"{url}/branches/1.x", f"{url}/tags"]
    run("svn", "mkdir", "-q", "-m", "layout", *layout, cwd=tmp_path)
    run("svn", "checkout", "-q", url, "work", cwd=tmp_path)
    work = tmp_path / "work"
    (work / "trunk" / "\u00fc").write_text("x")
    (work / "branches/1.x/b").write_text("x")
    run("svn", "add", "-q", "trunk/\u00fc", "branches/1.x/b", cwd=work)
    run("svn", "commit", "-q", "-m", "\u00f6ne\n\nmore", "--username", "ann", cwd=work)
    told = {change["branch"]: change for change in changes(tmp_path, revision="2")}
    assert set(told) == {None, "branches/1.x"}
    assert told[None]["files"] == ["\u00fc"]
    assert told["branches/1.x"]["files"] == ["b"]
    assert (told[None]["author"], told[None]["comments"]) == ("ann", "\u00f6ne\n\nmore")
    assert (told[None]["repository"], told[None]["src"]) == ("https://svn.example.com/", "svn")
    assert {change["branch"] for change in changes(tmp_path, revision="1")} == {None, "branches/1.x"}
    (work / "tags" / "note").write_text("x")
    run("svn", "add", "-q", "tags/note", cwd=work)
    run("svn", "commit", "-q", "-m", "not wanted", cwd=work)
    assert changes(tmp_path, revision="3") == []
    said = run(
        *("change-hooks", "notify", "svn", "there", "2", "--layout", "none", "--to", f"{receiver.url}/base"),
        cwd=tmp_path,
    )
    assert "1 change sent" in said
    said = run("change-hooks", "notify", "svn", "there", "99", "--to", receiver.url, cwd=tmp_path)
    assert "warning: svnlook" in said


def test_subversion_revisions_of_other_kinds(receiver: Server, tmp_path: Path) -> None:
    run("svnadmin", "create", "there", cwd=tmp_path)
    url = f"file://{tmp_path}/there"
    run("svn", "mkdir", "-q", "--parents", "-m", "1", f"{url}/a/trunk", f"{url}/branches/old", cwd=tmp_path)
    run("svn", "rm", "-q", "-m", "2", f"{url}/branches/old", cwd=tmp_path)
    hook = tmp_path / "there/hooks/pre-revprop-change"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    run("svn", "propdel", "-q", "--revprop", "-r", "1", "svn:date", url, cwd=tmp_path)

    def notify(revision: str, *more: str) -> str:
        to = ("--to", f"{receiver.url}/base")
        return run("change-hooks", "notify", "svn", "there", revision, *to, *more, cwd=tmp_path)

    assert "revision 2 deletes branches/old" in notify("2")
    assert stored(tmp_path) == []
    assert "1 change sent" in notify("1", "--layout", "projects")
    (change,) = stored(tmp_path)
    assert (change["project"], change["branch"], change["when_timestamp"]) == ("a", None, None)
    run("svn", "mkdir", "-q", "-m", "3", f"{url}/a/tags", cwd=tmp_path)
    assert "warning: revision 3 is on no branch (a/tags/); see --layout" in notify("3")


# By hand


def test_a_change_is_sent_with_every_field(receiver: Server, tmp_path: Path) -> None:
    said = run(
        *("change-hooks", "send", f"{receiver.url}/base", "--author", "\u00c4nn", "--committer", "Bob"),
        *("-f", "a", "-f", "\u00fc", "-c", "why", "-R", "1c9f", "-W", "2026-11-24T12:00:00Z", "-b", "main"),
        *("-C", "release", "--revlink", "https://x/", "-p", "a=b=c", "-p", '{"n": [1, null]}', "-r", "repo"),
        *("-P", "project", "--codebase", "core", "--src", "git"),
        cwd=tmp_path,
    )
    (change,) = stored(tmp_path)
    assert said == f"{change['delivery']}: 1 change found\n"
    assert change == {
        "author": "\u00c4nn",
        "committer": "Bob",
        "files": ["a", "\u00fc"],
        "comments": "why",
        "revision": "1c9f",
        "when_timestamp": 1795521600,
        "branch": "main",
        "category": "release",
        "revlink": "https://x/",
        "properties": {"a": "b=c", "n": [1, None]},
        "repository": "repo",
        "project": "project",
        "codebase": "core",
        "src": "git",
        "delivery": change["delivery"],
        "dialect": "base",
    }


def test_what_is_not_taken_is_told_and_the_exit_status_says_so(receiver: Server, tmp_path: Path) -> None:
    said = run("change-hooks", "send", f"{receiver.url}/base", "--secret", "wrong", cwd=tmp_path, status=1)
    assert "403 the signature does not match" in said
    nobody = f"http://127.0.0.1:{free_port()}/change_hook/base"
    assert "Connection refused" in run("change-hooks", "send", nobody, cwd=tmp_path, status=1)
    answer = run("change-hooks", "send", f"{receiver.url}/base", "-b", "main", "--json", cwd=tmp_path)
    (change,) = stored(tmp_path)
    assert json.loads(answer) == {"delivery": change["delivery"], "message": "1 change found"}


def test_a_password_is_sent(server: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("ann:s3cret\n")
    checker = "__import__('twisted.cred.strcred').cred.strcred.makeChecker('file:passwords')"
    running = server(f"'change_hook_dialects': {{'base': True}}, 'change_hook_auth': [{checker}]")
    sent = ("change-hooks", "send", f"{running.url}/base", "-b", "main", "--user", "ann", "--password")
    assert run(*sent, "s3cret", cwd=tmp_path).endswith(": 1 change found\n")
    assert "401" in run(*sent, "wrong", cwd=tmp_path, status=1)


def test_a_receiver_that_closes_idle_connections_is_connected_to_anew(receiver: Server) -> None:
    from change_hooks.clients.mercurial import Poster

    poster = Poster(f"{receiver.url}/base", secret="s3cret")
    assert poster.post({"branch": "1"}) == "1 change found"
    receiver.kill()
    receiver.start()
    assert poster.post({"branch": "2"}) == "1 change found"
    poster.close()


def test_a_push_to_every_forge_is_simulated(server: Callable[..., Server], tmp_path: Path) -> None:
    signed = ("azuredevops", "base", "bitbucketcloud", "bitbucketserver", "gerrit", "gitea", "gitee")
    signed += ("github", "gitlab", "pagure")
    unsigned = ("bitbucket", "gitorious")
    dialects = {**{key: {"secret": "s3cret"} for key in signed}, **dict.fromkeys(unsigned, True)}
    running = server(f"'change_hook_dialects': {dialects!r}")
    git = Git(tmp_path, "--to", "x")
    git.git("remote", "set-url", "origin", "git@forge.example.com:octo-org/api.git")
    git.commit("a", "one")
    last = git.commit("\u00fc", "\u00f6ne")
    for dialect in dialects:
        sent = ("change-hooks", "simulate", dialect, "push", "--repo", "work", "--commits", "2")
        before = len(stored(tmp_path))
        assert "found" in run(*sent, "--to", f"{running.url}/{dialect}", cwd=tmp_path), dialect
        change = stored(tmp_path)[before:][-1]
        assert change["revision"] == last, dialect
        assert "api" in change["repository"].lower(), dialect
        if dialect in signed:
            refused = run(*sent, "--to", f"{running.url}/{dialect}", "--secret", "x", cwd=tmp_path, status=1)
            assert "403" in refused, dialect


def test_a_simulated_push_of_a_repository_in_any_state(tmp_path: Path) -> None:
    git = Git(tmp_path, "--to", "x")
    sent = ("change-hooks", "simulate", "github", "--to", "http://127.0.0.1:1/", "--dry-run", "--repo")
    assert "there is no commit yet" in run(*sent, "work", cwd=tmp_path, status=1)
    git.commit("a", "one")

    def page(repository: str = "work") -> str:
        body = json.loads(json.loads(run(*sent, repository, cwd=tmp_path))["body"])
        return str(body["repository"]["html_url"])

    git.git("remote", "set-url", "origin", "http://host:3000/a/b.git")
    assert page() == "http://host:3000/a/b"
    git.git("remote", "rename", "origin", "upstream")
    assert page() == "http://host:3000/a/b"
    git.git("remote", "add", "other", "https://host/c/d")
    assert page() == "https://forge.example/owner/work"
    git.git("remote", "add", "origin", "https://host/")
    assert page() == "https://forge.example/owner/work"
    run("git", "clone", "-q", "--bare", "work", "bare.git", cwd=tmp_path)
    run("git", "remote", "remove", "origin", cwd=tmp_path / "bare.git")
    assert page("bare.git") == "https://forge.example/owner/bare"


# Fossil


@pytest.fixture
def fossil_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fossil wants to know who works, and keeps notes in his home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "ann")


@pytest.mark.usefixtures("fossil_user")
def test_a_fossil_push(receiver: Server, tmp_path: Path) -> None:
    run("fossil", "init", "there.fossil", cwd=tmp_path)
    hook = (
        f"{program('change-hooks')} notify fossil %R --to {receiver.url}/base --project lamp --branches 'tr*'"
    )
    run(
        *("fossil", "hook", "add", "-R", "there.fossil", "--type", "after-receive", "--command", hook),
        cwd=tmp_path,
    )
    run("fossil", "clone", "file://" + str(tmp_path / "there.fossil"), "mine.fossil", cwd=tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    run("fossil", "open", "../mine.fossil", cwd=work)
    for name, message, branch in (
        ("\u00fc", "\u00f6ne\n\nmore", ()),
        ("b", "two", ()),
        ("c", "three", ("--branch", "wick")),
    ):
        (work / name).write_text(message)
        run("fossil", "add", name, cwd=work)
        run("fossil", "commit", "--no-warnings", "-m", message, *branch, cwd=work)
    run("fossil", "push", "file://" + str(tmp_path / "there.fossil"), cwd=work)
    # A server runs its back office by itself, once a push is over.
    run("fossil", "backoffice", "-R", "there.fossil", cwd=tmp_path)
    eventually(lambda: len(stored(tmp_path)) >= 2)
    first, second = stored(tmp_path)
    assert (first["author"], first["comments"], first["files"]) == ("ann", "\u00f6ne\n\nmore", ["\u00fc"])
    assert (first["branch"], first["project"], first["src"]) == ("trunk", "lamp", "fossil")
    assert first["repository"] == str(tmp_path / "there.fossil")
    assert first["when_timestamp"] > 1_700_000_000
    assert (second["comments"], second["files"]) == ("two", ["b"])
    known = run("fossil", "timeline", "-n", "0", "-t", "ci", "-F", "%H", cwd=work)
    assert {first["revision"], second["revision"]} < set(known.split())


@pytest.mark.usefixtures("fossil_user")
def test_what_fossil_did_not_write_costs_a_warning(receiver: Server, tmp_path: Path) -> None:
    run("fossil", "init", "there.fossil", cwd=tmp_path)
    to = ("--to", f"{receiver.url}/base")
    for written, said in (
        ("nonsense\n", "run it as an after-receive hook"),
        (f"{'a1' * 32} check-in to trunk by ann\n", "is not in the repository"),
        (f"{'a1' * 32} file a\n", "0 changes sent"),
    ):
        assert said in run(
            "change-hooks", "notify", "fossil", "there.fossil", *to, cwd=tmp_path, stdin=written
        )
    (tmp_path / "other").write_text("not a repository")
    line = f"{'a1' * 32} check-in to trunk by ann\n"
    assert "warning: fossil" in run(
        "change-hooks", "notify", "fossil", "other", *to, cwd=tmp_path, stdin=line
    )


@pytest.mark.usefixtures("fossil_user")
def test_a_hook_whose_output_nobody_reads_still_sends(receiver: Server, tmp_path: Path) -> None:
    run("fossil", "init", "there.fossil", cwd=tmp_path)
    known = run("fossil", "timeline", "-R", "there.fossil", "-n", "1", "-t", "ci", "-F", "%H", cwd=tmp_path)
    names = ["a1" * 32, known.split()[0]]
    written = "".join(f"{name} check-in to trunk by ann\n" for name in names)
    command = f"{program('change-hooks')} notify fossil there.fossil --to {receiver.url}/base >/dev/full 2>&1"
    run("sh", "-c", command, cwd=tmp_path, stdin=written)
    eventually(lambda: len(stored(tmp_path)) == 1)

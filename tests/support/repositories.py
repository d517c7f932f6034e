"""Repositories with a hook of ours, and clones of them that push."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.programs import program

CLIENTS = Path(__file__).parents[2] / "change_hooks" / "clients"


def run(*command: str, cwd: Path, stdin: str | None = None, status: int = 0) -> str:
    """What a command says, on both its outputs; it must end with *status*."""
    environment = {
        **os.environ,
        "HGPLAIN": "1",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "\u00c4nn",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Bob",
        "GIT_COMMITTER_EMAIL": "bob@example.com",
        "CHANGE_HOOKS_SECRET": "s3cret",
    }
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


class Hg:
    """A repository on a server, and a clone of it."""

    def __init__(self, folder: Path, hgrc: str) -> None:
        self.folder = folder
        self.work = folder / "work"
        run("hg", "init", "there", cwd=folder)
        run("hg", "clone", "-q", "there", "work", cwd=folder)
        self.configure(hgrc)

    def configure(self, hgrc: str) -> None:
        (self.folder / "there/.hg/hgrc").write_text(hgrc)

    def commit(self, name: str, message: str, branch: str | None = None) -> None:
        if branch is not None:
            run("hg", "branch", "-q", branch, cwd=self.work)
        (self.work / name).write_text(message)
        run("hg", "commit", "-q", "-A", "-u", "\u00c4nn <ann@example.com>", "-m", message, cwd=self.work)

    def push(self, *where: str) -> str:
        return run("hg", "push", "--new-branch", *where, cwd=self.work)


class Git:
    """A repository with a post-receive hook, and a clone of it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.work = folder / "work"
        self.there = folder / "there.git"
        run("git", "init", "-q", "--bare", "-b", "main", "there.git", cwd=folder)
        hook = self.there / "hooks" / "post-receive"
        hook.write_text(f"#!/bin/sh\nexec {program('change-hooks')} notify git {' '.join(options)}\n")
        hook.chmod(0o755)
        run("git", "init", "-q", "-b", "main", "work", cwd=folder)
        self.git("remote", "add", "origin", str(self.there))

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        return run("git", *arguments, cwd=self.work, stdin=stdin)

    def commit(self, name: str, message: str) -> str:
        (self.work / name).write_text(message)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

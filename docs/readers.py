"""Play the readers of the documentation, with its own commands and files.

``python docs/readers.py FOLDER PYTHON ...``: FOLDER contains the wheel. For each PYTHON, each of the readers
whom the first page addresses starts with nothing installed:

- *github* has a repository at GitHub, and wants a program to run on every push: the tutorial "From a push".
- *buildbot* operates a Buildbot master: "Use it in a Buildbot master", and then, of "Move from Buildbot's own
  hooks", where to look, and how to go back.
- *twisted* writes a Twisted program: "Embed it in a Twisted program".

A section is played from top to bottom. A block with a caption is a file of that name (or its end, if it
exists), a shell block is typed into a terminal (from a console block, the text after the prompts), and
"another terminal" in the text opens one; ID means the id of GitHub's newest delivery. Other blocks show
output, which is compared where possible.

Not played: steps at a forge; alternatives on the same pages (a dialect without a journal, Klein, a separate
port), which tests run. What a reader has before the page begins (a master, a checkout) is prepared.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent
SECONDS = 60
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:([a-z-]+): *(.*)\n", re.MULTILINE)


class Block(NamedTuple):
    before: str
    file: str | None
    text: str

    @property
    def elsewhere(self) -> bool:
        return "another terminal" in self.before


def section(page: str, heading: str = "") -> Iterator[Block]:
    """The files and commands of a page, or of the part below one of its headings."""
    text = (DOCS / page).read_text()
    if heading:
        text = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    end = 0
    for found in BLOCK.finditer(text):
        kind, _, rest = found["info"].partition(" ")
        options = dict(OPTION.findall(found["body"]))
        body = OPTION.sub("", found["body"]).lstrip("\n")
        if kind == "{literalinclude}":
            body = (DOCS / page).parent.joinpath(rest).read_text()
            body = body.partition(options.get("start-after", ""))[2] if "start-after" in options else body
            body = body.partition(options["end-before"])[0].rstrip("# ") if "end-before" in options else body
        if kind == "console":
            body = "".join(line[2:] for line in body.splitlines(keepends=True) if line.startswith("$ "))
        if kind in ("sh", "bash", "console") or "caption" in options:
            yield Block(text[end : found.start()], options.get("caption"), body)
        end = found.end()


class Terminal:
    """A shell that remembers its folder and the active environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.log = folder.with_name(f"{folder.name}-{time.monotonic_ns()}.log")
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.typed = 0

    def type(self, commands: str) -> None:
        """Type commands without waiting. The first command that fails is the last."""
        assert self.shell.stdin is not None
        self.typed += 1
        line = f"set -e\n{commands}\nset +e; echo =={self.typed}\n"
        self.shell.stdin.write(line.encode())
        self.shell.stdin.flush()

    def done(self) -> None:
        self.shows(f"=={self.typed}\n")

    def shows(self, text: str) -> None:
        """Wait until it shows that."""
        end = time.monotonic() + SECONDS
        while text not in self.said():
            if self.shell.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{text!r} is not in what the terminal shows:\n{self.said()}")
            time.sleep(0.05)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        """Press Ctrl-C, and close it."""
        assert self.shell.stdin is not None
        with suppress(ProcessLookupError, BrokenPipeError):
            os.killpg(self.shell.pid, signal.SIGINT)
            self.shell.stdin.close()
        try:
            self.shell.wait(SECONDS)
        finally:
            self.shell.kill()
        if "Traceback" in self.said():
            raise SystemExit(f"there is a traceback in what the terminal shows:\n{self.said()}")


class Reader:
    """Somebody with a home, a Python and the documentation."""

    def __init__(self, home: Path, python: str, wheels: str) -> None:
        self.home, self.folder, self.wheels = home, home / "work", Path(wheels)
        self.folder.mkdir(parents=True)
        (home / "bin").mkdir()
        (home / "bin" / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(python)} "$@"\n')
        (home / "bin" / "python3").chmod(0o755)
        links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "PIP_FIND_LINKS": links,
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip"),
            "PIP_QUIET": "2",
            "PIP_COMPILE": "0",
        }

    def prepare(self, commands: str) -> None:
        """Do what the reader did before."""
        subprocess.run(
            ["bash", "-euc", commands], cwd=self.folder, env=self.environment, check=True, stdout=sys.stderr
        )

    def has_the_wheel(self, activate: str) -> None:
        """Check that the version under test was installed, and not one from an index."""
        (wheel,) = self.wheels.glob("change_hooks-*.whl")
        version = wheel.name.split("-")[1]
        self.prepare(f'{activate}\ntest "$(change-hooks --version)" = "change-hooks, version {version}"')

    @contextmanager
    def play(self, *parts: Iterator[Block], ready: str = "", first: str = ":") -> Iterator[list[Terminal]]:
        """Do what the documentation says, in terminals that begin with *first*; close them at the end.

        :param ready: what a terminal shows when another one can be opened.
        """
        with ExitStack() as close:
            terminals: list[Terminal] = []

            def another() -> None:
                terminals.append(Terminal(self.folder, self.environment))
                close.callback(terminals[-1].close)
                terminals[-1].type(first)

            another()
            for block in (block for part in parts for block in part):
                if block.elsewhere:
                    terminals[-1].shows(ready)
                    another()
                if block.file:
                    with (self.folder / block.file).open("a") as file:
                        file.write(block.text)
                else:
                    terminals[-1].done()
                    terminals[-1].type(block.text)
            terminals[-1].done()
            yield terminals


@contextmanager
def ports() -> Iterator[None]:
    """The documentation's servers use the default ports, so readers take turns, also with the tests."""
    with (Path(tempfile.gettempdir()) / "change-hooks-port-8010").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def with_id(block: Block) -> Block:
    """A block with the id of GitHub's newest delivery instead of ID."""
    find = "import json, sys; print(json.load(sys.stdin)['delivery'])"
    newest = rf'$(change-hooks deliveries \1 --dialect github --limit 1 --json | python3 -c "{find}")'
    return block._replace(text=re.sub(r"(\S+) ID$", rf'\1 "{newest}"', block.text, flags=re.MULTILINE))


def github(reader: Reader) -> None:
    installed, *rest = section("tutorial/push-to-program.md")
    reader.prepare(installed.text)
    activate = ". ~/change-hooks/bin/activate"
    reader.has_the_wheel(activate)
    with ports(), reader.play(map(with_id, rest), ready=" ready\n", first=activate) as (server, other):
        server.shows("the configuration is good\n")
        other.shows("1 change found")
        other.shows("delivered")
        revision = subprocess.check_output(
            ["git", "-C", str(reader.folder / "example"), "rev-parse", "HEAD"], text=True
        ).strip()
        server.shows(f" main {revision}\n")
        other.shows(f" main {revision}\n")


def buildbot(reader: Reader) -> None:
    installed, *rest = section("how-to/buildbot.md")
    example = (DOCS / "examples/buildbot/master.cfg").read_text()
    before, _, after = example.partition("# The two lines")
    after = after.partition("# The rest")[2]
    reader.prepare(
        "python3 -m venv ~/master\n. ~/master/bin/activate\n"
        f"pip install buildbot buildbot-www\n{installed.text}"
    )
    activate = ". ~/master/bin/activate"
    reader.has_the_wheel(activate)
    (reader.folder / "master.cfg").write_text(before + after)
    (reader.folder / "secrets").mkdir(mode=0o700)
    (reader.folder / "secrets" / "github").write_text("a long enough secret")
    (reader.folder / "secrets" / "github").chmod(0o600)
    reader.prepare(
        f"{activate}\nbuildbot create-master -q .\n"
        "git init -q -b main ~/checkout && cd ~/checkout\n"
        "git -c user.name=Ann -c user.email=ann@example.com commit -q --allow-empty -m 'Say hello'"
    )
    with ports():
        try:
            start = f"buildbot start --start_timeout {SECONDS} . || (tail -30 twistd.log; false)"
            reader.prepare(f"{activate}\n{start}")
            with reader.play(iter(rest), first=activate) as (terminal,):
                terminal.shows("1 change found")
                terminal.shows("delivered")
                with urllib.request.urlopen("http://127.0.0.1:8010/api/v2/changes") as answer:
                    changes = json.load(answer)["changes"]
                assert [change["comments"] for change in changes] == ["Say hello"], changes
            assert unknown_dialect() == 404
            where = section("how-to/from-buildbots-hooks.md", "Where to look when nothing happened")
            with reader.play(map(with_id, where), first=activate) as (terminal,):
                terminal.shows("nothing is waiting")
            (reader.folder / "master.cfg").write_text(before + after)
            back = section("how-to/from-buildbots-hooks.md", "Go back")
            with reader.play(back, first=activate) as (terminal,):
                assert unknown_dialect() == 400
        finally:
            reader.prepare(f"{activate}\nbuildbot stop .")


def unknown_dialect() -> int:
    """The status for a dialect that is not enabled, which differs from that of Buildbot's own hooks."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8010/change_hook/nothing", b"") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def twisted(reader: Reader) -> None:
    installed, *_ = section("how-to/embed.md")
    activate = ". ~/program/bin/activate"
    reader.prepare(f"python3 -m venv ~/program\n{activate}\n{installed.text}")
    reader.has_the_wheel(activate)
    for heading in ("As a plain resource", "With a journal"):
        part = section("how-to/embed.md", heading)
        with ports(), reader.play(part, ready="starting on 8080", first=activate) as shown:
            program, other = shown
            other.shows("1 change found")
            program.shows("Ann changed main: Fix it")


def main(wheels: str, *pythons: str) -> None:
    readers = (buildbot, github, twisted)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(pythons)) as pool:

        def all_readers(number: int, python: str) -> None:
            for play in readers:
                play(Reader(Path(folder) / f"{number}-{play.__name__}", python, str(Path(wheels).resolve())))
                print(f"{python}: {play.__name__}", flush=True)

        list(pool.map(all_readers, range(len(pythons)), pythons))


if __name__ == "__main__":
    main(*sys.argv[1:])

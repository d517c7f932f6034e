"""What somebody at a terminal sees of the server and of the commands that follow it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
import pytest

from .conftest import PATIENCE, Server, eventually, free_port, program

BASE = "'change_hook_dialects': {'base': {'secret': 'a long enough secret'}}"
SINK = "'change_hook_sinks': {'run': {'sink': 'command', 'argv': ['true']}}"


def test_the_start_and_the_end_of_a_server(server: Callable[..., Server], tmp_path: Path) -> None:
    admin = free_port()
    running = server(f"{BASE}, {SINK}, 'change_hook_admin': {{'port': {admin}}}")
    eventually(lambda: "ready" in running.log.read_text())
    running.signal(signal.SIGINT)
    assert running.wait() == 0
    lines = [line.partition("] ")[2] for line in running.log.read_text().splitlines()]
    assert re.fullmatch(rf"change-hooks \S+, Python \S+, Twisted \S+; {tmp_path}/hooks.cfg", lines[0])
    assert lines[1:] == [
        f"the admin page: http://127.0.0.1:{admin}/",
        f"journal: {tmp_path}/change-hooks.sqlite",
        "sink: run",
        f"listening at http://127.0.0.1:{running.port}/change_hook/base",
        "ready",
        "Received SIGINT, shutting down.",
        "stopped listening; finishing what is in flight",
        "Main loop terminated.",
    ]


def test_more_signals_change_nothing(server: Callable[..., Server]) -> None:
    running = server(f"{BASE}, {SINK}")
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        running.signal(number)
    assert running.wait() == 0
    lines = running.log.read_text().splitlines()
    assert sum("shutting down" in line for line in lines) == 1
    assert lines[-1].endswith("Main loop terminated.")
    assert not any("#critical]" in line for line in lines)


def test_workers_say_it_once(server: Callable[..., Server]) -> None:
    running = server(BASE, options=("--workers", "2"))
    eventually(lambda: running.log.read_text().count("] ready") == 2)
    running.signal(signal.SIGINT)
    running.wait()
    text = running.log.read_text()
    assert text.count("listening at") == 1
    assert "Traceback" not in text


def test_no_line_of_the_log_has_an_object_of_python(server: Callable[..., Server]) -> None:
    url = f"http://127.0.0.1:{free_port()}/changes"
    running = server(f"{BASE}, 'change_hook_sinks': {{'closed': {{'sink': 'http', 'url': '{url}'}}}}")
    sent = [program("change-hooks"), "send", f"{running.url}/base", "--secret", "a long enough secret"]
    subprocess.run([*sent, "-R", "1c9f"], check=True)
    eventually(lambda: "retrying in" in running.log.read_text())
    running.stop()
    text = running.log.read_text()
    assert re.search(
        r"delivery of base/\w+#0 to sink closed failed \(attempt 1\): ConnectionRefusedError: Conn", text
    )
    assert re.findall(r".*(?:<|\b0x|=').*", text) == []


def test_a_quiet_server_on_another_port(server: Callable[..., Server]) -> None:
    port = free_port()
    running = server(BASE, options=("--quiet", "--port", f"tcp:{port}:interface=127.0.0.1"), port=port)
    assert running.stop() == 0
    assert running.log.read_text() == ""


@pytest.mark.parametrize("command", ["changes", "deliveries"])
def test_ctrl_c_ends_a_command_that_follows(
    server: Callable[..., Server], tmp_path: Path, command: str
) -> None:
    running = server("'change_hook_dialects': {'base': True}")
    subprocess.run([program("curl"), "-s", "-d", "revision=1c9f", f"{running.url}/base"], check=True)
    with subprocess.Popen(
        [program("change-hooks"), command, "hooks.cfg", "--follow"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert "base/" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=PATIENCE)
    assert (following.returncode, out, err) == (130, "", "")


def at_a_terminal(folder: Path, columns: int, *command: str, **environment: str) -> str:
    """What a command prints at a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        [program("change-hooks"), *command],
        cwd=folder,
        env={**kept, "TERM": "xterm", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        printed = b""
        with suppress(OSError):  # The terminal is gone.
            while part := os.read(ours, 65536):
                printed += part
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def test_a_terminal_has_colours_and_an_end_of_the_line(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(f"{BASE}, {SINK}")
    subprocess.run([program("curl"), "-s", "-d", "revision=1c9f", f"{running.url}/base"], check=True)
    assert running.stop() == 0
    refused = "\x1b[31mrefused\x1b[0m"
    for columns in (40, 80, 200):
        shown = at_a_terminal(tmp_path, columns, "deliveries", "hooks.cfg")
        assert refused in shown
        assert all(len(click.unstyle(line)) <= columns for line in shown.splitlines())
    assert "\x1b[32mnothing is waiting" in at_a_terminal(tmp_path, 80, "status", "hooks.cfg")
    assert "\x1b[32mthe configuration is good\x1b[0m" in at_a_terminal(tmp_path, 80, "check", "hooks.cfg")
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = at_a_terminal(tmp_path, 80, "deliveries", "hooks.cfg", **quiet)
        assert "refused" in shown
        assert "\x1b" not in shown
    piped = subprocess.run(
        [program("change-hooks"), "deliveries", "hooks.cfg"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in piped.stdout
    assert len(piped.stdout.splitlines()) == 1

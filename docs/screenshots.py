"""Takes the screenshots of the admin page for the documentation: docs/images/*.png.

    pip install -e '.[test]' && python docs/screenshots.py

It starts a server, sends it some deliveries, and opens the page in Chromium (``chromium`` on the path).
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

from change_hooks.testing import build

IMAGES = Path(__file__).with_name("images")
SECRET = "a long enough secret"
CONFIG = """
c = {{"www": {{
    "port": "tcp:{port}:interface=127.0.0.1",
    "change_hook_admin": {{"port": {admin}, "url": "https://ci.example.org/change_hook"}},
    "change_hook_dialects": {{
        "github": {{"secret": "a long enough secret", "strict": True, "branches": ["main", "release/*"]}},
        "base": {{"secret": "another secret, as long"}},
    }},
    "change_hook_sinks": {{
        "build": {{"sink": "command", "argv": ["/bin/sh", "-c", "echo queued $CHANGE_HOOK_REVISION"]}},
        "docs": {{
            "sink": "command",
            "argv": ["/bin/sh", "-c", "echo conf.py: no such theme >&2; exit 65"],
            "only": {{"repositories": ["*handbook*"]}},
        }},
        "mirror": {{
            "sink": "command",
            "argv": ["/bin/sh", "-c", "echo mirror.example.org: connection refused >&2; exit 1"],
            "only": {{"repositories": ["*tools*"]}},
            "attempts": 100,
        }},
    }},
}}}}
"""
DIALECTS = {"change_hook_dialects": {"github": {"secret": SECRET}}}
PUSHES = [
    ("acme/api", "main", 1, "Ann Lee", "Answer with the status's own phrase"),
    ("acme/web", "topic/colours", 2, "Bo Chen", "Try another blue"),
    ("acme/tools", "main", 1, "Cleo Diaz", "Wait for the lock"),
    ("acme/handbook", "main", 3, "Ann Lee", "How we review"),
    ("acme/api", "release/2.4", 1, "Dan Okafor", "Release 2.4.1"),
    ("acme/web", "main", 5, "Bo Chen", "Colours that everybody can tell apart"),
    ("acme/api", "main", 1, "Ann Lee", "Typo [skip ci]"),
    ("acme/web", "main", 1, "Eve Novak", "Load nothing from elsewhere"),
]


def push(repository: str, branch: str, count: int, author: str, message: str) -> dict[str, Any]:
    name = {"name": author, "email": f"{author.split(maxsplit=1)[0].lower()}@example.org"}
    commits = [
        {
            "id": f"{random.getrandbits(160):040x}",
            "message": message,
            "timestamp": "2026-11-25T09:00:00Z",
            "url": f"https://github.com/{repository}/commit/1",
            "author": name,
            "committer": name,
            "added": [],
            "removed": [],
            "modified": ["README.md"],
        }
        for _ in range(count)
    ]
    return {
        "ref": f"refs/heads/{branch}",
        "before": "1" * 40,
        "after": commits[-1]["id"],
        "created": False,
        "deleted": False,
        "forced": False,
        "commits": commits,
        "head_commit": commits[-1],
        "repository": {
            "id": 1,
            "name": repository.split("/")[1],
            "full_name": repository,
            "html_url": f"https://github.com/{repository}",
            "clone_url": f"https://github.com/{repository}.git",
            "ssh_url": f"git@github.com:{repository}.git",
            "owner": {"login": "acme", "name": "acme"},
        },
        "pusher": {"name": author},
        "sender": {"login": author.split(maxsplit=1)[0].lower(), "id": 1},
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send(port: int, event: str, payload: Any, **sent: Any) -> None:
    delivery = build(DIALECTS, "github", event, payload, **sent)
    request = urllib.request.Request(f"http://127.0.0.1:{port}{delivery.uri.decode()}", delivery.body)
    for name, values in delivery.requestHeaders.getAllRawHeaders():
        request.add_header(name.decode(), values[-1].decode())
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        error.close()


def until_it_answers(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=60).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def fill(port: int) -> None:
    random.seed(7)
    send(port, "ping", {"zen": "Keep it logically awesome.", "hook_id": 1})
    for each in PUSHES:
        send(port, "push", push(*each))
    send(port, "push", push(*PUSHES[0]), secret="the old secret")
    time.sleep(2)  # Traces of requests without changes are stored a second later.
    send(port, "push", push("acme/api", "main", 2, "Ann Lee", "One home for what two modules read alike"))
    time.sleep(1)


def take(url: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        for name, path, scheme, width, height in (
            ("page", "", "light", 1240, 560),
            ("delivery", "deliveries/3", "light", 1180, 640),
        ):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
            shown = context.new_page()
            shown.goto(url + path)
            shown.wait_for_timeout(500)
            shown.screenshot(path=IMAGES / f"{name}.png")
            context.close()
        browser.close()


def main() -> None:
    with TemporaryDirectory() as folder:
        port, admin = free_port(), free_port()
        Path(folder, "hooks.cfg").write_text(CONFIG.format(port=port, admin=admin))
        command = [sys.executable, "-c", "from change_hooks.cli import main; main()", "serve", "hooks.cfg"]
        server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        try:
            until_it_answers(f"http://127.0.0.1:{admin}/")
            fill(port)
            take(f"http://127.0.0.1:{admin}/")
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()

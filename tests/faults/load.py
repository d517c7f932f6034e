"""Senders that behave as forges do."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from change_hooks.core.verification import sign_hmac

from ..support.programs import eventually

SECRET = "a long secret"
COMMIT = {"id": "c0ffee", "message": "a", "timestamp": "2026-11-24T12:00:00Z", "added": ["a"]}
#: How long a random run goes on, in seconds: longer by hand (``nox -s faults``) than in CI.
SECONDS = float(os.environ.get("CHANGE_HOOKS_FAULT_SECONDS", "20"))
#: How long a sender waits for an answer, in seconds.
PATIENCE = 30.0


def www(sink: str | None = None, journal: str = "sqlite:///change-hooks.sqlite", **more: Any) -> str:
    """A configuration with the dialects ``github`` and ``base``.

    :param sink: the URL of a sink ``http`` called ``ci``.
    :param more: other keys, without ``change_hook_``.
    """
    keys = {
        "dialects": {"github": {"secret": SECRET, "strict": True}, "base": True},
        "journal": journal,
        "sinks": {} if sink is None else {"ci": {"sink": "http", "url": sink}},
        **more,
    }
    return ", ".join(f"'change_hook_{name}': {value!r}" for name, value in keys.items())


def push(
    port: int, name: str, repository: str = "octo-org/api", commits: int = 1, message: str = "a"
) -> int | None:
    """Send a signed push; the status, or None when there was no answer."""
    payload = {
        "ref": "refs/heads/main",
        "after": "c0ffee",
        "repository": {"full_name": repository, "html_url": f"https://github.com/{repository}"},
        "commits": [{**COMMIT, "message": message}] * commits,
    }
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": name,
        "X-Hub-Signature-256": sign_hmac(body, SECRET.encode()),
    }
    return _post(port, "/change_hook/github", body, headers)[0]


def change(port: int, revision: str, repository: str = "octo-org/api") -> None:
    """Send a change to the dialect ``base``; it has to be accepted."""
    body = urlencode({"revision": revision, "repository": repository}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = _post(port, "/change_hook/base", body, headers)
    assert status == 202, (status, text)


def send(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, str]:
    """Send anything; the answer."""
    parts = urlsplit(url)
    assert parts.port is not None
    return _post(parts.port, parts.path, body, headers)


def _post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()


class Load:
    """Senders that send each delivery again until it is acknowledged, and then the next one.

    :param ports: where to; each attempt goes to one of them.
    :param message: of each of the *commits*.
    :param repositories: how many.
    :param pause: seconds between two attempts of a sender.
    """

    def __init__(
        self,
        ports: list[int],
        senders: int = 4,
        *,
        message: str = "a",
        commits: int = 2,
        repositories: int = 3,
        pause: float = 0.0,
    ) -> None:
        self.acknowledged: list[str] = []
        #: The statuses of all answers, and the longest wait for one, in seconds.
        self.answers: set[int | None] = set()
        self.slowest = 0.0
        self.ports = ports
        self._push = {"commits": commits, "message": message}
        self._repositories = repositories
        self._pause = pause
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(senders)]

    def _send(self, sender: int) -> None:
        number = 0
        while not self._ends.wait(self._pause):
            name = f"{sender}-{number}"
            port, repository = random.choice(self.ports), f"org/{number % self._repositories}"
            began = time.monotonic()
            status = push(port, name, repository, **self._push)  # type: ignore[arg-type]
            self.answers.add(status)
            if status is not None:
                self.slowest = max(self.slowest, time.monotonic() - began)
            if status == 202:
                self.acknowledged.append(name)
                number += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each sender get its last answer."""
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= wanted)

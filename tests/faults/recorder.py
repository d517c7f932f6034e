"""A sink in this process, which takes changes from servers in theirs, and remembers them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Key(NamedTuple):
    """What a change is called."""

    dialect: str
    delivery: str
    index: int


class Taken(NamedTuple):
    """A change that was handed over."""

    key: Key
    repository: str
    change: dict[str, Any]


class Recorder:
    """Takes changes over HTTP, for the sink ``http``.

    *refuses*: it answers 503. While *free* is not set it does not answer at all; *busy* is set when something
    comes. *delay*: seconds that it takes for each change.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.asked: list[Key] = []
        self.refuses = False
        self.delay = 0.0
        self.busy = threading.Event()
        self.free = threading.Event()
        self.free.set()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                change = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204 if recorder._takes(change) else 503)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()

    def _takes(self, change: dict[str, Any]) -> bool:
        key = Key(change["dialect"], change["delivery"], change["index"])
        self.asked.append(key)
        self.busy.set()
        self.free.wait()
        if self.delay:
            threading.Event().wait(self.delay)
        if self.refuses:
            return False
        self.taken.append(Taken(key, change["repository"], change))
        return True

    def wait_until_asked(self) -> None:
        """Wait for something to come from now on."""
        self.busy.clear()
        assert self.busy.wait(60), "nothing came"

    @property
    def revisions(self) -> list[str]:
        """What was taken, in the order in which it was."""
        return [taken.change["revision"] for taken in self.taken]

"""A fake forge in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import Server, free_port, program

API = """
import sys
sys.path.insert(0, sys.argv[1])
from twisted.internet import endpoints, reactor
from twisted.web import server
from tests.support.fake_webhooks import *
from tests.support.fake_webhook_forges import *

api = eval(sys.argv[3])
endpoints.serverFromString(reactor, f"tcp:{sys.argv[2]}:interface=127.0.0.1").listen(server.Site(api))
reactor.run()
"""


@contextmanager
def forge_process(folder: Path, made: str) -> Iterator[Server]:
    """Run one.

    :param made: the expression that makes it, of names in ``fake_webhooks`` and ``fake_webhook_forges``.
    """
    place = folder / "forge"
    place.mkdir()
    (place / "api.py").write_text(API)
    port = free_port()
    root = Path(__file__).parents[2]
    running = Server([program("python"), "api.py", str(root), str(port), made], place, port)
    running.start()
    try:
        yield running
    finally:
        running.kill()

"""An experiment: a C parser (httptools) under a Twisted protocol, in front of our resource.

python benchmarks/front.py: deliveries per second relative to the minimal receiver, which has twisted.web's own HTTP
in front. It has none of the limits that change_hooks.web.front keeps; what they cost is a comparison per piece of data.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from servers import journal, plain


def serve(make: Any, port: int, folder: Path) -> None:
    import httptools
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import Factory, Protocol
    from twisted.web.http_headers import Headers

    from change_hooks.core.delivery import Delivery

    class Found:
        postpath: tuple[bytes, ...] = ()

    resource: Any = make(folder)
    endpoint: Any = getattr(resource, "tree", None)
    endpoint = (endpoint.root if endpoint is not None else resource).getChild(b"github", Found())

    class HookSite(Protocol):
        def connectionMade(self) -> None:
            self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
            self.parser = httptools.HttpRequestParser(self)
            self.on_message_begin()

        def dataReceived(self, data: bytes) -> None:
            self.parser.feed_data(data)

        def on_message_begin(self) -> None:
            self.headers = Headers()
            self.body: list[bytes] = []

        def on_url(self, url: bytes) -> None:
            self.url = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.addRawHeader(name, value)

        def on_body(self, data: bytes) -> None:
            self.body.append(data)

        def on_message_complete(self) -> None:
            received = time.time()
            delivery = Delivery(
                self.parser.get_method(),
                self.url,
                self.headers,
                b"".join(self.body),
                dialect="github",
                received=received,
            )
            answer = endpoint._process(delivery)
            if isinstance(answer, Deferred):
                answer.addCallback(self.answer, delivery, received)
            else:
                self.answer(answer, delivery, received)

        def answer(self, answer: Any, delivery: Delivery, received: float) -> None:
            endpoint._log(self, delivery, answer, received)
            text = answer.text.encode() + b"\n"
            self.transport.write(  # type: ignore[union-attr]
                b"HTTP/1.1 %d Accepted\r\nContent-Type: text/plain; charset=utf-8\r\n"
                b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s"
                % (answer.status, len(text), text)
            )

        client = None

    clock: Any = reactor
    clock.listenTCP(port, Factory.forProtocol(HookSite), backlog=512, interface="127.0.0.1")
    clock.run()


def main() -> None:
    from compare import COMMITS, ratio, row, table
    from load import github, measure, push

    fronts = ("twisted.web", "serve", "httptools")
    table("commits", *(f"{what}, {front}" for what in ("without journal", "SQLite") for front in fronts))
    kinds = ["minimal", "plain", "plain+own", "front_plain", "journal", "journal+own", "front_journal"]
    for commits in COMMITS:
        body = push(commits)
        samples = measure(kinds, github(body), body, 16, rounds=9, seconds=0.5)
        row(commits, *(f"{ratio(samples, kind):.2f}" for kind in kinds[1:]))


MAKERS = {"front_plain": plain, "front_journal": journal}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(MAKERS[sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()

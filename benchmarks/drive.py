"""Generates load at little cost: one thread, non-blocking sockets, and for each delivery only the Python needed to send
it and to find the end of the response. The measured server must not wait for the measuring program.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable

PIECE = 256 * 1024


class Connection:
    """One persistent connection: a delivery, its response, and the next.

    :param number: the connection's number, for the ids of its deliveries.
    :param latencies: collects the time of each delivery.
    """

    def __init__(
        self, port: int, latencies: list[float], *, number: int, head: bytes, body: bytes, mark: bytes
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self._start = b"%bX-GitHub-Delivery: %b-%d-" % (head, mark, number)
        self._end = b"\r\n\r\n" + body
        self._latencies = latencies
        self._sent = 0
        self._rest = memoryview(b"")
        self._answer = b""
        self._began = 0.0

    def send(self) -> bool:
        """Send the next delivery. Returns False if some of it has to wait."""
        self._began = time.perf_counter()
        self._rest = memoryview(b"%b%d%b" % (self._start, self._sent, self._end))
        self._sent += 1
        return self.send_on()

    def send_on(self) -> bool:
        """Send what can be sent now. Returns False if there is more."""
        while self._rest:
            try:
                self._rest = self._rest[self.socket.send(self._rest[:PIECE]) :]
            except BlockingIOError:
                return False
        return True

    def has_answer(self) -> bool:
        """Whether the response to the last delivery has arrived."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return False
        if not data:
            raise RuntimeError(f"the server closed the connection after {self._answer!r}")
        answer = self._answer = self._answer + data
        head, separator, rest = answer.partition(b"\r\n\r\n")
        if not separator:
            return False
        if answer[9:12] not in (b"202", b"200"):
            raise RuntimeError(answer.decode("latin-1"))
        at = head.lower().find(b"\r\ncontent-length:")
        if at < 0:
            if not rest.endswith(b"0\r\n\r\n"):
                return False
        elif len(rest) < int(head[at + 17 :].partition(b"\r\n")[0]):
            return False
        self._latencies.append(time.perf_counter() - self._began)
        self._answer = b""
        return True


def drive(port: int, head: bytes, body: bytes, connections: int, seconds: float) -> list[float]:
    """Send as fast as the responses arrive.

    :param head: the head of each delivery, without its id.
    :returns: how long each response took, in seconds.
    """
    latencies: list[float] = []
    mark = f"{os.getpid()}-{time.monotonic()}".encode()
    clients = [
        Connection(port, latencies, number=each, head=head, body=body, mark=mark)
        for each in range(connections)
    ]
    until = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:

        def watch(client: Connection, step: Callable[[Connection], None], events: int) -> None:
            selector.modify(client.socket, events, (step, client))

        def write(client: Connection) -> None:
            if client.send_on():
                watch(client, read, selectors.EVENT_READ)

        def read(client: Connection) -> None:
            if not client.has_answer():
                return
            if time.perf_counter() >= until:
                selector.unregister(client.socket)
                client.socket.close()
            elif not client.send():
                watch(client, write, selectors.EVENT_WRITE)

        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, (read, client))
            if not client.send():
                watch(client, write, selectors.EVENT_WRITE)
        while selector.get_map():
            for key, _ in selector.select():
                step, client = key.data
                step(client)
    return latencies

"""A way to a server that can break."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from ..support.programs import eventually

#: PostgreSQL's message for the statement COMMIT: its kind, its length, the statement.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Proxy:
    """Passes bytes on between clients and a server, until it is told otherwise.

    :param port: the server's, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._losing, self._after = 0, b""
        #: Servers to which a COMMIT was sent whose answer nobody shall hear.
        self._unheard: set[socket.socket] = set()
        self._lock = threading.Lock()
        #: How many answers were lost.
        self.lost = 0

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.thaw()
        self.cut()

    def lose_commit_answers(self, count: int = 1, *, after: bytes = b"") -> None:
        """Let the next *count* COMMITs be done, and cut the connections in the place of the answers.

        :param after: only those of transactions that have this statement.
        """
        with self._lock:
            self._losing, self._after = count, after

    def wait_until_lost(self, count: int) -> None:
        """Wait until so many answers have been lost."""
        eventually(lambda: self.lost >= count)

    def freeze(self) -> None:
        """Pass nothing on, and close nothing."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what was held up, and all that comes."""
        self._flows.set()

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            broken, self._open = self._open, set()
        for each in broken:
            _break(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._flows.wait()
        try:
            server = socket.create_connection(self._target, 5)
        except OSError:
            _break(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
        self._to_client(client, server)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        transaction = b""
        with suppress(OSError):
            while data := client.recv(65536):
                self._flows.wait()
                transaction += data
                with self._lock:
                    if COMMIT in data and self._losing > 0 and self._after in transaction:
                        self._losing -= 1
                        self._unheard.add(server)
                if COMMIT in data:
                    transaction = b""
                server.sendall(data)
        self._end(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self._flows.wait()
                with self._lock:
                    if server in self._unheard:
                        self.lost += 1
                        break
                client.sendall(data)
        self._end(client, server)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(ends)
            self._unheard.difference_update(ends)
        for each in ends:
            _break(each)


def _break(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

"""The separate port of the admin page."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.addresses import clickable, why_not
from change_hooks.alarm import Alarm

#: How long to wait before retrying a port that could not be opened, in seconds.
AGAIN = 10.0

log = Logger()


class AdminPort:
    """Listens, and keeps retrying: deliveries are accepted whether or not the page can be shown.

    :param reactor: the reactor.
    :param port: an endpoint string.
    :param site: the site to serve.
    """

    def __init__(self, reactor: Any, port: str, site: IProtocolFactory) -> None:
        self._reactor = reactor
        self._port = port
        self._site = site
        self._listening: Any = None
        self._again = Alarm(reactor, self._listen)

    def start(self) -> None:
        """Start listening."""
        self._listen()

    def _listen(self) -> None:
        endpoint = serverFromString(self._reactor, self._port)
        maybeDeferred(endpoint.listen, self._site).addCallbacks(self._listens, self._cannot)

    def _listens(self, listening: Any) -> None:
        self._listening = listening
        log.info("the admin page: {address}/", address=clickable(listening.getHost(), self._port))

    def _cannot(self, failure: Failure) -> None:
        log.error(
            "cannot listen on {port} (change_hook_admin): {reason}; retrying in {seconds:.0f} s",
            port=self._port,
            reason=why_not(failure.value),
            seconds=AGAIN,
        )
        self._again.set(AGAIN)

    def stop(self) -> Deferred[None]:
        """Stop listening."""
        self._again.clear()
        listening, self._listening = self._listening, None
        return succeed(None) if listening is None else maybeDeferred(listening.stopListening)


__all__ = ["AGAIN", "AdminPort"]

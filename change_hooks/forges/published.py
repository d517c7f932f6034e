"""The networks from which a forge sends its webhooks, as it publishes them.

Source: GitHub, "REST API endpoints for meta data".
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from change_hooks.alarm import Alarm
from change_hooks.http_answers import ask

#: How often the list is fetched, and how long to wait after a failure, in seconds.
REFRESH = 3600.0
AGAIN = 60.0
TIME_LIMIT = 20.0
#: The largest response that is read, in bytes; GitHub's has about 100 kB.
LARGEST = 4 * 1024 * 1024

log = Logger()


class PublishedNetworks:
    """GitHub's list, kept up to date. The last list that was fetched stays in use.

    :param url: the URL of the API's ``/meta``.
    :param http: a treq ``HTTPClient``; None: one is created.
    :param clock: the reactor, or a clock in tests.
    """

    def __init__(self, url: str, http: Any, clock: Any) -> None:
        self.networks: Sequence[IPv4Network | IPv6Network] | None = None
        self._url = url
        self._http = http
        self._clock = clock
        self._stopped = False
        self._alarm = Alarm(clock, self._fetch)
        self._alarm.set(0)

    def _fetch(self) -> None:
        if self._http is None:
            from change_hooks.http_client import KeptConnections

            self._http = KeptConnections(self._clock, verify=True, connect_timeout=TIME_LIMIT)
        asked: Deferred[Any] = self._read()
        asked.addCallbacks(lambda _: REFRESH, self._failed).addCallback(self._later)

    @inlineCallbacks
    def _read(self) -> Any:
        answer = yield ask(
            self._http, "GET", self._url, clock=self._clock, time_limit=TIME_LIMIT, most=LARGEST
        )
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        said = msgspec.json.decode(answer.body, type=_Meta)
        if not said.hooks:
            raise ValueError("it is empty")
        self.networks = [ip_network(each) for each in said.hooks]

    def _failed(self, failure: Any) -> float:
        log.warn(
            "the list of addresses at {url} could not be fetched ({kind}); {rest}",
            url=self._url,
            kind=failure.type.__name__,
            rest="deliveries are refused until it is"
            if self.networks is None
            else "the last one stays in use",
        )
        return AGAIN

    def _later(self, seconds: float) -> None:
        if not self._stopped:
            self._alarm.set(seconds)

    def start(self) -> None:
        """Resume fetching after :meth:`stop`."""
        if self._stopped:
            self._stopped = False
            self._alarm.set(0)

    def stop(self) -> None:
        """Stop fetching."""
        self._alarm.clear()
        self._stopped = True


class _Meta(msgspec.Struct):
    hooks: list[str] = []


__all__ = ["PublishedNetworks"]

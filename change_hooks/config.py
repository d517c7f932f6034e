"""The ``www`` dict, validated.

All errors are reported together. Each names the key, what is wrong with it and, for an unknown name, the
closest valid one. A setting that works but is risky, such as open access, is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from twisted.logger import Logger

from change_hooks.admin.settings import AdminSettings, read_settings
from change_hooks.configured_endpoints import EndpointConfig, EndpointReader
from change_hooks.configured_sinks import as_written, read_alarms, read_sinks
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.names import nearest
from change_hooks.core.options import texts
from change_hooks.journal.address import is_valid
from change_hooks.outbox.routing import RoutedSink
from change_hooks.plugins import Registry, installed
from change_hooks.web.bounds import CONNECTIONS, DEFAULT_MAX_BODY
from change_hooks.web.checkers import read_checkers
from change_hooks.web.proxies import TrustedProxies

log = Logger()

T = TypeVar("T")

PREFIX = "change_hook_"
#: The journal, unless the configuration names one.
DEFAULT_JOURNAL = "sqlite:///change-hooks.sqlite"
#: After how many failures of a sink a change becomes a dead letter.
DEFAULT_ATTEMPTS = 100
#: How long a handler may take before the sender is answered without its result, in seconds: GitHub waits ten.
DEFAULT_ANSWER_WITHIN = 5.0
#: How long a delivery is kept once every sink has accepted it, in days.
DEFAULT_KEEP = 30.0
#: How long the trace of a request without changes is kept, in days.
DEFAULT_KEEP_TRACE = 3.0


@dataclass(frozen=True)
class HooksConfig:
    """The settings for change hooks in the ``www`` dict.

    :param admin: the settings of the admin page; None: not configured.
    :param max_body: the largest body accepted, in bytes.
    :param max_in_flight: the memory that ``serve`` uses for bodies, in bytes; None: eight times *max_body*.
    :param hosts: the host names that endpoints without a signature accept on the loopback interface.
    :param rate: unverified requests allowed for each address per minute; None: no limit.
    :param max_connections: the most connections that ``serve`` keeps open.
    :param trusted_proxies: the proxies whose forwarding headers are trusted.
    :param journal: the file of a SQLite journal, or a PostgreSQL URL; None: no journal.
    :param sinks: the sinks by name, each with its routing.
    :param sinks_written: the sinks as the user wrote them, for comparison.
    :param attempts: after how many failures of a sink a change becomes a dead letter.
    :param answer_within: how long a handler may take before the sender is answered without its result, in
        seconds.
    :param keep: how long a delivery is kept once every sink has accepted it, in days; None: forever.
    :param keep_trace: how long the trace of a request without changes is kept, in days.
    :param alarms: the names of the sinks that get events about the receiver.
    :param warnings: warnings, each a sentence.
    """

    endpoints: tuple[EndpointConfig, ...]
    auth: tuple[Any, ...]
    admin: AdminSettings | None
    max_body: int
    max_in_flight: int | None
    hosts: tuple[str, ...]
    rate: int | None
    max_connections: int
    trusted_proxies: TrustedProxies
    journal: Path | str | None = field(repr=False)
    attempts: int
    answer_within: float
    keep: float | None
    keep_trace: float
    sinks: Mapping[str, RoutedSink]
    sinks_written: object = field(repr=False)
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]


class _Reader:
    """Reads the settings and collects errors."""

    def __init__(self, www: Mapping[str, Any], registry: Registry, base: Path) -> None:
        self.www = www
        self.registry = registry
        self.base = base
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def read(self) -> HooksConfig:
        for key in self.www:
            if isinstance(key, str) and key.startswith(PREFIX) and key not in KEYS:
                self.problems.append(f"unknown key {key!r}{nearest(key, KEYS)}")
        auth = self._taken(read_checkers("change_hook_auth", self.www.get("change_hook_auth")))
        endpoints = self._endpoints(protected=bool(auth))
        attempts = int(self._positive("change_hook_attempts", DEFAULT_ATTEMPTS, "attempts"))
        sinks = self._taken(read_sinks(self.www.get("change_hook_sinks"), attempts, self.base))
        journal = self._journal()
        alarms = self._taken(read_alarms(self.www.get("change_hook_alarms"), sinks))
        if alarms and journal is None:
            self.problems.append("change_hook_alarms needs a journal (change_hook_journal)")
        if journal is None:
            self._doubt_sinks(sinks)
        config = HooksConfig(
            endpoints=endpoints,
            auth=auth,
            admin=self._taken(read_settings(self.www.get("change_hook_admin"))),
            max_body=int(self._positive("change_hook_max_body", DEFAULT_MAX_BODY, "bytes")),
            max_in_flight=self._max_in_flight(),
            hosts=self._hosts(),
            journal=journal,
            rate=self._rate(),
            max_connections=int(self._positive("change_hook_max_connections", CONNECTIONS, "connections")),
            trusted_proxies=self._trusted_proxies(),
            attempts=attempts,
            answer_within=self._positive("change_hook_answer_within", DEFAULT_ANSWER_WITHIN, "seconds"),
            keep=self._keep(),
            keep_trace=self._positive("change_hook_keep_trace", DEFAULT_KEEP_TRACE, "days"),
            sinks=sinks,
            sinks_written=as_written(self.www.get("change_hook_sinks")),
            alarms=alarms,
            warnings=tuple(self.warnings),
        )
        if self.problems:
            raise ConfigurationError(self.problems)
        return config

    def _taken(self, read: tuple[T, list[str]]) -> T:
        """Return a setting that was read, and record its errors."""
        value, problems = read
        self.problems += problems
        return value

    def _positive(self, key: str, default: float, unit: str) -> float:
        """A positive number: an integer if the default is one."""
        value = self.www.get(key)
        if value is None:
            return default
        kinds = (int,) if isinstance(default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
            self.problems.append(f"{key} must be a positive number of {unit}")
            return default
        return value

    def _max_in_flight(self) -> int | None:
        if self.www.get("change_hook_max_in_flight") is None:
            return None
        return int(self._positive("change_hook_max_in_flight", DEFAULT_MAX_BODY, "bytes"))

    def _rate(self) -> int | None:
        if self.www.get("change_hook_rate") is None:
            return None
        return int(self._positive("change_hook_rate", 1, "requests a minute"))

    def _hosts(self) -> tuple[str, ...]:
        value = self.www.get("change_hook_hosts")
        try:
            return () if value is None else tuple(name.lower() for name in texts(value))
        except TypeError as error:
            self.problems.append(f"change_hook_hosts {error}, for instance ['ci.example.com']")
            return ()

    def _trusted_proxies(self) -> TrustedProxies:
        value = self.www.get("change_hook_trusted_proxies")
        try:
            return TrustedProxies() if value is None else TrustedProxies(texts(value))
        except TypeError as error:
            self.problems.append(
                f"change_hook_trusted_proxies {error}, for instance ['127.0.0.1', '10.0.0.0/8']"
            )
        except ValueError as error:
            self.problems.append(f"change_hook_trusted_proxies: {error}")
        return TrustedProxies()

    def _keep(self) -> float | None:
        if "change_hook_keep" in self.www and self.www["change_hook_keep"] is None:
            return None
        return self._positive("change_hook_keep", DEFAULT_KEEP, "days, or None to keep them forever")

    def _journal(self) -> Path | str | None:
        url = self.www.get("change_hook_journal", DEFAULT_JOURNAL)
        if url is None:
            return None
        if isinstance(url, str):
            if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
                return self.base / url[len("sqlite:///") :]
            if url.startswith(("postgresql://", "postgres://")):
                if not is_valid(url):
                    self.problems.append(
                        "change_hook_journal is not a valid PostgreSQL URL: special characters in its user"
                        " and password must be written as %XX (urllib.parse.quote(password, safe=''))"
                    )
                return url
        self.problems.append(
            "change_hook_journal must be 'sqlite:///path' (relative to the configuration's folder),"
            " 'sqlite:////absolute/path', 'postgresql://user@host/database', or None"
        )
        return None

    def _endpoints(self, *, protected: bool) -> tuple[EndpointConfig, ...]:
        journal = self.www.get("change_hook_journal", DEFAULT_JOURNAL)
        reader = EndpointReader(self.registry, self.base, journal, protected=protected)
        off = self.www.get("change_hook") is False
        endpoints = reader.read(self.www.get("change_hook_dialects"), off=off)
        self.problems += reader.problems
        self.warnings += reader.warnings
        return endpoints

    def _doubt_sinks(self, sinks: Mapping[str, RoutedSink]) -> None:
        for name, sink in sinks.items():
            for option in ("quiet", "latest_per"):
                if getattr(sink, option) is not None:
                    self.warnings.append(
                        f"change_hook_sinks: {name!r}: {option!r} has no effect without a journal"
                    )
                    break


#: Every key of ``www`` that is ours, except ``port``.
KEYS = (
    "change_hook",
    "change_hook_admin",
    "change_hook_alarms",
    "change_hook_answer_within",
    "change_hook_attempts",
    "change_hook_auth",
    "change_hook_dialects",
    "change_hook_hosts",
    "change_hook_journal",
    "change_hook_keep",
    "change_hook_keep_trace",
    "change_hook_max_body",
    "change_hook_max_connections",
    "change_hook_rate",
    "change_hook_max_in_flight",
    "change_hook_sinks",
    "change_hook_trusted_proxies",
)


def read_www(
    www: Mapping[str, object], *, base: Path | None = None, registry: Registry | None = None
) -> HooksConfig:
    """Validate the ``www`` dict. Keys that do not start with ``change_hook`` are ignored.

    :param base: the folder for relative paths; the current one by default.
    :param registry: the available dialects; those installed by default.
    :raises ConfigurationError: with all errors.
    """
    if not isinstance(www, Mapping):
        raise ConfigurationError(["c['www'] must be a dict"])
    return _Reader(www, registry or installed(), base or Path.cwd()).read()


def log_warnings(config: HooksConfig) -> None:
    """Log the warnings about a configuration."""
    for warning in config.warnings:
        log.warn("{warning}", warning=warning)


__all__ = ["DEFAULT_JOURNAL", "KEYS", "PREFIX", "HooksConfig", "log_warnings", "read_www"]

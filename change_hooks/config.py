"""The ``www`` dict, validated.

Everything wrong is found in one go, and each problem names the key, what is wrong with it and, for a
name, the nearest valid one. What is merely doubtful (a door left open) is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from change_hooks.admin.settings import AdminSettings, read_settings
from change_hooks.configured_sinks import read_alarms, read_sinks
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.options import nearest, option_names, seconds, texts
from change_hooks.core.recovering import recover
from change_hooks.dialects.handler import HookHandler, check_options
from change_hooks.journal.address import is_valid
from change_hooks.outbox.routing import RoutedSink
from change_hooks.plugins import PluginError, Registry, installed
from change_hooks.recovery.sources import problems as recover_problems
from change_hooks.references import resolved
from change_hooks.upstream.classes import Maker, replacing
from change_hooks.web.endpoint import DEFAULT_MAX_BODY
from change_hooks.web.front import CONNECTIONS
from change_hooks.web.proxies import TrustedProxies

PREFIX = "change_hook_"
#: Where changes are kept when the configuration does not say.
DEFAULT_JOURNAL = "sqlite:///change-hooks.sqlite"
#: Failures of a sink after which a change is given up.
DEFAULT_ATTEMPTS = 100
#: How long a handler may take before the answer goes out without it, in seconds: GitHub waits for ten.
DEFAULT_ANSWER_WITHIN = 5.0
#: How long a delivery is kept after it was delivered, in days.
DEFAULT_KEEP = 30.0
#: How long a trace of a request that gave nothing is kept, in days.
DEFAULT_KEEP_TRACE = 3.0


@dataclass(frozen=True)
class EndpointConfig:
    """One entry of ``change_hook_dialects``.

    :param name: the URL's segment.
    :param handler: the handler class.
    :param options: what the user wrote.
    :param auth: the endpoint's own checkers; empty: open; None: those of ``change_hook_auth``.
    :param expect_every: within how many seconds a delivery is expected; None: none is.
    """

    name: str
    handler: Any
    options: Any = field(repr=False)
    auth: tuple[Any, ...] | None
    expect_every: float | None = None


@dataclass(frozen=True)
class HooksConfig:
    """What the ``www`` dict says about change hooks.

    :param admin: what is said of the page for operators; None: nothing.
    :param max_body: in bytes.
    :param max_in_flight: the most that ``serve`` holds of all bodies, in bytes; None: eight times *max_body*.
    :param hosts: the names under which endpoints without a signature answer on this machine's own interface.
    :param rate: how many requests of one address a minute are answered that nothing verifies; None: all.
    :param max_connections: the most that ``serve`` has open at once.
    :param trusted_proxies: whose word is taken for who sends a request.
    :param journal: the file of a SQLite journal, or a PostgreSQL URL; None: no journal.
    :param sinks: by name, each with what it gets.
    :param attempts: failures of a sink after which a change is given up.
    :param answer_within: how long a handler may take before the answer goes out without it, in seconds.
    :param keep: how long a delivery is kept after it was delivered, in days; None: for good.
    :param keep_trace: how long a trace of a request that gave nothing is kept, in days.
    :param alarms: the names of the sinks that get events about the receiver.
    :param warnings: each a sentence.
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
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]


class _Reader:
    """Collects what is wrong while it reads."""

    def __init__(self, www: Mapping[str, Any], registry: Registry, base: Path) -> None:
        self.www = www
        self.registry = registry
        self.base = base
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def read(self) -> HooksConfig:
        for key in self.www:
            if isinstance(key, str) and key.startswith(PREFIX) and key not in _KEYS:
                self.problems.append(f"unknown key {key!r}{nearest(key, _KEYS)}")
        auth = self._checkers("change_hook_auth", self.www.get("change_hook_auth"))
        endpoints = self._endpoints(bool(auth))
        attempts = int(self._positive("change_hook_attempts", DEFAULT_ATTEMPTS, "attempts"))
        sinks, problems = read_sinks(self.www.get("change_hook_sinks"), attempts, self.base)
        self.problems += problems
        journal = self._journal()
        alarms, problems = read_alarms(self.www.get("change_hook_alarms"), sinks)
        self.problems += problems
        if alarms and journal is None:
            self.problems.append("change_hook_alarms needs a journal (change_hook_journal)")
        if journal is None:
            self._doubt_sinks(sinks)
        config = HooksConfig(
            endpoints=endpoints,
            auth=auth,
            admin=self._admin(),
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
            alarms=alarms,
            warnings=tuple(self.warnings),
        )
        if self.problems:
            raise ConfigurationError(self.problems)
        return config

    def _positive(self, key: str, default: float, unit: str) -> float:
        """A positive number: a whole one when the default is."""
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
        return self._positive("change_hook_keep", DEFAULT_KEEP, "days, or None to keep them for good")

    def _admin(self) -> AdminSettings | None:
        settings, problems = read_settings(self.www.get("change_hook_admin"), self._checkers)
        self.problems += problems
        return settings

    def _checkers(self, where: str, value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            value = [value]
        for checker in value:
            if not ICredentialsChecker.providedBy(checker):
                self.problems.append(
                    f"{where} must be a list of ICredentialsChecker, for instance"
                    f" [strcred.makeChecker('file:changehook.passwd')]; {type(checker).__name__} is none"
                )
        return tuple(value)

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
                        "change_hook_journal is not a valid PostgreSQL URL: what is special in its user and"
                        " password is written as %XX (urllib.parse.quote(password, safe=''))"
                    )
                return url
        self.problems.append(
            "change_hook_journal must be 'sqlite:///path' (relative to the configuration's folder),"
            " 'sqlite:////absolute/path', 'postgresql://user@host/database', or None"
        )
        return None

    def _doubt_sinks(self, sinks: Mapping[str, RoutedSink]) -> None:
        for name, sink in sinks.items():
            for option in ("quiet", "latest_per"):
                if getattr(sink, option) is not None:
                    self.warnings.append(
                        f"change_hook_sinks: {name!r}: {option!r} has no effect without a journal"
                    )
                    break

    def _endpoints(self, protected: bool) -> tuple[EndpointConfig, ...]:
        dialects = self.www.get("change_hook_dialects")
        if dialects is not None and not isinstance(dialects, Mapping):
            self.problems.append("change_hook_dialects must be a dict of dialect names and their options")
            dialects = {}
        if self.www.get("change_hook") is False:
            self.warnings.append("change_hook is False: every dialect is off")
            return ()
        if not dialects:
            self.warnings.append("change_hook_dialects is empty: no dialect is enabled")
            return ()
        read = [self._endpoint(name, options, protected) for name, options in dialects.items()]
        return tuple(endpoint for endpoint in read if endpoint is not None)

    def _endpoint(self, name: Any, options: Any, protected: bool) -> EndpointConfig | None:
        where = f"dialect {name!r}"
        if not isinstance(name, str) or not name or "/" in name:
            self.problems.append(f"{where}: a dialect's name is a str without '/'")
            return None
        if options is False:
            return None
        if options is not None and options is not True and not isinstance(options, Mapping):
            self.problems.append(f"{where}: its options must be a dict, or True for none")
            return None
        written = options if isinstance(options, Mapping) else {}
        handler = self._handler(where, name, written)
        if handler is None:
            return None
        auth = (
            self._checkers(f"{where}: option 'auth'", written.get("auth"))
            if written.get("auth") is not None
            else None
        )
        if auth is not None:
            protected = bool(auth)
        written = self._with_secrets(where, handler, written)
        problems, doubts = check_options(handler, written, protected=protected)
        if written.get("replay") is False and self.www.get("change_hook_journal", DEFAULT_JOURNAL) is None:
            doubts.append("'replay': False has no effect without a journal (change_hook_journal)")
        self.problems += [f"{where}: {problem}" for problem in problems]
        self.warnings += [f"{where}: {doubt}" for doubt in doubts]
        if not problems and isinstance(written.get("recover"), Mapping):
            self._check_recover(where, handler, written["recover"])
        given = written if isinstance(options, Mapping) else True
        return EndpointConfig(name, handler, given, auth, self._expect_every(where, handler, written))

    def _expect_every(self, where: str, handler: Any, written: Mapping[str, Any]) -> float | None:
        try:
            return None if written.get("expect_every") is None else seconds(written["expect_every"])
        except TypeError as error:
            if getattr(handler, "Options", None) is None:
                self.problems.append(f"{where}: option 'expect_every' {error}")
            return None

    def _check_recover(self, where: str, handler: Any, written: Mapping[str, Any]) -> None:
        journal = self.www.get("change_hook_journal", DEFAULT_JOURNAL)
        wrong = recover_problems(getattr(handler, "forge", ""), recover(written), journal)
        self.problems += [f"{where}: option 'recover' {problem}" for problem in wrong]

    def _with_secrets(self, where: str, handler: Any, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options with the secrets that they refer to; paths are relative to the configuration."""
        declared = getattr(handler, "Options", None)
        read = dict(written)
        for name in getattr(declared, "secrets", ()):
            try:
                read[name] = resolved(read[name], self.base) if name in read else None
            except ValueError as error:
                self.problems.append(f"{where}: option {name!r} {error}")
                read[name] = None
            if name not in written:
                del read[name]
        return read

    def _handler(self, where: str, name: str, options: Mapping[str, Any]) -> Any:
        custom = options.get("custom_class")
        if custom is not None:
            return self._usable(where, "custom_class", custom)
        dialect = name if options.get("dialect") is None else options["dialect"]
        if not isinstance(dialect, str):
            self.problems.append(f"{where}: option 'dialect' must be a str, not {type(dialect).__name__}")
            return None
        try:
            handler = self.registry.load(dialect)
        except KeyError:
            known = self.registry.names()
            # Buildbot takes a name that nobody knows, and does nothing with it.
            wanted = options or get_close_matches(str(dialect), known, 1, 0.8)
            unknown = f"{where}: no dialect of this name{nearest(str(dialect), known)}"
            (self.problems if wanted else self.warnings).append(unknown)
            return None
        except PluginError as error:
            self.problems.append(f"{where}: {error}")
            return None
        replacement = options.get("class")
        if replacement is not None and _has_class_option(handler):
            return self._replacing(where, replacement)
        return self._usable(where, "its entry point", handler)

    def _replacing(self, where: str, replacement: Any) -> Any:
        if not callable(replacement):
            self.problems.append(f"{where}: option 'class' must be a class")
            return None
        handler = replacing(replacement)
        if isinstance(handler, Maker) and not handler.ours:
            self.warnings.append(
                f"{where}: the class {handler.__qualname__} verifies its senders by itself; with a base class"
                " from change_hooks.upstream that is done before it, and all options of the dialect work"
            )
        return handler

    def _usable(self, where: str, origin: str, handler: Any) -> Any:
        if callable(getattr(handler, "getChanges", None)) if isinstance(handler, type) else callable(handler):
            return handler
        self.problems.append(f"{where}: {origin} must be a class with a method getChanges(request)")
        return None


_KEYS = (
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


def _has_class_option(handler: Any) -> bool:
    return (
        isinstance(handler, type)
        and issubclass(handler, HookHandler)
        and handler.Options is not None
        and "class" in option_names(handler.Options)
    )


def read_www(
    www: Mapping[str, object], *, base: Path | None = None, registry: Registry | None = None
) -> HooksConfig:
    """Validate the ``www`` dict. Keys that do not start with ``change_hook`` are somebody else's.

    :param base: the folder that relative paths start from; the current one by default.
    :param registry: the dialects on offer; those installed by default.
    :raises ConfigurationError: with everything that is wrong.
    """
    if not isinstance(www, Mapping):
        raise ConfigurationError(["c['www'] must be a dict"])
    return _Reader(www, registry or installed(), base or Path.cwd()).read()


__all__ = ["DEFAULT_JOURNAL", "EndpointConfig", "HooksConfig", "read_www"]

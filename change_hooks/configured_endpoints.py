"""The endpoints of a configuration: ``change_hook_dialects``, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from change_hooks.core.names import nearest
from change_hooks.core.options import option_names, seconds
from change_hooks.core.recovering import recover
from change_hooks.dialects.handler import HookHandler, check_options
from change_hooks.plugins import PluginError, Registry
from change_hooks.references import FileSecrets, files_in, resolved, resolved_secrets
from change_hooks.web.checkers import read_checkers


@dataclass(frozen=True)
class EndpointConfig:
    """One entry of ``change_hook_dialects``.

    :param name: the segment in the URL.
    :param handler: the handler class.
    :param options: the options as the user wrote them.
    :param auth: the endpoint's own checkers; empty: no password; None: those of ``change_hook_auth``.
    :param expect_every: within how many seconds a delivery is expected; None: no expectation.
    """

    name: str
    handler: Any
    options: Any = field(repr=False)
    auth: tuple[Any, ...] | None
    expect_every: float | None = None


class EndpointReader:
    """Reads the endpoints and collects errors.

    :param registry: the available dialects.
    :param base: the folder for relative paths.
    :param journal: the value of ``change_hook_journal``.
    :param protected: whether endpoints without an option ``auth`` ask for a password.
    """

    def __init__(self, registry: Registry, base: Path, journal: Any, *, protected: bool) -> None:
        self._registry = registry
        self._base = base
        self._journal = journal
        self._protected = protected
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def read(self, dialects: Any, *, off: bool) -> tuple[EndpointConfig, ...]:
        """The enabled endpoints.

        :param dialects: the value of ``change_hook_dialects``.
        :param off: disable all of them.
        """
        if dialects is not None and not isinstance(dialects, Mapping):
            self.problems.append("change_hook_dialects must be a dict of dialect names and their options")
            dialects = {}
        if off:
            self.warnings.append("change_hook is False: every dialect is off")
            return ()
        if not dialects:
            self.warnings.append("change_hook_dialects is empty: no dialect is enabled")
            return ()
        read = [self._endpoint(name, options) for name, options in dialects.items()]
        return tuple(endpoint for endpoint in read if endpoint is not None)

    def _endpoint(self, name: Any, options: Any) -> EndpointConfig | None:
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
        auth = self._auth(where, written)
        protected = self._protected if auth is None else bool(auth)
        written = self._with_secrets(where, handler, written)
        problems, doubts = check_options(handler, written, protected=protected)
        if written.get("replay") is False and self._journal is None:
            doubts.append("'replay': False has no effect without a journal (change_hook_journal)")
        self.problems += [f"{where}: {problem}" for problem in problems]
        self.warnings += [f"{where}: {doubt}" for doubt in doubts]
        if not problems and isinstance(written.get("recover"), Mapping):
            self._check_recover(where, handler, written["recover"])
        given = written if isinstance(options, Mapping) else True
        return EndpointConfig(name, handler, given, auth, self._expect_every(where, handler, written))

    def _auth(self, where: str, written: Mapping[str, Any]) -> tuple[Any, ...] | None:
        if written.get("auth") is None:
            return None
        checkers, problems = read_checkers(f"{where}: option 'auth'", written["auth"])
        self.problems += problems
        return checkers

    def _expect_every(self, where: str, handler: Any, written: Mapping[str, Any]) -> float | None:
        try:
            return None if written.get("expect_every") is None else seconds(written["expect_every"])
        except TypeError as error:
            if getattr(handler, "Options", None) is None:
                self.problems.append(f"{where}: option 'expect_every' {error}")
            return None

    def _check_recover(self, where: str, handler: Any, written: Mapping[str, Any]) -> None:
        # It brings the clients of all forges, and few configurations have the option.
        from change_hooks.recovery.sources import problems as recover_problems

        wrong = recover_problems(getattr(handler, "forge", ""), recover(written), self._journal)
        self.problems += [f"{where}: option 'recover' {problem}" for problem in wrong]

    def _with_secrets(self, where: str, handler: Any, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options, with references replaced by secrets; paths are relative to the configuration file."""
        declared = getattr(handler, "Options", None)
        read = dict(written)
        for name in getattr(declared, "secrets", ()):
            if name not in read:
                continue
            try:
                if name != "secret":
                    read[name] = resolved(read[name], self._base)
                elif _follows(handler) and files_in(read[name], self._base):
                    read[name] = FileSecrets(read[name], self._base)
                else:
                    read[name] = resolved_secrets(read[name], self._base)
            except (TypeError, ValueError) as error:
                self.problems.append(f"{where}: option {name!r} {error}")
                # Anything, so that no option is reported to need it.
                read[name] = token_urlsafe()
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
            handler = self._registry.load(dialect)
        except KeyError:
            known = self._registry.names()
            # Buildbot accepts an unknown name, and does nothing with it.
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
        from change_hooks.upstream.classes import Maker, replacing

        handler = replacing(replacement)
        if isinstance(handler, Maker) and not handler.ours:
            self.warnings.append(
                f"{where}: the class {handler.__qualname__} verifies its senders itself; with a base class"
                " from change_hooks.upstream the framework does so, and all options of the dialect work"
            )
        return handler

    def _usable(self, where: str, origin: str, handler: Any) -> Any:
        if callable(getattr(handler, "getChanges", None)) if isinstance(handler, type) else callable(handler):
            return handler
        self.problems.append(f"{where}: {origin} must be a class with a method getChanges(request)")
        return None


def _has_class_option(handler: Any) -> bool:
    return (
        isinstance(handler, type)
        and issubclass(handler, HookHandler)
        and handler.Options is not None
        and "class" in option_names(handler.Options)
    )


def _follows(handler: Any) -> bool:
    """Whether a handler class accepts secrets that change at run time."""
    return isinstance(handler, type) and issubclass(handler, HookHandler) and not handler.as_upstream


__all__ = ["EndpointConfig", "EndpointReader"]

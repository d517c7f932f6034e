"""What would keep a valid configuration from working: tried without serving anything.

Strategy: whatever ``serve`` opens is opened here in the same way, and closed again. What would keep it from
starting, or a part of it from working, is a problem; what is risky, but may be intended, is a doubt.
"""

from __future__ import annotations

import errno
import fcntl
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
from twisted.cred.checkers import FilePasswordDB
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from change_hooks.addresses import why_not
from change_hooks.config import HooksConfig
from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.address import open_reader
from change_hooks.sinks.command import Command
from change_hooks.standalone_settings import Settings
from change_hooks.tree import unmade

#: Addresses that only this machine can reach.
_LOOPBACK = ("127.", "::1", "localhost")
#: What ``read_www`` calls a literal secret.
_SECRETS = ("secret", "token")


class Found(msgspec.Struct, frozen=True):
    """The results of an inspection.

    :param problems: what does not work.
    :param doubts: what works, but may not be intended.
    """

    problems: tuple[str, ...]
    doubts: tuple[str, ...]


def inspect(settings: Settings, hooks: HooksConfig, reactor: IReactorCore) -> Found:
    """Try what the server would do. The current folder must be the one for relative paths.

    :param settings: the server's settings.
    :param hooks: the same, as ``read_www`` read them.
    :param reactor: tries the ports: each is opened and closed at once.
    """
    ports = [("c['www']['port']", settings.port)]
    if hooks.admin is not None and hooks.admin.port is not None:
        ports.append(("change_hook_admin: option 'port'", hooks.admin.port))
    problems: list[str] = [*unmade(hooks)]
    doubts: list[str] = [*hooks.warnings, *settings.doubts]
    for where, port in ports:
        problem, doubt = _try_port(where, port, reactor)
        problems += problem
        doubts += doubt
    problems += [
        *_password_files(hooks),
        *_programs(settings, hooks),
        *_journal(hooks),
    ]
    doubts += [
        *_open_port(settings.port),
        *_written_secrets(settings),
        *_open_files(settings, hooks),
        *_no_sink(settings, hooks),
    ]
    return Found(tuple(problems), tuple(doubts))


def _try_port(where: str, port: str, reactor: Any) -> tuple[list[str], list[str]]:
    """The problems and doubts about an endpoint string."""
    try:
        endpoint = serverFromString(reactor, port)
    except Exception as error:
        return [f"{where}: {port!r} cannot be used: {error or type(error).__name__}"], []
    opened: list[Any] = []
    endpoint.listen(Factory()).addBoth(opened.append)
    if not opened:
        return [], []
    if not isinstance(opened[0], Failure):
        opened[0].stopListening()
        return [], []
    refused = opened[0].value
    reason = getattr(refused, "socketError", refused)
    if isinstance(refused, CannotListenError) and getattr(reason, "errno", None) == errno.EADDRINUSE:
        return [], [f"{where}: {port} is in use; is the server running?"]
    return [f"{where}: cannot listen on {port}: {why_not(refused)}"], []


def _password_files(hooks: HooksConfig) -> Iterator[str]:
    for where, checker in _checkers(hooks):
        try:
            Path(checker.filename).read_bytes()
        except OSError as error:
            yield f"{where}: {checker.filename} cannot be read: {error.strerror}"


def _checkers(hooks: HooksConfig) -> Iterator[tuple[str, FilePasswordDB]]:
    """The password files, and where each is configured."""
    checkers = [("change_hook_auth", checker) for checker in hooks.auth]
    for entry in hooks.endpoints:
        checkers += [(f"dialect {entry.name!r}: option 'auth'", checker) for checker in entry.auth or ()]
    if hooks.admin is not None:
        checkers += [("change_hook_admin: option 'auth'", checker) for checker in hooks.admin.auth]
    for where, checker in checkers:
        if isinstance(checker, FilePasswordDB):
            yield where, checker


def _programs(settings: Settings, hooks: HooksConfig) -> Iterator[str]:
    for name, routed in hooks.sinks.items():
        sink = routed.sink
        if isinstance(sink, Command) and shutil.which(sink.argv[0], path=sink.env.get("PATH")) is None:
            yield f"change_hook_sinks: {name!r}: {sink.argv[0]!r} is not an executable program"
    for poller in settings.pollers:
        if poller.program and shutil.which(poller.program) is None:
            yield f"change_source: {poller.name}: {poller.program!r} is not installed"


def _journal(hooks: HooksConfig) -> Iterator[str]:
    address = hooks.journal
    if address is None:
        return
    try:
        open_reader(address)
    except FileNotFoundError:
        pass
    except ConfigurationError as error:
        yield from error.problems
        return
    if isinstance(address, Path):
        try:
            _lock_in(address.resolve().parent)
        except OSError as error:
            yield f"change_hook_journal: {address}: {error.strerror or error}"


def _lock_in(folder: Path) -> None:
    """Write and lock a file in a folder, as the journal does.

    :raises OSError: the file cannot be written or locked.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open_port(port: str) -> Iterator[str]:
    kind, *words = re.split(r"(?<!\\):", port)
    interface = next((word[10:] for word in words if word.startswith("interface=")), "")
    if kind in ("tcp", "tcp6") and not interface.replace("\\", "").startswith(_LOOPBACK):
        yield (
            f"c['www']['port']: {port} can be reached from other machines without TLS; listen on"
            " interface=127.0.0.1 behind a web server with TLS, or use ssl:"
        )


def _written_secrets(settings: Settings) -> Iterator[str]:
    path = settings.path
    if path is None or not path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return
    text = path.read_text("utf-8", "replace")
    dialects = settings.www.get("change_hook_dialects")
    for name, options in dialects.items() if isinstance(dialects, Mapping) else ():
        for option in _SECRETS if isinstance(options, Mapping) else ():
            if _is_written(options.get(option), text):
                yield (
                    f"dialect {name!r}: option {option!r} is in {path.name}, which others can read;"
                    " chmod 600 it, or write {'file': ...} or {'env': ...}"
                )


def _open_files(settings: Settings, hooks: HooksConfig) -> Iterator[str]:
    """Files with secrets or payloads that other users can read, change or replace."""
    files = [(where, Path(checker.filename)) for where, checker in _checkers(hooks)]
    if isinstance(hooks.journal, Path):
        files.append(("change_hook_journal", hooks.journal))
    files += [("a reference to a secret", settings.base / name) for name in _referred(settings.www)]
    for where, path in dict.fromkeys(files):
        try:
            mode, is_link = path.stat().st_mode, path.is_symlink()
        except OSError:
            continue  # It does not exist yet, or is reported elsewhere.
        if mode & (stat.S_IRWXO | stat.S_IWGRP):
            shown = f"mode {stat.S_IMODE(mode):o}"
            yield f"{where}: {path} can be read or changed by others ({shown}); chmod 600 it"
        if is_link:
            yield f"{where}: {path} is a symbolic link; name the file that it points to"


def _referred(written: object) -> Iterator[str]:
    """The files named by references to secrets, at any depth."""
    if isinstance(written, Mapping):
        if set(written) == {"file"} and isinstance(written["file"], (str, PathLike)):
            yield str(written["file"])
        for value in written.values():
            yield from _referred(value)
    elif isinstance(written, (list, tuple)):
        for value in written:
            yield from _referred(value)


def _is_written(value: object, text: str) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_written(each, text) for each in value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return isinstance(value, str) and value in text


def _no_sink(settings: Settings, hooks: HooksConfig) -> Iterator[str]:
    if not hooks.sinks and not settings.is_master:
        yield "change_hook_sinks is empty: changes are stored, but delivered nowhere"


__all__ = ["Found", "inspect"]

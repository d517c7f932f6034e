"""The settings of the standalone server: from a configuration file, or the embedded default.

The commands that only read a journal need these, and not the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from change_hooks.admin.settings import DEFAULT_PORT as ADMIN_PORT
from change_hooks.config import DEFAULT_JOURNAL
from change_hooks.config_file import DEFAULT_PORT, FileConfig, load_file
from change_hooks.core.errors import ConfigurationError

if TYPE_CHECKING:
    from change_hooks.pollers.base import Poller

#: The endpoint string of the embedded default.
LOCAL = "127.0.0.1"
#: The prefix of a SQLite journal's address; its path follows.
SQLITE = "sqlite:///"


class Settings(msgspec.Struct, frozen=True):
    """The settings of the standalone server.

    :param base: the folder for relative paths.
    :param port: an endpoint string.
    :param state: the folder for persistent data: ``$STATE_DIRECTORY``, or *base*.
    :param path: the configuration file; None: the embedded default.
    :param is_master: the file configures a Buildbot master.
    :param is_served_by_master: that master serves the endpoints, and has a sink of its own.
    :param doubts: settings that may not be intended, each a sentence.
    """

    www: Mapping[str, Any]
    base: Path
    port: str
    state: Path
    pollers: tuple[Poller, ...] = ()
    path: Path | None = None
    is_master: bool = False
    is_served_by_master: bool = False
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Settings(base={self.base!r}, port={self.port!r})"


def standalone_settings(path: Path | None, port: str | None = None) -> Settings:
    """The settings in a file; None: the embedded default.

    :param port: replaces the one in the file.
    :raises ConfigurationError: with all errors.
    """
    if path is None:
        www: Mapping[str, Any] = {
            "change_hook_dialects": {"base": True},
            "change_hook_admin": {"port": ADMIN_PORT},
            "change_hook_hosts": ["localhost"],
        }
        base = Path.cwd()
        state = _state()
        return Settings(_kept_in(state, www), base, _endpoint(port, LOCAL, DEFAULT_PORT), state or base)
    config = load_file(path)
    base = config.path.parent
    state = _state()
    return Settings(
        config.www if config.is_served_by_master else _kept_in(state, config.www),
        base,
        _endpoint(port, "", config.port),
        state or base,
        _pollers(config),
        config.path,
        is_master=config.is_master,
        is_served_by_master=config.is_served_by_master,
        doubts=tuple(_doubts(config)),
    )


def _endpoint(asked: str | None, interface: str, otherwise: int | str) -> str:
    """An endpoint string.

    :param asked: a port number, or an endpoint string.
    :param interface: the interface for a port number; empty: all.
    """
    port = str(otherwise) if asked is None else asked
    if not port.isdigit():
        return port
    return f"tcp:{port}:interface={interface}" if interface else f"tcp:{port}"


def _state() -> Path | None:
    """The first of the state directories. Source: systemd.exec(5), "StateDirectory="."""
    first = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


def _kept_in(state: Path | None, www: Mapping[str, Any]) -> Mapping[str, Any]:
    """*www* with the journal in *state*, if its path is relative."""
    journal = www.get("change_hook_journal", DEFAULT_JOURNAL)
    if state is None or not isinstance(journal, str) or not journal.startswith(SQLITE) or journal == SQLITE:
        return www
    return {**www, "change_hook_journal": f"{SQLITE}{state / journal.removeprefix(SQLITE)}"}


def _doubts(config: FileConfig) -> Iterator[str]:
    for written, meant in (("change_sources", "change_source"), ("pollers", "change_source")):
        if written in config.settings:
            yield f"c[{written!r}] is not used; list the pollers in c[{meant!r}]"
    if config.is_master and not config.is_served_by_master and len(_pollers(config)) < len(_sources(config)):
        yield "c['change_source']: Buildbot's own are left to the master"


def _pollers(config: FileConfig) -> tuple[Poller, ...]:
    sources = _sources(config)
    if not sources:
        return ()
    from change_hooks.pollers.base import Poller

    if config.is_master:
        sources = tuple(source for source in sources if isinstance(source, Poller))
    problems = [
        f"change_source: {type(source).__name__} is no poller of change_hooks.pollers"
        for source in sources
        if not isinstance(source, Poller)
    ]
    names = [source.name for source in sources if isinstance(source, Poller)]
    problems += [f"change_source: two are called {name!r}" for name in set(names) if names.count(name) > 1]
    if config.www.get("change_hook_journal", "") is None:
        problems.append("change_source needs a journal, to remember where it was (change_hook_journal)")
    if problems:
        raise ConfigurationError(problems)
    return sources


def _sources(config: FileConfig) -> tuple[Any, ...]:
    value = config.settings.get("change_source", ())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


@contextmanager
def inside(path: Path | None) -> Iterator[Path | None]:
    """Run the block as after :func:`enter`."""
    before = Path.cwd()
    try:
        yield enter(path)
    finally:
        os.chdir(before)


def enter(path: Path | None) -> Path | None:
    """Make the folder of a configuration file the current folder, so that all relative paths start there: in
    options, in endpoint strings, in objects of other packages.

    :returns: the file's absolute path.
    """
    if path is None:
        return None
    path = path.absolute()
    if path.is_file():
        os.chdir(path.parent)
    return path


__all__ = ["Settings", "enter", "inside", "standalone_settings"]

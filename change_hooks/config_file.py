"""The Python file that configures a server, or a Buildbot master.

Strategy: the file is run, as Buildbot runs a ``master.cfg``. In a ``master.cfg`` the service ``ChangeHooks``
holds the keys that Buildbot does not allow in ``c['www']``. The service is recognised by its method, so that
only the file itself imports Buildbot.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from change_hooks.core.errors import ConfigurationError

DEFAULT_PORT = 8010


@dataclass(frozen=True)
class FileConfig:
    """The contents of a configuration file.

    :param path: the file's absolute path.
    :param settings: the whole dict, ``c`` or ``BuildmasterConfig``.
    :param port: a TCP port, or a Twisted endpoint string.
    """

    path: Path
    settings: Mapping[str, Any] = field(repr=False)
    port: int | str

    @property
    def www(self) -> Mapping[str, Any]:
        """``c['www']``; for a Buildbot master, with the keys given to the service ``ChangeHooks``."""
        www: Mapping[str, Any] = self.settings.get("www", {})
        service = self._service
        return www if service is None or not isinstance(www, Mapping) else service.in_force(www)

    @property
    def is_master(self) -> bool:
        """Whether the file configures a Buildbot master."""
        return "builders" in self.settings or self.is_served_by_master

    @property
    def is_served_by_master(self) -> bool:
        """Whether a Buildbot master serves the endpoints, with ``ChangeHooks``."""
        return self._service is not None

    @property
    def _service(self) -> Any:
        services = self.settings.get("services")
        each = services if isinstance(services, (list, tuple)) else ()
        return next((service for service in each if hasattr(service, "in_force")), None)


def load_file(path: Path) -> FileConfig:
    """Run a configuration file, with its folder as the current folder and first on the import path.

    :raises ConfigurationError: the file does not exist, raises an exception, or sets neither ``c`` nor
        ``BuildmasterConfig`` to a dict.
    """
    path = path.absolute()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}; 'change-hooks init' writes one"]) from None
    names: dict[str, Any] = {
        "__file__": str(path),
        "__name__": "change_hooks.configuration",
        "basedir": str(path.parent),  # As in Buildbot.
    }
    with _folder(path.parent):
        try:
            exec(compile(source, str(path), "exec"), names)  # noqa: S102 (that is what the file is for)
        except Exception as error:
            raise ConfigurationError(
                [f"{path}{_line(error, path)}: {type(error).__name__}: {error}"]
            ) from error
    settings = names.get("BuildmasterConfig", names.get("c"))
    if not isinstance(settings, Mapping):
        raise ConfigurationError([f"{path}: sets neither BuildmasterConfig nor c to a dict"])
    www = settings.get("www", {})
    port = www.get("port") if isinstance(www, Mapping) else None
    if port is None:
        port = DEFAULT_PORT
    if isinstance(port, bool) or not isinstance(port, (int, str)):
        raise ConfigurationError([f"{path}: c['www']['port'] must be a port number or an endpoint string"])
    return FileConfig(path, settings, port)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    trace = error.__traceback__
    line = ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line


__all__ = ["DEFAULT_PORT", "FileConfig", "load_file"]

"""The key ``change_hook_admin``: where the admin page is, and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

from change_hooks.core.names import nearest
from change_hooks.web.checkers import read_checkers

DEFAULT_PORT = 8011
#: The environment variable with the folder in which several processes share their counts.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
LOCAL = "127.0.0.1"
_KINDS = ("tcp", "tcp6", "ssl", "unix")
_OPTIONS = ("port", "auth", "hosts", "payloads", "url")


class AdminSettings(msgspec.Struct, frozen=True):
    """The settings in ``change_hook_admin``.

    :param port: an endpoint string; None: the page has no port of its own.
    :param address: the address that it listens on; empty: several, or not known.
    :param auth: the password checkers; empty: only requests from this machine, for the names of this address,
        and those for *hosts* are allowed.
    :param hosts: host names whose requests need no password.
    :param payloads: whether payloads may be shown.
    :param url: the public URL, without the endpoint's name; empty: not known.
    """

    port: str | None = None
    address: str = ""
    auth: tuple[Any, ...] = ()
    hosts: tuple[str, ...] = ()
    payloads: bool = True
    url: str = ""


def read_settings(written: Any) -> tuple[AdminSettings | None, list[str]]:
    """Read ``change_hook_admin``; returns the settings, and the problems."""
    if written is None or written is False:
        return None, []
    if not isinstance(written, Mapping):
        return None, [f"change_hook_admin must be a dict, for instance {{'port': {DEFAULT_PORT}}}; or None"]
    problems = [
        f"unknown option {name!r}{nearest(str(name), _OPTIONS)}" for name in written if name not in _OPTIONS
    ]
    auth, wrong = read_checkers("option 'auth'", written.get("auth"))
    problems += wrong
    port, address = _port(written.get("port"), problems, protected=bool(auth))
    hosts = written.get("hosts", ())
    if not isinstance(hosts, (list, tuple)) or not all(isinstance(host, str) for host in hosts):
        problems.append("option 'hosts' must be a list of host names")
        hosts = ()
    payloads = written.get("payloads", True)
    if not isinstance(payloads, bool):
        problems.append("option 'payloads' must be True or False")
    url = written.get("url", "")
    if not isinstance(url, str) or not (url == "" or url.startswith(("https://", "http://"))):
        problems.append(
            "option 'url' must be the server's public URL, for instance 'https://ci.example.org/change_hook'"
        )
    if problems:
        return None, [f"change_hook_admin: {problem}" for problem in problems]
    names = tuple(host.lower() for host in hosts)
    return AdminSettings(port, address, auth, names, payloads, url.rstrip("/")), []


def _port(written: Any, problems: list[str], *, protected: bool) -> tuple[str | None, str]:
    """The endpoint string, and the address that it listens on."""
    if written is None:
        return None, ""
    if isinstance(written, int) and not isinstance(written, bool):
        return f"tcp:{written}:interface={LOCAL}", LOCAL
    try:
        address = address_of(written)
    except ValueError as error:
        problems.append(f"option 'port' {error}")
        return None, ""
    if not protected and not is_local(address):
        problems.append(
            f"{written!r} can be reached from other machines, so it needs 'auth', for instance"
            " [strcred.makeChecker('file:admin.passwd')]; or listen on this machine only:"
            f" 'port': {DEFAULT_PORT}"
        )
    return written, address


def is_local(address: str) -> bool:
    """Whether an address can be reached only from this machine: an IP address, or the path of a
    UNIX socket.
    """
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost" or address.startswith("/")


def address_of(port: Any) -> str:
    """The address that an endpoint string listens on; empty for all addresses; a path for a UNIX socket.

    :raises ValueError: it is not an endpoint string, or its kind has no address.
    """
    # It brings OpenSSL, which no command needs that only reads a journal.
    from twisted.internet.endpoints import serverFromString
    from twisted.internet.protocol import Factory

    looking = _Looking()
    try:
        if port.partition(":")[0] not in _KINDS:
            raise ValueError("tcp:, tcp6:, ssl: and unix: can be used")
        serverFromString(looking, port).listen(Factory())
    except Exception as error:
        raise ValueError(f"must be a port number or a Twisted endpoint string ({error})") from None
    return looking.address


class _Looking:
    """Stands in for a reactor, to find out what an endpoint would listen on."""

    address = ""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> None:
        self.address = interface

    def listenSSL(
        self, port: int, factory: Any, context: Any, backlog: int = 50, interface: str = ""
    ) -> None:
        self.address = interface

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> None:
        self.address = address if address.startswith("/") else f"/{address}"


__all__ = ["DEFAULT_PORT", "METRICS_FOLDER", "AdminSettings", "address_of", "is_local", "read_settings"]

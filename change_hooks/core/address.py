"""Addresses of repositories: taken apart, shown without a password, and compared.

One repository has many addresses: ``https://host/a/b``, ``https://user:password@host/a/b.git``,
``git@host:a/b.git``, ``ssh://git@host:7999/a/b.git``. What tells it from another is its host and its path.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

#: ``user@host:path`` and ``[user@host:port]:path``, as scp and Git write it; a Windows drive is no host.
_SCP = re.compile(
    r"(?:(?P<user>[^/@:\[\]]+)@)?(?P<host>\[[^\]/]+\]|[^/:@\[\]]{2,}):(?!//|:)(?P<path>.*)", re.DOTALL
)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418, "svn": 3690}
_HTTP = ("http", "https")


class Address(msgspec.Struct, frozen=True):
    """The address of a repository.

    :param scheme: in lower case: ``https``, ``ssh`` ...; ``file`` for a path.
    :param host: in lower case, without brackets; empty for a path.
    :param port: None: the scheme's own.
    :param path: as it is written, with what follows it.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    path: str

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``, as it stands in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_address(written: str) -> Address:
    """Take an address apart: a URL, ``user@host:path``, or a path.

    :raises AmbiguousAddress: nobody can say where its password ends.
    """
    url = _URL.fullmatch(written)
    if url is not None:
        return _of_url(url)
    scp = _SCP.fullmatch(written)
    if scp is not None:
        user, host, port = scp["user"], scp["host"], None
        if host.startswith("["):
            # An address of IPv6, or what Git takes too: [user@host:port]
            inner, at, place = host[1:-1].rpartition("@")
            user = inner if at else user
            host, port = (place, None) if place.count(":") > 1 else _host_and_port(place)
        port = None if port == _DEFAULT_PORTS["ssh"] else port
        return Address("ssh", user, None, host.lower(), port, f"/{scp['path'].lstrip('/')}")
    return Address("file", None, None, "", None, written)


class AmbiguousAddress(ValueError):
    """Part of an address may be a password or not."""


def _parts(url: re.Match[str]) -> tuple[str, str, str, str]:
    """The scheme, the login with its ``@``, host and port, and the rest. A password may hold a ``/``, ``?``
    or ``#`` that should have been encoded; then what stands before it looks like a host with a strange port.
    """
    scheme, authority, rest = url["scheme"], url["authority"], url["rest"]
    port = authority.rpartition(":")[2]
    if "@" in rest and "@" not in authority and ":" in authority and not port.endswith("]"):
        if port.isdigit() or not port:
            raise AmbiguousAddress(
                "has an '@' that may end a password or not: write one in a path as %40, and what is special"
                " in a password as urllib.parse.quote(password, safe='') writes it"
            )
        login, _, rest = f"{authority}{rest}".rpartition("@")
        place = re.match(r"[^/?#]*", rest)[0]  # type: ignore[index]
        return scheme, f"{login}@", place, rest[len(place) :]
    login, at, place = authority.rpartition("@")
    return scheme, login + at, place, rest


def _of_url(url: re.Match[str]) -> Address:
    scheme, login, place, rest = _parts(url)
    scheme = scheme.lower()
    for wrapped in ("git+", "+git", "+git2"):
        scheme = scheme.removeprefix(wrapped).removesuffix(wrapped)
    login, at, _ = login.rpartition("@")
    user, colon, password = login.partition(":")
    host, port = _host_and_port(place)
    return Address(
        scheme,
        unquote(user) if at else None,
        unquote(password) if colon else None,
        host,
        None if port == _DEFAULT_PORTS.get(scheme) else port,
        rest,
    )


def _host_and_port(place: str) -> tuple[str, int | None]:
    host, colon, port = place.rpartition(":")
    if place.endswith("]") or not colon:
        return place.strip("[]").lower(), None
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None
    return host.strip("[]").lower(), number


def without_password(written: str) -> str:
    """*written* without the password in it: of ``https://user:password@host/`` also without the user, who
    may be a token; of other addresses with the user, whom they need.

    :raises AmbiguousAddress: nobody can say where the password ends.
    """
    url = _URL.fullmatch(written)
    if url is None:
        return written
    scheme, login, place, rest = _parts(url)
    if not login:
        return written
    user = "" if scheme.lower() in _HTTP else f"{login[:-1].partition(':')[0]}@"
    return f"{scheme}://{user}{place}{rest}"


def server_url(written: object, *schemes: str) -> str:
    """The URL of a server, as a user wrote it.

    :param schemes: those that it may have.
    :raises ValueError: it is not one. The message quotes nothing of it, since it may hold a password.
    """
    if not isinstance(written, str) or not written.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"url must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        parse_address(written)
        parts = urlsplit(written)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            "url is not valid: special characters in its user and password must be written as %XX"
            " (urllib.parse.quote(password, safe=''))"
        ) from None
    if not host:
        raise ValueError(f"url must name a host, for instance {schemes[-1]}://ci.example.com/changes")
    return written


def web_page(written: str) -> str | None:
    """The page that a forge shows of a repository, guessed from its address; None for one on this machine.

    The port of SSH says nothing about the page's.
    """
    try:
        address = parse_address(written)
    except AmbiguousAddress:
        return None
    if not address.host:
        return None
    path = _bare(address.path)
    if address.scheme in _HTTP:
        return f"{address.scheme}://{address.authority}/{path}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"https://{host}/{path}"


def repository_key(written: str, *, exact: bool = False) -> str:
    """What is the same for all addresses of one repository.

    :param exact: where two repositories may have revisions of the same name (Subversion): then the port
        and the case of the path count too.
    """
    address = parse_address(written.strip())
    path = unquote(_bare(address.path))
    if not address.host:
        return f"/{path}"
    if exact:
        return f"{address.authority}/{path}"
    host, path = address.host, path.lower()
    for pattern, replacement in _FORGES_PATHS:
        path = pattern.sub(replacement, path)
    return f"{_SAME_HOSTS.get(host, host)}/{path}"


def repository_names(address: str) -> tuple[str, ...]:
    """What a repository may be called: its address, that without scheme and ``.git``, and its path alone.

    ``https://github.com/octo-org/api.git`` is also ``github.com/octo-org/api`` and ``octo-org/api``.
    """
    rest = address.partition("://")[2] or address
    rest = rest.rpartition("@")[2].removesuffix(".git").rstrip("/")
    host, slash, path = rest.partition("/")
    if not slash or ":" in host:
        host, colon, after = rest.partition(":")
        path = after if colon and not after[:1].isdigit() else path
    return address, rest, path or rest


def _bare(path: str) -> str:
    """A path without slashes around it, doubled ones, and ``.git``."""
    return re.sub("/{2,}", "/", path).strip("/").removesuffix(".git").rstrip("/")


#: What the addresses of one repository have besides its path. Sources: Bitbucket Data Center, "Clone a
#: repository"; Azure Repos, "Clone an existing Git repo".
_FORGES_PATHS = (
    (re.compile(r"^projects/([^/]+)/repos/([^/]+)(/browse)?$"), r"\1/\2"),
    (re.compile(r"^users/([^/]+)/repos/([^/]+)(/browse)?$"), r"~\1/\2"),
    (re.compile(r"^scm/(.+)$"), r"\1"),
    (re.compile(r"^v3/([^/]+/[^/]+/[^/]+)$"), r"\1"),
    (re.compile(r"^([^/]+/[^/]+)/_git/([^/]+)$"), r"\1/\2"),
)
_SAME_HOSTS = {
    "ssh.dev.azure.com": "dev.azure.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.github.com": "github.com",
}


__all__ = [
    "Address",
    "AmbiguousAddress",
    "parse_address",
    "repository_key",
    "repository_names",
    "server_url",
    "web_page",
    "without_password",
]

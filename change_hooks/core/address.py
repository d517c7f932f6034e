"""Addresses of repositories: parsed, shown without a password, and compared.

One repository has many addresses: ``https://host/a/b``, ``https://user:password@host/a/b.git``,
``git@host:a/b.git``, ``ssh://git@host:7999/a/b.git``. Its host and its path identify it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

#: ``user@host:path`` and ``[user@host:port]:path``, as scp and Git write it; a Windows drive is not a host.
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
    :param port: None: the scheme's default.
    :param path: as written, including query and fragment.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    path: str

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_address(written: str) -> Address:
    """Parse an address: a URL, ``user@host:path``, or a path.

    :raises AmbiguousAddress: it is unclear where its password ends.
    """
    url = _URL.fullmatch(written)
    if url is not None:
        return _of_url(url)
    scp = _SCP.fullmatch(written)
    if scp is not None:
        user, host, port = scp["user"], scp["host"], None
        if host.startswith("["):
            # An IPv6 address, or [user@host:port], which Git accepts too
            inner, at, place = host[1:-1].rpartition("@")
            user = inner if at else user
            host, port = (place, None) if place.count(":") > 1 else _host_and_port(place)
        port = None if port == _DEFAULT_PORTS["ssh"] else port
        return Address("ssh", user, None, host.lower(), port, f"/{scp['path'].lstrip('/')}")
    return Address("file", None, None, "", None, written)


class AmbiguousAddress(ValueError):
    """Part of an address may or may not be a password."""


def _parts(url: re.Match[str]) -> tuple[str, str, str, str]:
    """The scheme, the login with its ``@``, host and port, and the rest. A password may contain a ``/``,
    ``?`` or ``#`` that should have been encoded; then the part before it looks like a host with a strange
    port.
    """
    scheme, authority, rest = url["scheme"], url["authority"], url["rest"]
    port = authority.rpartition(":")[2]
    if "@" in rest and "@" not in authority and ":" in authority and not port.endswith("]"):
        if port.isdigit() or not port:
            raise AmbiguousAddress(
                "has an '@' that may or may not end a password: write an '@' in a path as %40, and"
                " the password as urllib.parse.quote(password, safe='') returns it"
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
    """*written* without its password. ``https://user:password@host/`` also loses the user, which may be a
    token; other addresses keep the user, which they need.

    :raises AmbiguousAddress: it is unclear where the password ends.
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

    :param schemes: the schemes that are allowed.
    :raises ValueError: the URL is not valid. The message does not quote it, since it may contain a password.
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
    """The web page of a repository at its forge, guessed from its address; None for a local repository.

    An SSH port is dropped, since it says nothing about the page's port.
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
    """A key that is the same for all addresses of one repository.

    :param exact: the port and the case of the path count too; for systems in which two repositories may have
        revisions of the same name (Subversion).
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
    """The names of a repository: its address, the address without scheme and ``.git``, and its path.

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
    """A path without ``.git`` and without leading, trailing and doubled slashes."""
    return re.sub("/{2,}", "/", path).strip("/").removesuffix(".git").rstrip("/")


#: Prefixes that only some addresses of a repository have before its path. Sources: Bitbucket Data Center,
#: "Clone a repository"; Azure Repos, "Clone an existing Git repo".
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

"""The root of the admin pages, and who may see them.

Strategy: everything is behind one guard. If passwords are configured, a request needs one. Otherwise it must
come from this machine and be for a name of this machine: a request that a page of another site makes has
another name in its ``Host``, even if that name resolves to this machine. Names that the configuration lists
are also allowed; their requests must pass a server in front that asks for a password.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.admin.settings import LOCAL, AdminSettings, is_local
from change_hooks.web.answers import Answer, write_answer
from change_hooks.web.auth import BasicAuth
from change_hooks.web.front import HookSite

#: The largest form, and the total size of all forms in memory, in bytes.
LARGEST_FORM = 256 * 1024
HELD = 8 * LARGEST_FORM

FOREIGN = (
    "this page is available only on this machine, and only under its own names; set 'auth' in"
    " change_hook_admin to open it to others, or 'hosts' for a server in front that asks for a password"
)


class Admin(Resource):
    """The root resource of the admin pages. A reconfiguration does not replace it.

    :param settings: None: as without ``auth``.
    """

    def __init__(self, settings: AdminSettings | None) -> None:
        super().__init__()
        self._content = _Content()
        self._open: set[bytes] = set()
        self.reconfigure(settings)

    def add(self, name: str, resource: IResource, *, password: bool = True) -> None:
        """Mount a resource at ``/name``, behind the same guard.

        :param name: empty: the root itself.
        :param password: False: no password is needed, even if ``auth`` is set.
        """
        self._content.putChild(name.encode(), resource)
        if not password:
            self._open.add(name.encode())

    def reconfigure(self, settings: AdminSettings | None) -> None:
        """Apply new *settings*."""
        self.settings = settings or AdminSettings()
        auth = self.settings.auth
        self._guarded: IResource = BasicAuth(self._content, auth, self._open) if auth else self._content

    def site(self, clock: IReactorTime) -> HookSite:
        """The site for a port that serves nothing else."""
        return HookSite(self, LARGEST_FORM, clock, max_held=HELD)

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """See :meth:`twisted.web.resource.IResource.getChildWithDefault`."""
        if not self._lets_in(request):
            return _Plain(403, FOREIGN)
        return cast("IResource", self._guarded.getChildWithDefault(path, request))

    def render(self, request: Any) -> bytes:
        """Redirect the address without a final slash, when mounted in another resource."""
        request.setResponseCode(308)
        request.setHeader(b"location", request.prepath[-1] + b"/" if request.prepath else b"/")
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b""

    def _lets_in(self, request: Any) -> bool:
        if self.settings.auth:
            return True
        host = _name_in((request.requestHeaders.getRawHeaders(b"host") or [b""])[-1])
        if host in self.settings.hosts:
            return True
        return host in ("localhost", self.settings.address or LOCAL) and _is_near(request)


class _Content(Resource):
    """The container of the mounted resources."""

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        return _Plain(404, "there is no such page")


class _Plain(Resource):
    """Responds in plain text.

    :param status: the HTTP status.
    """

    isLeaf = True

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self._answer = Answer(status, text)

    def render(self, request: IRequest) -> bytes:
        return write_answer(request, self._answer)


def _name_in(host: bytes) -> str:
    """The name or address in a ``Host`` header, without the port."""
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def _is_near(request: Any) -> bool:
    """Whether the client is on this machine."""
    peer = request.getClientAddress()
    return isinstance(peer, UNIXAddress) or is_local(getattr(peer, "host", ""))


__all__ = ["FOREIGN", "LARGEST_FORM", "Admin"]

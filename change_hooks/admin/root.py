"""Who may see what operators see, and what there is to see.

Strategy: everything stands behind one guard. With passwords configured, a request needs one. Without, it must
come from this machine and be for a name of this machine: a page of another site that a browser shows has
another name in its ``Host``, also when that name leads here. Names that the configuration lists are answered
too; whoever lists them has something in front that asks for a password.
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

#: The largest form, and the most that all forms in memory may be together, in bytes.
LARGEST_FORM = 256 * 1024
HELD = 8 * LARGEST_FORM

FOREIGN = (
    "this page is answered on this machine only, and only for its own names; set 'auth' in change_hook_admin"
    " to open it from elsewhere, or 'hosts' for a server in front that asks for a password"
)


class Admin(Resource):
    """What operators see. It may be mounted anywhere, and stays the same through every reconfiguration.

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
        :param password: False: it is answered without one, also where ``auth`` is set.
        """
        self._content.putChild(name.encode(), resource)
        if not password:
            self._open.add(name.encode())

    def reconfigure(self, settings: AdminSettings | None) -> None:
        """Let in whom *settings* let in, from now on."""
        self.settings = settings or AdminSettings()
        auth = self.settings.auth
        self._guarded: IResource = BasicAuth(self._content, auth, self._open) if auth else self._content

    def site(self, clock: IReactorTime) -> HookSite:
        """What to listen with on a port that serves nothing else."""
        return HookSite(self, LARGEST_FORM, clock, max_held=HELD)

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """See :meth:`twisted.web.resource.IResource.getChildWithDefault`."""
        if not self._lets_in(request):
            return _Plain(403, FOREIGN)
        return cast("IResource", self._guarded.getChildWithDefault(path, request))

    def render(self, request: Any) -> bytes:
        """The address without a slash at its end, where it is mounted in another resource."""
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
    """Holds what is mounted."""

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        return _Plain(404, "there is no such page")


class _Plain(Resource):
    """Answers in plain text.

    :param status: the HTTP status.
    """

    isLeaf = True

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self._answer = Answer(status, text)

    def render(self, request: IRequest) -> bytes:
        return write_answer(request, self._answer)


def _name_in(host: bytes) -> str:
    """The name or address in a ``Host``, without its port."""
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def _is_near(request: Any) -> bool:
    """Whether the peer is on this machine."""
    peer = request.getClientAddress()
    return isinstance(peer, UNIXAddress) or is_local(getattr(peer, "host", ""))


__all__ = ["FOREIGN", "LARGEST_FORM", "Admin"]

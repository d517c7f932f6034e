"""HTTP Basic authentication from a list of ``ICredentialsChecker``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm, Portal
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.http import UNAUTHORIZED
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from zope.interface import implementer

from change_hooks.web.tracing import Tracer, name_in, no_trace, trace_refused

#: The realm that clients are told.
REALM = b"change_hook"


@implementer(IRealm)
class Realm:
    """Gives the same resource to all authenticated users."""

    def __init__(self, resource: IResource) -> None:
        self._resource = resource

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """See :meth:`twisted.cred.portal.IRealm.requestAvatar`."""
        if IResource not in interfaces:
            raise NotImplementedError("only IResource")
        return IResource, self._resource, lambda: None


class BasicAuth(HTTPAuthSessionWrapper):
    """A resource protected by a password.

    :param resource: the protected resource.
    :param checkers: a client has access if any one of them accepts its credentials.
    :param own: the names of the children with authentication of their own.
    :param tracer: keeps a trace of each request without valid credentials.
    :param name: the name of the endpoint in the trace; empty: the next segment of the path.
    """

    def __init__(
        self,
        resource: IResource,
        checkers: Sequence[ICredentialsChecker],
        own: Collection[bytes] = (),
        *,
        tracer: Tracer = no_trace,
        name: str = "",
    ) -> None:
        super().__init__(Portal(Realm(resource), checkers), [BasicCredentialFactory(REALM)])
        self._resource: Any = resource
        self._own = own
        self._tracer = tracer
        self._name = name

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """See :meth:`twisted.web.resource.IResource.getChildWithDefault`."""
        if path == b"" and request.postpath:
            return self  # A double slash counts as one.
        if path in self._own or (path == b"" and not request.postpath and b"base" in self._own):
            return cast("IResource", self._resource.getChildWithDefault(path, request))
        _as_text(request)
        self._trace(request, self._name or name_in(path) or "base")
        return cast("IResource", super().getChildWithDefault(path, request))

    def render(self, request: IRequest) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        if b"base" in self._own:
            return self._resource.render(request)
        _as_text(request)
        self._trace(request, self._name or "base")
        return super().render(request)

    def _trace(self, request: Any, name: str) -> None:
        """Keep a trace of the request if it was refused."""

        def answered(_: object) -> None:
            if request.code == UNAUTHORIZED:
                reason = "missing or wrong credentials (HTTP Basic)"
                trace_refused(self._tracer, request, UNAUTHORIZED, reason, dialect=name)

        request.notifyFinish().addCallbacks(answered, lambda _: None)


def _as_text(request: Any) -> None:
    """Sends the refusal as plain text, whatever the site's default, and without the version of Twisted."""
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"x-content-type-options", b"nosniff")
    request.responseHeaders.removeHeader(b"server")


__all__ = ["REALM", "BasicAuth", "Realm"]

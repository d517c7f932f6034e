"""Inside a Buildbot master.

Strategy: the master's web server is made after its services are configured, and its ``www`` dict changes
with every reconfiguration. So the service mounts itself once there is a site, and the resource compares
the dict in force with the one it knows whenever a request comes: from the first request after a
reconfiguration on, the old secrets are dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from buildbot.config import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.process.properties import Properties
from buildbot.util.service import BuildbotService
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from change_hooks.config import PREFIX, read_www
from change_hooks.core.change import Change
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.push import newest_of
from change_hooks.dialects.poller import polling_sources
from change_hooks.hosts.fitting import Limits, fitted
from change_hooks.interfaces import IChangeSink
from change_hooks.service import ChangeHookService
from change_hooks.service import make_resource as make_plain_resource

#: How often to look whether the master has made its site, in seconds.
LOOK_AGAIN = 0.1
CHILD = b"change_hook"

log = Logger()


@implementer(IChangeSink)
class MasterSink:
    """Adds changes to a master."""

    name = "buildbot"

    def __init__(self, master: Any) -> None:
        self._master = master

    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        fields = fitted(newest_of(change), Limits(self._master))
        return self._master.data.updates.addChange(**fields)


class MasterPollers:
    """The polling change sources that a master has when it is asked."""

    def __init__(self, master: Any) -> None:
        self._master = master

    def __iter__(self) -> Iterator[Any]:
        return iter(polling_sources(self._master))


def own_keys(www: Mapping[str, Any], master: Any) -> dict[str, Any]:
    """What of a ``www`` dict is about change hooks, with a callable for every renderable
    (``util.Secret``, ``util.Interpolate``): Buildbot renders it when it is needed.
    """
    own = {key: value for key, value in www.items() if key.startswith("change_hook")}
    dialects = own.get("change_hook_dialects")
    if isinstance(dialects, Mapping):
        own["change_hook_dialects"] = {
            name: {option: _callable(value, master) for option, value in options.items()}
            if isinstance(options, Mapping)
            else options
            for name, options in dialects.items()
        }
    return own


def _callable(value: Any, master: Any) -> Any:
    if IRenderable.providedBy(value):
        return partial(_render, master, value)
    if isinstance(value, (list, tuple)) and any(IRenderable.providedBy(item) for item in value):
        return partial(_render_all, master, value)
    return value


def _render(master: Any, value: Any, given: Any) -> Deferred[Any]:
    properties = Properties()
    properties.master = master
    if isinstance(given, Mapping):
        for name, known in given.items():
            if isinstance(known, str):
                properties.setProperty(name, known, "change_hook")
    rendered: Deferred[Any] = properties.render(value)
    return rendered


def _render_all(master: Any, values: Any, given: Any) -> Deferred[Any]:
    return gatherResults([_render(master, value, given) for value in values], consumeErrors=True)


def make_resource(master: Any, www: Mapping[str, Any], *, http: Any = None) -> IResource:
    """A resource without a journal, that adds changes to a master before it answers.

    :param master: the BuildMaster.
    :param www: see :func:`change_hooks.make_resource`; secrets and tokens may be renderables.
    :param http: see :func:`change_hooks.make_resource`.
    :raises ConfigurationError: with everything that is wrong in *www*.
    """
    return make_plain_resource(
        own_keys(www, master),
        sink=MasterSink(master),
        master=master,
        pollers=MasterPollers(master),
        http=http,
    )


class _Following(Resource):
    """The resource of a service, brought up to the master's configuration before every request."""

    def __init__(self, service: ChangeHooks) -> None:
        super().__init__()
        self._service = service

    def getChildWithDefault(self, path: bytes, request: IRequest) -> Any:
        return self._service.current().getChildWithDefault(path, request)

    def render(self, request: IRequest) -> Any:
        return self._service.current().render(request)


class ChangeHooks(BuildbotService):
    """Takes over ``/change_hook`` of the running master, with a journal::

        c['services'] = [ChangeHooks(change_hook_journal='sqlite:///change-hooks.sqlite')]

    Dialects and authentication are those of ``c['www']``. The other ``change_hook_`` keys are given here,
    since Buildbot refuses them there. The journal is relative to the master's folder. With
    ``change_hook_admin={'port': 8011}`` the page for operators is on a port of its own.
    """

    name: str = "change_hooks"

    def __init__(self, **own: Any) -> None:
        super().__init__(**own)
        self._hooks: Any = None
        self._own: dict[str, Any] = {}
        self._known: Any = None
        self._before: IResource | None = None
        self._site: Any = None
        self._look: IDelayedCall | None = None

    def checkConfig(self, **own: Any) -> None:
        """Tell Buildbot what is wrong."""
        for key in own:
            if not key.startswith(PREFIX) or key in ("change_hook_dialects", "change_hook_auth"):
                config_error(f"ChangeHooks: {key!r} is no key of ours; dialects and auth belong to c['www']")
        try:
            read_www(own)
        except ConfigurationError as problem:
            for line in problem.problems:
                config_error(f"ChangeHooks: {line}")

    def reconfigService(self, **own: Any) -> None:
        """Take the keys in force; at first, open the journal, and mount as soon as there is a site."""
        self._own = own
        self._known = None
        if self._hooks is None:
            self._hooks = ChangeHookService(
                own,
                sink=MasterSink(self.master),
                master=self.master,
                pollers=MasterPollers(self.master),
                base=Path(self.master.basedir),
            )
            self._hooks.startService()
            self._mount()
        else:
            self.current()

    def _www(self) -> dict[str, Any]:
        return {**own_keys(self.master.config.www, self.master), **self._own}

    def current(self) -> IResource:
        """The resource, after the master's configuration in force."""
        www = self.master.config.www
        if www is not self._known:
            self._known = www
            try:
                self._hooks.reconfigure(self._www())
            except ConfigurationError as error:
                for problem in error.problems:
                    log.error("change hooks are off until this is right: {problem}", problem=problem)
                self._hooks.reconfigure(self._own)
        resource: IResource = self._hooks.resource
        return resource

    def _mount(self) -> None:
        clock: Any = reactor
        site = self.master.www.site
        if site is None or (
            CHILD not in site.resource.children and self.master.config.www.get("change_hook_dialects")
        ):
            self._look = clock.callLater(LOOK_AGAIN, self._mount)
            return
        self._look = None
        self._site = site
        self._before = site.resource.children.get(CHILD)
        site.resource.putChild(CHILD, _Following(self))

    @inlineCallbacks
    def stopService(self) -> Any:
        """Give ``/change_hook`` back, answer what is in flight, and close the journal."""
        yield super().stopService()
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._site is not None:
            if self._before is not None:
                self._site.resource.putChild(CHILD, self._before)
            else:
                self._site.resource.delEntity(CHILD)
            self._site = None
        if self._hooks is not None:
            yield self._hooks.stopService()


__all__ = ["ChangeHooks", "make_resource"]

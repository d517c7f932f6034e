"""Integration into a Buildbot master.

Strategy: Buildbot's own hook must never answer at our address. The master's web server is created after its
services, and listens immediately; so the service mounts its resource in between. While the master stops, the
resource stays mounted, and answers 503. ``c['www']`` is checked when Buildbot checks a configuration, and
applied when Buildbot applies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from buildbot.config import error as config_error
from buildbot.util.service import BuildbotService
from treq.client import HTTPClient
from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from twisted.web.resource import IResource
from zope.interface import implementer

from change_hooks.config import PREFIX, read_www
from change_hooks.core.change import Change
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.push import newest_of
from change_hooks.dialects.poller import polling_sources
from change_hooks.hosts.checking import ask_services
from change_hooks.hosts.fitting import Limits, fitted
from change_hooks.hosts.patched import with_patched
from change_hooks.interfaces import IChangeSink
from change_hooks.plain import make_resource as make_plain_resource
from change_hooks.service import ChangeHookService
from change_hooks.tree import Standing

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
    """The polling change sources of a master, looked up on each access."""

    def __init__(self, master: Any) -> None:
        self._master = master

    def __iter__(self) -> Iterator[Any]:
        return iter(polling_sources(self._master))


def own_keys(www: Mapping[str, object]) -> dict[str, Any]:
    """The keys of a ``www`` dict for change hooks, with the classes by which an operator has replaced
    Buildbot's.
    """
    own = {key: value for key, value in www.items() if key.startswith("change_hook")}
    dialects = own.get("change_hook_dialects")
    if isinstance(dialects, Mapping):
        own["change_hook_dialects"], warnings = with_patched(dialects)
        for warning in warnings:
            log.warn("{warning}", warning=warning)
    return own


def make_resource(master: object, www: Mapping[str, object], *, http: HTTPClient | None = None) -> IResource:
    """A resource without a journal, which adds changes to a master before it answers.

    :param master: the BuildMaster.
    :param www: see :func:`change_hooks.make_resource`; secrets and tokens may be renderables.
    :param http: see :func:`change_hooks.make_resource`.
    :raises ConfigurationError: lists all problems in *www*.
    """
    return make_plain_resource(
        own_keys(www),
        sink=MasterSink(master),
        master=master,
        pollers=MasterPollers(master),
        http=http,
    )


class _Mounted(Standing):
    """The resource that is mounted in a master's site.

    :param before: the resource that it replaced.
    """

    def __init__(self, inside: IResource, before: IResource | None) -> None:
        super().__init__(inside)
        self.before = before


class ChangeHooks(BuildbotService):
    """Serves ``/change_hook`` of the running master, with a journal::

        c['services'] = [ChangeHooks(change_hook_journal='sqlite:///change-hooks.sqlite')]

    Dialects and authentication are those of ``c['www']``. The other ``change_hook_`` keys are passed here,
    because Buildbot does not allow them there. The journal's path is relative to the master's folder. With
    ``change_hook_admin={'port': 8011}``, the admin page has a separate port.
    """

    name: str = "change_hooks"

    def __init__(self, **own: object) -> None:
        super().__init__(**own)
        self._hooks: Any = None
        self._own: dict[str, Any] = {}
        self._site: Any = None

    def checkConfig(self, **own: object) -> None:
        """Report problems with the keys that are passed here to Buildbot."""
        for key in own:
            if not key.startswith(PREFIX) or key in ("change_hook_dialects", "change_hook_auth"):
                config_error(
                    f"ChangeHooks: {key!r} is not a key of ChangeHooks; dialects and auth belong to c['www']"
                )
        for problem in _problems(own, Path.cwd()):
            config_error(f"ChangeHooks: {problem}")

    def in_force(self, www: Mapping[str, object]) -> dict[str, Any]:
        """The combined keys of ``c['www']`` and those that are passed here."""
        return {**own_keys(www), **self._config_kwargs}

    def check_www(self, www: Mapping[str, object], folder: Path) -> None:
        """Report problems with ``c['www']`` to Buildbot; see :mod:`change_hooks.hosts.checking`.

        :param folder: that of the configuration file.
        """
        told = _problems(self._config_kwargs, folder)
        for problem in _problems(self.in_force(www), folder):
            if problem not in told:
                config_error(f"c['www']: {problem}")

    @inlineCallbacks
    def reconfigServiceWithSibling(self, sibling: Any) -> Any:
        """Apply the current keys, and those of ``c['www']``, even if only the latter have changed."""
        known = self._hooks
        yield super().reconfigServiceWithSibling(sibling)
        if known is not None:
            self._follow()

    def reconfigService(self, **own: object) -> None:
        """Apply the current keys; the first time, open the journal, and replace Buildbot's own hook."""
        self._own = own
        if self._hooks is None:
            self._hooks = ChangeHookService(
                self._www(),
                sink=MasterSink(self.master),
                master=self.master,
                pollers=MasterPollers(self.master),
                base=Path(self.master.basedir),
            )
            self._hooks.address = f"{self.master.config.buildbotURL.rstrip('/')}/change_hook"
            self._hooks.startService()
            self._mount()

    def _www(self) -> dict[str, Any]:
        return {**own_keys(self.master.config.www), **self._own}

    def _follow(self) -> None:
        try:
            self._hooks.reconfigure(self._www())
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("change hooks are off until this is fixed: {problem}", problem=problem)
            self._hooks.turn_off()

    def _mount(self) -> None:
        www = self.master.www
        if www.site is not None:
            self._take_place(www.site)
            return
        set_up = www.setupSite

        def set_up_with_hooks(new_config: Any) -> None:
            set_up(new_config)
            self._take_place(www.site)

        www.setupSite = set_up_with_hooks

    def _take_place(self, site: Any) -> None:
        before = site.resource.children.get(CHILD)
        if isinstance(before, _Mounted):
            before = before.before
        self._site = site
        site.resource.putChild(CHILD, _Mounted(self._hooks.resource, before))

    def _give_back(self) -> None:
        """Restore Buildbot's own hook, unless another service replaces this one, or the master stops."""
        vars(self.master.www).pop("setupSite", None)
        another = any(isinstance(service, ChangeHooks) for service in self.master.config.services.values())
        if self._site is None or another or not self.master.running:
            return
        before = self._site.resource.children[CHILD].before
        if before is None:
            self._site.resource.delEntity(CHILD)
        else:
            self._site.resource.putChild(CHILD, before)

    @inlineCallbacks
    def stopService(self) -> Any:
        """Answer the requests in flight, close the journal, and restore Buildbot's own hook."""
        yield super().stopService()
        if self._hooks is not None:
            yield self._hooks.stopService()
            self._give_back()


def _problems(www: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    try:
        read_www(www, base=folder)
    except ConfigurationError as error:
        return error.problems
    return ()


ask_services()

__all__ = ["ChangeHooks", "make_resource"]

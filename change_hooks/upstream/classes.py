"""GitHub's option ``class``: anything that makes a handler from Buildbot's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from change_hooks.core.errors import ConfigurationError
from change_hooks.dialects.github import GitHubOptions
from change_hooks.dialects.handler import HookHandler
from change_hooks.upstream.common import Upstream
from change_hooks.upstream.github import DEFAULT_API

#: The options that Buildbot passes to the class as keywords.
KEYWORDS = ("codebase", "github_property_whitelist", "skips", "token")


class Processing:
    """Wraps a handler with ``process(request)``, as Buildbot's option ``class`` expects it.

    :param made: that handler.
    """

    def __init__(self, made: Any) -> None:
        self.made = made

    def getChanges(self, request: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        return self.made.process(request)


def replacing(replacement: Any) -> Any:
    """A callable that makes a handler from a master and options, according to the option ``class``.

    :param replacement: a class of ours, which is returned as it is; or any callable.
    """
    if isinstance(replacement, type) and issubclass(replacement, HookHandler):
        return replacement
    return Maker(replacement)


class Maker:
    """Makes a handler with a class or callable of the user, as Buildbot does.

    :param replacement: called with Buildbot's arguments; a ``partial`` of a dialect's class, with its own.
    :param ours: it makes a handler of ours.
    """

    #: For resolving references to secrets in the options.
    Options = GitHubOptions

    def __init__(self, replacement: Callable[..., Any]) -> None:
        self.replacement = replacement
        named: Any = replacement.func if isinstance(replacement, partial) else replacement
        self.__module__ = getattr(named, "__module__", "")
        self.__qualname__ = getattr(named, "__qualname__", type(named).__qualname__)
        self.ours: bool = isinstance(named, type) and issubclass(named, HookHandler)
        self._plain = self.ours and not issubclass(named, Upstream)

    def __call__(self, master: Any, options: Any) -> Any:
        """The handler.

        :raises ConfigurationError: it has no method ``process(request)``.
        """
        written: Mapping[str, Any] = options if isinstance(options, Mapping) else {}
        if self._plain:
            return self.replacement(master, options)
        made = self.replacement(
            written.get("secret"),
            written.get("strict") or False,
            master=master,
            github_api_endpoint=written.get("github_api_endpoint") or DEFAULT_API,
            pullrequest_ref=written.get("pullrequest_ref") or "merge",
            debug=written.get("debug") or False,
            verify=written.get("verify") is not False,
            **{name: written.get(name) for name in KEYWORDS},
        )
        if isinstance(made, Upstream):
            made.also(written)
        if isinstance(made, HookHandler):
            return made
        if not callable(getattr(made, "process", None)):
            raise ConfigurationError(
                [f"option 'class' makes a {type(made).__name__}, without process(request)"]
            )
        return Processing(made)


__all__ = ["Maker", "Processing", "replacing"]

"""The simplest way to embed a receiver: a resource that calls a sink and stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from treq.client import HTTPClient
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from change_hooks.config import log_warnings, read_www
from change_hooks.core.errors import ConfigurationError
from change_hooks.dialects.handler import Context
from change_hooks.flow import reactor_unless
from change_hooks.intake.inline import InlineIntake
from change_hooks.interfaces import IPoller, Sink
from change_hooks.tree import Tree
from change_hooks.web.admission import Gate


def make_resource(
    www: Mapping[str, object],
    *,
    sink: Sink,
    master: object = None,
    pollers: Iterable[IPoller] = (),
    http: HTTPClient | None = None,
    clock: IReactorTime | None = None,
) -> IResource:
    """A resource that calls a sink before it responds. Nothing is stored.

    :param www: ``change_hook_dialects``, ``change_hook_auth`` and the other ``change_hook_`` keys.
    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes one
        :class:`~change_hooks.core.change.Change`; either may return a Deferred or a coroutine.
    :param master: given to handlers as ``self.master``.
    :param pollers: :class:`~change_hooks.interfaces.IPoller` providers, for the dialect ``poller``.
    :param http: a treq ``HTTPClient`` for requests to forges; by default one is created when needed.
    :param clock: the reactor by default; a clock in tests.
    :returns: the resource; mount it as ``change_hook``, or under any other name.
    :raises ConfigurationError: with all errors in *www*.
    """
    config = read_www({**www, "change_hook_journal": None})
    if config.sinks:
        raise ConfigurationError(["change_hook_sinks is for a ChangeHookService; this resource has one sink"])
    if config.admin is not None:
        raise ConfigurationError(["change_hook_admin is for a ChangeHookService"])
    log_warnings(config)
    context = Context(master=master, pollers=pollers, http=http, clock=reactor_unless(clock))
    intake = InlineIntake(sink, context.clock, within=config.answer_within)
    return Tree(config, context, intake, Gate()).root


__all__ = ["make_resource"]

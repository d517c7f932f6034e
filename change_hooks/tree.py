"""The resources of one configuration."""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from change_hooks.config import EndpointConfig, HooksConfig
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import UnknownDialect
from change_hooks.core.found import Found
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.flow import called, reactor_unless
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.late import Process
from change_hooks.intake.receipt import Intake
from change_hooks.observer import NOBODY, Observer
from change_hooks.pollers.base import changes_in, is_polled
from change_hooks.web.admission import Gate
from change_hooks.web.auth import BasicAuth
from change_hooks.web.endpoint import Endpoint
from change_hooks.web.resource import ChangeHookResource
from change_hooks.web.tracing import Tracer, no_trace


class Tree:
    """The resources of one configuration.

    :param context: what handlers get beside their options; their name and protection are added.
    :param root: what is mounted; inside a :class:`BasicAuth` when the configuration has
        ``change_hook_auth``.
    :param observer: told of each answer.
    :param tracer: keeps a trace of each request that gave nothing.
    """

    def __init__(
        self,
        config: HooksConfig,
        context: Context,
        intake: Intake,
        gate: Gate,
        *,
        observer: Observer = NOBODY,
        tracer: Tracer = no_trace,
    ) -> None:
        self._endpoints = {
            entry.name: _endpoint(entry, config, context, intake, gate, observer=observer, tracer=tracer)
            for entry in config.endpoints
        }
        children: dict[str, IResource] = dict(self._endpoints)
        own = [entry for entry in config.endpoints if entry.auth is not None]
        for entry in own:
            if entry.auth:
                children[entry.name] = BasicAuth(
                    self._endpoints[entry.name], entry.auth, tracer=tracer, name=entry.name
                )
        self.root: IResource = ChangeHookResource(children, tracer)
        if config.auth:
            self.root = BasicAuth(
                self.root, config.auth, {entry.name.encode() for entry in own}, tracer=tracer
            )

    def found_again(self, delivery: Delivery) -> Deferred[Found]:
        """What the handler of its dialect, as it is now, finds in a stored delivery."""
        if is_polled(delivery):
            return succeed(Found(changes_in(delivery)))
        endpoint = self._endpoints.get(delivery.dialect)
        if endpoint is None:
            return fail(UnknownDialect("its dialect is not enabled any more (change_hook_dialects)"))
        return called(endpoint.found, delivery)

    def retire(self) -> None:
        """Take nothing more, not even from who has just passed the old password."""
        for endpoint in self._endpoints.values():
            endpoint.retire()


def _endpoint(
    entry: EndpointConfig,
    config: HooksConfig,
    context: Context,
    intake: Intake,
    gate: Gate,
    *,
    observer: Observer,
    tracer: Tracer,
) -> Endpoint:
    protected = bool(config.auth if entry.auth is None else entry.auth)
    own = msgspec.structs.replace(context, name=entry.name, protected=protected)
    handler = make_handler(entry.handler, entry.options, own)
    signatures = any(getattr(sink, "per", None) == "delivery" for sink in config.sinks.values())
    return Endpoint(
        entry.name,
        handler,
        intake,
        gate,
        config.max_body,
        clock=reactor_unless(context.clock),
        protected=protected,
        signatures=signatures,
        hosts=config.hosts,
        observer=observer,
        tracer=tracer,
    )


def replaying(config: HooksConfig, clock: IReactorTime) -> Process:
    """What gives the changes of a stored delivery, from the handlers of a configuration as they are now."""
    nowhere = InlineIntake(lambda change: None)
    return Tree(config, Context(clock=clock), nowhere, Gate()).found_again


__all__ = ["Tree", "replaying"]

"""The resources of one configuration.

Strategy: an endpoint whose handler cannot be created is off, and says so, while the others work. An endpoint
whose options Buildbot has yet to render is off until they are rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.config import HooksConfig
from change_hooks.configured_endpoints import EndpointConfig
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, EndpointOff, UnknownDialect
from change_hooks.core.found import Found
from change_hooks.core.options import UNIX, Allow, allow
from change_hooks.core.verdicts import Verdict
from change_hooks.dialects.handler import Context, HookHandler, making_handler
from change_hooks.flow import Steps, called, followed, reactor_unless
from change_hooks.forges.published import PublishedNetworks
from change_hooks.incidents import report
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.late import Process
from change_hooks.intake.receipt import Intake
from change_hooks.observer import NOBODY, Observer
from change_hooks.pollers.base import changes_in, is_polled
from change_hooks.web.admission import Gate
from change_hooks.web.answers import Refusal
from change_hooks.web.auth import BasicAuth
from change_hooks.web.endpoint import Endpoint
from change_hooks.web.proxies import BehindProxies
from change_hooks.web.resource import ChangeHookResource
from change_hooks.web.senders import Allowed, Rate
from change_hooks.web.tracing import Tracer, no_trace, telling

#: The server whose address list ``'allow': 'github'`` means, unless the endpoint names another.
GITHUB = "https://api.github.com"

log = Logger()


class Standing(Resource):
    """A proxy for another resource, which can be replaced.

    :param inside: the current resource.
    """

    def __init__(self, inside: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inside = inside

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """See :meth:`twisted.web.resource.IResource.getChildWithDefault`."""
        inside = self.inside
        return inside if inside.isLeaf else cast("IResource", inside.getChildWithDefault(path, request))

    def render(self, request: IRequest) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        return self.inside.render(request)


class Tree:
    """The resources of one configuration.

    :param context: what handlers get besides their options; their name and protection are added.
    :param root: the resource to mount, inside a :class:`BasicAuth` if the configuration has
        ``change_hook_auth``.
    :param observer: notified of each response.
    :param tracer: keeps a trace of each request without changes.
    :param signatures: store signatures over bodies, for a sink that forwards deliveries.
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
        signatures: bool = False,
    ) -> None:
        self._make = _Making(
            config, context, intake, gate, observer=observer, tracer=tracer, signatures=signatures
        )
        self._retired = False
        self._when_made: list[Callable[[], object]] = []
        self._endpoints: dict[str, Endpoint | None] = {entry.name: None for entry in config.endpoints}
        refusals = telling(tracer, observer)
        children = {entry.name: self._child(entry, refusals) for entry in config.endpoints}
        self.root: IResource = ChangeHookResource(children, refusals)
        if config.auth:
            own = {entry.name.encode() for entry in config.endpoints if entry.auth is not None}
            self.root = BasicAuth(self.root, config.auth, own, tracer=refusals)
        if config.trusted_proxies:
            self.root = BehindProxies(self.root, config.trusted_proxies)

    @property
    def off(self) -> list[str]:
        """The names of the endpoints that are currently off."""
        return [name for name, endpoint in self._endpoints.items() if endpoint is None]

    def _child(self, entry: EndpointConfig, tracer: Tracer) -> IResource:
        standing = Standing(Refusal(EndpointOff(), tracer, entry.name))
        made = followed(self._make.endpoint(entry))
        made.addCallbacks(self._serve, _not_made, (standing,), errbackArgs=(entry.name,))
        child = standing if self._endpoints[entry.name] is None else standing.inside
        return BasicAuth(child, entry.auth, tracer=tracer, name=entry.name) if entry.auth else child

    def _serve(self, endpoint: Endpoint, standing: Standing) -> None:
        self._endpoints[endpoint.name] = endpoint
        standing.inside = endpoint
        for call in self._when_made:
            call()
        if self._retired:
            endpoint.retire()

    def when_made(self, call: Callable[[], object]) -> None:
        """Set a function to be called each time an endpoint that is off is turned on."""
        self._when_made.append(call)

    def found_again(self, delivery: Delivery) -> Deferred[Found]:
        """What the current handler of its dialect finds in a stored delivery."""
        if is_polled(delivery):
            return succeed(Found(changes_in(delivery)))
        if delivery.dialect not in self._endpoints:
            return fail(UnknownDialect("its dialect is no longer enabled (change_hook_dialects)"))
        endpoint = self._endpoints[delivery.dialect]
        return fail(EndpointOff()) if endpoint is None else called(endpoint.found, delivery)

    def signed(self, delivery: Delivery, secret: bytes) -> Delivery:
        """A delivery, signed with a secret as its endpoint's sender does; unchanged if that is not known.

        :raises ValueError: it cannot be signed.
        """
        handler = self.handlers.get(delivery.dialect)
        return handler.sign(delivery, secret) if isinstance(handler, HookHandler) else delivery

    def start(self) -> None:
        """Resume fetching after :meth:`stop`."""
        self._make.start()

    def stop(self) -> None:
        """Stop fetching anything."""
        self._make.stop()

    @property
    def handlers(self) -> Mapping[str, Any]:
        """The handlers of all endpoints that are on, by the endpoints' names."""
        made = self._endpoints.items()
        return {name: endpoint.handler for name, endpoint in made if endpoint is not None}

    def retire(self) -> None:
        """Accept nothing more, not even from senders who have just passed the old password."""
        self._retired = True
        self._make.stop()
        for endpoint in self._endpoints.values():
            if endpoint is not None:
                endpoint.retire()


class _Making:
    """Creates the endpoints of a configuration."""

    def __init__(
        self,
        config: HooksConfig,
        context: Context,
        intake: Intake,
        gate: Gate,
        *,
        observer: Observer,
        tracer: Tracer,
        signatures: bool,
    ) -> None:
        self._config = config
        self._context = context
        self._intake = intake
        self._gate = gate
        self._observer = observer
        self._tracer = tracer
        self._rate = Rate(config.rate, reactor_unless(context.clock))
        self._published: dict[str, PublishedNetworks] = {}
        self._signatures = signatures

    def endpoint(self, entry: EndpointConfig) -> Steps[Endpoint]:
        context = _context(entry, self._config, self._context)
        handler = yield from making_handler(entry.handler, entry.options, context)
        allowed = self._allowed(entry.options if isinstance(entry.options, Mapping) else {})
        return Endpoint(
            entry.name,
            handler,
            self._intake,
            self._gate,
            self._config.max_body,
            clock=reactor_unless(context.clock),
            protected=context.protected,
            signatures=self._signatures,
            hosts=self._config.hosts,
            allowed=allowed,
            rate=self._rate,
            observer=self._observer,
            tracer=self._tracer,
        )

    def _allowed(self, options: Mapping[str, Any]) -> Allowed:
        written = options.get("allow")
        if written is None:
            return Allowed(Allow())
        try:
            wanted = allow(written)
        except (TypeError, ValueError) as error:
            raise ConfigurationError([f"option 'allow' {error}"]) from None
        urls = [f"{options.get('github_api_endpoint') or GITHUB}/meta" for _ in wanted.names - {UNIX}]
        return Allowed(wanted, [self._list(url) for url in urls])

    def _list(self, url: str) -> PublishedNetworks:
        if url not in self._published:
            clock = reactor_unless(self._context.clock)
            self._published[url] = PublishedNetworks(url, self._context.http, clock)
        return self._published[url]

    def start(self) -> None:
        """Fetch lists, again after :meth:`stop`."""
        for each in self._published.values():
            each.start()

    def stop(self) -> None:
        """Stop fetching lists."""
        for each in self._published.values():
            each.stop()


def _context(entry: EndpointConfig, config: HooksConfig, context: Context) -> Context:
    protected = bool(config.auth if entry.auth is None else entry.auth)
    return msgspec.structs.replace(context, name=entry.name, protected=protected)


def _not_made(failure: Failure, name: str) -> None:
    """Log at once why an endpoint is off."""
    if isinstance(failure.value, ConfigurationError):
        for problem in failure.value.problems:
            log.error("the dialect {name!r} is off: {problem}", name=name, problem=problem)
    else:
        report(f"the dialect {name!r} is off: could not create its handler", failure)


def unmade(config: HooksConfig) -> Iterator[str]:
    """Create every handler, and return which cannot be created and why. Endpoints whose options Buildbot has
    to render are skipped.
    """
    for entry in config.endpoints:
        made = followed(making_handler(entry.handler, entry.options, _context(entry, config, Context())))
        problems: list[str] = []
        made.addErrback(lambda failure, found: found.extend(_problems(failure)), problems)
        yield from (f"dialect {entry.name!r}: {problem}" for problem in problems)


def _problems(failure: Failure) -> tuple[str, ...]:
    if isinstance(failure.value, ConfigurationError):
        return failure.value.problems
    return (f"could not create its handler: {type(failure.value).__name__}: {failure.getErrorMessage()}",)


def idle_tree(
    config: HooksConfig, clock: IReactorTime, *, judged: Callable[[Sequence[Verdict]], object] | None = None
) -> Tree:
    """The handlers of a configuration, for a command that receives no deliveries.

    :param judged: see :class:`~change_hooks.dialects.handler.Context`.
    """
    nowhere = InlineIntake(lambda change: None)
    return Tree(config, Context(clock=clock, judged=judged), nowhere, Gate())


def replaying(
    config: HooksConfig, clock: IReactorTime, *, judged: Callable[[Sequence[Verdict]], object] | None = None
) -> Process:
    """A function that returns the changes of a stored delivery, using the handlers of the configuration.

    :param judged: see :class:`~change_hooks.dialects.handler.Context`.
    """
    return idle_tree(config, clock, judged=judged).found_again


__all__ = ["Standing", "Tree", "idle_tree", "replaying", "unmade"]

"""The base of all handlers: options, a context, and the verification of senders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Generic, Literal, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from typing_extensions import TypeVar
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import (
    ConfigurationError,
    DeliveryError,
    SignatureMismatch,
    SignatureMissing,
    Unavailable,
)
from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import Options, read_options
from change_hooks.core.payload import LARGE
from change_hooks.core.stored import Stored
from change_hooks.core.verdicts import Verdict
from change_hooks.core.verification import ChangingSecrets, as_secrets, sign_hmac, verify_hmac
from change_hooks.dialects.written import check_written, readable, rendered, rendered_now
from change_hooks.flow import Steps, proceed
from change_hooks.incidents import report
from change_hooks.interfaces import IHookHandler, IPoller

Opts = TypeVar("Opts", bound=Options, default=Any)
T = TypeVar("T")
#: The argument of a handler: a delivery from us, or a request from Buildbot's own resource.
Request = Delivery | IRequest
#: Changes, and the version control system they come from.
Changes = tuple[Sequence[Change | Mapping[str, object]] | Ignored, str | None]
#: The result of a handler: changes, or a Deferred or coroutine that returns them.
Answer = Changes | Awaitable[Changes]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler gets besides its options.

    :param name: the endpoint's name.
    :param master: what the embedding program passes as *master*; in Buildbot, the master.
    :param http: a treq ``HTTPClient`` for requests to the forge; None: one is created when needed.
    :param clock: the reactor, or a clock in tests; None: the reactor.
    :param pollers: the pollers of the host program.
    :param protected: HTTP Basic authentication protects the endpoint.
    :param reported: called with the events of each delivery before the options apply; for tests.
    :param judged: called with the results of all tests by the options, once for each event, or for each
        change that a method returned; for ``explain``.
    """

    name: str = ""
    master: Any = None
    http: Any = None
    clock: IReactorTime | None = None
    pollers: Iterable[IPoller] = ()
    protected: bool = False
    reported: Callable[[Sequence[Event]], object] | None = None
    judged: Callable[[Sequence[Verdict]], object] | None = None


ALONE = Context()


def make_handler(handler: Any, options: Any, context: Context) -> Any:
    """Create the handler of an endpoint.

    :param handler: its class, or any callable that makes a handler from a master and options.
    :param options: the options as the user wrote them.
    """
    if isinstance(handler, type) and issubclass(handler, HookHandler):
        # So the context exists while the constructor runs, which gets only the master and the options.
        made = handler.__new__(handler)
        made.context = context
        made.begin(options)
        return made
    made = handler(context.master, options)
    if isinstance(made, HookHandler):
        made.context = context
    elif not callable(getattr(made, "getChanges", None)):
        raise ConfigurationError([f"its handler is a {type(made).__name__}, without getChanges(request)"])
    return made


def making_handler(handler: Any, options: Any, context: Context) -> Steps[Any]:
    """The same, after Buildbot has rendered the options; another package's class gets them unrendered."""
    ours = isinstance(handler, type) and issubclass(handler, HookHandler)
    declared = handler.Options if ours else None
    options = yield from rendered(declared, options, context.master)
    return make_handler(handler, options, context)


def check_options(handler: object, written: Any, *, protected: bool = False) -> tuple[list[str], list[str]]:
    """Problems with the options for a handler class, and warnings about them. How another package's class
    uses them is not checked.

    :param protected: HTTP Basic authentication protects the endpoint.
    """
    if not isinstance(handler, type) or not issubclass(handler, HookHandler):
        return [], []
    return check_written(handler, written, protected=protected)


def is_large(delivery: Delivery) -> bool:
    """Whether processing it would block the reactor."""
    return len(delivery.body) > LARGE


def apart(delivery: Delivery, function: Callable[..., T], *arguments: Any) -> T | Deferred[T]:
    """Call a function that processes a whole delivery; in a thread if the delivery is large."""
    if len(delivery.body) > LARGE:
        return in_thread(function, *arguments)
    return function(*arguments)


def in_thread(function: Callable[..., T], *arguments: Any) -> T | Deferred[T]:
    """Call a function in a thread; in this one if no reactor runs that could report the result."""
    from twisted.internet import reactor

    if getattr(reactor, "running", True):
        return deferToThread(function, *arguments)
    return function(*arguments)


# Handlers -----------------------------------------------------------------------------------------


@implementer(IHookHandler)
class HookHandler(Generic[Opts]):
    """The base of every handler class.

    :param master: what the embedding program passes as *master*; in Buildbot, the master.
    :param options: what the user wrote for this dialect; True and None mean no options.
    :raises ConfigurationError: an option that the class declares is wrong, or one is unknown.
    """

    #: The options of the class, a subclass of :class:`Options`; None: it reads them itself.
    Options: ClassVar[type[Options] | None] = None
    #: Who sends it, and what verifies that, in a few words: its row in the table of dialects.
    sender: ClassVar[str] = ""
    verified_by: ClassVar[str] = ""
    #: The status if the handler breaks: 503 if the sender retries only after that.
    broken: ClassVar[Literal[500, 503]] = 500
    #: The HTTP methods that the dialect accepts.
    methods: tuple[str, ...] = ("POST",)
    #: The header with the hexadecimal HMAC of the body, the text before the digits, and the algorithm.
    signature_header: ClassVar[str] = "X-Hub-Signature"
    signature_prefix: ClassVar[str] = "sha256="
    signature_algorithm: ClassVar[str] = "sha256"
    #: The headers that the handler reads. They are stored, so that a replayed delivery has them; None: those
    #: that it has read by the time the delivery is stored, except names that look like a secret.
    headers: ClassVar[tuple[str, ...] | None] = None
    #: The arguments in the URL that the handler reads; None: all except names that look like a secret.
    arguments: ClassVar[tuple[str, ...] | None] = None
    #: The headers whose value is a secret. They are never stored.
    secret_headers: ClassVar[tuple[str, ...]] = ()
    #: The arguments in the URL whose value is a secret. They are never stored.
    secret_arguments: ClassVar[tuple[str, ...]] = ()
    #: Whether the class calls the methods that subclasses of Buildbot's classes override.
    as_upstream: ClassVar[bool] = False
    #: What the handler gets besides its options; set before the constructor runs.
    context: Context = ALONE

    def __init__(self, master: object, options: object) -> None:
        self.master: Any = master
        self.take_options(options)

    def take_options(self, options: object) -> None:
        """Read the options; part of the constructor.

        :raises ConfigurationError: see the class.
        """
        options = rendered_now(self.Options, options, self.master)
        self.options: Mapping[str, Any] = options if isinstance(options, Mapping) else {}
        self.settings: Opts = cast("Opts", None)
        if self.Options is not None:
            problems, _ = check_options(type(self), self.options)
            if problems:
                raise ConfigurationError(problems)
            values = readable(self.Options, self.options, self.master, [])
            self.settings = cast("Opts", read_options(self.Options, values)[0])
        secret = self.options.get("secret")
        if isinstance(secret, ChangingSecrets):
            # Subclasses that read it there expect the contents of the file at the start.
            self.options = {**self.options, "secret": secret.as_text()}

    def begin(self, options: object) -> None:
        """Run the constructor with the options; :attr:`context` is already set."""
        type(self).__init__(self, self.context.master, options)

    def getChanges(self, request: Request) -> Answer:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        raise NotImplementedError(f"{type(self).__name__}.getChanges")

    def stored(self) -> Stored:
        """Which of a delivery's headers and query arguments are stored."""
        return Stored(
            headers=None if self.headers is None else _lower(self.headers),
            secret_headers=_lower(self.secret_headers),
            arguments=None if self.arguments is None else _lower(self.arguments),
            secret_arguments=_lower(self.secret_arguments),
        )

    @property
    def signed(self) -> bool:
        """Whether every delivery is verified by a signature or token before it is read."""
        return bool(getattr(self.settings, "secret", None))

    @property
    def can_verify(self) -> bool:
        """Whether there is a secret or token to verify deliveries with."""
        return self.signed or bool(getattr(self.settings, "secret", None))

    def claims_signature(self, delivery: Delivery) -> bool:
        """Whether a delivery has a header that authenticates its sender: a signature, or a token."""
        secret = _lower(self.secret_headers)
        return any(b"signature" in name or name in secret for name in delivery.header_names)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """Check that one of *secrets* was used. Not called without any secrets; called in a thread for a
        large body (:data:`LARGE`). Called with an empty body when only the head of a delivery has arrived;
        then only :class:`SignatureMissing` counts.

        :returns: how the sender was verified; ``"none"`` if a signature is missing but not required.
        :raises NotAuthenticated: the signature is malformed, wrong or missing.
        """
        verify_hmac(
            delivery.body,
            delivery.getHeader(self.signature_header.encode("ascii")),
            secrets,
            algorithm=self.signature_algorithm,
            prefix=self.signature_prefix,
        )
        return "signature"

    def checked(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The result of :meth:`verify`. The framework calls this."""
        return self.verify(delivery, secrets)

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """The delivery as a sender that knows *secret* sends it, so that :meth:`verify` accepts it.

        For ``change_hooks.testing``; a class with its own :meth:`verify` needs its own version of this, too.
        """
        signature = sign_hmac(delivery.body, secret, self.signature_algorithm, self.signature_prefix)
        return delivery.replace(headers={self.signature_header: signature})

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The headers in which a sender names the event and the delivery. Used together with :meth:`sign`."""
        return {}

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """The delivery, with how its sender was verified; unchanged if it was verified before.

        :raises NotAuthenticated: the sender could not be verified.
        :raises Unavailable: the secret is not available now.
        """
        if delivery.is_verified_for(self):
            return delivery
        secrets: Any = getattr(self.settings, "secret", None)
        if isinstance(secrets, ChangingSecrets):
            secrets = secrets.now()
        elif callable(secrets):
            secrets = yield from _called(secrets, delivery)
        kind: Verification = "none"
        if secrets:
            if is_large(delivery):
                kind = yield in_thread(self.checked, delivery, secrets)
            else:
                kind = self.checked(delivery, secrets)
        if kind == "none" and self.signed:
            raise SignatureMissing("the signature is missing; set the same secret on both sides")
        if kind == "none" and self.context.protected:
            kind = "password"
        if kind == "none" and delivery.verification is not None:
            return delivery  # The handler that passed it on has checked that.
        return delivery.replace(verification=kind)

    def signed_part(self, delivery: Delivery) -> bytes:
        """The part of a verified delivery that the signature covers, so that nobody can change it."""
        return delivery.body

    def digest(self, delivery: Delivery) -> str | Deferred[str]:
        """A digest of :meth:`signed_part` if, by the option ``replay``, a verified delivery is accepted only
        once; otherwise empty.
        """
        if getattr(self.settings, "replay", True) or delivery.verification in (None, "none"):
            return ""
        return apart(delivery, self._digest, delivery)

    def _digest(self, delivery: Delivery) -> str:
        return sha256(self.signed_part(delivery)).hexdigest()

    def check_head(self, head: Delivery) -> None:
        """Refuse a delivery by its head if that has neither a signature nor a token.

        :param head: the delivery with an empty body, so that no signature matches.
        :raises SignatureMissing: the body need not be received.
        """
        if callable(getattr(self.settings, "secret", None)):
            return  # It is called only once, with the whole delivery.
        try:
            proceed(self.verified(head))
        except SignatureMissing:
            raise
        except Exception:
            return  # It may need the body, if a subclass overrides it.

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The sender's id of the delivery, which a redelivery shares; None: it sends none. Called in a thread
        for a large body (:data:`LARGE`).
        """
        return None

    def identified(self, delivery: Delivery) -> str | Deferred[str | None] | None:
        """The result of :meth:`delivery_id`. The framework calls this."""
        return apart(delivery, self.delivery_id, delivery)

    def claimed_id(self, delivery: Delivery) -> str | None:
        """The same for an unverified delivery, from its headers only; for its trace."""
        return None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """Errors in the combination of these options."""
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warnings for the user, such as open access.

        :param protected: HTTP Basic authentication protects the endpoint.
        """
        return []


def _called(secret: Callable[[Delivery], object], delivery: Delivery) -> Steps[list[bytes]]:
    """The secrets for a delivery that a user's callable returned.

    :raises Unavailable: the callable broke; the sender is not to blame.
    """
    try:
        found = yield secret(delivery)
    except (DeliveryError, CancelledError):
        raise
    except Exception:
        incident = report("the callable of the option 'secret' broke", Failure(), dialect=delivery.dialect)
        raise Unavailable(f"the secret is not available now (incident {incident})") from None
    return _found_secrets(found)


def _found_secrets(found: object) -> list[bytes]:
    if found is None:
        raise SignatureMismatch("there is no secret for this sender")
    try:
        return as_secrets(found)
    except (TypeError, ValueError) as error:
        raise Unavailable(f"the secret that the option 'secret' returned {error}") from None


def _lower(names: Iterable[str]) -> frozenset[bytes]:
    return frozenset(name.lower().encode() for name in names)


__all__ = [
    "ALONE",
    "Context",
    "HookHandler",
    "apart",
    "check_options",
    "is_large",
    "make_handler",
    "making_handler",
]

"""What every handler has: options, a context, and the verification of its senders."""

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
#: What a handler is given: by us a delivery, by Buildbot's own resource a request.
Request = Delivery | IRequest
#: Changes, and the version control system they come from.
Changes = tuple[Sequence[Change | Mapping[str, object]] | Ignored, str | None]
#: What a handler returns: changes, or what they can be awaited of (a Deferred, a coroutine).
Answer = Changes | Awaitable[Changes]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler gets beside its options.

    :param name: the endpoint's name.
    :param master: what the embedding program passes as *master*; in Buildbot, the master.
    :param http: a treq ``HTTPClient`` for requests to the forge; None: one is made when it is needed.
    :param clock: the reactor, or a clock in tests; None: the reactor.
    :param pollers: the pollers of the host.
    :param protected: HTTP Basic authentication stands before the endpoint.
    :param reported: told of the events of each delivery before the options decide about them; for tests.
    :param judged: told of every test that the options make, once for each event, or for each change that a
        method made by itself; for whoever asks why.
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
    """Make the handler of an endpoint.

    :param handler: its class, or whatever makes one of a master and options.
    :param options: what the user wrote.
    """
    if isinstance(handler, type) and issubclass(handler, HookHandler):
        # So it has its context while its constructor runs, which is told of master and options alone.
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
    """The same, with options that Buildbot renders first; another package's class gets them as they are."""
    ours = isinstance(handler, type) and issubclass(handler, HookHandler)
    declared = handler.Options if ours else None
    options = yield from rendered(declared, options, context.master)
    return make_handler(handler, options, context)


def check_options(handler: object, written: Any, *, protected: bool = False) -> tuple[list[str], list[str]]:
    """What is wrong, and what is doubtful, in what a user wrote for a handler class; nothing of what another
    package's class makes of it.

    :param protected: HTTP Basic authentication stands before it.
    """
    if not isinstance(handler, type) or not issubclass(handler, HookHandler):
        return [], []
    return check_written(handler, written, protected=protected)


def is_large(delivery: Delivery) -> bool:
    """True when it would hold the reactor."""
    return len(delivery.body) > LARGE


def apart(delivery: Delivery, function: Callable[..., T], *arguments: Any) -> T | Deferred[T]:
    """Call a function that works on all of a delivery; in a thread when that is large."""
    if len(delivery.body) > LARGE:
        return in_thread(function, *arguments)
    return function(*arguments)


def in_thread(function: Callable[..., T], *arguments: Any) -> T | Deferred[T]:
    """Call a function in a thread; here, where no reactor runs that could tell of its end."""
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

    #: The options that the class takes, a subclass of :class:`Options`; None: it reads them itself.
    Options: ClassVar[type[Options] | None] = None
    #: Who sends it, and what verifies that, in a few words: its row in the table of dialects.
    sender: ClassVar[str] = ""
    verified_by: ClassVar[str] = ""
    #: What is answered when the handler breaks: 503 where the sender tries again after that alone.
    broken: ClassVar[Literal[500, 503]] = 500
    #: The HTTP methods that the dialect takes.
    methods: tuple[str, ...] = ("POST",)
    #: The header with the hexadecimal HMAC of the body, what stands before the digits, and its algorithm.
    signature_header: ClassVar[str] = "X-Hub-Signature"
    signature_prefix: ClassVar[str] = "sha256="
    signature_algorithm: ClassVar[str] = "sha256"
    #: The headers that the handler reads. They are stored, so that a replayed delivery has them; None: those
    #: that it has read when the delivery is stored, but for names that look like a secret.
    headers: ClassVar[tuple[str, ...] | None] = None
    #: The arguments in the URL that the handler reads, likewise; None: all but names that look like a secret.
    arguments: ClassVar[tuple[str, ...] | None] = None
    #: The headers whose value is a secret. They are never stored.
    secret_headers: ClassVar[tuple[str, ...]] = ()
    #: The arguments in the URL whose value is a secret. They are never stored.
    secret_arguments: ClassVar[tuple[str, ...]] = ()
    #: True for classes that call what subclasses of Buildbot's classes override.
    as_upstream: ClassVar[bool] = False
    #: What the handler gets beside its options; there before the constructor runs.
    context: Context = ALONE

    def __init__(self, master: object, options: object) -> None:
        self.master: Any = master
        self.take_options(options)

    def take_options(self, options: object) -> None:
        """Read what the user wrote; part of the constructor.

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
            # Subclasses that read it there want what stands in the file, as it was at the start.
            self.options = {**self.options, "secret": secret.as_text()}

    def begin(self, options: object) -> None:
        """Run the constructor, with what the user wrote; :attr:`context` is there."""
        type(self).__init__(self, self.context.master, options)

    def getChanges(self, request: Request) -> Answer:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        raise NotImplementedError(f"{type(self).__name__}.getChanges")

    def stored(self) -> Stored:
        """What of a delivery's headers and query is stored."""
        return Stored(
            headers=None if self.headers is None else _lower(self.headers),
            secret_headers=_lower(self.secret_headers),
            arguments=None if self.arguments is None else _lower(self.arguments),
            secret_arguments=_lower(self.secret_arguments),
        )

    @property
    def signed(self) -> bool:
        """True when every delivery is verified by a signature or token before it is read."""
        return bool(getattr(self.settings, "secret", None))

    @property
    def can_verify(self) -> bool:
        """True when there is a secret or token to verify deliveries with."""
        return self.signed or bool(getattr(self.settings, "secret", None))

    def claims_signature(self, delivery: Delivery) -> bool:
        """Whether a delivery comes with a header that says who sends it: a signature, or a token."""
        secret = _lower(self.secret_headers)
        return any(b"signature" in name or name in secret for name in delivery.header_names)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """Check that one of *secrets* was used. Not called without any, and for a large body
        (:data:`LARGE`) in a thread. When only the head of a delivery has come it is called with an empty
        body, and only :class:`SignatureMissing` counts.

        :returns: how the sender was verified; ``"none"`` when a signature is missing and need not be there.
        :raises NotAuthenticated: it is malformed or wrong, or missing.
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
        """What :meth:`verify` says. The framework calls this."""
        return self.verify(delivery, secrets)

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """The delivery as a sender that knows *secret* sends it: what :meth:`verify` accepts.

        For ``change_hooks.testing``; a class with its own :meth:`verify` has its own of this too.
        """
        signature = sign_hmac(delivery.body, secret, self.signature_algorithm, self.signature_prefix)
        return delivery.replace(headers={self.signature_header: signature})

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The headers in which a sender names the event and the delivery. Used where :meth:`sign` is."""
        return {}

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """The delivery with how its sender was verified; as it is when that has been looked at before.

        :raises NotAuthenticated: it was not.
        :raises Unavailable: the secret cannot be had now.
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
            return delivery  # Whoever handed it on has looked at that.
        return delivery.replace(verification=kind)

    def signed_part(self, delivery: Delivery) -> bytes:
        """What of a verified delivery nobody can change: what a signature covers."""
        return delivery.body

    def digest(self, delivery: Delivery) -> str | Deferred[str]:
        """A digest of :meth:`signed_part`, where the option ``replay`` says that a verified delivery is
        accepted only once; else empty.
        """
        if getattr(self.settings, "replay", True) or delivery.verification in (None, "none"):
            return ""
        return apart(delivery, self._digest, delivery)

    def _digest(self, delivery: Delivery) -> str:
        return sha256(self.signed_part(delivery)).hexdigest()

    def check_head(self, head: Delivery) -> None:
        """Refuse a delivery of which only the head has come, when that has neither signature nor token.

        :param head: its body is empty, so that whatever is there does not match.
        :raises SignatureMissing: it need not be received.
        """
        if callable(getattr(self.settings, "secret", None)):
            return  # It is asked once, with all of the delivery.
        try:
            proceed(self.verified(head))
        except SignatureMissing:
            raise
        except Exception:
            return  # It may need the body: one of a subclass reads what stands in it.

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The sender's name for the delivery; a redelivery has the same. None: it gives none. Called in a
        thread for a large body (:data:`LARGE`).
        """
        return None

    def identified(self, delivery: Delivery) -> str | Deferred[str | None] | None:
        """What :meth:`delivery_id` says. The framework calls this."""
        return apart(delivery, self.delivery_id, delivery)

    def claimed_id(self, delivery: Delivery) -> str | None:
        """The same for one that is not verified, by its headers alone; for a trace of it."""
        return None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong in how these options go together."""
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """What a user should be warned of: doors left open by these options.

        :param protected: HTTP Basic authentication stands before it.
        """
        return []


def _called(secret: Callable[[Delivery], object], delivery: Delivery) -> Steps[list[bytes]]:
    """What a user's callable says that the secrets for a delivery are.

    :raises Unavailable: it broke; the sender cannot help that.
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

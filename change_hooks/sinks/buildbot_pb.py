"""Sends every change to the change port of a Buildbot master.

Source: Buildbot manual, "PBChangeSource"; Twisted, "Perspective Broker".
"""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.python.failure import Failure
from twisted.spread.banana import SIZE_LIMIT, BananaError
from twisted.spread.pb import DeadReferenceError, PBClientFactory, PBConnectionLost, RemoteError
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.options import seconds, text
from change_hooks.core.push import newest_of
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.flow import reactor_unless
from change_hooks.interfaces import IChangeSink
from change_hooks.sinks.base import read_option
from change_hooks.sinks.link import Link, endpoint

#: The default user and password of a master.
USER = "change"
PASSWORD = "changepw"  # noqa: S105 (Buildbot's own default)
#: The default time limit for each change, in seconds.
TIME_LIMIT = 60.0
#: The longest text that Perspective Broker can transfer, in bytes.
LONGEST_TEXT = SIZE_LIMIT - 1
#: The longest list. A text or a dict is sent as a list, too, preceded by its kind.
LONGEST_LIST = SIZE_LIMIT - 1
#: The largest integer, in bits: 64 digits of 7 bits, rounded down.
LARGEST_NUMBER = 400
#: The property that lists the fields that were too large to send whole.
CUT = "change_hook_cut"


@implementer(IChangeSink)
class BuildbotPB:
    """Sends every change to a master that has a ``PBChangeSource``, as Buildbot's own tools do.

    The protocol has no field for the change's key, so a change that must be resent (because the connection
    broke before the master answered) is added twice. Texts over 640 KiB and lists of more than 655,359 items
    are cut; the property ``change_hook_cut`` lists the fields concerned.

    :param master: ``host:port`` of the master's change port, or a Twisted endpoint string.
    :param user: as in the ``PBChangeSource``.
    :param passwd: as in the ``PBChangeSource``.
    :param name: what the journal calls this sink.
    :param time_limit: for each change, in seconds.
    :raises TypeError: an option has the wrong type; None selects an option's default.
    :raises ValueError: *master* is not a valid address.
    """

    def __init__(
        self,
        master: str,
        *,
        user: str | None = USER,
        passwd: str | None = PASSWORD,
        name: str = "buildbot_pb",
        time_limit: float | None = TIME_LIMIT,
        reactor: Any = None,
    ) -> None:
        self.name = name
        self.time_limit = read_option("time_limit", time_limit, seconds, default=TIME_LIMIT)
        if not isinstance(master, str):
            raise TypeError(f"option 'master' must be a str, not {type(master).__name__}")
        endpoint(reactor, master)
        self._master = master
        self._credentials = UsernamePassword(
            read_option("user", user, text, default=USER).encode(),
            read_option("passwd", passwd, text, default=PASSWORD).encode(),
        )
        self._reactor = reactor
        self._link: Link[_Master] = Link(self._connect, lambda connected: connected.factory.disconnect())

    @inlineCallbacks
    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        connected = yield self._link.get()
        try:
            yield connected.perspective.callRemote("addChange", fields_of(change))
        except BananaError as error:
            self._link.drop(connected)
            raise SinkRefused(f"it does not fit through Perspective Broker: {error}") from error
        except RemoteError as error:
            raise SinkError(f"the master refused it: {error}") from error
        except (DeadReferenceError, PBConnectionLost) as error:
            self._link.drop(connected)
            raise SinkError("the connection to the master broke") from error
        except CancelledError:
            # It did not answer in time, so the change may or may not have been added.
            self._link.drop(connected)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._link.drop()

    @inlineCallbacks
    def _connect(self) -> Any:
        self._reactor = reactor_unless(self._reactor)
        factory = PBClientFactory()
        yield endpoint(self._reactor, self._master).connect(factory)
        try:
            logging_in: Deferred[Any] = factory.login(self._credentials)
            perspective = yield logging_in.addErrback(_not_let_in)
        except Exception:
            factory.disconnect()
            raise
        connected = _Master(factory, perspective)
        perspective.notifyOnDisconnect(lambda _: self._link.drop(connected))
        return connected


def _not_let_in(failure: Failure) -> Failure:
    if failure.check(UnauthorizedLogin):
        raise SinkError("the master does not accept the user and password")
    return failure


class _Master:
    """A connection to a master."""

    def __init__(self, factory: PBClientFactory, perspective: Any) -> None:
        self.factory = factory
        self.perspective = perspective


def fields_of(change: Change) -> dict[str, Any]:
    """A change as a master's change port expects it; for a push, its newest change. Unknown fields are left
    out; a value that is too large is cut, and its field is named in the property :data:`CUT`.
    """
    whole = {name: value for name, value in newest_of(change).items() if value is not None}
    fields = {name: _fitting(value) for name, value in whole.items()}
    cut = [name for name in whole if fields[name] != whole[name]]
    if cut:
        fields["properties"] = {**fields["properties"], CUT: cut}
    fields["who"] = fields.pop("author")
    if "when_timestamp" in fields:
        fields["when"] = fields.pop("when_timestamp")
    return fields


def _fitting(value: Any) -> Any:
    if isinstance(value, str):
        encoded = value.encode()
        return value if len(encoded) <= LONGEST_TEXT else encoded[:LONGEST_TEXT].decode("utf-8", "ignore")
    if isinstance(value, list):
        return [_fitting(item) for item in value[:LONGEST_LIST]]
    if isinstance(value, dict):
        items = list(value.items())[:LONGEST_LIST]
        return {_fitting(key): _fitting(item) for key, item in items}
    if isinstance(value, int) and value.bit_length() > LARGEST_NUMBER:
        return _fitting(hex(value))
    return value


__all__ = ["BuildbotPB", "fields_of"]

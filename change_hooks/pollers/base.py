"""What the pollers share."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from twisted.web.http_headers import Headers

from change_hooks.core.address import AmbiguousAddress, parse_address, without_password
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.fetched import POLL

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Change]).decode


class Found(msgspec.Struct, frozen=True):
    """Commits that belong together.

    :param id: names them among all that this poller ever finds; it is the same when they are found again.
    """

    id: str
    changes: list[Change]


class Looked(msgspec.Struct, frozen=True):
    """What a look gave.

    :param found: what is new, oldest first.
    :param state: where the repository is now: something JSON can hold.
    :param problems: what is wrong with single refs, names or commits, and cost only those.
    :param notes: what gave no change, and why.
    """

    found: list[Found]
    state: Any
    problems: list[str] = []
    notes: list[str] = []


class Poller:
    """The base of the pollers.

    :param repourl: the repository's address, which is also the poller's name; without a password, if there is
        one in it.
    :param pollInterval: how often to look, in seconds; 0: only when it is told to.
    :param pollAtLaunch: look as soon as the server runs.
    :param category: of every change.
    :param project: of every change.
    :param codebase: of every change.
    :param name: instead of *repourl*.
    """

    #: The dialect of its deliveries.
    dialect = "poller"
    #: The version control system's program.
    program = ""

    def __init__(
        self,
        repourl: str,
        *,
        pollInterval: float = 600,
        pollAtLaunch: bool = False,
        category: str | None = None,
        project: str = "",
        codebase: str | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(repourl, str) or not repourl or repourl.startswith("-"):
            raise ValueError("repourl must be the address of a repository")
        if isinstance(pollInterval, bool) or not isinstance(pollInterval, (int, float)) or pollInterval < 0:
            raise ValueError("pollInterval must be a number of seconds")
        self.repourl = repourl
        try:
            #: The same without a password: what is shown, logged and stored.
            self.address = without_password(repourl)
        except AmbiguousAddress as error:
            raise ValueError(f"repourl {error}") from None
        self.interval = float(pollInterval)
        self.at_launch = pollAtLaunch
        self.name = name or self.address
        #: What all its changes have in common.
        self.about: dict[str, Any] = {
            "category": category,
            "project": project,
            "codebase": codebase,
            "repository": self.address,
        }

    def look(self, state: Any, folder: Path) -> Looked:
        """Look for commits. Called in a thread.

        :param state: what the last look said; None the first time, when it only sees where it is.
        :param folder: for what it has to keep on the disk.
        :raises ~change_hooks.vcs.tools.ToolError: nothing could be found out.
        """
        raise NotImplementedError

    def work_folder(self, folder: Path) -> Path:
        """A folder of this poller's own."""
        return folder / f"{self.dialect}-{sha256(self.repourl.encode()).hexdigest()[:16]}"

    def delivery(self, found: Found, received: float) -> Delivery:
        """What was found, as a delivery: stored and replayed like every other."""
        place = sha256(f"{self.name}|{found.id}".encode()).hexdigest()[:32]
        return Delivery(
            POLL,
            self.address.encode(),
            Headers({b"content-type": [b"application/json"]}),
            _encode(found.changes),
            id=place,
            dialect=self.dialect,
            received=received,
            verification="none",
        )

    def without_secrets(self, message: str) -> str:
        """*message* without the password of the repository's address, should a tool quote it."""
        message = message.replace(self.repourl, self.address)
        address = parse_address(self.repourl)
        written = self.repourl.rpartition("@")[0].rpartition(":")[2]
        for secret in (address.password, written if address.password else None):
            message = message.replace(secret, "***") if secret else message
        return message


def is_polled(delivery: Delivery) -> bool:
    """Whether a delivery came from a poller, and not from a sender."""
    return delivery.method == POLL


def changes_in(delivery: Delivery) -> list[Change]:
    """The changes of a delivery that came from a poller."""
    return _decode(delivery.body)


def names(value: Any, what: str) -> list[str] | None:
    """A list of str, or None for all.

    :raises ValueError: it is neither.
    """
    if value is None or value is True:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{what} must be a list of str")
    return list(value)


__all__ = ["POLL", "Found", "Looked", "Poller", "changes_in", "is_polled", "names"]

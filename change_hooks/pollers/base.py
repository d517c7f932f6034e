"""The base class of the pollers."""

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
    """Commits that are stored together as one delivery.

    :param id: unique among everything that this poller finds, and the same if it finds them again.
    """

    id: str
    changes: list[Change]


class Looked(msgspec.Struct, frozen=True):
    """The result of a poll.

    :param found: what is new, oldest first.
    :param state: the new state of the repository, as plain JSON values.
    :param problems: errors of single refs, names or commits; only these are left out.
    :param notes: what gave no change, and why.
    """

    found: list[Found]
    state: Any
    problems: list[str] = []
    notes: list[str] = []


class Poller:
    """The base class of the pollers.

    :param repourl: the repository's address; without its password, this is also the poller's name.
    :param pollInterval: how often to poll, in seconds; 0: only on demand.
    :param pollAtLaunch: poll as soon as the server runs.
    :param category: the category of every change.
    :param project: the project of every change.
    :param codebase: the codebase of every change.
    :param name: the poller's name, instead of *repourl*.
    """

    #: The dialect of its deliveries.
    dialect = "poller"
    #: The name of the version control system's program.
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
            #: The address without a password, which may be shown, logged and stored.
            self.address = without_password(repourl)
        except AmbiguousAddress as error:
            raise ValueError(f"repourl {error}") from None
        self.interval = float(pollInterval)
        self.at_launch = pollAtLaunch
        self.name = name or self.address
        #: The common fields of all its changes.
        self.about: dict[str, Any] = {
            "category": category,
            "project": project,
            "codebase": codebase,
            "repository": self.address,
        }

    def look(self, state: Any, folder: Path) -> Looked:
        """Look for commits. Called in a thread.

        :param state: the state that the last poll returned; None the first time, which only records the
            state.
        :param folder: where it may store files.
        :raises ~change_hooks.vcs.tools.ToolError: the repository could not be polled at all.
        """
        raise NotImplementedError

    def work_folder(self, folder: Path) -> Path:
        """The folder of this poller."""
        return folder / f"{self.dialect}-{sha256(self.repourl.encode()).hexdigest()[:16]}"

    def delivery(self, found: Found, received: float) -> Delivery:
        """What was found, as a delivery that is stored and replayed like any other."""
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
        """*message* without the password of the repository's address, in case a tool quotes it."""
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

    :raises ValueError: *value* is neither.
    """
    if value is None or value is True:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{what} must be a list of str")
    return list(value)


__all__ = ["POLL", "Found", "Looked", "Poller", "changes_in", "is_polled", "names"]

"""Replaces the secret of an endpoint and its webhooks without refusing a single delivery.

Strategy: the new secret is written before the old one in the secret's file, and the receivers accept both
from then on, which is tested. Then the forge gets the new secret, webhook by webhook. Only when all webhooks
have it, their tests have arrived, and deliveries in flight have had time to arrive, is the old secret
removed. Whatever fails on the way, both secrets stay, and the next run continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.task import deferLater

from change_hooks.core.errors import ConfigurationError
from change_hooks.forges.rest import RestError
from change_hooks.journal.reader import Reader
from change_hooks.webhooks.keeping import Keeper
from change_hooks.webhooks.places import Place
from change_hooks.webhooks.secret_file import SecretFile, fresh
from change_hooks.webhooks.trying import Trial, tried

#: Tests whether a receiver accepts a secret: see :func:`~change_hooks.webhooks.probing.accepts`.
Probe = Callable[[Place, str], Any]
UNREACHED = (
    "the receiver cannot be reached from here, so it is not known whether it accepts the new secret; start"
    " it, or give --no-probe"
)
NOT_ACCEPTED = (
    "the receiver does not accept the new secret; it must run with this configuration and read this file"
)
GOES_ON = "both secrets are accepted; --resume continues"


class Turn(msgspec.Struct, frozen=True):
    """One file, and the webhooks that use its secret."""

    file: SecretFile
    places: Sequence[Place]


class Rotation:
    """Rotates the secret in one file, and that of the webhooks that use it.

    :param reader: the journal's reader; None: there is no journal.
    :param probe: tests a receiver; None: no receiver is tested.
    :param tell: called with each step, in words.
    :param grace: how long a delivery in flight may take to arrive, in seconds.
    :param wait: how long to wait for each test, in seconds.
    :param test: see :func:`~change_hooks.webhooks.trying.tried`.
    :param resume: continue a rotation that was interrupted.
    """

    def __init__(
        self,
        turn: Turn,
        *,
        reader: Reader | None,
        probe: Probe | None,
        tell: Callable[[str], None],
        clock: Any,
        grace: float,
        wait: float,
        test: bool | None,
        resume: bool,
    ) -> None:
        self._turn = turn
        self._reader = reader
        self._probe = probe
        self._tell = tell
        self._clock = clock
        self._grace = grace
        self._wait = wait
        self._test = test
        self._resume = resume

    async def run(self) -> None:
        """Do the whole rotation.

        :raises ConfigurationError: it cannot start; nothing has changed.
        :raises RestError: it was interrupted; both secrets are accepted.
        """
        with self._turn.file.held():
            await self._run(self._turn.file)

    async def _run(self, file: SecretFile) -> None:
        old = file.read()
        if not old:
            raise ConfigurationError([f"{file.path} holds no secret"])
        if len(old) > 1 and not self._resume:
            raise ConfigurationError(
                [
                    f"{file.path} holds {len(old)} secrets: if a rotation was interrupted, --resume continues"
                    " with the first and removes the others"
                ]
            )
        await self._look()
        new = old[0] if len(old) > 1 else fresh(old[0])
        if len(old) == 1:
            file.exchange(old, [new, *old])
            self._tell(f"{file.path}: added a new secret before the old one")
        both = [new, *old] if len(old) == 1 else old
        try:
            await self._accepted(new)
        except ConfigurationError:
            if len(old) == 1:
                file.exchange(both, old)
            raise
        for place in self._turn.places:
            file.expect(both)
            await self._change(place, new)
        if self._grace:
            self._tell(f"waiting {self._grace:g} s for deliveries in flight")
            await deferLater(self._clock, self._grace, lambda: None)
        file.exchange(both, [new])
        self._tell(f"{file.path}: removed the old secret")

    async def _look(self) -> None:
        """Before anything is changed, check that each webhook exists exactly once."""
        for place in self._turn.places:
            try:
                found = await Keeper(place, self._clock).ours()
            except RestError as error:
                raise ConfigurationError([f"{_name(place)}: {error}"]) from None
            if len(found) != 1:
                many = f"{len(found)} webhooks lead to this address; 'change-hooks hook check' says more"
                raise ConfigurationError([f"{_name(place)}: {many}"])

    async def _accepted(self, new: str) -> None:
        if self._probe is None:
            return
        for name, place in {place.endpoint: place for place in self._turn.places}.items():
            said = await self._probe(place, new)
            if said is None:
                raise ConfigurationError([f"{name}: {UNREACHED}"])
            if said:
                raise ConfigurationError([f"{name}: {NOT_ACCEPTED} ({said})"])
            self._tell(f"{name}: the receiver accepts the new secret")

    async def _change(self, place: Place, new: str) -> None:
        wanted = msgspec.structs.replace(place.wanted, secret=new)
        place = msgspec.structs.replace(place, wanted=wanted)
        try:
            _, number = await Keeper(place, self._clock).ensure()
            trial: Trial = await tried(
                place, number, reader=self._reader, wait=self._wait, test=self._test, clock=self._clock
            )
        except RestError as error:
            raise RestError(f"{_name(place)}: {error}; {GOES_ON}", error.status) from None
        if trial.is_bad:
            raise RestError(f"{_name(place)}: {trial.said}; {GOES_ON}")
        self._tell(f"{_name(place)}: webhook {number} has the new secret; {trial.said}")


def _name(place: Place) -> str:
    return f"{place.endpoint}, {place.source.name}"


__all__ = ["Probe", "Rotation", "Turn"]

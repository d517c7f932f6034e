"""Tests a webhook: the forge sends a test delivery, and the journal says whether it arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from change_hooks.core.shown import printable
from change_hooks.forges.webhooks.base import Last, Tried
from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader
from change_hooks.webhooks.arrival import Arrivals
from change_hooks.webhooks.keeping import Keeper, shown_last
from change_hooks.webhooks.places import Place

Outcome = Literal["arrived", "refused", "missing", "unseen", "unsent"]


class Trial(msgspec.Struct, frozen=True):
    """The outcome of a test.

    :param outcome: the test ``arrived``; it arrived and was ``refused``; it did not arrive; it is not known
        whether it arrived (there is no journal); or none was sent.
    :param said: the outcome in words.
    """

    outcome: Outcome
    said: str

    @property
    def is_bad(self) -> bool:
        """The webhook does not work."""
        return self.outcome in ("refused", "missing")


async def tried(
    place: Place, number: str, *, reader: Reader | None, wait: float, test: bool | None, clock: Any
) -> Trial:
    """Have the forge send a test, and wait for it.

    :param number: the webhook's number.
    :param reader: the journal's reader; None: there is no journal.
    :param wait: how long to wait for the test, in seconds.
    :param test: whether to send one; None: only if it cannot give a change.
    :param clock: the reactor, or a clock in tests.
    :raises RestError: the forge did not send a test; the message says what to do.
    """
    api = place.api
    if api.harmless is None:
        return Trial("unsent", "this forge has no test; push something to see whether it works")
    if test is False:
        return Trial("unsent", "no test was sent")
    if test is None and not api.harmless:
        return Trial("unsent", "no test was sent, because this forge's test gives a change; --test sends it")
    arrivals = None if reader is None else Arrivals(reader, clock)
    keeper = Keeper(place, clock)

    async def ask_last() -> Last | None:
        return await keeper.asked(lambda: api.last(number))

    before = None if arrivals is None else await ask_last()
    sent = await keeper.asked(lambda: api.test(number, place.wanted))
    if arrivals is None:
        said = f"; the forge says: {shown_last(sent.last)}" if sent.last is not None else ""
        return Trial(
            "unseen", f"the test was sent; without a journal it is not known whether it arrived{said}"
        )
    start = clock.seconds()
    while True:
        line = await arrivals.wait(place.endpoint, sent.events, start + wait - clock.seconds())
        took = max(0.0, clock.seconds() - start)
        if line is not None:
            said = f"the test arrived after {took:.1f} s: {line.event}, {line.reason or line.state}"
            return Trial("arrived", said)
        last = sent.last or await ask_last()
        refused = None if last is None or last == before else _refused(last, arrivals.refused)
        if refused is not None:
            return _judged(sent, last, refused)
        if took >= wait:
            return _missing(last, wait, arrivals.refused)


def _refused(last: Last, lines: Sequence[StoredDelivery]) -> StoredDelivery | None:
    """The request that the forge sent last, if it is a refused one; anybody may have sent the others."""
    if last.delivery:
        return next((line for line in lines if line.delivery == last.delivery), None)
    return next((line for line in reversed(lines) if line.status == last.status), None)


def _judged(sent: Tried, last: Last | None, line: StoredDelivery) -> Trial:
    reason = f"{line.status}, {printable(line.reason)}"
    if not sent.signed and line.status == 403:
        return Trial(
            "arrived", f"a test arrived, which this forge does not sign, so it was refused: {reason}"
        )
    return Trial("refused", f"the test arrived and was refused: {reason}{_of_forge(last)}")


def _missing(last: Last | None, wait: float, refused: Sequence[StoredDelivery]) -> Trial:
    others = ""
    if refused:
        reason = f"{refused[-1].status}, {printable(refused[-1].reason)}"
        others = (
            f"; a request that was refused meanwhile ({reason}) may have been the test, or somebody else's"
        )
    return Trial(
        "missing",
        f"the test did not arrive within {wait:g} s{_of_forge(last)}{others};"
        " is the server running, at this address?",
    )


def _of_forge(last: Last | None) -> str:
    return f"; the forge says: {shown_last(last)}" if last is not None else ""


__all__ = ["Outcome", "Trial", "tried"]

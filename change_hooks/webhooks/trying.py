"""A webhook tried: the forge sends a test, and the journal says whether it has come."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from change_hooks.core.shown import printable
from change_hooks.forges.webhooks.base import Last, Tried
from change_hooks.journal.reader import Reader
from change_hooks.webhooks.arrival import Arrivals
from change_hooks.webhooks.keeping import Keeper, shown_last
from change_hooks.webhooks.places import Place

Outcome = Literal["arrived", "refused", "missing", "unseen", "unsent"]


class Trial(msgspec.Struct, frozen=True):
    """What became of a test.

    :param outcome: it ``arrived``; it came and was ``refused``; it did not come; nobody could see whether it
        came (there is no journal); or none was sent.
    :param said: in words.
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

    :param number: the webhook's.
    :param reader: the journal's; None: there is none.
    :param wait: for the test, in seconds.
    :param test: None: unless it could give a change.
    :param clock: the reactor, or a clock in tests.
    :raises RestError: the forge sends none; says what to do.
    """
    api = place.api
    if api.harmless is None:
        return Trial("unsent", "this forge has no test; push something to see whether it works")
    if test is False:
        return Trial("unsent", "no test was sent")
    if test is None and not api.harmless:
        return Trial("unsent", "no test was sent, since this forge's test gives a change; --test sends it")
    arrivals = None if reader is None else Arrivals(reader, clock)
    keeper = Keeper(place, clock)
    sent = await keeper.asked(lambda: api.test(number, place.wanted))
    if arrivals is None:
        said = f"; the forge says: {shown_last(sent.last)}" if sent.last is not None else ""
        return Trial("unseen", f"the test was sent; there is no journal that could say that it came{said}")
    start = clock.seconds()
    line = await arrivals.wait(place.endpoint, sent.events, wait)
    if line is not None:
        after = f"{max(0.0, clock.seconds() - start):.1f} s"
        return Trial("arrived", f"the test arrived after {after}: {line.event}, {line.reason or line.state}")
    last = sent.last or await keeper.asked(lambda: api.last(number))
    return _not_arrived(sent, last, arrivals, wait)


def _not_arrived(sent: Tried, last: Last | None, arrivals: Arrivals, wait: float) -> Trial:
    forge = f"; the forge says: {shown_last(last)}" if last is not None else ""
    if not arrivals.refused:
        return Trial(
            "missing",
            f"the test did not arrive within {wait:g} s{forge}; does the server run, at this address?",
        )
    line = next((each for each in arrivals.refused if last and each.delivery == last.delivery), None)
    refused = line or arrivals.refused[-1]
    reason = f"{refused.status}, {printable(refused.reason)}"
    if not sent.signed and refused.status == 403:
        return Trial("arrived", f"a test arrived, which this forge does not sign, and was refused: {reason}")
    return Trial("refused", f"a delivery arrived and was refused: {reason}{forge}")


__all__ = ["Outcome", "Trial", "tried"]

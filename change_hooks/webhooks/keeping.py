"""Compares a webhook with what it should be, and repairs it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from twisted.internet.task import deferLater

from change_hooks.core.shown import printable
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.forges.webhooks.base import Last, Webhook, leads_to, same_place, shown_url
from change_hooks.webhooks.places import Place

T = TypeVar("T")

#: How long to wait at most for a forge's rate limit to end, in seconds.
PATIENCE = 90.0


class Judged(msgspec.Struct, frozen=True):
    """A webhook, and what is wrong with it.

    :param hook: the webhook; None: there is none.
    :param problems: what is wrong, one phrase each.
    :param doubts: what may be unintended, one phrase each.
    :param last: the outcome of the last delivery; None: there is none, or the forge does not report it.
    """

    hook: Webhook | None
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    last: Last | None = None


class Keeper:
    """Compares and repairs one webhook.

    :param clock: the reactor, or a clock in tests.
    """

    def __init__(self, place: Place, clock: Any) -> None:
        self._place = place
        self._api = place.api
        self._clock = clock

    async def ensure(self) -> tuple[str, str]:
        """Create the webhook, or correct it; its secret is always written.

        :returns: ``created`` or ``updated``, and its number.
        :raises RestError: the forge refused or could not be asked; the message says what to do.
        """
        ours, _ = self._ours(await self.asked(self._api.all))
        wanted = self._place.wanted
        if ours:
            await self.asked(lambda: self._api.update(ours[0], wanted))
            return "updated", ours[0].number
        if self._place.source.hook is not None:
            raise RestError(f"there is no webhook {self._place.source.hook}")
        return "created", await self.asked(lambda: self._api.create(wanted))

    async def ours(self) -> list[Webhook]:
        """The webhooks with the right URL; there should be exactly one.

        :raises RestError: they cannot be read; the message says what to do.
        """
        return self._ours(await self.asked(self._api.all))[0]

    async def judge(self, *, last: bool = True) -> Judged:
        """Compare the webhook with what it should be.

        :param last: also ask for the outcome of the last delivery.
        :raises RestError: the webhook cannot be read; the message says what to do.
        """
        ours, elsewhere = self._ours(await self.asked(self._api.all))
        unread = _unread(self._api.unread)
        if not ours:
            return Judged(None, tuple(_missing(elsewhere)), unread)
        hook = ours[0]
        was = await self.asked(lambda: self._api.last(hook.number)) if last else None
        problems = [*self._differences(hook), *_twice(ours[1:])]
        if was is not None and not was.is_good:
            problems.append(f"the last delivery failed: {shown_last(was)}")
        return Judged(hook, tuple(problems), (*hook.doubts, *map(_elsewhere, elsewhere), *unread), was)

    async def asked(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask the forge, and once more after its rate limit has ended.

        :raises RestError: no usable answer; the message says what to do.
        """
        try:
            try:
                return await ask()
            except RateLimited as error:
                if error.wait > PATIENCE:
                    message = f"the forge's rate limit is reached; try again in {error.wait:.0f} s"
                    raise RestError(message, error.status) from None
                await deferLater(self._clock, error.wait, lambda: None)
                return await ask()
        except RestError as error:
            if error.status in (401, 403, 404) and not isinstance(error, RateLimited) and self._api.scope:
                raise RestError(f"{error}; webhooks need: {self._api.scope}", error.status) from None
            raise

    def _ours(self, hooks: Sequence[Webhook]) -> tuple[list[Webhook], list[Webhook]]:
        """Our webhooks, best match first; and those for an endpoint of this name on other servers."""
        number, url, name = self._place.source.hook, self._place.wanted.url, self._place.endpoint
        if number is not None:
            return [hook for hook in hooks if hook.number == str(number)], []
        leading = [hook for hook in hooks if leads_to(hook, name)]
        if not url:
            ours, elsewhere = leading, []
        else:
            ours = [hook for hook in hooks if same_place(hook.url, url)]
            elsewhere = [hook for hook in leading if not same_place(hook.url, url)]
        wanted = self._place.wanted.events
        ours.sort(key=lambda hook: (not hook.active or bool(hook.disabled), -len(hook.events & wanted)))
        return ours, elsewhere

    def _differences(self, hook: Webhook) -> Sequence[str]:
        wanted = self._place.wanted
        found: list[str] = []
        if hook.disabled:
            found.append(f"the forge has disabled it: {hook.disabled}")
        elif not hook.active:
            found.append("it is not active")
        if wanted.url and not same_place(hook.url, wanted.url):
            found.append(f"its URL is {shown_url(hook.url)} instead of {shown_url(wanted.url)}")
        if wanted.secret is not None and hook.has_secret is False:
            found.append("it has no secret, so its deliveries are refused")
        missing, needless = wanted.events - hook.events, hook.events - wanted.events
        if missing:
            found.append(f"it lacks the events {', '.join(sorted(missing))}")
        if needless:
            found.append(f"it has events that give no change: {', '.join(sorted(needless))}")
        return found


def _missing(elsewhere: Sequence[Webhook]) -> Sequence[str]:
    if not elsewhere:
        return ["there is no webhook"]
    return [f"wrong URL: {_leads(hook)}" for hook in elsewhere]


def _twice(others: Sequence[Webhook]) -> Sequence[str]:
    return [
        f"webhook {hook.number} has the same URL, so every delivery arrives twice; delete it"
        for hook in others
    ]


def _elsewhere(hook: Webhook) -> str:
    return f"{_leads(hook)}; delete it if this is an old address of this receiver"


def _unread(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"the forge lists {count} more that cannot be read; check there whether one of them leads here, too",
    )


def _leads(hook: Webhook) -> str:
    return f"webhook {hook.number} leads to {shown_url(hook.url)}"


def shown_last(last: Last) -> str:
    """The outcome of a delivery, in words."""
    status = str(last.status) if last.status else "no answer"
    said = f" ({printable(last.said[:200])})" if last.said else ""
    at = f", {printable(last.at[:40])}" if last.at else ""
    return f"{status}{said}{at}"


__all__ = ["PATIENCE", "Judged", "Keeper", "shown_last"]

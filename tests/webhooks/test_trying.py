"""A webhook tried: what the forge sends, and what the journal says of it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from change_hooks.core.recovering import Source
from change_hooks.forges.rest import RestError
from change_hooks.forges.webhooks.base import Last, Tried, Wanted
from change_hooks.journal import Trace
from change_hooks.testing import MemoryJournal
from change_hooks.webhooks.arrival import AFTER_REFUSAL, EVERY
from change_hooks.webhooks.places import Place
from change_hooks.webhooks.trying import Trial, tried
from tests.conftest import result_of


class Api:
    """A forge's webhooks, of which one is tried."""

    scope = ""
    harmless: bool | None = True

    def __init__(self, sent: Tried | None = None, last: Last | None = None) -> None:
        self.sent = sent or Tried(("ping",))
        self.said = last
        #: What it says before the test.
        self.before: Last | None = None
        self.tests = 0

    async def test(self, number: str, wanted: Wanted) -> Tried:
        self.tests += 1
        return self.sent

    async def last(self, number: str) -> Last | None:
        return self.said if self.tests else self.before


class Trying:
    def __init__(self, api: Any = None, *, test: bool | None = None, journal: bool = True) -> None:
        self.api = api or Api()
        self.clock = Clock()
        self.journal = MemoryJournal(clock=self.clock.seconds)
        result_of(self.journal.open())
        self.comes()  # Before it is tried.
        place = Place("github", Source("o/r"), self.api, Wanted("https://ci.example.com", frozenset()))
        reader = self.journal.reader() if journal else None
        self.done = Deferred.fromCoroutine(
            tried(place, "5", reader=reader, wait=30.0, test=test, clock=self.clock)
        )

    def comes(
        self,
        endpoint: str = "github",
        event: str = "ping",
        *,
        status: int = 202,
        reason: str = "it works",
        delivery: str = "1",
    ) -> None:
        """A request comes, and gives no change."""
        state = "ignored" if status == 202 else "refused"
        self.journal.trace(Trace(endpoint, 5.0, status, state, reason, event=event, delivery=delivery))

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds / EVERY)):
            self.clock.advance(EVERY)

    def result(self) -> Trial:
        found: Trial = result_of(self.done)
        return found


def test_it_arrives() -> None:
    trying = Trying()
    trying.wait(1)
    trying.comes("gitlab")
    trying.comes(event="push")
    assert not trying.done.called
    trying.wait(1)
    trying.comes()
    trying.wait(0.5)
    assert trying.result() == Trial("arrived", "the test arrived after 2.2 s: ping, it works")

    assert not Trial("arrived", "").is_bad


def test_it_does_not_arrive_and_the_forge_says_why() -> None:
    trying = Trying(Api(last=Last(502, "Bad Gateway")))
    trying.wait(29)
    assert not trying.done.called
    trying.wait(1)
    assert trying.result() == Trial(
        "missing",
        "the test did not arrive within 30 s; the forge says: 502 (Bad Gateway); is the server running, at this"
        " address?",
    )
    assert Trial("missing", "").is_bad


def test_it_is_refused() -> None:
    trying = Trying(Api(last=Last(403, delivery="mine")))
    trying.comes(status=403, reason="the signature does not match", delivery="mine")
    trying.comes(status=403, reason="somebody else", delivery="another")
    trying.wait(AFTER_REFUSAL + 1)
    assert trying.result() == Trial(
        "refused",
        "the test arrived and was refused: 403, the signature does not match; the forge says: 403",
    )


#: What a forge may say of what it sent last, which was not what was refused.
OTHERS = [None, Last(0), Last(202), Last(502), Last(403, delivery="mine"), Last(202, delivery="another")]


@pytest.mark.parametrize("last", OTHERS)
@pytest.mark.parametrize("signed", [True, False])
def test_somebody_elses_refusals_do_not_hide_it(last: Last | None, signed: bool) -> None:
    trying = Trying(Api(Tried(("ping",), signed=signed), last))
    for _ in range(5):
        trying.comes(status=403, reason="somebody else", delivery="theirs")
        trying.wait(AFTER_REFUSAL + 1)
        assert not trying.done.called
    trying.comes()
    trying.wait(1)
    assert trying.result().outcome == "arrived"


@pytest.mark.parametrize("last", OTHERS)
@pytest.mark.parametrize("signed", [True, False])
def test_somebody_elses_refusals_are_no_test(last: Last | None, signed: bool) -> None:
    trying = Trying(Api(Tried(("ping",), signed=signed), last))
    trying.comes(status=403, reason="somebody else", delivery="theirs")
    trying.wait(31)
    trial = trying.result()
    assert trial.outcome == "missing"
    assert (
        "a request that was refused meanwhile (403, somebody else) may have been the test, or somebody else's"
        in trial.said
    )


def test_what_the_forge_said_before_is_not_about_the_test() -> None:
    api = Api(last=Last(403, at="yesterday"))
    api.before = Last(403, at="yesterday")
    trying = Trying(api)
    trying.comes(status=403, reason="somebody else")
    trying.wait(31)
    assert trying.result().outcome == "missing"


def test_what_the_forge_says_without_an_id_goes_by_how_it_was_answered() -> None:
    trying = Trying(Api(last=Last(403, at="now")))
    trying.comes(status=400, reason="odd")
    trying.comes(status=403, reason="the signature does not match")
    trying.wait(AFTER_REFUSAL + 1)
    assert trying.result() == Trial(
        "refused",
        "the test arrived and was refused: 403, the signature does not match; the forge says: 403, now",
    )


def test_one_that_the_forge_does_not_sign_shows_that_it_gets_here() -> None:
    trying = Trying(Api(Tried(("diagnostics:ping",), signed=False, last=Last(403))))
    trying.comes(status=403, reason="the signature is missing")
    trying.wait(AFTER_REFUSAL + 1)
    assert trying.result() == Trial(
        "arrived",
        "a test arrived, which this forge does not sign, so it was refused: 403, the signature is missing",
    )


@pytest.mark.parametrize(("last", "said"), [(None, ""), (Last(200), "; the forge says: 200")])
def test_without_a_journal_nobody_sees_it(last: Last | None, said: str) -> None:
    trying = Trying(Api(Tried(("ping",), last=last)), journal=False)
    assert trying.result() == Trial(
        "unseen", f"the test was sent; without a journal it is not known whether it arrived{said}"
    )


@pytest.mark.parametrize(
    ("harmless", "test", "said"),
    [
        (None, True, "this forge has no test"),
        (True, False, "no test was sent"),
        (False, None, "--test sends it"),
    ],
)
def test_none_is_sent(harmless: bool | None, test: bool | None, said: str) -> None:
    api = Api()
    api.harmless = harmless
    trial = Trying(api, test=test).result()
    assert (trial.outcome, api.tests) == ("unsent", 0)
    assert said in trial.said


def test_one_that_could_give_a_change_is_sent_on_demand() -> None:
    api = Api()
    api.harmless = False
    Trying(api, test=True)
    assert api.tests == 1


def test_a_forge_that_sends_none_is_an_error() -> None:
    class Refusing(Api):
        async def test(self, number: str, wanted: Wanted) -> Tried:
            raise RestError("the forge responded with 422", 422)

    with pytest.raises(RestError, match="422"):
        Trying(Refusing()).result()

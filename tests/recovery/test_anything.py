"""Whatever fails and whenever it stops: in the end everything is recovered, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import fail

from change_hooks.core.errors import Unavailable
from change_hooks.core.recovering import Source
from change_hooks.forges.gitlab import GitLab
from change_hooks.forges.gitlab_log import GitLabLog
from change_hooks.forges.rest import RestError
from change_hooks.recovery.progress import PAUSES
from change_hooks.recovery.recovered import Missing
from tests.conftest import all_of
from tests.support.fake_api import Asked, Say
from tests.support.fake_gitlab import FakeGitLab, push
from tests.support.inputs import FEW
from tests.support.looking import sha, with_gitea
from tests.support.recovering import Recovering

SEEDS = range(3 if FEW else 12)
LIMIT = Say(status=429, headers={"Retry-After": "30"})
#: How long it takes from one step to the next, in seconds.
STEPS = (1, 31, 60, 121, 300, 900)


class Trouble:
    """What goes wrong, with a forge's API and the journal, until it is over.

    :param journal: where what is recovered is stored.
    :param api: what it asks.
    """

    def __init__(self, seed: int, journal: Any, api: Any) -> None:
        self.random = Random(seed)
        self.over = False
        #: What the forge always says about what has one of these in its address.
        self.bad: dict[str, Say] = {}
        self._answer = api.true_answer
        api.true_answer = self.answer
        journal.append = self.unsure(journal.append)
        journal.remember = self.unsure(journal.remember)

    def happens(self, chance: float) -> bool:
        return not self.over and self.random.random() < chance

    def spoils(self, name: str) -> None:
        """It may be one of those that always fail."""
        if self.happens(0.1):
            self.bad[name] = self.random.choice([Say(status=500), LIMIT])

    def answer(self, asked: Asked) -> Any:
        said = [say for name, say in self.bad.items() if asked.path.endswith(f"/{name}")]
        if said and not self.over:
            return said[0]
        for chance, say in ((0.05, Say(status=500)), (0.03, LIMIT), (0.01, Say(body=b"[{"))):
            if self.happens(chance):
                return say
        if asked.path.endswith("/pulls") and self.happens(0.1):
            return Say(status=403)
        return self._answer(asked)

    def unsure(self, write: Any) -> Any:
        """The disk may be full, and the answer of what was written be lost."""

        def written(*arguments: Any, **more: Any) -> Any:
            if self.happens(0.08):
                return fail(Unavailable("full"))
            done = write(*arguments, **more)
            return fail(Unavailable("lost")) if self.happens(0.08) else done

        return written


def attempted(run: AsyncIterator[Missing]) -> None:
    """A run, however it ends."""
    with suppress(RestError, Unavailable):
        all_of(run)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_of_a_log(forge: str, seed: int) -> None:
    more: dict[str, Any] = {"redeliver": seed % 3 == 0}
    if forge == "gitlab":
        more |= {"endpoint": "gitlab", "forge": GitLab, "log": GitLabLog}
    recovering = Recovering(
        FakeGitLab("T") if forge == "gitlab" else None,
        Source("g/sub/p" if more.get("log") else "o/r"),
        **more,
    )
    came: set[str] = set()

    def comes(key: str) -> None:
        over, trouble.over = trouble.over, True
        if key not in came:
            recovering.came(key)
        came.add(key)
        trouble.over = over

    def again(item: Any) -> None:
        if trouble.random.random() < 0.7:
            comes(item.get("guid") or item["request_headers"]["Idempotency-Key"])

    trouble = Trouble(seed, recovering.journal, recovering.api)
    recovering.api.again = again
    keys: list[str] = []
    late: list[Any] = []
    for _ in range(trouble.random.randint(5, 25)):
        for _ in range(trouble.random.randint(0, 6)):
            number = len(keys) + 1
            key = f"key-{number}"
            keys.append(key)
            if forge == "github":
                ago = trouble.random.choice([0, 1, 30, 200])
                trouble.spoils(str(recovering.api.attempt(key, recovering.clock.seconds() - ago)["id"]))
            else:
                item = recovering.api.event(key, data=push(number))
                item["id"] = 1000 + number
                trouble.spoils(f"{number:040x}")
                if trouble.happens(0.1):
                    late.append(item)
                    recovering.api.log.remove(item)
            if trouble.happens(0.15):
                comes(key)
        if trouble.happens(0.2):
            recovering.restart()
        attempted(recovering.catch_up.run())
        recovering.api.log[:] = sorted([*recovering.api.log, *late], key=lambda item: item["id"])
        late.clear()
        recovering.clock.advance(trouble.random.choice(STEPS))
    trouble.over = True
    for pause in (*PAUSES, *[PAUSES[-1]] * 6):
        recovering.clock.advance(pause)
        attempted(recovering.catch_up.run())
    assert Counter(recovering.ids()) == Counter(keys)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("by_hand", [0.0, 0.2, 1.0])
def test_of_where_everything_is(by_hand: float, seed: int) -> None:
    looking, api = with_gitea()
    looking.run()
    trouble = Trouble(seed, looking.journal, api)
    pulls: dict[int, str] = {}
    breaks: list[int] = []

    def pause(seconds: float) -> None:
        looking.clock.advance(seconds)
        looking.forge.clock.advance(seconds)  # type: ignore[union-attr]

    def look() -> None:
        hand = trouble.random.random() < by_hand
        attempted(looking.heads.run(unless=None if hand else looking.clock.seconds() + 1))

    number = 10
    for _ in range(trouble.random.randint(5, 25)):
        for _ in range(trouble.random.randint(0, 4)):
            number += 1
            trouble.spoils(sha(number))
            if trouble.happens(0.1):
                breaks.append(number)
            if trouble.random.random() < 0.3:
                pulls[trouble.random.randint(1, 4)] = sha(number)
            else:
                looking.now[f"refs/heads/{trouble.random.choice('abcdef')}"] = sha(number)
        api.pulls = [api.pull(name, head) for name, head in pulls.items()]
        if trouble.happens(0.2):
            looking.restart()
        looking.forge.http.breaks = tuple(breaks)  # type: ignore[union-attr]
        look()
        pause(trouble.random.choice(STEPS))
    trouble.over = True
    looking.forge.http.breaks = ()  # type: ignore[union-attr]
    for seconds in (*PAUSES, *[PAUSES[-1]] * 6):
        pause(seconds)
        look()
    reader = looking.journal.reader()
    stored = [change for each in reader.deliveries() for change in reader.whole(each.seq).changes]
    found = Counter((change.branch, change.revision) for change in stored)
    del looking.now["refs/heads/main"]
    assert {*looking.now.items(), *((f"#{name}", head) for name, head in pulls.items())} <= found.keys()
    assert set(found.values()) <= {1}

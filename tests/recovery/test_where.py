"""What is kept of where branches and pull requests were."""

from __future__ import annotations

import pytest

from change_hooks.core.events import PullRequest, Repository, Side
from change_hooks.forges.forge import OpenPulls
from change_hooks.recovery import where
from change_hooks.recovery.where import Where


def pulls(count: int) -> OpenPulls:
    repository = Repository(full_name="o/r")
    return OpenPulls(
        [
            PullRequest(
                repository=repository, number=number, action="opened", head=Side(revision=f"{number:040x}")
            )
            for number in range(1, count + 1)
        ]
    )


def test_a_long_list_of_pull_requests_is_gone_through_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[OpenPulls | None] = []
    true = where.heads_of

    def counting(found: OpenPulls | None) -> dict[str, str]:
        calls.append(found)
        return true(found)

    monkeypatch.setattr(where, "heads_of", counting)
    first = Where().looked_again({"main": "1"}, pulls(50), 1.0)
    second = first.looked_again({"main": "1"}, pulls(40), 2.0)
    assert len(calls) == 2
    assert second.unlisted == [str(number) for number in range(41, 51)]
    assert set(second.looked_again({"main": "1"}, pulls(40), 3.0).pulls or ()) == {
        str(number) for number in range(1, 41)
    }

"""Recovery from the log of what Azure DevOps sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from change_hooks.core.recovering import Source
from change_hooks.dialects.azuredevops import AzureDevOpsHandler
from change_hooks.forges.azuredevops import AzureDevOps
from change_hooks.forges.azuredevops_log import PAGE, AzureDevOpsLog
from change_hooks.forges.rest import RestError
from tests.conftest import delivery
from tests.support.fake_azuredevops import FakeAzureDevOps
from tests.support.recovering import NOW, Recovering

TOKEN = "Basic OlQ="


def recovering(source: Source | None = None, **more: Any) -> Recovering:
    return Recovering(
        FakeAzureDevOps(TOKEN),
        source or Source(organization="acme"),
        endpoint="azuredevops",
        forge=AzureDevOps,
        log=AzureDevOpsLog,
        event="git.push",
        **more,
    )


def test_what_is_missing_is_recovered_oldest_first_as_it_was_sent() -> None:
    azure = recovering()
    for number in range(1, 251):
        azure.api.notification(number, NOW - 5000 + number)
    azure.came("s1:7")
    assert list(azure.outcomes()) == [f"s1:{number}" for number in range(1, 251) if number != 7]
    payload = azure.payloads[0]
    assert (payload["eventType"], payload["subscriptionId"], payload["notificationId"]) == (
        "git.push",
        "s1",
        1,
    )
    sent = delivery(msgspec.json.encode(payload))
    assert AzureDevOpsHandler(None, True).delivery_id(sent) == "s1:1"
    assert azure.run() == []


def test_a_subscription_that_is_made_later_counts_too() -> None:
    azure = recovering()
    azure.api.notification(1, NOW - 1000)
    assert azure.outcomes() == {"s1:1": "recovered"}
    url = "https://ci.example/change_hook/azuredevops"
    azure.api.subscriptions.append(azure.api.subscription("s4", url, "repo-id"))
    azure.api.notification(2, NOW - 900, "s4")
    assert azure.outcomes() == {"s4:2": "recovered"}


def test_of_a_repository_only_its_subscriptions_count() -> None:
    azure = recovering(Source("acme/p/r"))
    azure.api.notification(1, NOW - 1000)
    azure.api.notification(2, NOW - 1000, "s2")
    azure.api.notification(3, NOW - 1000, "s3")
    assert azure.outcomes() == {"s1:1": "recovered"}
    assert of_the_organization(azure) == {"s3:3": "recovered"}


def of_the_organization(other: Recovering) -> dict[str, str]:
    azure = recovering(store=other.journal.store)
    azure.api.log = other.api.log
    return azure.outcomes()


@pytest.mark.parametrize(
    "response", ["Status Code: 403\nReason Phrase: Forbidden", "HTTP/1.1 403 Forbidden\n\n500"]
)
def test_what_we_refused_is_left(response: str) -> None:
    azure = recovering()
    azure.api.notification(1, NOW - 1000, response=response)
    azure.api.notification(2, NOW - 900, response=response)
    azure.came("s1:1", 403)
    assert azure.outcomes() == {"s1:2": "recovered"}


def test_it_does_not_send_again_on_demand() -> None:
    azure = recovering(redeliver=True)
    azure.api.notification(1, NOW - 1000)
    assert azure.outcomes() == {"s1:1": "recovered"}


def test_no_subscription_to_the_endpoint_is_said() -> None:
    azure = recovering()
    azure.api.subscriptions = azure.api.subscriptions[1:2]
    with pytest.raises(RestError, match="no subscription"):
        azure.run()


@pytest.mark.parametrize("missing", ["id", "subscriptionId", "createdDate"])
def test_a_notification_without_a_name_or_time_is_said(missing: str) -> None:
    azure = recovering()
    azure.api.notification(1, NOW - 1000)
    azure.api.query = lambda asked: {"results": azure.api.log}
    del azure.api.log[0][missing]
    azure.api.routes[1] = (*azure.api.routes[1][:2], azure.api.query)
    with pytest.raises(RestError, match="an id and a time"):
        azure.run()
    azure.api.notification(2, NOW - 900)
    assert azure.outcomes() == {"s1:2": "recovered"}


def test_a_notification_without_its_event_costs_itself_alone() -> None:
    azure = recovering()
    azure.api.notification(1, NOW - 1000)
    azure.api.notification(2, NOW - 900)
    del azure.api.log[0]["details"]["event"]
    assert azure.outcomes() == {"s1:1": "failed", "s1:2": "recovered"}


def test_more_of_one_moment_than_the_forge_lists_passes_over_nothing() -> None:
    azure = recovering()
    for number in range(1, PAGE + 2):
        azure.api.notification(number, NOW - 1000)
    with pytest.raises(RestError, match="the same time"):
        azure.run()
    assert not azure.stored()


def test_too_many_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.azuredevops_log.PAGES", 2)
    azure = recovering()
    for number in range(1, 301):
        azure.api.notification(number, NOW - 5000 + number)
    with pytest.raises(RestError, match="recover a shorter period"):
        azure.run()

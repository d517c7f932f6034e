from __future__ import annotations

import pytest

from change_hooks.core.known_ids import KNOWN, known_id
from tests.conftest import delivery


@pytest.mark.parametrize(("event", "name"), KNOWN)
def test_a_known_sender_names_its_deliveries(event: str, name: str) -> None:
    assert known_id(delivery(headers={event: "push", name: "5"})) == "5"


@pytest.mark.parametrize(
    "headers", [{}, {"X-GitHub-Event": "push"}, {"X-Request-Id": "of a proxy"}, {"Idempotency-Key": "k"}]
)
def test_others_do_not(headers: dict[str, str]) -> None:
    assert known_id(delivery(headers=headers)) is None

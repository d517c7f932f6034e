"""``/metrics`` of several processes, over sockets."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from prometheus_client.parser import text_string_to_metric_families

from tests.support.programs import curl

from ..support.programs import children
from .conftest import Server, eventually, free_port

SENT = 60


def counted(url: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(curl(f"{url}/metrics")[1]):
        for sample in family.samples:
            key = (sample.name, sample.labels.get("outcome", ""))
            found[key] = found.get(key, 0.0) + sample.value
    return found


def test_the_counts_of_all_workers_are_added_up_also_of_those_that_were_killed(
    server: Callable[..., Server],
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    running = server(
        "'change_hook_dialects': {'base': True},"
        f" 'change_hook_admin': {{'port': {port}}}, 'change_hook_sinks': {{'a': print}}",
        options=("--workers", "4"),
    )
    eventually(lambda: len(children(running)) == 4)
    eventually(lambda: curl(f"{url}/readyz") == (200, "ready\n"))

    def send(number: int) -> int:
        fields = f"revision={number}" if number % 3 else "nothing=1"
        return curl("-d", fields, f"{running.url}/base")[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(SENT)))
    accepted, refused = statuses.count(202), statuses.count(400)
    assert (accepted, refused) == (SENT * 2 // 3, SENT // 3)

    def right() -> bool:
        found = counted(url)
        return (
            found.get(("change_hooks_deliveries_total", "accepted")) == accepted
            and found.get(("change_hooks_deliveries_total", "refused")) == refused
            and found.get(("change_hooks_changes_total", "")) == accepted
            and found.get(("change_hooks_answer_seconds_count", "")) == SENT
            and found.get(("change_hooks_sink_attempts_total", "taken")) == accepted
        )

    eventually(right)
    for pid in children(running):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: curl(f"{url}/readyz") == (200, "ready\n"))
    eventually(right)
    assert running.stop() == 0

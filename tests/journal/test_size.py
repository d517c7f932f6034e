"""How large a delivery is in the journal."""

from __future__ import annotations

import json

from change_hooks.core.found import NOTHING_KNOWN
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.flow import proceed
from change_hooks.journal import Routes
from change_hooks.journal.deliveries import Append
from tests.conftest import delivery


def size_of_changes(body: bytes, whitelist: list[str]) -> int:
    """What the changes of a push take in the journal, in bytes."""
    handler = GitHubEventHandler(None, {"github_property_whitelist": whitelist})
    received = delivery(body, headers={"x-github-event": "push"}, verification="none", id="1")
    found = proceed(handler.find(received))
    assert len(found) == 800
    assert (len(found[0].properties) > 100) == bool(whitelist)
    return len(Append.of(received, found, Routes(), NOTHING_KNOWN).row.changes)


def test_what_all_changes_have_in_common_takes_hardly_any_room() -> None:
    # Each change has all listed properties, 3 MB together; compressed, that is less than 64 KiB.
    commits = [{"id": f"{number:040x}", "message": f"Fix {number}"} for number in range(800)]
    payload = {
        "ref": "refs/heads/main",
        "after": commits[-1]["id"],
        "commits": commits,
        "repository": {"full_name": "o/r", "html_url": "https://forge.example/o/r"},
        "facts": {f"fact{number}": f"{number} of a hundred" for number in range(100)},
    }
    body = json.dumps(payload).encode()
    assert size_of_changes(body, ["github.facts.*"]) - size_of_changes(body, []) < 64 * 1024

"""What a user may write for ``recover``."""

from __future__ import annotations

import pytest

from change_hooks.core.options import ForgeOptions, read_options
from change_hooks.core.recovering import NOWHERE, Recover, Source, recover


def test_all_kinds_of_sources_are_read() -> None:
    written = {
        "from": [
            "o/r",
            "group/sub/project",
            "org:acme",
            "app",
            "https://git.example/o/r.git",
            {"repository": "o/s", "hook": 5},
            {"organization": "acme", "hook": 6},
        ],
        "every": 300,
        "via": "redeliver",
    }
    read = recover(written)
    assert (read.every, read.via) == (300, "redeliver")
    assert read.sources == (
        Source("o/r"),
        Source("group/sub/project"),
        Source(organization="acme"),
        Source(app=True),
        Source(url="https://git.example/o/r.git"),
        Source("o/s", hook=5),
        Source(organization="acme", hook=6),
    )
    assert [source.name for source in read.sources] == [
        *("o/r", "group/sub/project", "org:acme", "app", "https://git.example/o/r.git", "o/s 5", "org:acme 6")
    ]
    kinds = ["repository", "repository", "organization", "app", "url", "repository", "organization"]
    assert [source.kind for source in read.sources] == kinds


def test_by_default_nothing_is_recovered() -> None:
    options, problems, _ = read_options(ForgeOptions, {})
    assert (options.recover, problems) == (NOWHERE, [])
    assert recover({"from": ["o/r"]}) == Recover((Source("o/r"),))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (["o/r"], "must be a dict"),
        ({"every": 300}, "must be a dict"),
        ({"from": "o/r"}, "must be a dict"),
        ({"from": []}, "must be a dict"),
        ({"from": ["o/r"], "evry": 5}, "did you mean 'every'"),
        ({"from": ["o/r"], "every": "5m"}, "not a number"),
        ({"from": ["o/r"], "every": True}, "not a number"),
        ({"from": ["o/r"], "every": 9}, "less than 10"),
        ({"from": ["o/r"], "every": float("nan")}, "less than 10"),
        ({"from": ["o/r"], "via": "magic"}, "not one of 'redeliver', 'fetch', 'heads'"),
        ({"from": [5]}, "must list"),
        ({"from": [{"hook": 5}]}, "must list"),
        ({"from": [{"repository": "o/r", "number": 5}]}, "unknown name 'number'"),
        ({"from": ["o"]}, "write OWNER/NAME"),
        ({"from": ["../r/x"]}, "write OWNER/NAME"),
        ({"from": ["o/./x"]}, "write OWNER/NAME"),
        ({"from": [{"repository": 5}]}, "write OWNER/NAME"),
        ({"from": ["org:"]}, "write OWNER/NAME"),
        ({"from": [{"organization": "a b"}]}, "not a valid name of an organization"),
        ({"from": ["https://x/\n"]}, "invalid characters"),
        ({"from": [{"repository": "o/r", "hook": "5"}]}, "not a number"),
        ({"from": [{"repository": "o/r", "hook": 0}]}, "not a number"),
    ],
)
def test_what_cannot_be_recovered_from_is_said(value: object, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        recover(value)

"""What is nobody's business."""

import pytest

from change_hooks.testing.anonymous import Anonymous


def test_the_same_person_stays_the_same() -> None:
    anonymous = Anonymous()
    text = '{"a": "Ann <ann.b+c@corp.example>", "b": "ANN.B+C@corp.example", "c": "bob@x.org"}'
    assert anonymous.text(text) == (
        '{"a": "Ann <person1@example.com>", "b": "person1@example.com", "c": "person2@example.com"}'
    )
    assert anonymous.text("ann.b+c@corp.example") == "person1@example.com"


@pytest.mark.parametrize("address", ["git@github.com:o/r.git", "ssh://git@gitlab.example.com/o/r"])
def test_a_repository_is_no_person(address: str) -> None:
    assert Anonymous().text(address) == address


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ('{"token": "abc", "tokens": 3}', '{"token": "removed", "tokens": 3}'),
        ('{"webhook_secret" : "a\\"b"}', '{"webhook_secret" : "removed"}'),
        ('{"password": ""}', '{"password": ""}'),
        ("?a=1&token=abc&b=2", "?a=1&token=removed&b=2"),
        ("https://x.org/?private_token=abc", "https://x.org/?private_token=removed"),
        ("see ghp_0123456789abcdef0123", "see removed"),
        ("glpat-abcdefghij0123456789", "removed"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "removed"),
        ("https://ann:hunter2@x.org/r.git", "https://x.org/r.git"),
        ("swordfish is the word", "removed is the word"),
        ('{"ref": "refs/heads/token"}', '{"ref": "refs/heads/token"}'),
    ],
)
def test_what_is_secret_is_removed(text: str, without: str) -> None:
    assert Anonymous(["swordfish", "", "swordfi"]).text(text) == without

from __future__ import annotations

import pytest
from twisted.web.template import tags

from change_hooks.admin.markup import counted, duration, moment, repository, shown, size, written


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.25, "250 ms"),
        (0.9999, "1.0 s"),
        (89.0, "89.0 s"),
        (600.0, "10 min"),
        (7200.0, "2 h"),
        (864000.0, "10 days"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (20 * 1024, "20 KiB"), (5 * 2**30, "5.0 GiB")],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize("seconds", [None, -1.0, 1e20, float("nan"), float("inf")])
def test_what_is_not_a_moment(seconds: float | None) -> None:
    assert moment(seconds) == "-"


def test_a_moment_is_in_utc() -> None:
    assert written(moment(0.0)) == b'<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00:00</time>'


def test_numbers() -> None:
    assert [counted(number, "change") for number in (0, 1, 1200)] == [
        "0 changes",
        "1 change",
        "1,200 changes",
    ]


def test_long_texts_are_shortened() -> None:
    assert shown("abcdef", 4) == "abc…"
    assert shown("a\nb\x1b\u202e\ud800") == "a\ufffdb\ufffd\ufffd\ufffd"


def test_what_repositories_have_in_common_stands_back() -> None:
    assert written(repository("https://forge.example/acme/api")).endswith(b"</span>acme/api")
    for plain in ("acme/api", "https://forge.example", "git@forge.example:acme/api.git"):
        assert repository(plain) == plain


def test_what_cannot_be_written_is_an_error() -> None:
    with pytest.raises(Exception, match="object"):
        written(tags.p(object()))  # type: ignore[arg-type]

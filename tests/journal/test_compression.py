from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.journal.compression import SMALLEST, Packed, packed


@given(st.binary(max_size=64), st.integers(0, 2000))
def test_what_is_packed_is_unpacked_byte_for_byte(data: bytes, times: int) -> None:
    original = data * times
    assert packed(original).unpacked() == original


def test_what_repeats_itself_gets_smaller() -> None:
    original = b"https://api.github.com/repos/octo-org/api/" * 100
    stored = packed(original)
    assert stored.size == len(original)
    assert len(stored.data) < len(original) / 10


@pytest.mark.parametrize("original", [b"", b"x" * (SMALLEST - 1), random.Random(1).randbytes(SMALLEST)])
def test_what_is_tiny_or_would_get_larger_is_stored_as_it_is(original: bytes) -> None:
    assert packed(original) == Packed(original, None)


def test_what_is_damaged_is_not_taken_for_something_else() -> None:
    stored = packed(b"abc" * SMALLEST)
    for damaged in (Packed(stored.data[:-1], stored.size), Packed(stored.data, (stored.size or 0) - 1)):
        with pytest.raises(Exception, match="ecompress"):
            damaged.unpacked()

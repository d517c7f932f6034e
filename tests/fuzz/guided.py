"""Bytes to changes, led by coverage: ``python -m tests.fuzz.guided [options of libFuzzer]``.

The first byte chooses a recorded delivery; the rest is its body, or, when it is empty, the recorded one.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["change_hooks.core", "change_hooks.dialects"]):
    from tests.fuzz import targets


def one(data: bytes) -> None:
    """Try one input."""
    if len(data) > 2:
        targets.changes(data[0] | data[1] << 8, data[2:])


def main() -> None:
    """Run libFuzzer."""
    targets.seeds()
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

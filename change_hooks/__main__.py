"""The program."""

from __future__ import annotations

from change_hooks.interrupts import SilentInterrupts


def main() -> None:
    """Load the command line, and run it."""
    with SilentInterrupts():
        from change_hooks.cli import main as run
    run(prog_name="change-hooks")


if __name__ == "__main__":
    main()

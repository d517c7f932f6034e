"""Ctrl-C while modules are loaded, when there is nothing to finish."""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from types import TracebackType


class SilentInterrupts:
    """While it is entered, Ctrl-C ends the process at once and silently. It leaves other handlers alone."""

    def __enter__(self) -> None:
        handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._changed = handled and current_thread() is main_thread()
        if self._changed:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._changed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


__all__ = ["SilentInterrupts"]

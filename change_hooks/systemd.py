"""Reports our state to the service manager that started us.

Source: systemd, sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from time import monotonic_ns

from twisted.internet.interfaces import IReactorTime

from change_hooks.alarm import Alarm


class ServiceManager:
    """A service manager that supports ``sd_notify``. Without one, nothing is sent.

    :param environment: names the manager's socket, and how often it expects a keep-alive message. These
        variables are removed, so that programs started later do not report for this one.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        #: A name in the abstract namespace is written with a leading ``@``.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.pop("WATCHDOG_USEC", "")
        ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        #: The interval of keep-alive messages, in seconds: half of what the manager expects; None: never.
        self.beat = int(microseconds) / 2_000_000 if ours and microseconds.isdigit() else None
        self._alarm: Alarm | None = None

    def ready(self) -> None:
        """Report that we have started, or have read the configuration again."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Report that we are reading the configuration again; :meth:`ready` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that we are stopping."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Report that we are not stuck."""
        self._tell("WATCHDOG=1")

    def watch(self, clock: IReactorTime) -> None:
        """Call :meth:`alive` regularly from now on, as long as the reactor runs."""
        if self.beat is not None and self._address:
            self._alarm = self._alarm or Alarm(clock, lambda: self.watch(clock))
            self._alarm.set(self.beat)
            self.alive()

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        # A manager that does not listen, or whose queue is full, must not block us.
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        ):
            told.setblocking(False)  # noqa: FBT003
            told.sendto(state.encode(), self._address)


__all__ = ["ServiceManager"]

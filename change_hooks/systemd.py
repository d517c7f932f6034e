"""Tells the service manager that started us how we are.

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
    """A service manager that speaks ``sd_notify``; where there is none, nothing is told.

    :param environment: names its socket, and how often it expects a sign of life. What it says is taken out,
        so that no program that is started later speaks for this one.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        #: The first character of a name in the abstract namespace is written as ``@``.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.pop("WATCHDOG_USEC", "")
        ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        #: How often to say that we are alive, in seconds: twice as often as it is expected; None: never.
        self.beat = int(microseconds) / 2_000_000 if ours and microseconds.isdigit() else None
        self._alarm: Alarm | None = None

    def ready(self) -> None:
        """We have started, or have read the configuration again."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """We read the configuration again; :meth:`ready` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """We end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """We are not stuck."""
        self._tell("WATCHDOG=1")

    def watch(self, clock: IReactorTime) -> None:
        """Say :meth:`alive` from now on, as long as the reactor turns."""
        if self.beat is not None and self._address:
            self._alarm = self._alarm or Alarm(clock, lambda: self.watch(clock))
            self._alarm.set(self.beat)
            self.alive()

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        # One that does not listen, or whose queue is full, must not hold us up.
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        ):
            told.setblocking(False)  # noqa: FBT003
            told.sendto(state.encode(), self._address)


__all__ = ["ServiceManager"]

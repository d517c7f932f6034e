"""What a service manager is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from change_hooks.systemd import ServiceManager


class Manager:
    """Listens like systemd."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        messages: list[str] = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(str(tmp_path / "notify"))
    yield listening
    listening.socket.close()


def test_it_is_told_how_we_are(manager: Manager, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "OTHER": "x"}
    told = ServiceManager(environment)
    told.ready()
    told.reloading()
    told.stopping()
    ready, reloading, stopping = manager.heard()
    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    first, second = reloading.split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    assert environment == {"OTHER": "x"}


def test_it_hears_that_we_are_alive_as_long_as_the_clock_goes(manager: Manager, tmp_path: Path) -> None:
    clock = Clock()
    told = ServiceManager(
        {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "10000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
    )
    told.watch(clock)
    told.watch(clock)
    assert manager.heard() == ["WATCHDOG=1"] * 2
    clock.advance(4.9)
    assert manager.heard() == []
    for _ in range(3):
        clock.advance(5)
    assert manager.heard() == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}]
)
def test_nothing_is_said_that_nobody_expects(manager: Manager, tmp_path: Path, more: dict[str, str]) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})
    told.watch(Clock())
    assert manager.heard() == []


def test_where_there_is_no_manager_or_it_has_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}, {"NOTIFY_SOCKET": "/" * 500}):
        told = ServiceManager(environment)
        told.ready()
        told.watch(Clock())


def test_a_name_in_the_abstract_namespace() -> None:
    listening = Manager(f"\0change-hooks-{os.getpid()}")
    ServiceManager({"NOTIFY_SOCKET": f"@change-hooks-{os.getpid()}"}).ready()
    assert listening.heard() == ["READY=1"]
    listening.socket.close()

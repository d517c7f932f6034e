"""Everything that can break, at random, under load; and then the books.

The seed is printed with the log of what was done. A run is repeated, as far as real time lets it, with
``CHANGE_HOOKS_FAULT_SEED``, and goes on longer with ``CHANGE_HOOKS_FAULT_SECONDS``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from change_hooks.journal.address import Address

from ..support.programs import Server, configure, eventually, free_port, program
from .books import assert_nothing_is_lost
from .clocks import with_clock
from .databases import PostgreSQL, let_leases_run_out
from .disks import Disk
from .load import SECONDS, Load, www
from .proxy import Proxy
from .recorder import Recorder

#: What receivers may answer at any moment; None: nothing, since one was killed.
ANSWERS = {202, 503, None}

Fault = Callable[[], None]


class Receivers:
    """Some processes that share a journal, each with a clock of its own."""

    def __init__(self, folder: Path, text: str, count: int, rng: random.Random) -> None:
        self._rng = rng
        self._clocks = []
        self.servers = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            port = free_port()
            configure(own, text, port)
            clock, command = with_clock(own)
            self._clocks.append(clock)
            self.servers.append(Server([*command, "hooks.cfg"], own, port))

    def __enter__(self) -> Receivers:
        for server in self.servers:
            server.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def one(self) -> Server:
        return self._rng.choice(self.servers)

    def kill(self) -> None:
        """kill -9, and a start."""
        server = self.one()
        server.kill()
        server.start()

    def restart(self) -> None:
        """SIGTERM, and a start."""
        server = self.one()
        assert server.stop() == 0
        server.start()

    def stand_still(self) -> None:
        """SIGSTOP for a while."""
        server = self.one()
        server.signal(signal.SIGSTOP)
        time.sleep(self._rng.uniform(0.1, 3))
        server.signal(signal.SIGCONT)

    def set_clock(self) -> None:
        """Another idea of the time, within what is kept."""
        self._rng.choice(self._clocks).write_text(self._rng.choice(["+0", "-10d", "+10d", "-1h", "+1h"]))


class Sink:
    """What may be wrong with the sink."""

    def __init__(self, recorder: Recorder, rng: random.Random) -> None:
        self._recorder = recorder
        self._rng = rng

    def refuse(self) -> None:
        """It answers 503 for a moment."""
        self._recorder.refuses = True
        time.sleep(self._rng.uniform(0.1, 1))
        self._recorder.refuses = False

    def hang(self) -> None:
        """It says nothing for a moment."""
        self._recorder.free.clear()
        time.sleep(self._rng.uniform(0.1, 2))
        self._recorder.free.set()


def say(text: str) -> None:
    print(text)  # noqa: T201


@contextmanager
def seeded(name: str) -> Iterator[random.Random]:
    """A source of chance, whose seed is printed."""
    seed = int(os.environ.get("CHANGE_HOOKS_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    say(f"{name}: CHANGE_HOOKS_FAULT_SEED={seed} CHANGE_HOOKS_FAULT_SECONDS={SECONDS:.0f}")
    yield random.Random(seed)


def break_things(rng: random.Random, faults: list[Fault], load: Load) -> None:
    """Break one thing after the other, with moments in which it works."""
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        fault = rng.choice(faults)
        say(f"{time.strftime('%X')} {len(load.acknowledged)} acknowledged; {fault.__qualname__}")
        fault()
        time.sleep(rng.uniform(0, 0.5))
    load.wait_for(5)


def assert_all_is_well(
    load: Load, address: Address, recorder: Recorder, receivers: Receivers, let_run_out: Fault
) -> None:
    assert load.answers <= ANSWERS
    let_run_out()
    assert_nothing_is_lost(load.acknowledged, address, recorder)
    for server in receivers.servers:
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text(), server.log


def test_whatever_breaks_nothing_is_lost_in_postgresql(
    recorder: Recorder, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        rng = stack.enter_context(seeded("postgresql"))
        proxy = stack.enter_context(Proxy(postgresql.port))
        text = www(recorder.url, postgresql.url_at(proxy.port))
        receivers = stack.enter_context(Receivers(tmp_path, text, 2, rng))
        sink = Sink(recorder, rng)

        def lose_answers() -> None:
            proxy.lose_commit_answers(rng.randrange(1, 6))

        def freeze() -> None:
            proxy.freeze()
            time.sleep(rng.uniform(0.1, 6))
            proxy.thaw()

        def crash() -> None:
            postgresql.stop(rng.choice(["fast", "immediate"]))
            postgresql.start()

        faults = [
            receivers.kill,
            receivers.restart,
            receivers.stand_still,
            receivers.set_clock,
            sink.refuse,
            sink.hang,
            proxy.cut,
            lose_answers,
            lose_answers,
            freeze,
            crash,
        ]
        load = stack.enter_context(Load(receivers.ports, senders=3, pause=0.05))
        break_things(rng, faults, load)
        proxy.lose_commit_answers(0)
        load.stop()

        def let_run_out() -> None:
            eventually(lambda: not postgresql.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
            let_leases_run_out(postgresql.url)

        assert_all_is_well(load, postgresql.url, recorder, receivers, let_run_out)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk", "96m") as disk:
        yield disk


def test_whatever_breaks_nothing_is_lost_in_sqlite(recorder: Recorder, disk: Disk, tmp_path: Path) -> None:
    journal = disk.folder / "journal.sqlite"
    with ExitStack() as stack:
        rng = stack.enter_context(seeded("sqlite"))
        receivers = stack.enter_context(
            Receivers(tmp_path, www(recorder.url, f"sqlite:///{journal}"), 2, rng)
        )
        sink = Sink(recorder, rng)

        def fill() -> None:
            disk.fill()
            time.sleep(rng.uniform(0.1, 2))
            disk.free()

        def open_and_close() -> None:
            """Others look at it, as operators do."""
            for command in (["deliveries", "--limit", "5"], ["prune"]):
                arguments = [program("change-hooks"), command[0], "hooks.cfg", *command[1:]]
                subprocess.run(arguments, cwd=tmp_path / "0", capture_output=True, check=False)

        faults = [
            receivers.kill,
            receivers.kill,
            receivers.restart,
            receivers.stand_still,
            receivers.set_clock,
            sink.refuse,
            sink.hang,
            fill,
            open_and_close,
        ]
        load = stack.enter_context(Load(receivers.ports, senders=3, pause=0.05))
        break_things(rng, faults, load)
        load.stop()

        def let_run_out() -> None:
            """When nobody is left, all leases are void."""
            for server in receivers.servers:
                assert server.stop() == 0
            for server in receivers.servers:
                server.start()

        assert_all_is_well(load, journal, recorder, receivers, let_run_out)

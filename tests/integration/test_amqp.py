"""Changes on their way through a real RabbitMQ."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq
from cloudevents.core.formats.json import JSONFormat
from pika.exceptions import AMQPError

from tests.support.programs import curl
from tests.support.served import send, states, www

from ..support.services import AMQP, missing
from .conftest import Server, eventually, free_port

#: Where the server's own program is when it is not on the path for everybody.
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


def is_delivered(folder: Path) -> bool:
    return set(states(folder)) == {"delivered"}


class Queue:
    """A queue bound to an exchange of its own."""

    def __init__(self, url: str, exchange: str, key: str = "#") -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.exchange_declare(exchange, exchange_type="topic", durable=True)
        self.name = f"{exchange}-queue"
        self.channel.queue_declare(self.name, durable=True)
        self.channel.queue_bind(self.name, exchange, key)

    def get(self) -> Any:
        frame, properties, body = self.channel.basic_get(self.name, auto_ack=True)
        return frame and (frame.routing_key, properties, json.loads(body))

    def remove(self, exchange: str) -> None:
        self.channel.queue_delete(self.name)
        self.channel.exchange_delete(exchange)
        self.connection.close()


@pytest.fixture
def exchange() -> Iterator[str]:
    if not AMQP:
        missing("RabbitMQ, which CHANGE_HOOKS_TEST_AMQP has to name,")
    name = f"change_hooks_{uuid4().hex}"
    try:
        queue = Queue(AMQP, name)
    except (AMQPError, OSError):
        missing("RabbitMQ")
    yield name
    queue.remove(name)


def test_a_change_is_published_persistent_and_with_its_key(
    server: Callable[..., Server], exchange: str, tmp_path: Path
) -> None:
    running = server(www({"queue": {"sink": "amqp", "url": AMQP, "exchange": exchange, "mandatory": True}}))
    queue = Queue(AMQP, exchange)
    send(running.url, "1")
    send(running.url, "2")
    eventually(lambda: states(tmp_path) == ["delivered", "delivered"])
    (key, properties, first), (_, other, second) = queue.get(), queue.get()
    assert key == "base.-.a b; touch x"
    assert (first["revision"], second["revision"]) == ("1", "2")
    assert (properties.delivery_mode, properties.content_type) == (2, "application/json")
    assert properties.message_id != other.message_id
    queue.connection.close()
    assert running.stop() == 0


def test_a_change_no_queue_is_bound_for_waits_for_one(
    server: Callable[..., Server], exchange: str, tmp_path: Path
) -> None:
    queue = Queue(AMQP, exchange)
    queue.channel.queue_delete(queue.name)
    running = server(www({"queue": {"sink": "amqp", "url": AMQP, "exchange": exchange, "mandatory": True}}))
    send(running.url, "1")
    assert states(tmp_path) == ["waiting"]
    bound = Queue(AMQP, exchange)
    message: Any = eventually(bound.get)
    assert message[2]["revision"] == "1"
    for each in (queue, bound):
        each.connection.close()


def test_an_alarm_is_published(server: Callable[..., Server], exchange: str) -> None:
    sinks = {"queue": {"sink": "amqp", "url": AMQP, "exchange": exchange}}
    queue = Queue(AMQP, exchange, "alarm.#")
    dialects = {"base": {"expect_every": 0.5}}
    server(
        f"'change_hook_dialects': {dialects}, 'change_hook_sinks': {sinks}, 'change_hook_alarms': ['queue']"
    )
    key, properties, alarm = eventually(queue.get)  # type: ignore[misc]
    assert (key, properties.type, alarm["event"], alarm["subject"]) == (
        "alarm.silent.base",
        "alarm",
        "silent",
        "base",
    )
    assert properties.message_id == f"msg_{alarm['id']}"
    queue.connection.close()


class Broker:
    """A RabbitMQ node of the test's own, which it may kill."""

    #: The largest message that it takes, in bytes.
    MOST = 100_000

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nmax_message_size = {self.MOST}\n"
        )
        self.environment = environment = {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": f"change-hooks-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
        }
        for attempts_left in (2, 1, 0):
            # Its port for other brokers may have been taken by somebody else in the meantime.
            environment["RABBITMQ_DIST_PORT"] = str(free_port())
            with (self.folder / "broker.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [RABBITMQ], env=environment, stdout=log, stderr=log, start_new_session=True
                )
            try:
                eventually(self._answers)
                return
            except AssertionError:
                if self.process.poll() is None or not attempts_left:
                    raise

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "broker.log").read_text()
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (AMQPError, OSError):
            return False
        return True

    def control(self, *command: str) -> None:
        subprocess.run([RABBITMQCTL, *command], env=self.environment, check=True, capture_output=True)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if shutil.which(RABBITMQ) is None:
        missing(RABBITMQ)
    broker = Broker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        yield broker
    finally:
        broker.kill()


def test_a_broker_that_is_killed_and_comes_back_gets_every_change(
    server: Callable[..., Server], broker: Broker, tmp_path: Path
) -> None:
    broker.start()
    queue = Queue(broker.url, "changes")
    running = server(www({"queue": {"sink": "amqp", "url": broker.url, "exchange": "changes"}}))
    send(running.url, "1")
    eventually(lambda: states(tmp_path) == ["delivered"])
    broker.kill()
    send(running.url, "2")
    send(running.url, "3")
    assert states(tmp_path) == ["waiting", "waiting", "delivered"]
    broker.start()
    eventually(lambda: states(tmp_path) == ["delivered"] * 3)
    queue = Queue(broker.url, "changes")
    taken = [queue.get()[2]["revision"] for _ in range(3)]
    assert taken == ["1", "2", "3"]
    queue.connection.close()
    assert running.stop() == 0


def test_a_change_waits_while_the_broker_takes_no_messages(
    server: Callable[..., Server], broker: Broker, tmp_path: Path
) -> None:
    broker.start()
    queue = Queue(broker.url, "changes")
    running = server(
        www({"queue": {"sink": "amqp", "url": broker.url, "exchange": "changes", "time_limit": 2.0}})
    )
    broker.control("set_vm_memory_high_watermark", "absolute", "1")  # Connections that publish are blocked.
    send(running.url, "1")
    eventually(lambda: "attempt 1" in running.log.read_text())
    assert not is_delivered(tmp_path)
    assert queue.get() is None
    broker.control("set_vm_memory_high_watermark", "0.9")
    eventually(lambda: is_delivered(tmp_path))
    assert eventually(queue.get)[2]["revision"] == "1"
    assert running.stop() == 0


def test_an_exchange_that_is_deleted_while_it_runs_is_made_again(
    server: Callable[..., Server], exchange: str, tmp_path: Path
) -> None:
    running = server(www({"queue": {"sink": "amqp", "url": AMQP, "exchange": exchange}}))
    queue = Queue(AMQP, exchange)
    send(running.url, "1")
    eventually(lambda: is_delivered(tmp_path))
    queue.channel.exchange_delete(exchange)
    send(running.url, "2")
    eventually(lambda: "no queue is bound" in running.log.read_text())
    bound = Queue(AMQP, exchange)
    eventually(lambda: is_delivered(tmp_path))
    assert [bound.get()[2]["revision"] for _ in range(2)] == ["1", "2"]
    for each in (queue, bound):
        each.connection.close()
    assert running.stop() == 0


def test_a_message_over_the_brokers_limit_is_a_dead_letter_and_the_next_one_follows(
    server: Callable[..., Server], broker: Broker, tmp_path: Path
) -> None:
    broker.start()
    queue = Queue(broker.url, "changes")
    running = server(www({"queue": {"sink": "amqp", "url": broker.url, "exchange": "changes"}}))
    comments = ["--data-urlencode", f"comments={'x' * broker.MOST}"]
    assert curl(*comments, "-d", "revision=1", f"{running.url}/base")[0] == 202
    send(running.url, "2")
    assert eventually(queue.get)[2]["revision"] == "2"
    eventually(lambda: sorted(states(tmp_path)) == ["delivered", "failed"])
    assert "max_message_size" in running.log.read_text()
    queue.connection.close()
    assert running.stop() == 0


def test_a_branch_longer_than_any_routing_key_reaches_the_queue_with_its_branch_whole(
    server: Callable[..., Server], exchange: str, tmp_path: Path
) -> None:
    running = server(
        www({"queue": {"sink": "amqp", "url": AMQP, "exchange": exchange, "format": "cloudevents"}})
    )
    queue = Queue(AMQP, exchange)
    branch = "\u00e4" * 2000
    assert curl("--data-urlencode", f"branch={branch}", "-d", "revision=1", f"{running.url}/base")[0] == 202
    eventually(lambda: is_delivered(tmp_path))
    key, properties, change = queue.get()
    assert len(key.encode()) <= 255
    assert change["branch"] == branch
    event = from_rabbitmq(
        RabbitMQMessage(properties.headers, properties.content_type, json.dumps(change).encode()),
        JSONFormat(),
    )
    assert (event.get_type(), event.get_id()) == ("change_hooks.change", properties.message_id)
    queue.connection.close()
    assert running.stop() == 0

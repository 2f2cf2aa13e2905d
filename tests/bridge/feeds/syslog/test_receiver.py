"""Receivers that go away, come back, are slow, deaf or unwilling."""

import asyncio
from contextlib import closing
from functools import partial
import logging
from pathlib import Path
import socket

import pytest

from ridethrough.config.feeds import SyslogConfig, SyslogReceiver
from ridethrough.events import Event
from ridethrough.feeds import Service, Traffic, service
from ridethrough.feeds.base import FeedError
from ridethrough.feeds.syslog import make, receiver as worker
from ridethrough.site import CommandError, DeviceId
from ridethrough.tasks import Backoff
from tests.bridge.feeds.fuzz import Memory, never_stalled, watching_work
from tests.bridge.feeds.rig import World, free_port

from .listener import SEQUENCE, Deaf, Listener, Sink, a_listener, sending, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(worker, "BACKOFF", Backoff(first=0.05, cap=0.2))


class Flapping:
    """A UPS that something happens to whenever it is told so."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._device = world.device("ups-1")
        self._on = False

    def happen(self, count: int = 1) -> None:
        for _ in range(count):
            self._on = not self._on
            self._world.post(self._device, {}, {"on_battery": self._on})


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the feed has written into the log."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("ridethrough.feeds.syslog")]


def tcp(port: int) -> SyslogReceiver:
    return SyslogReceiver("127.0.0.1", port, "tcp")


def udp(port: int) -> SyslogReceiver:
    return SyslogReceiver("127.0.0.1", port, "udp")


async def test_receiver_that_was_away_gets_everything_once_and_in_order(world: World) -> None:
    ups = Flapping(world)
    async with a_listener() as listener, sending(world, tcp(listener.port)) as (feed, traffic):
        ups.happen(5)
        await until(lambda: len(listener.events) == 5)
        for total in (25, 45):
            await listener.stop()
            ups.happen(10)
            await until(lambda: feed.problem is not None)
            ups.happen(10)
            assert traffic.clients == 0
            await listener.start()
            await until(partial(listener.has, total))
        await until(lambda: traffic.requests == 45)
        assert listener.events == list(range(1, 46))
        assert listener.sequences == list(range(1, 46))
        assert feed.problem is None
        assert (traffic.clients, traffic.errors) == (1, 0)


async def test_absence_is_said_once_and_so_is_return(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ups = Flapping(world)
    listener = Listener()
    listener.port = free_port()
    with caplog.at_level(logging.INFO, "ridethrough.feeds.syslog"):
        async with sending(world, tcp(listener.port)) as (feed, traffic):
            for _ in range(5):
                ups.happen()
                await asyncio.sleep(0.1)
            assert feed.problem == f"127.0.0.1:{listener.port} (TCP): connection refused."
            await listener.start()
            await until(lambda: traffic.requests == 5)
            await listener.stop()
    lines = said(caplog)
    assert lines[:2] == [
        f"Syslog receiver 127.0.0.1:{listener.port} (TCP) is away: connection refused. It is tried again until it works.",
        f"Syslog receiver 127.0.0.1:{listener.port} (TCP) is back",
    ]
    assert len(lines) <= 3


async def test_what_was_dropped_is_counted_and_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CAPACITY", 10)
    ups = Flapping(world)
    listener = Listener()
    listener.port = free_port()
    async with sending(world, tcp(listener.port)) as (_, traffic):
        ups.happen(25)
        await until(lambda: traffic.errors == 15)
        await listener.start()
        await until(lambda: len(listener.messages) == 11)
        await until(lambda: traffic.requests == 11)
        assert listener.events == list(range(16, 26))
        assert listener.sequences == list(range(15, 26))
        assert b"Test bridge: 15 earlier messages were dropped" in listener.messages[0]
        assert b" messages_dropped [meta" in listener.messages[0]
        await listener.stop()


async def test_deaf_receiver_costs_the_other_one_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CAPACITY", 1500)
    ups, deaf = Flapping(world), Deaf()
    async with a_listener() as listener:
        async with sending(world, tcp(deaf.port), tcp(listener.port)) as (feed, traffic):
            await deaf.accept()
            first, second = feed._receivers
            for _ in range(20):
                ups.happen(250)
                await until(lambda: world.recorder.waiting + second.waiting == 0)
            await until(lambda: len(listener.events) == 5000)
            assert 1500 <= first.waiting <= 1501
            assert traffic.errors >= 1000
        assert listener.events == list(range(1, 5001))
    deaf.die()


async def test_what_the_other_computer_has_not_acknowledged_is_sent_again(world: World) -> None:
    ups, deaf = Flapping(world), Deaf()
    listener = Listener()
    listener.port = deaf.port
    async with sending(world, tcp(deaf.port)) as (feed, traffic):
        await deaf.accept()
        ups.happen(400)
        await until(lambda: len(feed._receivers[0]._flight) > 300)
        await asyncio.sleep(0.3)
        taken = deaf.taken()
        assert 0 < taken < 100
        deaf.die()
        await listener.start()
        await until(lambda: bool(listener.events) and listener.events[-1] == 400)
        assert listener.events == list(range(taken + 1, 401))
        await until(lambda: traffic.requests == 400)
        await listener.stop()


async def test_receiver_that_closes_at_once_is_tried_less_and_less_often_and_gets_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    connections = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    ups = Flapping(world)
    server = await asyncio.start_server(refuse, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    with caplog.at_level(logging.INFO, "ridethrough.feeds.syslog"):
        async with sending(world, tcp(port)) as (feed, traffic):
            ups.happen(3)
            await until(lambda: connections >= 5)
            assert feed.problem == f"127.0.0.1:{port} (TCP): it closed the connection."
            assert feed._receivers[0]._failures >= 4
            assert traffic.requests == 0
            assert feed._receivers[0].waiting == 3
    assert len(said(caplog)) == 1
    server.close()


async def test_receiver_that_talks_without_end_is_not_listened_to(world: World) -> None:
    heard = bytearray()
    said = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal said

        async def hear() -> None:
            while chunk := await reader.read(65536):
                heard.extend(chunk)

        hearing = asyncio.create_task(hear())
        for _ in range(200):
            writer.write(bytes(65536))
            await writer.drain()
            said += 65536
        await hearing
        writer.close()

    ups = Flapping(world)
    server = await asyncio.start_server(talk, "127.0.0.1")
    memory = Memory()
    async with sending(world, tcp(server.sockets[0].getsockname()[1])) as (feed, traffic):
        ups.happen(100)
        await until(lambda: traffic.requests == 100 and said == 200 * 65536)
        assert memory.grown() < 2_000_000
        assert feed.problem is None
    assert len(SEQUENCE.findall(heard)) == 100
    server.close()


async def test_connections_that_failed_leave_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BACKOFF", Backoff(first=0.001, cap=0.001))
    connections = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.transport.abort()

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    ups = Flapping(world)
    server = await asyncio.start_server(refuse, "127.0.0.1")
    async with sending(world, tcp(server.sockets[0].getsockname()[1])) as (feed, _):
        ups.happen(3)
        await until(lambda: connections >= 10)
        tasks, before = len(asyncio.all_tasks()), files()
        await until(lambda: connections >= 110)
        assert len(asyncio.all_tasks()) <= tasks + 3
        assert files() <= before + 3
        assert feed._receivers[0].waiting == 3
    server.close()


async def test_refused_datagrams_are_kept_until_somebody_takes_them(world: World) -> None:
    ups, port = Flapping(world), free_port(socket.SOCK_DGRAM)
    async with sending(world, udp(port)) as (feed, traffic):
        await until(lambda: traffic.clients == 1)
        ups.happen(3)
        await until(lambda: feed.problem is not None)
        assert feed.problem == f"127.0.0.1:{port} (UDP): connection refused."
        ups.happen(300)
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taker:
            taker.bind(("127.0.0.1", port))
            taker.setblocking(False)
            got: list[bytes] = []
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                while len(got) < 303:
                    got.append(await loop.sock_recv(taker, 4096))
            await until(lambda: traffic.requests == 303)
            with pytest.raises(BlockingIOError):
                taker.recv(4096)
        numbers = [int(message.partition(b' seq="')[2].partition(b'"')[0]) for message in got]
        assert numbers == list(range(1, 304))
        assert traffic.clients == 1


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_ipv6(world: World, transport: str) -> None:
    ups = Flapping(world)
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with closing(socket.socket(socket.AF_INET6, kind)) as taker:
        taker.bind(("::1", 0))
        port = int(taker.getsockname()[1])
        if transport == "tcp":
            taker.listen()
        taker.setblocking(False)
        receiver = SyslogReceiver("::1", port, "tcp" if transport == "tcp" else "udp")
        loop = asyncio.get_running_loop()
        async with sending(world, receiver) as (feed, _), asyncio.timeout(5):
            ups.happen()
            connection = (await loop.sock_accept(taker))[0] if transport == "tcp" else taker
            assert b"On battery: begun" in await loop.sock_recv(connection, 4096)
            connection.close()
            assert feed._receivers[0].name == f"[::1]:{port} ({transport.upper()})"


async def test_name_that_does_not_exist_is_said(world: World) -> None:
    async with sending(world, SyslogReceiver("nobody.invalid", 514, "udp")) as (feed, _):
        await until(lambda: feed.problem is not None)
        assert "nobody.invalid:514 (UDP): its name cannot be resolved" in str(feed.problem)


async def test_flood_does_not_stall_the_loop(world: World) -> None:
    ups, sink = Flapping(world), Sink()
    async with sending(world, tcp(sink.port)) as (feed, traffic):
        ups.happen()
        await until(lambda: traffic.requests == 1)
        event = (await world.store.journal.after(0))[0]
        async with watching_work() as work:
            for _ in range(10):
                # As many as the journal writes at once.
                for _ in range(500):
                    feed._collect(event)
                await asyncio.sleep(0)
            await until(lambda: traffic.requests == 5001)
    assert [int(found) for found in SEQUENCE.findall(sink.taken())] == list(range(1, 5002))
    never_stalled(work)


async def test_a_test_is_sent_to_each_and_says_how_it_ended(world: World) -> None:
    port = free_port()
    async with a_listener() as listener, sending(world, tcp(listener.port), tcp(port)) as (feed, _):
        await until(lambda: feed.problem is not None)
        said = await feed.test()
        assert said == (
            f"A message was sent to 127.0.0.1:{listener.port} (TCP). "
            f"127.0.0.1:{port} (TCP) was not reached: connection refused."
        )
        assert b"Test bridge: test of remote syslog" in listener.messages[0]
        assert b" feed.test [meta" in listener.messages[0]


async def test_a_test_that_nobody_took_is_refused_and_not_sent_later(world: World) -> None:
    ups = Flapping(world)
    listener = Listener()
    listener.port = free_port()
    async with sending(world, tcp(listener.port)) as (feed, _):
        with pytest.raises(CommandError, match="was not reached: connection refused") as refused:
            await feed.test()
        assert refused.value.code == "no_answer"
        ups.happen()
        await listener.start()
        await until(lambda: bool(listener.messages))
        assert listener.events == [1]
        await listener.stop()


async def test_a_test_that_is_not_taken_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ridethrough.feeds.syslog.feed.PATIENCE", 0.2)
    ups, deaf = Flapping(world), Deaf()
    async with sending(world, tcp(deaf.port)) as (feed, _):
        await deaf.accept()
        ups.happen(400)
        await until(lambda: len(feed._receivers[0]._flight) > 300)
        with pytest.raises(CommandError, match="it takes no messages at the moment"):
            await feed.test()
    deaf.die()


async def test_a_test_does_not_wait_for_the_next_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BACKOFF", Backoff(first=60.0, cap=60.0))
    listener = Listener()
    listener.port = free_port()
    async with sending(world, tcp(listener.port)) as (feed, _):
        await until(lambda: feed.problem is not None)
        await listener.start()
        assert await feed.test() == f"A message was sent to 127.0.0.1:{listener.port} (TCP)."
        await listener.stop()


async def test_absence_is_in_the_event_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PUBLISH", 0.05)
    listener = Listener()
    listener.port = free_port()
    config = SyslogConfig(enabled=True, receivers=(tcp(listener.port),))
    made = Service(
        "syslog",
        "Remote syslog",
        lambda traffic: make(config, world.context, traffic),
        world.context,
        world.commands,
        DeviceId("feed"),
        enabled=True,
        granted=False,
    )
    running = asyncio.create_task(made.run())
    conditions = world.site.conditions

    def failed(*, active: bool) -> bool:
        state = conditions(DeviceId("feed")).get("feed_failed")
        return state is not None and state.active is active

    try:
        await until(lambda: failed(active=True))
        assert "connection refused" in str(made.problem)
        assert conditions(DeviceId("feed"))["feed_serving"].active
        await listener.start()
        await until(lambda: failed(active=False))
        # It tells of its own absence too, once it is back.
        await until(lambda: any(b"Remote syslog: Fault: over" in message for message in listener.messages))
        assert any(b"Remote syslog: Fault: begun" in message for message in listener.messages)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await listener.stop()


async def test_nothing_stays_open(world: World) -> None:
    before = asyncio.all_tasks()
    async with a_listener() as listener:
        async with sending(world, tcp(listener.port), udp(free_port(socket.SOCK_DGRAM))) as (_, traffic):
            await until(lambda: listener.connections == 1 and traffic.clients == 2)
        await until(lambda: not listener._writers)
        await until(lambda: asyncio.all_tasks() == before)
        assert traffic.clients == 0


async def test_last_words_are_sent(world: World) -> None:
    ups = Flapping(world)
    event: list[Event] = []
    world.recorder.subscribe(event.append)
    async with a_listener() as listener:
        async with sending(world, tcp(listener.port)) as (feed, traffic):
            ups.happen()
            await until(lambda: traffic.requests == 1)
            feed._collect(event[0])
        await until(lambda: len(listener.messages) == 2)


async def test_without_receivers_it_cannot_serve(world: World) -> None:
    with pytest.raises(FeedError, match="give its receivers"):
        await make(SyslogConfig(), world.context, Traffic()).serve(lambda _: None)

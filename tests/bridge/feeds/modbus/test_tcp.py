"""Connections: pipelining, frames in pieces, what is no frame, and clients that mean ill or are slow."""

import asyncio
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_network
import socket
import struct

import pytest

from ridethrough.clock import ManualClock, settle
from ridethrough.config.feeds import ModbusConfig
from ridethrough.feeds import FeedError
from ridethrough.feeds.modbus.tcp import RECEIVED, SILENT
from tests.bridge.feeds.fuzz import STALL, watching_stalls
from tests.bridge.feeds.rig import World, a_world, free_port

from .masters import ON_MAINS, READ_WORD, UPS_1, Master, Served, frame, served, until

LONG_READ = bytes.fromhex("03 c350 0050")


async def test_fifty_requests_in_one_packet_are_answered_in_order(master: Master) -> None:
    asked = [(number, READ_WORD if number % 3 else b"\x41") for number in range(50)]
    master.send(b"".join(frame(pdu, transaction=number) for number, pdu in asked))
    for number, pdu in asked:
        assert await master.frame() == frame(ON_MAINS if pdu == READ_WORD else b"\xc1\x01", transaction=number)


async def test_requests_behind_one_that_writes_wait_for_it(master: Master, world: World) -> None:
    write = bytes.fromhex("05 c391 ff00")
    pdus = [READ_WORD, write, READ_WORD, write, READ_WORD]
    master.send(b"".join(frame(pdu, transaction=number) for number, pdu in enumerate(pdus)))
    for number, pdu in enumerate(pdus):
        assert await master.frame() == frame(ON_MAINS if pdu == READ_WORD else pdu, transaction=number)
    assert len(world.given) == 2


async def test_a_thousand_requests_behind_a_write(master: Master) -> None:
    write = bytes.fromhex("05 c391 ff00")
    master.send(frame(write) + b"".join(frame(READ_WORD, transaction=number) for number in range(1000)))
    assert await master.frame() == frame(write)
    for number in range(1000):
        assert await master.frame() == frame(ON_MAINS, transaction=number)


async def test_a_frame_may_come_byte_by_byte(master: Master) -> None:
    for byte in frame(READ_WORD, transaction=7):
        master.send(bytes([byte]))
        await master.drain()
        await asyncio.sleep(0.001)
    assert await master.frame() == frame(ON_MAINS, transaction=7)


async def test_who_closes_after_asking_is_answered_all_the_same(master: Master) -> None:
    write = bytes.fromhex("05 c391 ff00")
    master.send(frame(READ_WORD) + frame(write) + frame(READ_WORD))
    master.finish()
    assert [await master.frame() for _ in range(3)] == [frame(ON_MAINS), frame(write), frame(ON_MAINS)]
    assert await master.closed()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("0001 0001 0006 01 03 006d 0001", id="protocol 1"),
        pytest.param("0001 ffff", id="protocol 65535, head not complete"),
        pytest.param("0001 0000 0000 01 03 006d 0001", id="length 0"),
        pytest.param("0001 0000 0001 01 03 006d 0001", id="length 1"),
        pytest.param("0001 0000 00ff 01 03 006d 0001", id="length 255"),
        pytest.param("0001 0000 ffff 01 03 006d 0001", id="length 65535"),
        pytest.param("474554202f20485454502f312e310d0a0d0a", id="a browser"),
        pytest.param("16030100a5010000a10303", id="TLS"),
    ],
)
async def test_what_is_no_frame_ends_that_connection_only(feed: Served, master: Master, broken: str) -> None:
    async with Master(feed.port) as other:
        other.send(frame(READ_WORD) + bytes.fromhex(broken) + frame(READ_WORD))
        assert await other.frame() == frame(ON_MAINS)
        assert await other.closed()
    assert await master.ask(READ_WORD) == ON_MAINS
    assert feed.traffic.errors == 1
    await until(lambda: feed.traffic.clients == 1)


async def test_connections_beyond_the_limit_are_closed_and_the_others_go_on(feed: Served) -> None:
    async with AsyncExitStack() as stack:
        first = [await stack.enter_async_context(Master(feed.port)) for _ in range(4)]
        for one in first:
            assert await one.ask(READ_WORD) == ON_MAINS
        assert feed.traffic.clients == 4
        async with Master(feed.port) as fifth:
            assert await fifth.closed()
        assert await first[0].ask(READ_WORD) == ON_MAINS
    await until(lambda: feed.traffic.clients == 0)
    async with Master(feed.port) as again:
        assert await again.ask(READ_WORD) == ON_MAINS


async def test_only_clients_of_the_networks_are_heard(world: World) -> None:
    world.ups()
    config = ModbusConfig(port=0, units=UPS_1, clients=(ip_network("192.0.2.0/24"),))
    async with served(world, config) as feed:
        async with Master(feed.port) as stranger:
            stranger.send(frame(READ_WORD))
            assert await stranger.closed()
        assert (feed.traffic.requests, feed.traffic.errors) == (0, 1)
    config = ModbusConfig(port=0, units=UPS_1, clients=(ip_network("127.0.0.0/8"),))
    async with served(world, config) as feed, Master(feed.port) as friend:
        assert await friend.ask(READ_WORD) == ON_MAINS


@pytest.fixture
async def clock() -> ManualClock:
    """Give a clock that tests move."""
    return ManualClock()


@pytest.mark.parametrize("unfinished", [b"", frame(READ_WORD)[:-1]], ids=["says nothing", "never finishes"])
async def test_a_connection_that_asks_nothing_is_closed(
    tmp_path: object, clock: ManualClock, unfinished: bytes
) -> None:
    async with a_world(tmp_path, clock) as world:  # type: ignore[arg-type]  # pytest gives a Path
        world.ups()
        async with (
            served(world, ModbusConfig(port=0, units=UPS_1, idle=60.0)) as feed,
            Master(feed.port) as busy,
            Master(feed.port) as idle,
        ):
            idle.send(unfinished)
            for _ in range(8):
                assert await busy.ask(READ_WORD) == ON_MAINS
                await clock.advance(15.0)
                await settle()
            assert await idle.closed()
            assert await busy.ask(READ_WORD) == ON_MAINS
            assert feed.traffic.clients == 1


@pytest.mark.parametrize("unfinished", [b"", frame(READ_WORD)[:-1]], ids=["says nothing", "never finishes"])
async def test_who_never_asks_does_not_keep_others_out(tmp_path: object, clock: ManualClock, unfinished: bytes) -> None:
    async with a_world(tmp_path, clock) as world, AsyncExitStack() as stack:  # type: ignore[arg-type]  # as above
        world.ups()
        feed = await stack.enter_async_context(served(world, ModbusConfig(port=0, units=UPS_1, connections=3)))
        good = await stack.enter_async_context(Master(feed.port))
        assert await good.ask(READ_WORD) == ON_MAINS
        silent = [await stack.enter_async_context(Master(feed.port)) for _ in range(2)]
        for one in silent:
            one.send(unfinished)
        await until(lambda: feed.traffic.clients == 3)
        # Whoever has just come may be about to ask.
        async with Master(feed.port) as early:
            assert await early.closed()
        await clock.advance(SILENT)
        for _ in silent:
            late = await stack.enter_async_context(Master(feed.port))
            assert await late.ask(READ_WORD) == ON_MAINS
        for one in silent:
            assert await one.closed()
        assert await good.ask(READ_WORD) == ON_MAINS
        assert feed.traffic.clients == 3
        async with Master(feed.port) as fourth:
            assert await fourth.closed()


async def test_a_client_that_never_reads_costs_no_more_than_its_buffers(feed: Served, master: Master) -> None:
    """It is heard no more as soon as it does not read; it goes on where it stopped when it does."""
    asked = 60_000
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", feed.port))
        deaf.setblocking(False)
        requests = memoryview(b"".join(frame(LONG_READ, transaction=number & 0xFFFF) for number in range(asked)))
        sent = 0
        async with watching_stalls() as stalls:
            stuck = answered = 0
            while stuck < 20:
                with suppress(BlockingIOError):
                    sent += deaf.send(requests[sent:])
                stuck = stuck + 1 if feed.traffic.requests == answered else 0
                answered = feed.traffic.requests
                await asyncio.sleep(0.01)
            assert answered < sent // 12 // 10, "the server has answered although nobody reads"
            assert await master.ask(READ_WORD) == ON_MAINS
            assert feed.traffic.requests == answered + 1
        assert stalls.worst < STALL * 2
        loop = asyncio.get_running_loop()
        heard = bytearray()
        size = 9 + 160
        whole = sent // 12 * size
        async with asyncio.timeout(20):
            while len(heard) < whole:
                heard += await loop.sock_recv(deaf, 65536)
        assert len(heard) == whole
        for number in range(sent // 12):
            transaction, _, length = struct.unpack_from(">HHH", heard, number * size)
            assert (transaction, length) == (number & 0xFFFF, size - 6)
    assert await master.ask(READ_WORD) == ON_MAINS


async def test_a_client_that_never_reads_is_closed_when_it_has_been_idle(tmp_path: object, clock: ManualClock) -> None:
    async with a_world(tmp_path, clock) as world:  # type: ignore[arg-type]  # pytest gives a Path
        ups = world.ups()
        world.part(ups, "io_box", "1")
        async with served(world, ModbusConfig(port=0, units=UPS_1, idle=60.0)) as feed:
            with socket.create_connection(("127.0.0.1", feed.port)) as deaf:
                deaf.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    await asyncio.to_thread(deaf.sendall, frame(LONG_READ) * 400_000)
                for _ in range(6):
                    await clock.advance(15.0)
                await until(lambda: feed.traffic.clients == 0)


async def test_a_flood_of_requests_does_not_hold_up_the_others(feed: Served, master: Master) -> None:
    """Each of three clients sends as fast as it can and reads; a fourth is answered at once all the while."""
    stop = asyncio.Event()

    async def flood() -> int:
        count = 0
        async with Master(feed.port) as wild:
            while not stop.is_set():
                wild.send(frame(LONG_READ) * 100)
                for _ in range(100):
                    await wild.frame()
                count += 100
        return count

    floods = [asyncio.create_task(flood()) for _ in range(3)]
    for _ in range(50):
        assert await master.ask(READ_WORD) == ON_MAINS
        await asyncio.sleep(0.01)
    stop.set()
    assert sum(await asyncio.gather(*floods)) > 1000


async def test_connections_that_come_and_go_leave_nothing(feed: Served, master: Master) -> None:
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", feed.port)) as brief:
            brief.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            brief.send(frame(READ_WORD)[: _ % 12])
        await asyncio.sleep(0)
    await until(lambda: feed.traffic.clients == 1)
    assert await master.ask(READ_WORD) == ON_MAINS


def test_what_is_received_at_once_is_answered_within_a_few_milliseconds() -> None:
    assert RECEIVED // 12 < 400


async def test_a_port_that_is_taken(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ModbusConfig(port=taken.getsockname()[1])
        with pytest.raises(FeedError, match=r"another program listens there already\. End it, or give modbus:"):
            async with served(world, config):
                pass


async def test_an_address_that_this_machine_does_not_have(world: World) -> None:
    with pytest.raises(FeedError, match="this machine does not have the address"):
        async with served(world, ModbusConfig(listen="192.0.2.1", port=free_port())):
            pass


async def test_ipv6(world: World) -> None:
    world.ups()
    async with served(world, ModbusConfig(listen="::1", port=0, units=UPS_1)) as feed:
        assert feed.place.startswith("[::1]:")
        reader, writer = await asyncio.open_connection("::1", feed.port)
        writer.write(frame(READ_WORD))
        assert await reader.readexactly(11) == frame(ON_MAINS)
        writer.close()


async def test_nothing_is_left_open_when_it_ends(world: World) -> None:
    world.ups()
    async with served(world) as feed, Master(feed.port) as master:
        assert await master.ask(READ_WORD) == ON_MAINS
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", feed.port)

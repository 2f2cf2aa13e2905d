"""Clients that do not read: they cost a bounded amount, are dropped, and hold nobody up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
import socket
import tracemalloc

import aiohttp
import pytest

from .harness import LIMITS, POINTS, Client, World, event, running


@asynccontextmanager
async def deaf(world: World) -> AsyncIterator[Client]:
    """Connect a subscriber with small buffers that reads its snapshot and then nothing more."""

    def small(info: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(info[0], info[1], info[2])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return made

    connector = aiohttp.TCPConnector(socket_factory=small)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.ws_connect(f"{world.url}/ws", max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=0.1)) as ws,
    ):
        client = Client(ws)
        await client.authenticate("admin")
        await client.subscribe()
        transport = ws._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.pause_reading()
        try:
            yield client
        finally:
            transport.abort()


def unsent(world: World) -> int:
    """Bytes in the bridge's own buffers for its clients."""
    transports = [connection.transport for connection in world.server._connections]
    return max(transport.get_write_buffer_size() for transport in transports if transport is not None)


async def test_client_that_never_reads_is_dropped_and_the_others_hear_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, limits=replace(LIMITS, send=0.5)) as world:
        lanes = world.fill(512)
        async with world.subscriber() as good, deaf(world) as slow:
            tracemalloc.start()
            most = buffered = number = 0
            loop = asyncio.get_running_loop()
            worst = 0.0
            while len(world.server._broadcast._outboxes) == 2 and number < 2000:
                number += 1
                with world.site.transaction():
                    for lane in lanes:
                        lane.post(dict.fromkeys(POINTS, float(number)))
                began = loop.time()
                await good.until(lambda: good.revision == world.site.revision)
                worst = max(worst, loop.time() - began)
                pending = [box._delta for box in world.server._broadcast._outboxes if box._delta is not None]
                most = max(most, *(len(delta.points) for delta in pending), 0)
                buffered = max(buffered, unsent(world))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(world.server._broadcast._outboxes) == 1, "the slow one should have been dropped"
            assert good.view() == world.truth()
            assert good.gaps == 0
            assert most <= 512 * 6 + 2
            assert buffered < 2_000_000
            assert peak < 40_000_000
            assert worst < 2.0
            slow.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
    assert "the admin at 127.0.0.1 reads too slowly and is dropped" in caplog.text


async def test_client_that_pauses_gets_what_it_missed_as_one_delta(world: World) -> None:
    lanes = world.fill(512)
    async with world.subscriber() as good, deaf(world) as slow:
        for number in range(40):
            with world.site.transaction():
                for lane in lanes:
                    lane.post(dict.fromkeys(POINTS, float(number)))
            await good.until(lambda: good.revision == world.site.revision)
        slow.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
        await slow.until(lambda: slow.revision == world.site.revision)
        assert slow.gaps == 0
        assert slow.deltas < good.deltas
        assert slow.view() == world.truth()


async def test_client_that_reads_again_learns_why_it_was_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, send=0.3, farewell=5.0)) as world:
        lanes = world.fill(512)
        async with deaf(world) as slow:
            number = 0
            while world.server._broadcast._outboxes:
                number += 1
                with world.site.transaction():
                    for lane in lanes:
                        lane.post(dict.fromkeys(POINTS, float(number)))
                await asyncio.sleep(0.005)
            slow.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
            assert await slow.close_code() == 4429


async def test_client_too_many_events_behind_is_dropped_and_finds_them_when_it_returns(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, events_behind=3000, events_recent=100)) as world:
        async with deaf(world) as slow:
            text = "x" * 2000
            recorded = 0
            while world.server._broadcast._outboxes and recorded < 20_000:
                recorded += 1
                await world.recorder.record(event(details={"text": text}))
            assert recorded < 20_000
            slow.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
            await slow.close_code()
            last = slow.events[-1]
        async with world.subscriber(last) as again:
            await again.until(lambda: again.events[-1:] == [recorded])
            assert slow.events + again.events == list(range(1, recorded + 1))


async def test_flood_of_commands_by_a_client_that_reads_nothing_is_not_queued(tmp_path: Path) -> None:
    async with (
        running(tmp_path, limits=replace(LIMITS, send=0.3)) as world,
        world.subscriber() as other,
        deaf(world) as client,
    ):
        outboxes = world.server._broadcast._outboxes
        longest = buffered = 0

        async def shout() -> None:
            while True:
                await client.command(1, "make." + "coffee" * 20)
                await asyncio.sleep(0)

        shouting = asyncio.create_task(shout())
        async with asyncio.timeout(20):
            while len(outboxes) == 2:
                longest = max(longest, *(len(outbox._answers) for outbox in outboxes))
                buffered = max(buffered, unsent(world))
                await asyncio.sleep(0.001)
        shouting.cancel()
        await asyncio.wait([shouting])
        assert 60 <= longest <= 80
        assert buffered < 200_000
        await world.recorder.record(event())
        await other.until(lambda: bool(other.events))


async def test_flood_of_pings_is_answered_as_far_as_the_client_reads(world: World) -> None:
    async with world.subscriber() as other, deaf(world) as client:
        buffered = 0
        for number in range(3000):
            await client.socket.ping(b"%d" % number)
            if number % 10 == 0:
                await asyncio.sleep(0)
                buffered = max(buffered, unsent(world))
        assert buffered < 200_000
        await world.recorder.record(event())
        await other.until(lambda: bool(other.events))


async def test_ping_is_answered(world: World) -> None:
    async with world.session.ws_connect(f"{world.url}/ws", autoping=False) as socket:
        await socket.receive_str()
        await socket.pong(b"nobody asked")
        await socket.ping(b"are you there?")
        answer = await socket.receive(timeout=5)
        assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"are you there?")

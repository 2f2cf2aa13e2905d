"""A hundred thousand packets that nobody should send, on TCP and on a line, while a good master is answered."""

import asyncio
from collections.abc import Callable, Iterator
import contextlib
from itertools import batched, islice
from pathlib import Path

import pytest

from ridethrough.config.feeds import ModbusConfig, ModbusSerialConfig
from ridethrough.feeds.modbus.framing import framed
from tests.bridge.feeds.fuzz import PACKETS, Memory, mutations, never_stalled, watching_stalls
from tests.bridge.feeds.rig import World
from tests.bridge.links.modbus.line import Rs485Line

from .masters import ON_MAINS, READ_WORD, UPS_1, Master, frame, served, until
from .test_rtu import ANSWER, READ, Wire

pytestmark = pytest.mark.slow

PDUS = [
    bytes.fromhex(pdu)
    for pdu in (
        "01 0074 0002", "02 c350 0040", "03 0061 0036", "04 c350 0050", "05 c391 ff00", "06 c391 0001",
        "0f c390 0008 01 05", "10 c390 0002 04 0001 0000", "2b 0e 01 00", "2b 0e 04 05", "07", "17 0061 0001", "41",
    )
]  # fmt: skip
KEPT = 256 * 1024
"""Bytes that may be held more after the last quarter: caches of the interpreter; a leak of 10 bytes a packet shows."""
WAVES = 20


def waves(seeds: list[bytes], wrap: Callable[[int, bytes], bytes]) -> Iterator[Iterator[bytes]]:
    """Cut the packets into parts; each is made when it is sent, as making many at once would stall the loop too."""
    packets = (wrap(number, packet) for number, packet in enumerate(mutations(seeds, PACKETS)))
    for _ in range(WAVES):
        yield islice(packets, PACKETS // WAVES)


def on_tcp(number: int, packet: bytes) -> bytes:
    """Leave one of 64 as it is, which as a rule ends its connection; give the others a frame that is right."""
    return packet if number % 64 == 0 else frame(packet[7:260] or b"\x00", transaction=number & 0xFFFF)


def on_a_line(number: int, packet: bytes) -> bytes:
    """Give every other one a checksum that is right."""
    return packet if number % 2 else framed(packet[0], packet[1:254]) if packet else READ


async def pour(port: int, packets: Iterator[bytes]) -> int:
    """Send packets, several on each connection until it is closed; returns how many connections that took."""
    connections = 0
    done = False
    while not done:
        connections += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        swallowing = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            for number in range(200):
                packet = next(packets, None)
                if packet is None or swallowing.done():
                    done = packet is None
                    break
                writer.write(packet)
                if number % 4 == 0:
                    await asyncio.sleep(0)
                    await writer.drain()
        writer.transport.abort()
        swallowing.cancel()
        await asyncio.gather(swallowing, return_exceptions=True)
    return connections


@pytest.fixture(autouse=True)
def target(world: World) -> None:
    """Have a UPS; nothing may be written, so that packets cannot fill the journal."""
    ups = world.ups()
    world.part(ups, "io_box", "1")


async def test_tcp_stands_anything(world: World) -> None:
    async with served(world, ModbusConfig(port=0, units=UPS_1, connections=64)) as feed, Master(feed.port) as good:
        seeds = [frame(pdu) for pdu in PDUS]
        seeds += [b"".join(frame(pdu, transaction=number) for number, pdu in enumerate(PDUS))]
        stop = asyncio.Event()
        answered = 0

        async def go_on() -> None:
            nonlocal answered
            while not stop.is_set():
                assert await good.ask(READ_WORD) == ON_MAINS
                answered += 1
                await asyncio.sleep(0.002)

        asking = asyncio.create_task(go_on())
        connections = 0
        memory, spans = None, [0.0]
        async with watching_stalls() as stalls:
            for number, wave in enumerate(waves(seeds, on_tcp)):
                connections += sum(await asyncio.gather(*(pour(feed.port, wave) for _ in range(4))))
                assert not asking.done()
                if number == WAVES * 3 // 4:
                    await until(lambda: feed.traffic.clients == 1)
                    spans = list(stalls.spans)  # tracing would count as well
                    memory = Memory()
        stop.set()
        await asking
        await until(lambda: feed.traffic.clients == 1)
        stalls.spans.clear()
        assert memory is not None
        assert memory.grown() < KEPT
        assert connections > 1000
        assert answered > 100
        assert feed.traffic.errors > 50_000
        assert await good.ask(READ_WORD) == ON_MAINS
    assert world.given == []
    never_stalled(spans)


async def test_a_line_stands_anything(world: World, tmp_path: Path) -> None:
    async with Rs485Line(tmp_path, units=1) as line:
        wire = Wire(line)
        serial = ModbusSerialConfig(line.units[0], 115200)
        async with served(world, ModbusConfig(tcp=False, serial=serial, units=UPS_1)) as feed:
            memory, spans = None, [0.0]
            seeds = [framed(unit, pdu) for pdu in PDUS for unit in (1, 9)]
            async with watching_stalls() as stalls:
                for number, wave in enumerate(waves(seeds, on_a_line)):
                    for some in batched(wave, 8, strict=True):
                        wire.say(b"".join(some)[:1000])
                        await asyncio.sleep(0)
                        wire.heard.clear()
                    await quiet(wire)
                    assert await wire.ask(READ) == ANSWER
                    if number == WAVES * 3 // 4:
                        spans = list(stalls.spans)  # tracing would count as well
                        memory = Memory()
            stalls.spans.clear()
            assert memory is not None
            assert memory.grown() < KEPT
            assert feed.traffic.requests > 200
    assert world.given == []
    never_stalled(spans)


async def quiet(wire: Wire) -> None:
    """Wait until the slave has nothing more to say."""
    while True:
        wire.heard.clear()
        await asyncio.sleep(0.06)
        if not wire.heard:
            return

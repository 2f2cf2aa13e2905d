"""The Modbus face over a real socket, with frames made by hand, with mbpoll, and with our own link."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
import struct

import pytest

from ridethrough.sim.designs import DESIGNS
from ridethrough.sim.face import Place
from ridethrough.sim.line import SOUND
from ridethrough.sim.modbus import ModbusPeer
from ridethrough.sim.unit import Unit
from ridethrough.sim.ups import BatteryTest, start_test
from tests.strangers import peer as program


class Card:
    """A face that runs, and a client of it."""

    def __init__(self, design: str) -> None:
        self.unit = Unit(DESIGNS[design])
        self.looks = 0
        self.face = ModbusPeer(self.unit, self._looked, Place())

    def _looked(self) -> None:
        self.looks += 1

    @property
    def port(self) -> int:
        assert self.face.where is not None
        return int(self.face.where.rpartition(":")[2])

    async def read(self, address: int, count: int, function: int = 3, unit: int = 1) -> tuple[int, ...] | int:
        """Read registers; the number of the exception when it is refused."""
        answer = await self.exchange(struct.pack(">HHHBBHH", 7, 0, 6, unit, function, address, count))
        assert answer[:4] == b"\x00\x07\x00\x00"
        assert int.from_bytes(answer[4:6]) == len(answer) - 6
        assert answer[6] == unit
        if answer[7] == function | 0x80:
            return answer[8]
        assert answer[7:9] == bytes([function, 2 * count])
        return struct.unpack(f">{count}H", answer[9:])

    async def exchange(self, request: bytes) -> bytes:
        """Send something over a connection of its own and return what comes back within a moment."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                return await reader.read(1000)
        writer.close()
        return b""

    async def status(self) -> int:
        """Read the status word."""
        words = await self.read(109, 1)
        assert isinstance(words, tuple)
        return words[0]


@pytest.fixture
async def card() -> AsyncIterator[Card]:
    """Put a card into a line-interactive UPS."""
    made = Card("interactive-1000")
    made.face.open()
    running = asyncio.create_task(made.face.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    made.face.close()


async def test_the_registers_of_a_ups_on_mains(card: Card) -> None:
    # manual M:8240-8264: output, load, charge, input, temperature, autonomy, status, battery, frequency
    words = await card.read(97, 18)
    assert isinstance(words, tuple)
    assert words[:8] == (230, 0, 0, 30, 0, 0, 100, 230)
    assert words[10] == 25
    assert words[12:] == (4, 27, 50, 0, 0, 0)
    assert await card.read(97, 18, function=4) == words
    assert await card.read(50000, 80) == (0,) * 80
    assert card.looks == 3


async def test_an_outage_and_a_test(card: Card) -> None:
    card.unit.inputs = replace(card.unit.inputs, mains_voltage=0.0)
    card.unit.advance(1.0)
    assert await card.status() == 12  # M:11150
    assert await card.read(114, 4) == (1, 0, 1, 0)
    card.unit.inputs = replace(card.unit.inputs, mains_voltage=230.0)
    card.unit.advance(30.0)
    assert await card.status() == 4
    card.unit.state = start_test(card.unit.state, BatteryTest.QUICK)
    card.unit.advance(0.0)
    assert await card.status() & 68 == 68  # M:8256
    assert await card.read(114, 1) == (1,)


@pytest.mark.parametrize(
    ("address", "count", "function", "code"),
    [(97, 1, 6, 1), (96, 1, 3, 2), (150, 2, 3, 2), (50079, 2, 4, 2), (97, 0, 3, 3), (97, 126, 3, 3)],
)
async def test_what_is_refused(card: Card, address: int, count: int, function: int, code: int) -> None:
    assert await card.read(address, count, function) == code


async def test_pipelined_requests_are_all_answered(card: Card) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", card.port)
    writer.write(b"".join(struct.pack(">HHHBBHH", number, 0, 6, 1, 3, 109, 1) for number in range(5)))
    for number in range(5):
        answer = await reader.readexactly(11)
        assert int.from_bytes(answer[:2]) == number
    writer.close()


async def test_what_is_no_modbus_ends_the_connection(card: Card) -> None:
    assert await card.exchange(b"GET / HTTP/1.1\r\n\r\n") == b""
    assert card.face.ignored == 1


async def test_faults(card: Card) -> None:
    card.face.faults = replace(SOUND, echo=True)
    request = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 109, 1)
    assert (await card.exchange(request)).startswith(request)
    card.face.faults = replace(SOUND, truncate=1.0)
    assert len(await card.exchange(request)) < 11
    card.face.faults = replace(SOUND, flood=True, silent=True)
    assert await card.exchange(request)
    while card.face.exchanges.count < 3:
        await asyncio.sleep(0)


async def test_a_pulled_cable_ends_connections_and_comes_back_at_the_same_port(card: Card) -> None:
    port = card.port
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    await card.status()
    card.face.set_plugged(False)
    with suppress(ConnectionError):
        assert await reader.read(1) == b""
    assert card.face.where is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    card.face.set_plugged(True)
    assert card.port == port
    assert await card.status() == 4


async def test_a_ups_without_power_says_nothing(card: Card) -> None:
    card.unit.inputs = replace(card.unit.inputs, mains_voltage=0.0)
    card.unit.state = replace(card.unit.state, charge=0.0)
    for _ in range(20):
        card.unit.advance(60.0)
    assert card.face.answer(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 109, 1)) == b""


async def test_mbpoll_reads_it(card: Card) -> None:
    arguments = ["-m", "tcp", "-p", str(card.port), "-a", "1", "-0", "-r", "103", "-c", "7", "-1", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        program("mbpoll"), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    assert b"[103]: \t100" in out
    assert b"[109]: \t4" in out


async def test_it_may_begin_unplugged() -> None:
    face = ModbusPeer(Unit(DESIGNS["interactive-1000"]), lambda: None, Place())
    face.set_plugged(False)
    face.open()
    assert (face.plugged, face.where) == (False, None)
    face.set_plugged(True)
    # Pulled again before anybody serves it, and while the serving begins.
    running = asyncio.create_task(face.run())
    await asyncio.sleep(0)
    face.set_plugged(False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert face.where is None
    face.set_plugged(True)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    face.close()

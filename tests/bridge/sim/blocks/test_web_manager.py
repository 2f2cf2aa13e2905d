"""The registers of a web manager over a real socket, read by pymodbus, at the edges of the manual's tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymodbus.client import AsyncModbusTcpClient
import pytest

from ridethrough.sim.blocks import BlockDesign, Failure, Plant
from ridethrough.sim.blocks.installation import Installation
from ridethrough.sim.blocks.module import Identity
from ridethrough.sim.blocks.web_manager import WebManager, module_address, string_address, temperature_code
from ridethrough.sim.face import Place


class Manager:
    """A web manager that runs, and a client of it."""

    def __init__(self, blocks: int, strings: int, boxes: int) -> None:
        self.plant = Plant(BlockDesign(), strings, blocks)
        self.room = Installation(self.plant, boxes=boxes)
        self.server = WebManager(self.room, lambda: None, Place())
        self.client: AsyncModbusTcpClient

    async def read(self, address: int, count: int = 1, *, signed: bool = True) -> list[int]:
        self.server.scan()
        answer = await self.client.read_holding_registers(address, count=count, device_id=1)
        assert not answer.isError(), answer
        return [word - 65536 if signed and word > 32767 else word for word in answer.registers]


@asynccontextmanager
async def manager(blocks: int = 512, strings: int = 16, boxes: int = 0) -> AsyncIterator[Manager]:
    made = Manager(blocks, strings, boxes)
    made.server.open()
    running = asyncio.create_task(made.server.run())
    assert made.server.where is not None
    host, _, port = made.server.where.rpartition(":")
    made.client = AsyncModbusTcpClient(host, port=int(port), timeout=2, retries=0)
    try:
        assert await made.client.connect()
        yield made
    finally:
        made.client.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.server.close()


@pytest.mark.parametrize(
    ("number", "address"), [(1, 1060), (2, 1065), (330, 2705), (331, 2740), (332, 2745), (512, 3645)]
)
def test_modules_stand_where_the_manual_prints_them(number: int, address: int) -> None:
    assert module_address(number) == address


@pytest.mark.parametrize(("number", "address"), [(1, 1010), (3, 1020), (10, 1055), (11, 2710), (12, 2715), (16, 2735)])
def test_strings_stand_where_the_manual_prints_them(number: int, address: int) -> None:
    assert string_address(number) == address


@pytest.mark.parametrize(
    ("celsius", "code"), [(25.0, 0x80), (24.5, 0x7F), (25.5, 0x81), (10.0, 98), (-39.0, 0), (-60.0, 0), (120.0, 255)]
)
def test_temperatures_are_half_degrees_around_25(celsius: float, code: int) -> None:
    assert temperature_code(celsius) == code


@pytest.mark.parametrize(("module", "address"), [(1, 1060), (330, 2705), (331, 2740), (512, 3645)])
async def test_values_of_modules_at_the_edges(module: int, address: int) -> None:
    async with manager() as made:
        string, index = made.plant.at(module)
        string.temperature[index], string.charge[index] = 21.5, 0.77
        block = made.plant.block(module)
        values = await made.read(address, 5)
        assert values[0] == 128 - 7
        assert values[1] == round(block.voltage * 1000)
        assert values[2] == round(block.impedance * 1e5)
        assert values[3] == 0
        assert 0 <= values[4] <= 100
        assert await made.read(4004 + module - 1) == [77]


@pytest.mark.parametrize(("string", "address"), [(10, 1055), (11, 2710), (16, 2735)])
async def test_values_of_strings_at_the_edges(string: int, address: int) -> None:
    async with manager() as made:
        made.plant.mains = False
        made.plant.advance(5.0)
        reading = made.plant.string(string)
        current, volts, average, ripple = await made.read(address, 4)
        assert current == round(reading.current * 100) < -100
        assert ripple == 0
        if string <= 10:
            assert (volts, average) == (round(reading.voltage * 10), round(reading.voltage / 32 * 1000))
        else:
            assert (volts, average) == (0, 0)


async def test_what_is_not_there_is_not_supported() -> None:
    async with manager(20, 2) as made:
        made.room.sensors = 0
        assert await made.read(1003, 2) == [2, 20]
        assert await made.read(1010, 4) == [-1, 1365, 13650, -1]
        assert await made.read(1020, 4) == [-9999] * 4
        assert await made.read(2710, 4) == [-9999, 0, 0, -9999]
        assert await made.read(module_address(21), 5) == [-9999, -9999, -9999, 0, -9999]
        assert await made.read(4023, 2) == [100, -1]
        assert await made.read(3650) == [-1]
        assert await made.read(3681) == [-1]


async def test_boxes_stand_side_by_side() -> None:
    async with manager(20, 2, boxes=4) as made:
        made.room.boxes[0].inputs = 0b0010
        made.room.boxes[3].inputs = made.room.boxes[3].outputs = 0b1000
        made.room.boxes[1].lost = True
        assert await made.read(3650, 16) == [0, 1, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 1]
        assert await made.read(3678, 4) == [0, 0, 0, 1]
        assert (await made.read(1005))[0] & 0x0800


@pytest.mark.parametrize("address", [999, 1005, 3681, 4000, 4515], ids=str)
async def test_what_the_manual_does_not_print_does_not_exist(address: int) -> None:
    async with manager(20, 2) as made:
        answer = await made.client.read_holding_registers(address, count=2, device_id=1)
        assert answer.isError() and answer.exception_code == 2
        answer = await made.client.read_coils(1000, count=1, device_id=1)
        assert answer.isError() and answer.exception_code == 1


async def test_states_follow_the_strings() -> None:
    async with manager(20, 2) as made:
        assert (await made.read(1000, signed=False))[0] & 0x7F & ~0x04 == 0x43
        made.plant.mains = False
        made.plant.advance(10.0)
        assert (await made.read(1000))[0] & 0x78 == 0x08
        made.plant.advance(3600.0)
        assert (await made.read(1000))[0] & 0x78 == 0x20
        made.plant.mains = True
        made.plant.advance(60.0)
        assert (await made.read(1000))[0] & 0x78 == 0x10
        assert await made.read(1005) == [0x1000]


async def test_flags_of_a_module_and_of_all() -> None:
    async with manager(20, 2) as made:
        plant, room = made.plant, made.room
        plant.wear(1, 1.3)
        plant.wear(2, 1.8)
        plant.columns[0].temperature[2], plant.columns[0].temperature[3] = 34.0, 60.0
        plant.columns[0].temperature[4], plant.columns[0].temperature[5] = 8.0, 3.0
        room.module(7).lost = True
        room.module(8).identity = Identity(1, 12, (1, 3))
        plant.fail(9, Failure.SHORT)
        plant.advance(1.0)
        room.lost_sensors.add(2)
        plant.closed[1] = False
        flags = [(await made.read(module_address(number) + 3, signed=False))[0] for number in range(1, 11)]
        assert flags == [0x2000, 0x41, 0x0800, 0x11, 0x1000, 0x21, 0x03, 0x8001, 0x0400, 0]
        assert await made.read(module_address(7), 3) == [-1, -1, -1]
        state, state2, modules = await made.read(1000, 3, signed=False)
        assert state & 0xE04 == 0xC04
        assert state2 == 0x01 | 0x02 | 0x04 | 0x08 | 0x8000
        assert modules == 0xBC73
        assert await made.read(1005) == [0x0400]


async def test_it_equalises_what_stands_above_the_others() -> None:
    async with manager(10, 1) as made:
        first = made.plant.voltages()
        for _ in range(360):
            made.plant.advance(60.0)
            made.server.scan()
        after = made.plant.voltages()
        assert max(after) - min(after) < 0.5 * (max(first) - min(first))
        assert (await made.read(1000))[0] & 0x80
        duties = [(await made.read(module_address(number) + 4))[0] for number in range(1, 11)]
        assert 0 < max(duties) < 30

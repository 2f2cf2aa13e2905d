"""Masters that are not ours: mbpoll (libmodbus) and pymodbus, on TCP and on a serial line, and tshark's decoder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import re

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
import pytest

from ridethrough.config.feeds import ModbusConfig, ModbusSerialConfig
from tests.bridge.feeds.rig import World
from tests.bridge.feeds.shark import capturing
from tests.bridge.links.modbus.line import Rs485Line
from tests.strangers import peer

from .masters import UPS_1, Master, Served, frame, run, served

BAUD = 115200


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Rs485Line]:
    """Lay a line."""
    async with Rs485Line(tmp_path, units=1) as laid:
        yield laid


@pytest.fixture
async def both(world: World, line: Rs485Line) -> AsyncIterator[Served]:
    """Serve a UPS with an I/O box, on TCP and on a line; the box shows what it is told."""
    ups = world.ups()
    box = world.part(ups, "io_box", "1", commands=("output.set",))
    world.post(box, {f"output.{number}": False for number in range(1, 9)})
    world.commands.listen(
        box.id,
        lambda _, arguments: world.post(box, {f"output.{arguments['number']}": bool(arguments["state"])}),
    )
    config = ModbusConfig(
        port=0, units=UPS_1, allow=frozenset({"output"}), serial=ModbusSerialConfig(line.units[0], BAUD)
    )
    async with served(world, config) as running:
        yield running


@pytest.fixture(params=["tcp", "rtu"])
def where(request: pytest.FixtureRequest, both: Served, line: Rs485Line) -> tuple[str, ...]:
    """Say by which way mbpoll asks: its arguments, the place last."""
    if request.param == "tcp":
        return ("-m", "tcp", "-p", str(both.port), "127.0.0.1")
    return ("-m", "rtu", "-b", str(BAUD), "-P", "none", line.master)


async def mbpoll(where: tuple[str, ...], *arguments: str) -> tuple[int, dict[int, int], str]:
    """Ask once; returns the exit code, the values by address, and all that it said."""
    *options, place = where
    values = [word for word in arguments if not word.startswith("-")]
    flags = [word for word in arguments if word.startswith("-")]
    code, said = await run(peer("mbpoll"), "-1", "-0", "-o", "3", *options, *flags, place, *values)
    found = {int(address): int(value) for address, value in re.findall(r"\[(\d+)\]:\s+(-?\d+)", said)}
    return code, found, said


@pytest.mark.peer
async def test_mbpoll_reads_registers(where: tuple[str, ...]) -> None:
    for table in ("-t3", "-t4"):
        code, found, said = await mbpoll(where, table, "-r97", "-c54")
        assert code == 0, said
        assert len(found) == 54
        assert {address: found[address] for address in (97, 98, 100, 103, 104, 107, 108, 109, 110, 111, 134)} == {
            97: 229, 98: 0, 100: 30, 103: 100, 104: 230, 107: 25, 108: 30, 109: 4, 110: 55, 111: 50, 134: 0,
        }  # fmt: skip


@pytest.mark.peer
async def test_mbpoll_reads_bits(where: tuple[str, ...], world: World) -> None:
    world.post(world.site.devices[world.context.directory.find("ups-1").id], {}, {"on_battery": True})  # type: ignore[union-attr]  # the fixture has made it
    for table in ("-t0", "-t1"):
        code, found, said = await mbpoll(where, table, "-r115", "-c24")
        assert code == 0, said
        assert found == {address: int(address == 116) for address in range(115, 139)}


@pytest.mark.peer
async def test_mbpoll_writes(where: tuple[str, ...]) -> None:
    """Functions 5, 15, 6 and 16, in this order."""
    for table, values, shown in (
        ("-t0", "1", [1, 0, 0, 0]),
        ("-t0", "0 1 1", [0, 1, 1, 0]),
        ("-t4", "1", [1, 1, 1, 0]),
        ("-t4", "0 0 1 1", [0, 0, 1, 1]),
    ):
        code, _, said = await mbpoll(where, table, "-r50064", *values.split())
        assert code == 0, said
        assert "Written" in said
        _, found, _ = await mbpoll(where, table, "-r50064", "-c4")
        assert list(found.values()) == shown


@pytest.mark.peer
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param("-t4 -r96 -c2", "Illegal data address", id="address"),
        pytest.param("-t4 -r109 7", "Illegal data address", id="writing what is read only"),
        pytest.param("-t4 -r50064 7", "Illegal data value", id="value"),
    ],
)
async def test_mbpoll_hears_why_not(where: tuple[str, ...], arguments: str, complaint: str) -> None:
    _, found, said = await mbpoll(where, *arguments.split())
    assert complaint in said
    assert not found


@pytest.fixture(params=["tcp", "rtu"])
async def client(
    request: pytest.FixtureRequest, both: Served, line: Rs485Line
) -> AsyncIterator[AsyncModbusTcpClient | AsyncModbusSerialClient]:
    """Connect pymodbus."""
    connected: AsyncModbusTcpClient | AsyncModbusSerialClient = (
        AsyncModbusTcpClient("127.0.0.1", port=both.port)
        if request.param == "tcp"
        else AsyncModbusSerialClient(line.master, baudrate=BAUD)
    )
    assert await connected.connect()
    yield connected
    connected.close()


async def test_pymodbus_reads_and_writes(client: AsyncModbusTcpClient | AsyncModbusSerialClient) -> None:
    assert (await client.read_holding_registers(97, count=54)).registers[12] == 4
    assert (await client.read_input_registers(103, count=1)).registers == [100]
    assert not any((await client.read_coils(115, count=24)).bits)
    assert not any((await client.read_discrete_inputs(115, count=24)).bits)
    assert not (await client.write_coil(50064, True)).isError()
    assert not (await client.write_register(50065, 1)).isError()
    assert (await client.read_coils(50064, count=8)).bits == [True, True] + [False] * 6
    assert not (await client.write_coils(50064, [False, False, True])).isError()
    assert not (await client.write_registers(50067, [1, 1])).isError()
    assert (await client.read_holding_registers(50064, count=8)).registers == [0, 0, 1, 1, 1, 0, 0, 0]
    assert (await client.read_holding_registers(0, count=1)).exception_code == 2
    assert (await client.write_register(50064, 9)).exception_code == 3
    assert (await client.report_device_id()).exception_code == 1


async def test_pymodbus_reads_the_identification(client: AsyncModbusTcpClient | AsyncModbusSerialClient) -> None:
    async def read(category: int, first: int = 0) -> dict[int, bytes]:
        answer = await client.read_device_information(read_code=category, object_id=first)
        assert isinstance(answer, ReadDeviceInformationResponse)
        return dict(answer.information)

    basic = await read(1)
    assert basic == {0: b"Ridethrough", 1: b"default", 2: b"0.1.0"}
    assert await read(2) == basic | {4: b"Test bridge", 5: b"Example UPS 3000", 6: b"ups-1"}
    assert await read(4, 5) == {5: b"Example UPS 3000"}


@pytest.mark.peer
async def test_a_decoder_finds_nothing_malformed(both: Served, tmp_path: Path) -> None:
    port = both.port
    requests = [
        "01 0074 0010", "02 c350 0040", "03 0061 0036", "04 c350 0050", "05 c390 ff00", "06 c391 0001",
        "0f c390 0008 01 05", "10 c390 0002 04 0001 0000", "2b 0e 01 00", "2b 0e 02 00", "2b 0e 04 05",
        "07", "03 0000 0001", "03 0061 007e", "05 006d ff00", "2b 0e 04 33", "41",
    ]  # fmt: skip
    async with (
        capturing(tmp_path, f"tcp port {port}", f"tcp.port=={port},mbtcp") as capture,
        Master(port) as master,
    ):
        for number, request in enumerate(requests):
            master.send(frame(bytes.fromhex(request), transaction=number))
            await master.frame()
        master.send(b"".join(frame(bytes.fromhex(request), transaction=50) for request in requests))
        for _ in requests:
            await master.frame()
        await master.ask(bytes.fromhex("03 0061 0001"), unit=99)
    assert await capture.malformed() == []
    from_us = f"tcp.srcport == {port} && mbtcp"
    answers = await capture.packets(from_us, "mbtcp.trans_id", "modbus.func_code", "modbus.exception_code")
    functions = ",".join(row[1] for row in answers).split(",")
    assert len(functions) == 2 * len(requests) + 1
    exceptions = [row for row in answers[: len(requests)] if len(row) > 2 and row[2]]
    assert [row[2] for row in exceptions] == ["1", "2", "3", "2", "2", "1"]


async def test_many_masters_at_once(both: Served, line: Rs485Line) -> None:
    """Sixteen on TCP and one on the line, each with its own connection, all get what they have asked."""
    serial = AsyncModbusSerialClient(line.master, baudrate=BAUD)
    assert await serial.connect()

    async def one(number: int) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=both.port)
        assert await client.connect()
        for _ in range(20):
            answer = await client.read_holding_registers(97 + number, count=3)
            assert len(answer.registers) == 3
        client.close()

    async def on_the_line() -> None:
        for _ in range(20):
            assert (await serial.read_holding_registers(109, count=1)).registers == [4]

    await asyncio.gather(*(one(number) for number in range(16)), on_the_line())
    serial.close()
    assert both.traffic.errors == 0

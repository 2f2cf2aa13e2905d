"""A battery system of 512 blocks in 16 strings as strangers see it: by Modbus, by SNMP and by BACnet."""

import asyncio
from contextlib import AsyncExitStack

from pymodbus.client import AsyncModbusTcpClient
import pytest

from ridethrough.clock import SystemClock
from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from ridethrough.links import Credentials, LinkContext, open_link
from ridethrough.site import Device
from tests.bridge.links.conftest import Notebook

from .bacnet.rig import a_stranger, serving as serving_bacnet
from .modbus.masters import Master, served
from .rig import World
from .snmp.agents import READ, V2C, serving as serving_snmp

BACS = "1.3.6.1.2.1.33.5"


def fleet(world: World, modules: int = 512, strings: int = 16) -> Device:
    """Have a battery system: block n has 12.000 V + n mV, strings have what their number says."""
    system = world.device("battery-1", "battery_system")
    with world.site.transaction():
        world.post(
            system,
            {"battery.modules": modules, "battery.strings": strings, "battery.voltage": 432.5},
            {"monitoring": True, "float_charging": True, "general_alarm": False, "thermal_runaway": False},
        )
        for number in range(1, strings + 1):
            points = {"string.current": -1 - number / 100, "string.voltage": 400.0 + number, "string.current.ac": 0.25}
            world.post(world.part(system, "battery_string", f"{number}"), points | {"string.voltage.average": 13.5})
        for number in range(1, modules + 1):
            world.post(
                world.part(system, "battery_module", f"{number}"),
                {
                    "module.temperature": 25.0,
                    "module.voltage": 12 + number / 1000,
                    "module.impedance": 4 + number / 100,
                    "module.equalizing": number % 101,
                    "module.charge": 100 - number % 50,
                },
                {"module.voltage_high": False, "module.lost": False},
            )
    return system


def block(world: World, number: int) -> Device:
    found = world.site.device_by_key(f"battery-1/battery_module-{number}")
    assert found is not None
    return found


def signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


@pytest.mark.peer
async def test_modbus_has_every_block_where_the_manual_has_it(world: World) -> None:
    system = fleet(world)
    for number, degrees in ((1, 24.5), (330, 25.5), (331, -10.0), (512, 60.0)):
        world.post(block(world, number), {"module.temperature": degrees})
    world.post(block(world, 331), {"module.impedance": None}, {"module.lost": True, "module.voltage_high": True})
    box = world.part(system, "io_box", "2")
    world.post(box, {"output.1": True, "output.2": False}, {"input_alarm.4": True})
    async with served(world, ModbusConfig(port=0, units=(ModbusUnitConfig(1, "battery-1"),))) as feed:
        client = AsyncModbusTcpClient("127.0.0.1", port=feed.port)
        assert await client.connect()

        async def words(address: int, count: int = 1) -> list[int]:
            answer = await client.read_input_registers(address, count=count)
            assert not answer.isError(), address
            return [signed(word) for word in answer.registers]

        assert await words(1000, 6) == [0x0041, 0, 0, 16, 512, 0]
        assert await words(1060, 5) == [127, 12001, 401, 0, 1]
        assert await words(2705, 5) == [129, 12330, 730, 0, 330 % 101]
        assert await words(2740, 5) == [58, 12331, -9999, 0x0006, 331 % 101]
        assert await words(3645, 5) == [198, 12512, 912, 0, 512 % 101]
        assert await words(1010, 4) == [-101, 4010, 13500, 25]
        assert await words(1055, 4) == [-110, 4100, 13500, 25]
        assert await words(2710, 4) == [-111, -1, -1, 25]
        assert await words(2735, 4) == [-116, -1, -1, 25]
        assert await words(4004) == [99]
        assert await words(4333, 3) == [100 - 330 % 50, 100 - 331 % 50, 100 - 332 % 50]
        assert await words(4515) == [100 - 512 % 50]
        # Box 2 is there, the others are not supported.
        assert await words(3650, 8) == [-9999] * 4 + [0, 0, 0, 1]
        assert await words(3666, 8) == [-9999] * 4 + [1, 0, -9999, -9999]
        assert (await client.read_holding_registers(4516, count=1)).exception_code == 2
        world.lanes[block(world, 512).id].lost()
        assert await words(3645, 5) == [-9999, -9999, -9999, 0, -9999]
        client.close()


@pytest.mark.peer
async def test_snmp_has_every_block_and_string(world: World) -> None:
    fleet(world)
    world.post(block(world, 512), {"module.temperature": -5.5}, {"module.voltage_high": True})
    async with serving_snmp(world) as agent:
        walked = await agent.walk(V2C, BACS, "snmpbulkwalk")
        told = {name.removeprefix(f"{BACS}."): value.removeprefix("INTEGER: ") for name, value in walked.items()}
    assert (told["2.4.0"], told["2.6.0"], told["2.3.0"]) == ("512", "16", "43250")
    for number in (1, 330, 331):
        row = [told[f"2.5.1.{column}.{number}"] for column in range(1, 7)]
        assert row == [f"{number}", f"{round(1200 + number / 10)}", "250", f"{number % 101}", f"{400 + number}", "0"]
    assert (told["2.5.1.3.512"], told["2.5.1.6.512"]) == ("-55", "4")
    assert sum(name.startswith("2.5.1.2.") for name in told) == 512
    for number in (1, 10, 11, 16):
        assert told[f"2.7.1.2.{number}"] == f"{-100 - number}"
        assert told[f"2.7.1.3.{number}"] == f"{40000 + 100 * number}"
    assert "2.7.1.2.17" not in told


@pytest.mark.peer
async def test_bacnet_has_objects_of_the_system_its_strings_and_blocks(world: World) -> None:
    fleet(world, modules=2, strings=1)
    async with serving_bacnet(world) as served_at, a_stranger(served_at) as stranger:
        objects = await stranger.objects()

        async def value(name: str) -> object:
            return await stranger.read(objects[name], "present-value")

        mine = {name: which for name, which in objects.items() if "battery-1" in name}
        voltage = next(name for name in mine if "battery_module-2" in name and name.endswith("module.voltage"))
        assert await value(voltage) == pytest.approx(12.002)
        current = next(name for name in mine if "battery_string-1" in name and name.endswith("string.current"))
        assert await value(current) == pytest.approx(-1.01)
        assert any("battery_module-1" in name and name.endswith("module.voltage_high") for name in mine)
        units = await stranger.read(objects[voltage], "units")
        assert int(units) == 5  # volts


async def test_a_unit_without_a_map_waits_for_its_device_to_know_which(world: World) -> None:
    async with served(world, ModbusConfig(port=0, units=(ModbusUnitConfig(1, "battery-1"),))) as feed:
        fleet(world, modules=1, strings=1)
        async with Master(feed.port) as master, asyncio.timeout(5):
            while await master.ask(bytes.fromhex("03 03ec 0001")) != bytes.fromhex("03 02 0001"):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("by", ["modbus", "snmp"])
async def test_another_bridge_reads_what_this_one_serves(by: str, world: World) -> None:
    fleet(world, modules=4, strings=2)
    seen = Notebook()
    context = LinkContext.alone(SystemClock())
    async with AsyncExitStack() as stack:
        if by == "modbus":
            units = (ModbusUnitConfig(1, "battery-1"),)
            feed = await stack.enter_async_context(served(world, ModbusConfig(port=0, units=units)))
            url, community = f"bacs://127.0.0.1:{feed.port}/1?poll=0.1", None
        else:
            agent = await stack.enter_async_context(serving_snmp(world))
            url, community = f"bacs+snmp://127.0.0.1:{agent.port}?poll=1", READ
        running = asyncio.create_task(open_link(url, Credentials(community=community), context).run(seen))
        async with asyncio.timeout(10):
            while ("battery_module", "4") not in seen.children or not seen.children["battery_module", "4"].rare:
                assert not running.done(), running.result()
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
    assert (seen.points | seen.rare)["battery.modules"] == 4
    last = seen.children["battery_module", "4"]
    assert last.points["module.voltage"] == pytest.approx(12.004, abs=0.005)
    assert last.points["module.temperature"] == 25
    assert (last.rare["module.string"], last.rare["module.position"]) == (2, 2)
    assert seen.children["battery_string", "2"].points["string.current"] == -1.02
    assert {key for key, active in seen.conditions.items() if active} == {"monitoring", "float_charging"}
    assert not any(kind == "io_box" for kind, _ in seen.children)

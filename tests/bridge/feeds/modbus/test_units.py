"""Which unit shows what: as configured, or each device by a number that it keeps."""

from dataclasses import replace
import logging

import pytest

from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from tests.bridge.feeds.rig import World

from .masters import Master, served

CHARGE = bytes.fromhex("03 0067 0001")
EVERY = ModbusConfig(port=0)


def percent(value: int) -> bytes:
    return bytes((3, 2, 0, value))


GONE = bytes.fromhex("83 0b")


async def test_each_device_has_a_unit_of_its_own_and_keeps_it(world: World) -> None:
    first, second = world.ups("ups-a"), world.ups("ups-b")
    world.post(second, {"battery.charge": 50})
    switch = world.device("switch-1", "transfer_switch")
    world.post(switch, conditions={"on_source_a": True})
    async with served(world, EVERY) as feed, Master(feed.port) as master:
        assert await master.ask(bytes.fromhex("03 0004 0001"), 1) == bytes.fromhex("03 02 0001")
        assert await master.ask(CHARGE, 2) == percent(100)
        assert await master.ask(CHARGE, 3) == percent(50)
        assert await master.ask(CHARGE, 4) == GONE
        world.site.remove(first.id)
        assert await master.ask(CHARGE, 2) == GONE
        third = world.ups("ups-0")
        world.post(third, {"battery.charge": 33})
        for _ in range(200):
            if await master.ask(CHARGE, 4) != GONE:
                break
        assert await master.ask(CHARGE, 4) == percent(33)
        assert await master.ask(CHARGE, 3) == percent(50)
        world.ups("ups-a")
        assert await master.ask(CHARGE, 2) == percent(100)
    async with served(world, EVERY) as feed, Master(feed.port) as master:
        assert await master.ask(CHARGE, 2) == percent(100)
        assert await master.ask(CHARGE, 4) == percent(33)


async def test_a_device_under_another_key_keeps_its_unit(world: World) -> None:
    ups = world.ups()
    async with served(world, EVERY) as feed, Master(feed.port) as master:
        assert await master.ask(CHARGE) == percent(100)
        world.site.put(replace(world.site.devices[ups.id], key="ups-renamed"))
        for _ in range(200):
            if await master.ask(CHARGE) != GONE:
                break
        assert await master.ask(CHARGE) == percent(100)


async def test_several_maps_of_one_device_on_several_units(world: World) -> None:
    ups = world.ups()
    world.post(ups, {"battery.charge": 77})
    units = (
        ModbusUnitConfig(10, "ups-1"),
        ModbusUnitConfig(11, "ups-1", "rittal"),
        ModbusUnitConfig(12, "ups-1", "m600"),
    )
    async with served(world, ModbusConfig(port=0, units=units)) as feed, Master(feed.port) as master:
        assert await master.ask(CHARGE, 10) == percent(77)
        assert await master.ask(CHARGE, 11) == percent(77)
        assert await master.ask(bytes.fromhex("04 0038 0001"), 12) == bytes.fromhex("04 02 0302")
        assert await master.ask(CHARGE, 1) == GONE
        assert await master.ask(CHARGE, 255) == percent(77)


async def test_a_configured_device_may_come_later(world: World) -> None:
    async with (
        served(world, ModbusConfig(port=0, units=(ModbusUnitConfig(1, "ups-1"),))) as feed,
        Master(feed.port) as master,
    ):
        assert await master.ask(CHARGE) == GONE
        assert await master.ask(CHARGE, 0) == GONE
        world.ups()
        assert await master.ask(CHARGE) == percent(100)
        assert await master.ask(CHARGE, 0) == percent(100)


async def test_more_devices_than_unit_ids(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with world.site.transaction():
        for number in range(249):
            world.device(f"ups-{number:03}")
    with caplog.at_level(logging.WARNING):
        async with served(world, EVERY) as feed, Master(feed.port) as master:
            assert (await master.ask(CHARGE, 247))[0] == 3
            assert await master.ask(CHARGE, 248) == GONE
            world.device("ups-more")
            for _ in range(50):
                await master.ask(CHARGE, 1)
    said = [record.getMessage() for record in caplog.records if "no unit id left" in record.getMessage()]
    assert said == ["Modbus has no unit id left for ups-247, ups-248; name the devices that are to be served in units:"]

"""The alarms of a battery system: its table as net-snmp walks it, and its traps as snmptrapd prints them."""

from pathlib import Path
import time

import pytest

from ridethrough.config.feeds import SnmpReceiver
from ridethrough.feeds import Subject
from ridethrough.feeds.snmp.alarm_table import AlarmChange, AlarmTable
from ridethrough.site import Change, Device
from tests.bridge.feeds.fuzz import STALL
from tests.bridge.feeds.rig import World
from tests.bridge.feeds.snmp_traps.trapd import Snmptrapd

from .agents import V2C, Agent, config, serving

pytestmark = pytest.mark.peer
BACS = "1.3.6.1.2.1.33.5"
ALARMS = f"{BACS}.3"
VOLTAGE_HIGH, VOLTAGE_HIGH_WARNING, RUNAWAY, DISCHARGING = (f".{ALARMS}.3.{number}" for number in (6, 13, 22, 24))
ADDED, REMOVED = f".{BACS}.4.1", f".{BACS}.4.2"


def battery(world: World, key: str = "battery-1") -> tuple[Device, Device, Device, Device]:
    """Have a battery system, a string and two modules, all of them well."""
    system = world.device(key, "battery_system")
    world.post(system, {"battery.voltage": 27.2}, {"discharging": False, "thermal_runaway": False})
    string, first, second = (
        world.part(system, kind, number)
        for kind, number in (("battery_string", "1"), ("battery_module", "1"), ("battery_module", "2"))
    )
    for module in (first, second):
        world.post(module, {"module.voltage": 13.6}, {"module.voltage_high": False})
    return system, string, first, second


async def present(agent: Agent) -> list[str]:
    """Walk the table: the alarms that are present, of which there must be as many as are counted."""
    told = await agent.walk(V2C, ALARMS, "snmpbulkwalk")
    found = [value.removeprefix("OID: ") for name, value in told.items() if name.startswith(f"{ALARMS}.2.1.2.")]
    assert told[f"{ALARMS}.1.0"] == f"Gauge32: {len(found)}"
    times = [value for name, value in told.items() if name.startswith(f"{ALARMS}.2.1.3.")]
    assert len(times) == len(found)
    return found


async def test_rows_come_and_go(world: World) -> None:
    world.ups()
    system, string, first, second = battery(world)
    async with serving(world) as agent:
        assert await present(agent) == []
        world.post(system, conditions={"discharging": True})
        world.post(first, conditions={"module.voltage_high": True})
        world.post(string, conditions={"thermal_runaway": True})
        assert await present(agent) == [DISCHARGING, VOLTAGE_HIGH, RUNAWAY]
        # A second block with the same trouble is the same alarm, which is over when no block has it.
        world.post(second, conditions={"module.voltage_high": True})
        world.post(first, conditions={"module.voltage_high": False})
        assert await present(agent) == [DISCHARGING, VOLTAGE_HIGH, RUNAWAY]
        world.post(second, conditions={"module.voltage_high": False})
        world.post(system, conditions={"discharging": False})
        assert await present(agent) == [RUNAWAY]
        # The UPS has a table of its own.
        assert (await agent.get(V2C, "1.3.6.1.2.1.33.1.6.1.0")).endswith("Gauge32: 0")


async def test_alarms_stay_while_nobody_knows_and_go_with_their_device(world: World) -> None:
    world.ups()
    system, _, first, second = battery(world)
    world.post(first, conditions={"module.voltage_high": True})
    async with serving(world) as agent:
        world.lanes[first.id].lost()
        assert await present(agent) == [VOLTAGE_HIGH]
        world.site.remove(first.id)
        assert await present(agent) == []
        # What is only remembered is no alarm.
        world.site.restore(second.id, "module.voltage_high", world.context.clock.utc())
        assert await present(agent) == []
        third = world.part(system, "battery_module", "3")
        world.post(third, conditions={"module.voltage_high": True})
        assert await present(agent) == [VOLTAGE_HIGH]


async def test_another_battery_system_is_not_this_one(world: World) -> None:
    world.ups()
    battery(world)
    *_, module = battery(world, "battery-2")
    world.post(module, conditions={"module.voltage_high": True})
    async with serving(world) as agent:
        assert await present(agent) == []


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_alarms_are_told_and_warnings_are_not(world: World, tmp_path: Path, version: str) -> None:
    world.ups()
    system, _, first, _ = battery(world)
    async with Snmptrapd(tmp_path / "trapd") as trapd:
        receiver = SnmpReceiver("127.0.0.1", trapd.port, version=version)  # type: ignore[arg-type]  # one of its words
        async with serving(world, config(receivers=(receiver,))):
            await trapd.wait(1)
            world.post(system, conditions={"discharging": True})
            world.post(first, conditions={"module.voltage_high_warning": True})
            world.post(first, conditions={"module.voltage_high": True})
            world.post(first, conditions={"module.voltage_high_warning": False})
            world.post(first, conditions={"module.voltage_high": False})
            told = await trapd.wait(2, VOLTAGE_HIGH)
            assert len(told) == 2
            assert f"{ALARMS}.2.1.1.3 3" in told[0].replace(" = ", " ").replace("INTEGER: ", "")
            if version == "2c":
                assert [ADDED in told[0], REMOVED in told[1]] == [True, True]
            else:
                # A trap of v1 names what its number lies below (RFC 3584 §3.2).
                assert all(f"|.{BACS}.4|6|" in line for line in told)
            assert not any(name in line for line in trapd.lines for name in (VOLTAGE_HIGH_WARNING, DISCHARGING))


async def test_a_battery_system_without_a_ups_tells_too_also_one_that_comes_later(world: World, tmp_path: Path) -> None:
    async with Snmptrapd(tmp_path / "trapd") as trapd:
        receiver = SnmpReceiver("127.0.0.1", trapd.port, inform=True)
        async with serving(world, config(receivers=(receiver,))):
            system, *_ = battery(world)
            world.post(system, conditions={"thermal_runaway": True})
            await trapd.wait(1, RUNAWAY)
            # A UPS that is added makes the agent tell anew what there is, but not that it has started.
            world.ups()
            world.post(system, conditions={"thermal_runaway": False})
            await trapd.wait(1, REMOVED)
        assert len([line for line in trapd.lines if ".1.3.6.1.6.3.1.1.5." in line]) == 1


async def test_512_modules_in_alarm_are_one_alarm_and_no_stall(world: World) -> None:
    system = world.device("battery-1", "battery_system")
    modules = [world.part(system, "battery_module", str(number)) for number in range(1, 513)]
    told: list[AlarmChange] = []
    changes: list[Change] = []
    subject = Subject(world.context.directory, system.key)
    table = AlarmTable(world.context, subject, told.append, system.kind)
    world.site.observe(changes.append)
    worst = []
    for state in (True, False) * 3:
        with world.site.transaction():
            for module in modules:
                world.post(module, conditions={"module.voltage_high": state, "module.voltage_high_warning": state})
        began = time.thread_time()
        table.follow(changes.pop())
        worst.append(time.thread_time() - began)
    assert [change.added for change in told] == [True, True, False, False] * 3
    assert [change.entry.told for change in told] == [True, False] * 6
    assert min(worst) < STALL

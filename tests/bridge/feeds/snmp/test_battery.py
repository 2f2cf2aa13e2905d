"""Battery systems beside UPSes: the tables of modules and strings, as soon as there is a MIB for them."""

import pytest

from ridethrough.feeds.snmp.agent import served
from ridethrough.sim.snmp_message import Pdu
from tests.bridge.feeds.rig import World

from .agents import V2C, Agent, config, question, serving

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(all(mib.name != "bacs" for mib in served()), reason="the maps have no MIB of battery systems"),
]
BACS = "1.3.6.1.2.1.33.5"
MODULES = "1.3.6.1.2.1.33.5.2.5.1"


async def fleet(world: World) -> None:
    """Have a battery system with two modules in one string."""
    system = world.device("battery-1", "battery_system")
    world.post(system, {"battery.voltage": 27.2, "battery.modules": 2}, {"monitoring": True, "discharging": True})
    for number, voltage in (("1", 13.65), ("2", 13.55)):
        module = world.part(system, "battery_module", number)
        world.post(
            module,
            {"module.voltage": voltage, "module.temperature": 22.5, "module.impedance": 4.21, "module.equalizing": 0.0},
            {"module.voltage_high": number == "1"},
        )
    string = world.part(system, "battery_string", "1")
    world.post(string, {"string.current": -1.25, "string.voltage": 27.2})


async def walk(agent: Agent, root: str = BACS, who: list[str] = V2C) -> dict[str, str]:
    walked = await agent.walk(who, root, "snmpbulkwalk")
    return {name.removeprefix(f"{BACS}."): value for name, value in walked.items() if name.startswith(f"{BACS}.")}


async def test_modules_and_strings_are_tables_beside_the_ups(world: World) -> None:
    world.ups()
    await fleet(world)
    async with serving(world) as agent:
        told = await walk(agent)
        assert told["2.3.0"] == "INTEGER: 2720"
        assert told["2.4.0"] == "INTEGER: 2"
        assert [told[f"2.5.1.{column}.1"] for column in (1, 2, 3, 4, 5)] == [
            "INTEGER: 1",
            "INTEGER: 1365",
            "INTEGER: 225",
            "INTEGER: 0",
            "INTEGER: 421",
        ]
        assert told["2.5.1.6.1"] != told["2.5.1.6.2"] == "INTEGER: 0"
        assert told["2.7.1.2.1"] == "INTEGER: -125"
        assert int(told["2.1.0"].removeprefix("INTEGER: ")) & 0x0009 == 0x0009
        assert (await agent.get(V2C, "1.3.6.1.2.1.33.1.2.4.0")).endswith("INTEGER: 100")
        # An output of the UPS's card is no GX_R_AUX of its battery system.
        assert not any(name.startswith("5.2.") for name in told)
        module = world.site.device_by_key("battery-1/battery_module-2")
        assert module is not None
        world.site.remove(module.id)
        assert {name for name in await walk(agent) if name.startswith("2.5.1.2.")} == {"2.5.1.2.1"}


async def test_a_battery_system_can_be_the_agents_device(world: World) -> None:
    world.ups()
    await fleet(world)
    async with serving(world, config(device="battery-1")) as agent:
        assert (await walk(agent))["2.3.0"] == "INTEGER: 2720"
        answer = await agent.say(question(Pdu.GET_NEXT, MODULES))
        assert answer.variables[0][1].content == 1


async def test_a_battery_system_that_comes_later_is_shown_then(world: World) -> None:
    world.ups()
    async with serving(world) as agent:
        assert await walk(agent) == {}
        await fleet(world)
        assert (await walk(agent))["2.5.1.2.2"] == "INTEGER: 1355"
        system = world.site.device_by_key("battery-1")
        assert system is not None
        world.site.remove(system.id)
        assert await walk(agent) == {}

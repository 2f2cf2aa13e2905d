"""Tables whose rows come and go, and changes that are many at once."""

import asyncio

import pytest

from ridethrough.feeds.snmp.view import View
from ridethrough.sim.snmp_message import Pdu
from ridethrough.site import Change
from tests.bridge.feeds.fuzz import STALL, watching_work
from tests.bridge.feeds.rig import World

from .agents import COLUMNS, READ, TABLE as WIDE, UPS, V2C, Agent, fill, oid, question, serving, wide_table

MODULES = 512


async def rows(agent: Agent) -> list[str]:
    """Walk the table by GETBULK, as fast as can be."""
    found: list[str] = []
    name = WIDE
    for _ in range(1000):
        answer = await agent.say(question(Pdu.GET_BULK, name, numbers=(0, 50)))
        for one, _ in answer.variables:
            name = ".".join(map(str, one))
            if not name.startswith(f"{WIDE}."):
                return found
            found.append(name)
    raise AssertionError("the walk never ends")


@pytest.mark.parametrize("pdu", [Pdu.GET_NEXT, Pdu.GET_BULK], ids=["next", "bulk"])
async def test_a_walk_ends_although_rows_come_and_go(world: World, pdu: Pdu) -> None:
    world.ups()
    fill(world, 30)
    async with serving(world, mibs=(wide_table(),)) as agent:
        name, seen, step = oid(WIDE), [], 0
        while name[: len(oid(WIDE))] == oid(WIDE):
            answer = await agent.say(
                question(pdu, ".".join(map(str, name)), numbers=(0, 7 if pdu is Pdu.GET_BULK else 0))
            )
            for one, _ in answer.variables:
                assert one > name, "names must grow"
                name = one
                seen.append(one)
            # Every second step a row goes that was there, every other one comes that was not.
            step += 1
            key = f"ups-1/ups_module-{step % 30 + 1}"
            device = world.site.device_by_key(key)
            if device is None:
                fill(world, 1, step % 30 + 1)
            else:
                world.site.remove(device.id)
        assert len(seen) == len(set(seen))


async def test_a_row_is_there_when_its_device_is(world: World) -> None:
    ups = world.ups()
    async with serving(world, mibs=(wide_table(),)) as agent:
        assert await rows(agent) == []
        fill(world, 2, 5)
        assert await rows(agent) == [f"{WIDE}.{column}.{row}" for column in range(1, 7) for row in (5, 6)]
        module = world.site.device_by_key("ups-1/ups_module-5")
        assert module is not None
        world.post(module, {"output.voltage": None})
        assert f"{WIDE}.1.5" not in await rows(agent)
        world.site.remove(module.id)
        assert await rows(agent) == [f"{WIDE}.{column}.6" for column in range(1, 7)]
        world.site.remove(ups.id)
        assert await rows(agent) == []


async def test_names_that_are_no_rows_are_none(world: World) -> None:
    ups = world.ups()
    for number in ("00", "01", "x", "4294967296"):
        world.post(world.part(ups, "ups_module", number), dict.fromkeys(COLUMNS, 1.0))
    async with serving(world, mibs=(wide_table(),)) as agent:
        assert await rows(agent) == []


async def test_512_modules_that_change_at_once_do_not_stall_the_loop(world: World) -> None:
    world.ups()
    fill(world, MODULES)
    view = View(world.context, (wide_table(),), {}, lambda: 1.0)
    view.show("ups", "ups-1")
    await view.complete()
    last = (*oid(WIDE), len(COLUMNS), MODULES)
    assert len(view.instances) == MODULES * len(COLUMNS)
    changes: list[Change] = []
    world.site.observe(changes.append)
    worst = []
    for amount in (2.0, 3.0, 4.0):
        fill(world, MODULES, amount=amount)
        before = view.instances.get(last)
        async with watching_work() as spans:
            await asyncio.sleep(0)
            view.follow(changes.pop())
            async with asyncio.timeout(10):
                while view.instances.get(last) == before:
                    await asyncio.sleep(0.001)
        worst.append(max(spans))
    assert min(worst) < STALL, worst
    view.close()
    assert len(view.instances) == 0


@pytest.mark.peer
async def test_the_table_of_alarms_is_kept(world: World) -> None:
    ups = world.ups()
    sensor = world.part(ups, "sensor", "2")
    table = f"{UPS}.6.2.1"
    async with serving(world) as agent:
        world.post(ups, conditions={"on_battery": True})
        world.post(sensor, {"sensor.value": 50.0}, {"value_high": True})
        walked = await agent.walk(V2C, f"{UPS}.6")
        ids = [value for name, value in walked.items() if name.startswith(f"{table}.2.")]
        assert ids == ["OID: .1.3.6.1.2.1.33.1.6.3.2", "OID: .1.3.6.1.2.1.33.1.6.3.134"]
        assert walked[f"{UPS}.6.1.0"] == "Gauge32: 2"
        times = [value for name, value in walked.items() if name.startswith(f"{table}.3.")]
        assert len(times) == 2
        assert all(value.isdigit() and int(value) < 3000 for value in times)
        world.post(ups, conditions={"on_battery": False})
        walked = await agent.walk(["-v2c", "-c", READ], f"{UPS}.6")
        assert [value for name, value in walked.items() if name.startswith(f"{table}.2.")] == ids[1:]
        assert walked[f"{UPS}.6.1.0"] == "Gauge32: 1"

"""Our own link reads our own agent: what goes out must come back the same."""

import asyncio

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import Sheet, probe_link
from ridethrough.links.schemes import open_link
from ridethrough.site import CommandError, Device, Value
from tests.bridge.feeds.rig import World

from .agents import PASSWORD, READ, SECRET, WRITE, Agent, serving

AGENTS_OWN = {"ups.firmware.aux"}
"""What the agent says of itself and not of the UPS."""
THREE_PHASES: dict[str, Value] = {
    "input.phases": 3,
    "output.phases": 3,
    "input.bypass.phases": 3,
    **{f"input.L{line}.voltage": 229.0 + line for line in (1, 2, 3)},
    **{f"input.L{line}.current": 10.5 + line for line in (1, 2, 3)},
    **{f"input.L{line}.realpower": 2000.0 + line for line in (1, 2, 3)},
    **{f"output.L{line}.voltage": 230.0 + line for line in (1, 2, 3)},
    **{f"output.L{line}.realpower": 1000.0 + line for line in (1, 2, 3)},
    **{f"output.L{line}.power": 1100.0 + line for line in (1, 2, 3)},
    **{f"output.L{line}.power.percent": 20.0 + line for line in (1, 2, 3)},
    **{f"input.bypass.L{line}.voltage": 231.0 + line for line in (1, 2, 3)},
    "input.frequency": 50.1,
    "output.frequency": 49.9,
    "input.bypass.frequency": 50.0,
    "ups.realpower": 3006.0,
    "ups.power": 3306.0,
    "ups.load": 22.0,
    "input.realpower": 6006.0,
}


async def read(agent: Agent, options: str = "", credentials: Credentials | None = None) -> Sheet:
    """Read the agent once with the bridge's own link."""
    sheets: list[Sheet] = []
    url = f"snmp://127.0.0.1:{agent.port}?timeout=2&poll=1{options}"
    context = LinkContext.alone(SystemClock())
    link = open_link(url, credentials or Credentials(community=READ), context)
    original = link.run

    async def run(report: Sheet) -> None:
        sheets.append(report)
        await original(report)

    link.run = run  # type: ignore[method-assign, assignment]  # to hold what the link reports
    await probe_link(link, url, context.clock)
    return sheets[0]


def told(world: World, device: Device) -> dict[str, Value]:
    """Give the good values of a device."""
    return {
        key: reading.value
        for key, reading in world.site.readings(device.id).items()
        if reading.good and reading.value is not None
    }


async def test_a_one_phase_ups_comes_back_the_same(world: World) -> None:
    ups = world.ups()
    world.post(
        ups,
        {
            "battery.current": -1.2,
            "battery.temperature": 24.0,
            "battery.runtime.elapsed": 0.0,
            "output.current": 1.9,
            "ups.realpower": 420.0,
            "input.current": 2.1,
            "input.lines.bad": 3,
            "input.transfer.low": 190.0,
            "input.frequency.nominal": 50.0,
            "ups.beeper.status": "enabled",
            "ups.test.state": "passed",
            "ups.test.result": "Passed",
            "ups.start.auto": True,
            "ups.location": "cellar",
            "battery.date": "2024-01-02",
            "output.energy": 12.34,
        },
        {"battery_depleted": False},
    )
    before = told(world, ups)
    del before["ups.temperature"]  # RFC 1628 has no object for it
    async with serving(world) as agent:
        sheet = await read(agent)
    after = {key: value for key, value in sheet.points.items() if value is not None and key not in AGENTS_OWN}
    extra = {"ups.name": "ups-1", "input.phases": 1, "output.phases": 1, "alarms.present": 0}
    assert after == before | extra
    assert sheet.conditions["on_battery"] is False
    assert sheet.conditions["output_active"] is True
    assert sheet.conditions["battery_low"] is False


async def test_three_phases_come_back_as_three(world: World) -> None:
    ups = world.device("ups-1")
    world.post(ups, THREE_PHASES, {"on_battery": False})
    async with serving(world) as agent:
        points = (await read(agent)).points
    for key, value in THREE_PHASES.items():
        assert points[key] == pytest.approx(value), key


async def test_an_outage_comes_back_with_its_alarms(world: World) -> None:
    ups = world.ups()
    async with serving(world) as agent:
        world.post(
            ups, {"ups.mode": "battery", "battery.runtime.elapsed": 20.0}, {"on_battery": True, "overload": True}
        )
        world.post(ups, {"battery.status": "low"}, {"battery_low": True})
        sheet = await read(agent)
        assert sheet.points["ups.mode"] == "battery"
        assert sheet.points["alarms.present"] == 3
        assert sheet.points["battery.status"] == "low"
        assert all(sheet.conditions[name] for name in ("on_battery", "overload", "battery_low"))
        world.post(ups, {"ups.mode": "line", "battery.status": "normal"}, {"on_battery": False, "battery_low": False})
        sheet = await read(agent)
        assert sheet.points["alarms.present"] == 1
        assert sheet.conditions["on_battery"] is False
        assert sheet.conditions["overload"] is True


async def test_children_come_back_as_what_they_are(world: World) -> None:
    ups = world.ups()
    sensor = world.part(ups, "sensor", "3")
    world.post(sensor, {"sensor.value": 21.5, "sensor.location": "door", "sensor.unit": "C", "sensor.high": 30.0})
    warm = world.part(ups, "sensor", "4")
    world.post(warm, {"sensor.temperature": 23.4})
    ports = world.part(ups, "io_box", "1", commands=("output.set",))
    world.post(ports, {"output.1": True, "output.2": False})
    manager = world.part(ups, "io_box", "2")
    world.post(manager, {"input.1": True, "output.8": True})
    switch = world.part(ups, "transfer_switch", "1")
    world.post(
        switch,
        {"input.source.preferred": "B", "transfer.auto": True, "output.voltage": 230.0},
        {"on_source_a": True},
    )
    for number, state in (("1", "normal"), ("2", "fault")):
        world.post(world.part(ups, "ups_module", number), {"module.status": state})
    async with serving(world) as agent:
        children = (await read(agent)).children
    assert children["sensor", "3"].points["sensor.value"] == 21.5
    assert children["sensor", "3"].points["sensor.location"] == "door"
    assert children["sensor", "4"].points["sensor.value"] == 23.4
    assert children["io_box", "1"].points["output.1"] is True
    assert children["io_box", "1"].points["output.2"] is False
    assert children["io_box", "2"].points["input.1"] is True
    assert children["io_box", "2"].points["output.8"] is True
    assert children["transfer_switch", "1"].points["input.source.preferred"] == "B"
    assert children["transfer_switch", "1"].conditions["on_source_a"] is True
    assert children["ups_module", "1"].points["module.status"] == "normal"
    assert children["ups_module", "2"].conditions["general_fault"] is True


async def test_a_lost_ups_keeps_its_name_and_its_alarm_but_no_value(world: World) -> None:
    ups = world.ups()
    async with serving(world) as agent:
        world.lose(ups)
        walked = await agent.walk(["-v2c", "-c", READ], "1.3.6.1.2.1.33.1")
        short = {name.removeprefix("1.3.6.1.2.1.33.1."): value for name, value in walked.items()}
        assert {name for name in short if name.startswith(("2.", "9.", "3.3", "4.4", "4.1", "4.2"))} == set()
        assert short["1.1.0"] == 'STRING: "Example"'
        assert short["3.2.0"] == "INTEGER: 1"
        assert short["6.1.0"] == "Gauge32: 1"
        assert [value for name, value in short.items() if name.startswith("6.2.1.2.")] == [
            "OID: .1.3.6.1.2.1.33.1.6.3.20"
        ]


@pytest.mark.parametrize("version", ["v2c", "v3"])
async def test_our_own_link_commands_what_our_own_agent_allows(world: World, version: str) -> None:
    ups = world.ups(commands=("test.battery.start.quick", "shutdown.return", "shutdown.stop", "beeper.mute"))
    world.post(ups, {"ups.test.state": "none", "ups.beeper.status": "enabled"})
    writer = Credentials(username="writer", password=PASSWORD, privacy_password=SECRET)
    options, credentials = ("", Credentials(community=WRITE))
    if version == "v3":
        options, credentials = "&version=3&auth=sha256&privacy=aes", writer
    async with serving(world) as agent:
        url = f"snmp://127.0.0.1:{agent.port}?timeout=2&poll=1{options}"
        link = open_link(url, credentials, LinkContext.alone(SystemClock()))
        sheet = Sheet()
        running = asyncio.create_task(link.run(sheet))
        try:
            await asyncio.wait_for(sheet.second_status.wait(), 20)
            assert {"test.battery.start.quick", "shutdown.return", "beeper.mute"} <= sheet.identity.commands
            world.post(ups, {"ups.test.state": "in_progress", "ups.beeper.status": "muted"})
            assert (await link.perform("test.battery.start.quick", {})).confirmed
            assert (await link.perform("beeper.mute", {})).confirmed
            world.post(ups, {"ups.timer.shutdown": 60.0})
            assert (await link.perform("shutdown.return", {"delay": 60, "restore": 120})).confirmed
            with pytest.raises(CommandError):
                await link.perform("load.off", {})
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert world.given == [
        (ups.id, "test.battery.start.quick", {}),
        (ups.id, "beeper.mute", {}),
        (ups.id, "shutdown.return", {"delay": 60, "restore": 120}),
    ]

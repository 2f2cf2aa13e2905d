"""A UPS with an SNMP card in the bridge: link, runner, site and probe together."""

import asyncio
import json

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import probe, render_table, to_json
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.site import CommandError, Commands, Device, DeviceId, Quality, Site
from ridethrough.tasks import Backoff
from tests.peers.snmpagent import Datum

from .conftest import snmp_link
from .test_children import cs141, numbers
from .test_faults import U, ups


async def test_site_has_the_ups_and_its_children_loses_them_and_has_them_back() -> None:
    clock = SystemClock()
    site = Site(load_catalogue(), clock)
    commands = Commands(site)
    me = DeviceId("5b1f")
    async with cs141(numbers(U, {"11.1.0": 1})) as agent:
        device = Device(me, "ups-1", "ups", "UPS 1")
        runner = LinkRunner(
            snmp_link(agent), device, site, commands, clock,
            granted=frozenset({"output"}), mint=DeviceId, backoff=Backoff(0.02, 0.05, 0.0),
        )  # fmt: skip
        changed = asyncio.Event()
        site.observe(lambda _change: changed.set())
        task = asyncio.create_task(runner.run())

        async def until(quality: Quality) -> None:
            async with asyncio.timeout(20):
                while (reading := site.reading(me, "battery.charge")) is None or reading.quality is not quality:
                    changed.clear()
                    await changed.wait()

        await until(Quality.GOOD)
        while "ups-1/io_box-1" not in site.devices:
            await asyncio.sleep(0.01)
        box = site.devices[DeviceId("ups-1/io_box-1")]
        await asyncio.sleep(0.2)
        assert box.parent == me
        assert site.devices[me].commands == frozenset(), "nothing but outputs is granted"
        result = await commands.perform(box.id, "output.set", {"number": 1, "state": 0})
        assert result.confirmed
        agent.manners.silent = True
        await until(Quality.LOST)
        assert runner.state is LinkState.LOST
        with pytest.raises(CommandError, match="cannot be reached"):
            await commands.perform(box.id, "output.set", {"number": 1, "state": 1})
        agent.manners.silent = False
        await until(Quality.GOOD)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_probe_shows_points_in_their_units_and_objects_in_their_own_words() -> None:
    async with ups() as agent:
        agent.put(f"{U}.3.3.1.4.1", Datum.integer(-1))
        url = f"snmp://{agent.host}:{agent.port}?timeout=1"
        result = await probe(url, Credentials(), LinkContext.alone(SystemClock()))
    assert result.complete
    rows = {row["key"]: row for row in json.loads(to_json(result))["rows"]}
    voltage = rows["upsBatteryVoltage.0"]
    assert (voltage["value"], voltage["unit"], voltage["text"]) == (54.0, "V", "540")
    assert (rows["upsInputCurrent.1"]["value"], rows["upsInputCurrent.1"]["quality"]) == (None, "unsupported")
    assert rows["upsEstimatedMinutesRemaining.0"]["value"] == 1800
    line = next(line for line in render_table(result).splitlines() if line.startswith("upsBatteryVoltage.0"))
    assert line.split()[1:3] == ["54.0", "V"]

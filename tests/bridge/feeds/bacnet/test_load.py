"""Many objects, and many that change at once: the loop goes on."""

import asyncio
import time

import pytest

from ridethrough.site import Device
from tests.bridge.feeds.fuzz import STALL, watching_work
from tests.bridge.feeds.rig import World

from .rig import DEVICE, a_stranger, serving, until

MODULES = 512


def sensors(world: World, count: int) -> list[Device]:
    """Add sensors with six values each."""
    made = [world.device(f"sensor-{number}", "sensor") for number in range(1, count + 1)]
    change(world, made, 0)
    return made


def change(world: World, devices: list[Device], step: int) -> None:
    """Let all of them change at once."""
    with world.site.transaction():
        for number, device in enumerate(devices):
            value = float(number % 50 + step)
            points = dict.fromkeys(("temperature", "humidity", "value", "low", "high"), value)
            world.lanes[device.id].post(
                {f"sensor.{name}": value for name, value in points.items()}, {"communications_lost": step % 2 == 1}
            )


@pytest.mark.slow
async def test_thousands_of_objects_come_change_and_go_without_stopping_the_loop(world: World) -> None:
    devices = sensors(world, MODULES)
    async with watching_work() as effort, serving(world) as served, a_stranger(served) as stranger:
        charge = await stranger.client.read_property(served.place, f"device,{DEVICE}", "object-list", 0)
        assert charge is not None
        objects = await stranger.client.get_object_list(served.place, DEVICE)
        assert len(objects) > 6 * MODULES
        for number in range(1, 150):
            await stranger.subscribe(f"analog-input,{number}", 1)
        effort.clear()
        posted = []
        for step in range(1, 4):
            before = time.thread_time()
            change(world, devices, step)
            posted.append(time.thread_time() - before)
            await asyncio.sleep(0.5)
        await until(
            lambda: stranger.read("analog-input,1", "present-value"), lambda value: value is not None and value > 0
        )
        ours = sorted(effort, reverse=True)
        # What the site takes to hear of a thousand changes, and its journal to tell of them, is none of this feed's.
        assert ours[2 * len(posted)] < STALL
        assert len(stranger.told) >= 3 * 149
        effort.clear()
        for device in devices[:100]:
            world.site.remove(device.id)
        await asyncio.sleep(0.3)
        await until(
            lambda: stranger.client.get_object_list(served.place, DEVICE),
            lambda found: len(found) <= len(objects) - 600,
        )

"""Many objects, and many that change at once: the loop goes on."""

import asyncio
from contextlib import suppress
from statistics import median
import time

import pytest

from ridethrough.site import Device
from tests.bridge.feeds.fuzz import never_stalled, watching_work
from tests.bridge.feeds.rig import World

from .rig import DEVICE, a_stranger, serving, until
from .test_network import Plain, packet_of

MODULES = 512
SUBSCRIBED = 150
"""Objects of one client, which may have 200."""
NOTING = 0.010
"""Seconds that the feed may take to note what has changed, in the turn in which the site hears of it."""


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


def subscribe(number: int) -> bytes:
    """Ask to be told of an analog input, without confirming it."""
    return packet_of(f"0104 0005{number % 256:02x}05 0901 1c {number:08x} 2900 3a0e10")


def told_of(subscriber: Plain) -> int:
    """Count what a subscriber has been told of, and forget it."""
    count = 0
    with suppress(BlockingIOError):
        while subscriber.socket.recv(2000):
            count += 1
    return count


async def posted(world: World, devices: list[Device], step: int) -> float:
    """Let all of them change, and wait for what comes of it; returns the change's own seconds of the processor."""
    before = time.thread_time()
    change(world, devices, step)
    spent = time.thread_time() - before
    await asyncio.sleep(0.5)
    return spent


@pytest.mark.slow
async def test_thousands_of_objects_come_change_and_go_without_stopping_the_loop(world: World) -> None:
    devices = sensors(world, MODULES)
    alone = [await posted(world, devices, step) for step in range(1, 4)]
    async with watching_work() as effort, serving(world) as served, a_stranger(served) as stranger:
        charge = await stranger.client.read_property(served.place, f"device,{DEVICE}", "object-list", 0)
        assert charge is not None
        objects = await stranger.client.get_object_list(served.place, DEVICE)
        assert len(objects) > 6 * MODULES
        # A client of its own, since what the stranger does with what it is told is done on this loop, too.
        with Plain(served) as subscriber:
            for number in range(1, SUBSCRIBED + 1):
                await subscriber.ask(subscribe(number))
            await asyncio.sleep(0.2)
            turns, together = [], []
            for step in range(4, 8):
                told_of(subscriber)
                effort.clear()
                together.append(await posted(world, devices, step))
                # The first turn is that of the change itself.
                turns += [effort[0] - together[-1], *effort[1:]]
                assert told_of(subscriber) == SUBSCRIBED
                # Nobody has subscribed to this one: its value is that of the moment in which it is read.
                last = f"analog-input,{5 * MODULES}"
                assert await stranger.read(last, "present-value") == (MODULES - 1) % 50 + step
        never_stalled(turns)
        assert median(together) - median(alone) < NOTING
        effort.clear()
        for device in devices[:100]:
            world.site.remove(device.id)
        await asyncio.sleep(0.3)
        await until(
            lambda: stranger.client.get_object_list(served.place, DEVICE),
            lambda found: len(found) <= len(objects) - 600,
        )

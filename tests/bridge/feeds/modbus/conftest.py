"""Fixtures of the Modbus feed's tests."""

from collections.abc import AsyncIterator

import pytest

from ridethrough.config.feeds import ModbusConfig
from tests.bridge.feeds.rig import World

from .masters import UPS_1, Master, Served, served


@pytest.fixture
async def feed(world: World) -> AsyncIterator[Served]:
    """Serve a UPS on mains, with an I/O box whose outputs may be switched, as unit 1."""
    ups = world.ups(commands=("load.off",))
    box = world.part(ups, "io_box", "1", commands=("output.set",))
    world.post(box, {f"output.{number}": number == 1 for number in range(1, 9)})
    config = ModbusConfig(port=0, units=UPS_1, allow=frozenset({"output"}), connections=4)
    async with served(world, config) as running:
        yield running


@pytest.fixture
async def master(feed: Served) -> AsyncIterator[Master]:
    """Connect to it."""
    async with Master(feed.port) as connected:
        yield connected

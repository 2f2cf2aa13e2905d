"""Fixtures of the NUT server's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.bridge.feeds.rig import World

from .rig import Served, a_server


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    """Serve a bridge with one UPS."""
    world.ups(commands=("beeper.mute", "beeper.toggle", "test.battery.start", "shutdown.return"))
    async with a_server(world) as server:
        yield server

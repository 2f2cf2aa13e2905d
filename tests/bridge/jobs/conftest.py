"""Fixtures of the tests of jobs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ridethrough.site import Device
from tests.bridge.feeds.rig import a_world
from tests.heartbeats import cancel_heartbeats

from .rig import Shop, UdpPeer


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Make a bridge with jobs and no devices."""
    async with a_world(tmp_path) as world:
        yield Shop(world)


@pytest.fixture
def ups(shop: Shop) -> Device:
    """Add a UPS on mains."""
    return shop.world.ups(commands=("load.off", "test.battery.start.quick", "shutdown.return"))


@pytest.fixture
def udp() -> Iterator[UdpPeer]:
    """Listen for datagrams."""
    peer = UdpPeer()
    yield peer
    peer.close()


@pytest.fixture(autouse=True)
async def aiohttp_heartbeats() -> AsyncIterator[None]:
    """Leave no heartbeat of a WebSocket behind."""
    yield
    cancel_heartbeats()

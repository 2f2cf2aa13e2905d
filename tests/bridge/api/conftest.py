"""A running API for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.heartbeats import cancel_heartbeats

from .harness import World, running


@pytest.fixture(autouse=True)
async def aiohttp_heartbeats() -> AsyncIterator[None]:
    """Leave no heartbeat of a WebSocket behind."""
    yield
    cancel_heartbeats()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Run the API on loopback."""
    async with running(tmp_path) as world:
        yield world

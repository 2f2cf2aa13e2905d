"""Fixtures of the SNMP agent's tests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bridge.feeds.rig import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Make a bridge without devices, and wait for what its database still closes after a test that was quick."""
    async with a_world(tmp_path) as made:
        yield made
    closing = [task for task in asyncio.all_tasks() if "_terminate_graceful_close" in repr(task.get_coro())]
    if closing:
        # One whose thread has ended meanwhile never tells that it is closed.
        await asyncio.wait(closing, timeout=1)

"""A running API for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .harness import World, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Run the API on loopback."""
    async with running(tmp_path) as world:
        yield world

"""Fixtures of the feeds' tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .rig import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Make a bridge without devices."""
    async with a_world(tmp_path) as made:
        yield made

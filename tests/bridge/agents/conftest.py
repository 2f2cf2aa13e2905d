"""Fixtures of the agents' tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .rig import Bridge, a_bridge


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    """Make a bridge without agents."""
    async with a_bridge(tmp_path) as made:
        yield made

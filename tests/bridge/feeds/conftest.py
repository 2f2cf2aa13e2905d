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


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have a test run once more, with the same packets, when all that was wrong is that the loop was deaf for too long.

    What packets bring about they bring about again. But a virtual machine charges a thread with time in which it had no
    processor: a program that does nothing but read its clocks has seen 10 ms at once.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun="Stalled"))

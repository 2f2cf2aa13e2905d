"""Expiry as a service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ridethrough.clock import ManualClock
from ridethrough.site import Change, Quality, Site, keep_expiring

from .conftest import UPS


class CountingClock(ManualClock):
    """Counts how often something goes to sleep."""

    sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await super().sleep(seconds)


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture
async def expiring(site: Site, clock: CountingClock) -> AsyncIterator[None]:
    """Run the service."""
    task = asyncio.create_task(keep_expiring(site, clock))
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("expiring")
async def test_reading_becomes_stale_at_its_deadline(site: Site, clock: CountingClock, changes: list[Change]) -> None:
    site.lane(UPS, 2.5).post({"ups.load": 1.0})
    await clock.advance(2.4)
    assert len(changes) == 1
    await clock.advance(0.2)
    reading = site.reading(UPS, "ups.load")
    assert reading is not None
    assert reading.quality is Quality.STALE


@pytest.mark.usefixtures("expiring")
async def test_service_looks_once_a_second_when_nothing_is_due(clock: CountingClock) -> None:
    await clock.advance(60)
    assert 59 <= clock.sleeps <= 61


@pytest.mark.usefixtures("expiring")
async def test_flood_of_deadlines_keeps_no_one_busy(site: Site, clock: CountingClock) -> None:
    lane = site.lane(UPS, 0.001)
    for _ in range(100):
        lane.post({"ups.load": 1.0})
        await clock.advance(0.01)
    assert clock.sleeps <= 22

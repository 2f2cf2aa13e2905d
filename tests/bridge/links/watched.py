"""A UPS in the bridge: a link, its runner and a site together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import Link
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.site import Commands, Device, DeviceId, Quality, Site
from ridethrough.tasks import Backoff


class Watched:
    """A site with one UPS."""

    def __init__(self, link: Link, granted: frozenset[str], kind: str = "ups") -> None:
        clock = SystemClock()
        self.id = DeviceId("5b1f")
        self.site = Site(load_catalogue(), clock)
        self.commands = Commands(self.site)
        self.runner = LinkRunner(
            link,
            Device(self.id, "ups-1", kind, "UPS 1"),
            self.site,
            self.commands,
            clock,
            granted=granted,
            mint=DeviceId,
            backoff=Backoff(0.02, 0.05, 0.0),
        )
        self._changed = asyncio.Event()
        self.site.observe(lambda _change: self._changed.set())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def active(self, condition: str) -> bool:
        return self.site.conditions(self.id)[condition].active

    def quality(self, point: str) -> Quality:
        reading = self.site.reading(self.id, point)
        assert reading is not None
        return reading.quality


@asynccontextmanager
async def watched(link: Link, *granted: str, kind: str = "ups") -> AsyncIterator[Watched]:
    """Run a UPS in a site, with these command groups granted, and wait until it is connected."""
    whole = Watched(link, frozenset(granted), kind)
    running = asyncio.create_task(whole.runner.run())
    try:
        await whole.until(lambda: whole.runner.state is LinkState.CONNECTED)
        yield whole
    finally:
        running.cancel()
        await asyncio.wait({running})

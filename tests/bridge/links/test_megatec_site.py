"""A Megatec UPS in the bridge: link, runner and site together."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import CommandError
from ridethrough.links.megatec import MegatecLink
from ridethrough.links.ports import SerialPorts
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.site import Commands, Device, DeviceId, Quality, Site
from ridethrough.tasks import Backoff

from .megatec import megatec
from .peers import SerialPeer, status


class Watched:
    """A site with one UPS on a Megatec link."""

    def __init__(self, link: MegatecLink, granted: frozenset[str]) -> None:
        clock = SystemClock()
        self.id = DeviceId("5b1f")
        self.site = Site(load_catalogue(), clock)
        self.commands = Commands(self.site)
        self.runner = LinkRunner(
            link,
            Device(self.id, "ups-1", "ups", "UPS 1"),
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


@pytest.fixture
async def watched(peer: SerialPeer, ports: SerialPorts) -> AsyncIterator[Watched]:
    """Run a UPS in a site, with the beeper granted and nothing else."""
    whole = Watched(megatec(peer, ports), frozenset({"beeper"}))
    running = asyncio.create_task(whole.runner.run())
    await whole.until(lambda: whole.runner.state is LinkState.CONNECTED)
    yield whole
    running.cancel()
    await asyncio.wait({running})


async def test_an_unplugged_ups_is_lost_in_the_site_and_good_again_when_it_is_back(
    peer: SerialPeer, watched: Watched
) -> None:
    assert watched.quality("input.voltage") is Quality.GOOD
    peer.hang_up()
    await watched.until(lambda: watched.active("communications_lost"))
    assert watched.quality("input.voltage") is Quality.LOST
    assert watched.site.conditions(watched.id)["on_battery"].quality is Quality.LOST
    peer.plug_in()
    await watched.until(lambda: not watched.active("communications_lost"))
    assert watched.quality("input.voltage") is Quality.GOOD


async def test_a_change_on_the_line_reaches_the_site_soon_after_its_last_byte(
    peer: SerialPeer, ports: SerialPorts, watched: Watched
) -> None:
    peer.answers[b"Q1\r"] = status("10001001")
    await watched.until(lambda: watched.active("on_battery"))
    state = watched.site.conditions(watched.id)["on_battery"]
    trace = ports.trace(peer.path)
    assert trace is not None
    told = next(line for line in trace.lines if b"10001001" in line.data)
    assert (state.since - told.at).total_seconds() < 0.1


async def test_only_granted_commands_reach_the_ups(peer: SerialPeer, watched: Watched) -> None:
    await watched.until(lambda: bool(watched.site.devices[watched.id].commands))
    assert watched.site.devices[watched.id].commands == {"beeper.toggle", "beeper.enable", "beeper.disable"}
    with pytest.raises(CommandError) as caught:
        await watched.commands.perform(watched.id, "load.off", {})
    assert caught.value.code == "not_granted"
    assert b"S00R0000\r" not in peer.heard

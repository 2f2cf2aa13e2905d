"""A Megatec UPS in the bridge: link, runner and site together."""

from collections.abc import AsyncIterator

import pytest

from ridethrough.links.base import CommandError
from ridethrough.links.ports import SerialPorts
from ridethrough.site import Quality

from .megatec import megatec
from .peers import SerialPeer, status
from .watched import Watched, watched


@pytest.fixture(name="watched")
async def watched_ups(peer: SerialPeer, ports: SerialPorts) -> AsyncIterator[Watched]:
    """Run a UPS in a site, with the beeper granted and nothing else."""
    async with watched(megatec(peer, ports), "beeper") as whole:
        yield whole


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

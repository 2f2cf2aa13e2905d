"""Numbers of confirmed notifications: none is used again while a peer may remember it."""

import asyncio

from bacpypes3.pdu import IPv4Address, LocalStation
import pytest

from ridethrough.clock import ManualClock
from ridethrough.feeds.bacnet.invocations import MOST_ADDRESSES, NUMBERS, REST, Invocations
from tests.bridge.feeds.rig import World

from .rig import a_stranger, serving, until

PEER = IPv4Address("192.0.2.1")


async def test_a_number_rests_before_it_is_used_again() -> None:
    clock = ManualClock()
    invocations = Invocations(clock)
    first = [await invocations.take(PEER) for _ in range(NUMBERS)]
    assert len(set(first)) == NUMBERS
    again = [asyncio.create_task(invocations.take(PEER)) for _ in range(4)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in again)
    clock.tick(REST)
    assert await asyncio.wait_for(asyncio.gather(*again), 1) == first[:4]
    assert await invocations.take(PEER) == first[4]  # it has rested meanwhile


async def test_an_address_has_its_numbers_however_it_is_written() -> None:
    invocations = Invocations(ManualClock())
    first = await invocations.take(PEER)
    second = await invocations.take(LocalStation(bytes(PEER.addrAddr)))
    assert second == (first + 1) % NUMBERS


async def test_only_so_many_addresses_are_known() -> None:
    invocations = Invocations(ManualClock())
    for number in range(MOST_ADDRESSES + 10):
        await invocations.take(IPv4Address(f"192.0.2.1:{40000 + number}"))
    assert len(invocations) == MOST_ADDRESSES


@pytest.mark.slow
async def test_a_client_is_told_of_more_changes_than_there_are_numbers(world: World) -> None:
    """bac-py takes a number that comes back within some seconds for a repeated request."""
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        charge = await stranger.named("ups-1.battery.charge")
        await stranger.subscribe(charge, 1, confirmed=True)
        for count in range(1, NUMBERS + 1):
            await until(lambda: len(stranger.told), count.__eq__)
            world.post(ups, {"battery.charge": float(count % 2) * 50})
        began = asyncio.get_running_loop().time()
        await until(lambda: len(stranger.told), lambda told: told == NUMBERS + 1, REST + 5)
        assert asyncio.get_running_loop().time() - began > 1  # it has waited for a number, and nothing is lost

"""Packets that nobody should send: no crash, no leak, no stall, and a good client is answered meanwhile."""

import asyncio
import logging
import socket
import time
from typing import Any

import pytest

from ridethrough.feeds.bacnet import time_sync
from tests.bridge.feeds.fuzz import PACKETS, Memory, mutations, never_stalled, watching_work
from tests.bridge.feeds.rig import World

from .rig import DEVICE, Stranger, a_stranger, serving
from .test_network import BROADCAST_WHO_IS, READ_NAME, SUBSCRIBE, WHO_IS, packet_of

SEEDS = (
    WHO_IS,
    READ_NAME,
    SUBSCRIBE,
    BROADCAST_WHO_IS,
    packet_of("0104 0275020e 0c 00000001 1e 0955 091c 094d 0975 1f"),  # several properties
    packet_of("0104 0275030e 0c 023fffff 1e 0908 1f"),  # all properties
    packet_of("0104 0275040c 0c 023fffff 194c"),  # the object list
    packet_of("0104 0005050f 0c 01000001 1955 3e 9101 3f 4908"),  # write
    packet_of("0104 00050610 0c 01000001 1e 0955 2e 9101 2f 3908 1f"),  # write several
    packet_of("0104 0005071c 0903 1c 00000001 2900 3964 4e 0955 4f 5c 3f800000"),  # subscribe to a property
    packet_of("0104 0005081a 0c 00000001 1955 3e 2101 2901 3f"),  # a range
    packet_of("0104 0005010009051c00c0000129023e2ea47e0b1506b4112b07002f3f4c004142435e2ea47e0b1506b4112b07002f5f"),
    packet_of("0104 0005021d"),  # event information, after an acknowledgement of an alarm
    packet_of("0104 0005031d 0c 00c00001"),  # from there on
    packet_of("0104 00050403"),  # alarm summary
    packet_of(
        "0104 0005080f 0c 03c00003 1966 3e 8201fe b400000000 b4173b3b63 0c02000007 2109 11 8205e0 3f"
    ),  # recipients
    packet_of("0100 1006 a47e0b1506 b4112b070b"),  # the time
    packet_of("0100 1009 a47e0b1506 b4112b070b"),  # the time in UTC
    packet_of("0100 200102"),  # acknowledgements of notifications that were never sent
    packet_of("0100 500102 9102 9120"),
    packet_of("0120ffff00ff 1007 3d 0c 00 7570732d312e6f6e"),  # who has
    packet_of("0180 00 0009"),  # who is the router to
    packet_of("0180 01 0009 000a"),  # I am the router to
    packet_of("0180 13 0009 01"),  # network number is
    packet_of("0180 12"),  # what is the network number
    packet_of("0180 06 01 0009 02 00"),  # initialise the routing table
    packet_of("010c 0005 01 09 0005010c 0c 023fffff 194d"),  # from another network
    packet_of("0100 2001 0f"),  # acknowledgements of what was never asked
    packet_of("0100 30010c 0c 00000001 1955 3e 4400000000 3f"),
    packet_of("0100 4001 00 02"),
    packet_of("0100 5001 0e 9101 9120"),
    packet_of("0100 6101 04"),
    packet_of("0100 1000 c4 02000001 2205c4 9103 22 03e7"),  # I am
    bytes.fromhex("810000060000"),
    bytes.fromhex("81050006003c"),
    bytes.fromhex("81060004"),
    bytes.fromhex("81080010 7f000001bac0 0000 0000"),
    bytes.fromhex("81020004"),
    bytes.fromhex("8104000e 7f000001bac0 0100 1008"),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("more", "count"),
    [
        pytest.param({}, PACKETS, id="device"),
        pytest.param({"bbmd": ("127.0.0.1/24",)}, PACKETS // 10, id="router"),
    ],
)
async def test_mutated_packets_do_no_harm(
    world: World, more: dict[str, Any], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    ups = world.ups(commands=("outlet.on",))
    outlet = world.part(ups, "outlet", "1", commands=("outlet.on", "outlet.off"))
    world.post(outlet, conditions={"outlet_on": True})
    world.post(ups, conditions={"battery_low": True, "overload": True})
    async with serving(world, **more) as served, a_stranger(served) as stranger:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            sender.connect((served.config.listen, served.config.port))
            sender.setblocking(False)
            async with watching_work() as effort:
                slowest = await _flood(sender, stranger, count, 1)
            await asyncio.sleep(4)  # what was begun has ended by then
            memory = Memory()
            await _flood(sender, stranger, count // 20, 2)
            await asyncio.sleep(4)
        grown = memory.grown()
        assert await stranger.read(f"device,{DEVICE}", "object-name") == "Test bridge"
        assert served.traffic.errors > count / 5
        assert served.traffic.requests > count / 100
    assert grown < 4_000_000
    assert slowest < 2.0
    never_stalled(effort)
    # What time it is may be said once a day.
    times = [one for one in caplog.records if one.name == time_sync.__name__]
    assert len(times) == 1
    caplog.records.remove(times[0])
    complaints = [one for one in caplog.records if one.name.startswith(("bacpypes3", "ridethrough"))]
    assert not [*complaints, *(one for one in caplog.records if one.levelno >= logging.ERROR)]


async def _flood(sender: socket.socket, stranger: Stranger, count: int, seed: int) -> float:
    """Send, and read something now and then; returns the slowest answer in seconds."""
    slowest = 0.0
    for number, packet in enumerate(mutations(SEEDS, count, seed)):
        try:
            sender.send(packet)
            sender.recv(2000)
        except BlockingIOError:
            pass
        # The loop takes one packet a turn; what comes faster is lost by the socket, and tries nothing.
        await asyncio.sleep(0)
        if number % 2000 == 0:
            before = time.perf_counter()
            assert await stranger.read("analog-input,1", "present-value") is not None
            slowest = max(slowest, time.perf_counter() - before)
    return slowest

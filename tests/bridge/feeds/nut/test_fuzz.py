"""Requests that nobody should send, while a good client is answered."""

import asyncio

import pytest

from tests.bridge.feeds.fuzz import PACKETS, Memory, mutations, never_stalled, watching_stalls
from tests.bridge.feeds.rig import World

from .rig import Served, a_server

SEEDS = (
    b"VER",
    b"GET VAR ups-1 ups.status",
    b"GET TYPE ups-1 battery.charge",
    b"GET DESC ups-1 battery.charge",
    b"GET CMDDESC ups-1 beeper.mute",
    b"GET NUMLOGINS ups-1",
    b"LIST UPS",
    b"LIST VAR ups-1",
    b"LIST CMD ups-1",
    b"LIST ENUM ups-1 ups.status",
    b"USERNAME monuser",
    b'PASSWORD "sec\\"ret"',
    b"LOGIN ups-1",
    b"PRIMARY ups-1",
    b"FSD ups-1",
    b"SET TRACKING ON",
    b'SET VAR ups-1 ups.id "a b"',
    b"INSTCMD ups-1 shutdown.return 60",
    b"GET TRACKING 5f2d",
    b"LOGOUT",
)
BATCH = 200
"""Lines on one connection."""
WARM_UP = 2_000
MEASURED = 10_000


async def throw(served: Served, lines: list[bytes]) -> None:
    """Send lines on a connection of its own, and read whatever comes until it is closed."""
    async with served.client() as client:
        try:
            client.writer.write(b"\n".join(lines) + b"\n")
            client.writer.write_eof()
            while await client.reader.read(65536):
                pass
        except ConnectionError:
            pass  # closed before it had read all: a LOGOUT, or a line without an end


@pytest.mark.slow
async def test_a_hundred_thousand_broken_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ridethrough.feeds.nut.accounts.PATIENCE", 0.0)
    # What a loop notes for debugging takes longer than the requests.
    asyncio.get_running_loop().set_debug(False)
    ups = world.ups(commands=("beeper.mute", "shutdown.return"))
    async with a_server(world) as served, served.client(log_in="monuser") as good:
        assert await good.ask("LOGIN ups-1") == "OK"
        lines = iter(mutations(SEEDS, PACKETS + WARM_UP))

        async def batches(count: int) -> None:
            for _ in range(count // BATCH):
                await throw(served, [next(lines) for _ in range(BATCH)])

        await batches(WARM_UP)
        memory = Memory()  # which makes everything slower
        await batches(MEASURED)
        assert memory.grown() < 500_000
        answered = 0
        async with watching_stalls() as work:
            throwing = asyncio.create_task(batches(PACKETS - MEASURED))
            while not throwing.done():
                assert await good.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "OL"'
                answered += 1
                await asyncio.sleep(0.001)
            await throwing
        assert answered > 500
        never_stalled(work.spans)
        assert served.traffic.clients == 1
        assert served.traffic.requests > PACKETS / 2
    # Nobody had the password.
    assert world.given == []
    assert "forced_shutdown" not in world.site.conditions(ups.id)

"""Debian's own clients of upsd against our server."""

import asyncio

import pytest

from tests.bridge.feeds.rig import World
from tests.strangers import peer

from .rig import Served

pytestmark = pytest.mark.peer


async def run(program: str, *arguments: str, patience: float = 10.0) -> tuple[int, str, str]:
    """Run a client; its return code, what it printed, and what it complained about."""
    process = await asyncio.create_subprocess_exec(
        peer(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(patience):
        out, complaint = await process.communicate()
    return process.returncode or 0, out.decode(), complaint.decode()


async def test_upsc_prints_the_upses_and_every_variable(world: World, served: Served) -> None:
    assert (await run("upsc", "-l", f"127.0.0.1:{served.port}"))[1] == "ups-1\n"
    assert (await run("upsc", "-L", f"127.0.0.1:{served.port}"))[1] == "ups-1: ups-1\n"
    code, out, complaint = await run("upsc", served.ups("ups-1"))
    assert code == 0, complaint
    variables = dict(line.split(": ", 1) for line in out.splitlines())
    assert variables["ups.status"] == "OL"
    assert variables["battery.charge"] == "100"
    assert variables["battery.runtime"] == "1800"
    assert variables["input.voltage"] == "230.0"
    assert variables["device.mfr"] == variables["ups.mfr"] == "Example"
    assert variables["driver.name"] == "ridethrough"
    assert list(variables) == sorted(variables)

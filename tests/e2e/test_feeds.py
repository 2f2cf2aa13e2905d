"""What building management sees of an outage: strangers' clients on the feeds of a real bridge, switched in Home Assistant."""

import asyncio
from collections.abc import Awaitable, Callable
import re
import socket

import aiohttp
import pytest

from scripts.demonstration.feeds import COMMUNITY
from scripts.demonstration.homeassistant import HomeAssistant, connected
from scripts.demonstration.simulator import Simulator
from scripts.demonstration.stack import UPS, USER, Stack
from tests.strangers import peer

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

STATUS = 109
"""The register of the UPSMAN status word (manual M:8252)."""
OUTPUT_SOURCE = "1.3.6.1.2.1.33.1.4.1.0"


async def run(program: str, *arguments: str) -> str:
    """Run a stranger's client and return what it prints, whatever becomes of it."""
    process = await asyncio.create_subprocess_exec(
        peer(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return out.decode(errors="replace")


async def modbus(stack: Stack) -> bool | None:
    """Whether mbpoll sees the UPS on battery."""
    place = ("-m", "tcp", "-p", str(stack.feeds.modbus), "-0", "-r", str(STATUS), "-c", "1", "127.0.0.1")
    found = re.search(rf"\[{STATUS}\]:\s+(\d+)", await run("mbpoll", "-1", *place))
    return None if found is None else bool(int(found[1]) & 0x0008)


async def snmp(stack: Stack) -> bool | None:
    """Whether snmpget sees the UPS on battery."""
    place = f"127.0.0.1:{stack.feeds.snmp}"
    value = (await run("snmpget", "-v2c", "-c", COMMUNITY, "-Oqv", place, OUTPUT_SOURCE)).strip()
    return {"3": False, "5": True}.get(value)


async def nut(stack: Stack) -> bool | None:
    """Whether upsc sees the UPS on battery."""
    words = (await run("upsc", f"{UPS}@127.0.0.1:{stack.feeds.nut}", "ups.status")).split()
    return True if "OB" in words else False if "OL" in words else None


async def shown(what: Callable[[], Awaitable[bool | None]], wanted: bool, seconds: float = 15) -> bool:
    """Wait until a client sees what it should."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        if await what() is wanted:
            return True
        await asyncio.sleep(0.2)
    return False


@pytest.mark.parametrize("client", [modbus, snmp, nut], ids=["mbpoll", "snmpget", "upsc"])
async def test_strangers_see_an_outage_and_its_end(
    stack: Stack, client: Callable[[Stack], Awaitable[bool | None]]
) -> None:
    async with aiohttp.ClientSession() as session:
        simulator = Simulator(session, stack.control_url)
        await simulator.set(mains=True, charge=1.0, load=0.35)
        assert await shown(lambda: client(stack), wanted=False)
        await simulator.set(mains=False)
        assert await shown(lambda: client(stack), wanted=True)
        await simulator.set(mains=True)
        assert await shown(lambda: client(stack), wanted=False)


async def switch(home_assistant: HomeAssistant, service: str) -> None:
    """Switch the Modbus feed as a person does."""
    target = {"entity_id": "switch.modbus"}
    await home_assistant.ask("call_service", domain="switch", service=service, target=target)


async def test_a_feed_is_switched_off_and_on_in_home_assistant(stack: Stack) -> None:
    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", stack.feeds.modbus)) == 0

    async with connected(stack.url, USER, stack.password) as home_assistant:
        await home_assistant.wait_for("switch.modbus", lambda seen: seen.state == "on", 30)
        await switch(home_assistant, "turn_off")
        await home_assistant.wait_for("switch.modbus", lambda seen: seen.state == "off", 10)
        await home_assistant.wait_for("binary_sensor.modbus_serving", lambda seen: seen.state == "off", 10)
        assert not listens()
        assert await snmp(stack) is not None, "the others serve on"
        await switch(home_assistant, "turn_on")
        await home_assistant.wait_for("binary_sensor.modbus_serving", lambda seen: seen.state == "on", 10)
        assert listens()
        requests = await home_assistant.wait_for("sensor.snmp_requests", lambda seen: float(seen.state) > 0, 30)
        assert float(requests.state) > 0

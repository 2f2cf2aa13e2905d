"""The integration's triggers and conditions in a real Home Assistant, with a real bridge and a simulated UPS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from scripts.demonstration.homeassistant import HomeAssistant, connected
from scripts.demonstration.outage import ON_BATTERY
from scripts.demonstration.simulator import Simulator
from scripts.demonstration.stack import USER, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

TARGET = {"entity_id": ON_BATTERY}
TRIGGERS: list[dict[str, Any]] = [
    {"trigger": "ridethrough.power_lost", "target": TARGET, "id": "lost"},
    {"trigger": "ridethrough.power_restored", "target": TARGET, "id": "restored"},
    {"trigger": "ridethrough.on_battery_for", "target": TARGET, "id": "for", "options": {"for": {"seconds": 2}}},
    {"trigger": "ridethrough.runtime_below", "target": TARGET, "id": "runtime", "options": {"seconds": 100_000}},
]


@asynccontextmanager
async def listening(home_assistant: HomeAssistant) -> AsyncIterator[list[str]]:
    """Subscribe to the triggers as the editor of automations does; gives the ids of those that fire."""
    fired: list[str] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{home_assistant.url}/api/websocket") as socket,
    ):
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": home_assistant._token})
        await socket.receive_json()
        await socket.send_json({"id": 1, "type": "subscribe_trigger", "trigger": TRIGGERS})
        answer = await socket.receive_json()
        assert answer["success"], answer

        async def read() -> None:
            async for message in socket:
                told = message.json()["event"]["variables"]["trigger"]
                fired.append(told["id"])

        reader = asyncio.create_task(read())
        try:
            yield fired
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


async def until(fired: list[str], *wanted: str) -> None:
    async with asyncio.timeout(20):
        while sorted(fired) != sorted(wanted):
            await asyncio.sleep(0.05)


async def met(home_assistant: HomeAssistant, condition: str) -> bool:
    answer = await home_assistant.ask(
        "test_condition", condition={"condition": f"ridethrough.{condition}", "target": TARGET}
    )
    return bool(answer["result"])


async def test_triggers_and_conditions_follow_an_outage(stack: Stack) -> None:
    async with aiohttp.ClientSession() as session, connected(stack.url, USER, stack.password) as home_assistant:
        simulator = Simulator(session, stack.control_url)
        await simulator.set(mains=True, charge=1.0, load=0.35)
        await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 30)
        assert not await met(home_assistant, "on_battery")
        assert await met(home_assistant, "is_redundant")
        assert await met(home_assistant, "data_is_fresh")
        async with listening(home_assistant) as fired:
            for _ in range(2):
                fired.clear()
                await simulator.set(mains=False)
                await until(fired, "lost", "runtime", "for")
                assert await met(home_assistant, "on_battery")
                assert not await met(home_assistant, "is_redundant")
                await simulator.set(mains=True)
                await until(fired, "lost", "runtime", "for", "restored")
            # A line that is unplugged is no outage, and no end of one.
            fired.clear()
            await simulator.set(line={"plugged": False})
            await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "unavailable", 15)
            assert not await met(home_assistant, "data_is_fresh")
            assert not await met(home_assistant, "is_redundant")
            await simulator.set(line={"plugged": True})
            await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 30)
            assert fired == []
            # The outage goes on while the bridge is away, and is told once.
            await simulator.set(mains=False)
            await until(fired, "lost", "runtime", "for")
            await stack.bridge.kill()
            await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "unavailable", 10)
            await stack.start_bridge()
            await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "on", 30)
            await asyncio.sleep(3)  # the time on battery, were it to begin anew
            await simulator.set(mains=True)
            await until(fired, "lost", "runtime", "for", "restored")

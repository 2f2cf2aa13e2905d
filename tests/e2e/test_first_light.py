"""The main job end to end: simulator, bridge and Home Assistant as real processes, and what goes wrong in between."""

import asyncio
from collections.abc import AsyncIterator
import csv
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from scripts.demonstration.browser import find_chromium, picture
from scripts.demonstration.homeassistant import HomeAssistant, connected
from scripts.demonstration.outage import CHARGE, COMMUNICATION, EVENTS, MODE, ON_BATTERY, RUNTIME, tell
from scripts.demonstration.simulator import Simulator
from scripts.demonstration.stack import USER, Stack
from scripts.demonstration.timing import BUDGET, wire_to_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

PICTURE = Path(".cache/pictures/outage.png")


@pytest_asyncio.fixture(loop_scope="module")
async def simulator(stack: Stack) -> AsyncIterator[Simulator]:
    """Give the UPS, with the mains on and the batteries full, before each test."""
    async with aiohttp.ClientSession() as session:
        simulator = Simulator(session, stack.control_url)
        await simulator.speed(1)
        await simulator.set(mains=True, charge=1.0, load=0.35)
        yield simulator


@pytest_asyncio.fixture(loop_scope="module")
async def home_assistant(stack: Stack, simulator: Simulator) -> AsyncIterator[HomeAssistant]:
    """Give a client of Home Assistant that sees the UPS at rest."""
    async with connected(stack.url, USER, stack.password) as home_assistant:
        await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 30)
        yield home_assistant


async def test_home_assistant_shows_an_outage_from_beginning_to_end(
    stack: Stack, simulator: Simulator, home_assistant: HomeAssistant
) -> None:
    texts: list[str] = []

    async def at_the_depth() -> None:
        if find_chromium() is not None:
            texts.append(await picture(stack, PICTURE))

    story = await tell(simulator, home_assistant, at_the_depth)

    assert float(story.seen["charge falls"].state) < float(story.seen["charge"].state)
    assert float(story.seen["runtime follows at once"].state) < float(story.seen["runtime"].state)
    if not texts:
        pytest.skip("The outage is shown, but there is no Chromium to take its picture with (scripts/setup --peers)")
    for shown in ("On battery", "Battery charge", "Runtime", "Problem", "Battery"):
        assert shown in texts[0]


async def test_changes_reach_home_assistant_within_the_budget(
    simulator: Simulator, home_assistant: HomeAssistant
) -> None:
    measured = await wire_to_state(simulator, home_assistant, ON_BATTERY, 20)
    assert measured.state.quantile(0.99) < BUDGET, str(measured.state)


async def test_home_assistant_restarted_in_an_outage_misses_no_event_and_doubles_none(
    stack: Stack, simulator: Simulator, home_assistant: HomeAssistant
) -> None:
    began = await _last_seq(stack)
    await simulator.set(mains=False)
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "on", 10)
    await stack.home_assistant.stop()
    await simulator.set(mains=True)
    await _until_event(stack, began, "on_battery", "cleared")
    await simulator.set(mains=False)
    await _until_event(stack, began, "on_battery", "raised", times=2)

    await stack.start_home_assistant()
    async with connected(stack.url, USER, stack.password) as again:
        await again.wait_for(ON_BATTERY, lambda seen: seen.state == "on", 30)
        await simulator.set(mains=True)
        await again.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 10)
        await asyncio.sleep(3)  # the recorder writes once a second
        fired = await _fired(again, began)
    rows = [row for row in await _journal(stack, began) if row["kind"] == "condition"]
    ups = next(row["device"] for row in rows if row["key"] == "on_battery")
    assert fired == [int(row["seq"]) for row in rows if row["device"] == ups]


async def test_bridge_killed_in_an_outage_knows_it_when_it_comes_back(
    stack: Stack, simulator: Simulator, home_assistant: HomeAssistant
) -> None:
    began = await _last_seq(stack)
    await simulator.set(mains=False)
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "on", 10)

    await stack.bridge.kill()
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "unavailable", 10)
    await stack.start_bridge()
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "on", 30)
    await simulator.set(mains=True)
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 10)

    # People see it a moment before the disk has it.
    await _until_event(stack, began, "on_battery", "cleared")
    edges = [row["edge"] for row in await _journal(stack, began) if row["key"] == "on_battery"]
    assert edges == ["raised", "cleared"]


async def test_line_unplugged_and_back(stack: Stack, simulator: Simulator, home_assistant: HomeAssistant) -> None:
    await simulator.set(line={"plugged": False})
    await home_assistant.wait_for(COMMUNICATION, lambda seen: seen.state == "on", 15)
    for entity in (CHARGE, RUNTIME, MODE, ON_BATTERY):
        await home_assistant.wait_for(entity, lambda seen: seen.state == "unavailable", 15)
    await simulator.set(line={"plugged": True})
    await home_assistant.wait_for(COMMUNICATION, lambda seen: seen.state == "off", 30)
    await home_assistant.wait_for(ON_BATTERY, lambda seen: seen.state == "off", 10)


async def _journal(stack: Stack, after: int) -> list[dict[str, str]]:
    headers = {"Authorization": f"Bearer {stack.token}"}
    url = f"http://127.0.0.1:{stack.api_port}/api/v1/events.csv?after={after}"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        response.raise_for_status()
        return list(csv.DictReader(io.StringIO(await response.text())))


async def _last_seq(stack: Stack) -> int:
    return max((int(row["seq"]) for row in await _journal(stack, 0)), default=0)


async def _until_event(stack: Stack, after: int, key: str, edge: str, times: int = 1) -> None:
    async with asyncio.timeout(15):
        while True:
            rows = await _journal(stack, after)
            if sum((row["key"], row["edge"]) == (key, edge) for row in rows) >= times:
                return
            await asyncio.sleep(0.1)


async def _fired(home_assistant: HomeAssistant, after: int) -> list[int]:
    """Ask for the sequence numbers of all events that the event entity has fired, as Home Assistant's recorder has them."""
    history: dict[str, list[dict[str, Any]]] = await home_assistant.ask(
        "history/history_during_period",
        start_time="2020-01-01T00:00:00+00:00",
        entity_ids=[EVENTS],
        minimal_response=False,
        no_attributes=False,
        significant_changes_only=False,
    )
    fired: dict[str, int] = {}
    for row in history[EVENTS]:
        # The state is the moment of firing: what a restart restores has the same one, what is fired twice has another.
        seq = row["a"].get("seq")
        if row["s"] not in ("unknown", "unavailable") and seq is not None and seq > after:
            fired[row["s"]] = seq
    return list(fired.values())

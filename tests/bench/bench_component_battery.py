"""What a battery system of 512 blocks costs Home Assistant: set-up, a steady scan, and a status card that looks on.

Run it with `scripts/bench bench_component_battery`. A scan of 512 modules brings some 650 values a second, which the
bridge tells in ticks of 50 ms.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import cycle
import json
import logging
import os
from pathlib import Path
import subprocess
import sys
import time

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.ridethrough.status_screen import StatusScreen
from tests.component.battery_site import SYSTEM_ID, add_battery, module_id
from tests.component.bridge_peer import BridgePeer, Message, reading
from tests.component.conftest import entry_for

pytest_plugins = ["tests.component.conftest"]

STRINGS, BLOCKS = 16, 32
SET_UP = 10.0
"""Seconds (DESIGN §9)."""
SHARE = 0.05
"""Of a core, in the mean (DESIGN §9)."""
RATE = 650
"""Values a second that a full scan brings."""
TICK = 0.05
SECONDS = 20.0


@pytest.fixture
async def site(socket_enabled: None) -> AsyncIterator[BridgePeer]:
    """Run a bridge with 512 blocks, all conditions and all values of each."""
    # Its own check of what it says would be the greater part of it all.
    peer = BridgePeer(lawful=False)
    add_battery(peer, STRINGS, BLOCKS)
    await peer.start()
    yield peer
    await peer.stop()


def memory() -> float:
    """Return what this process occupies, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def steady(site: BridgePeer, told: bool = True) -> float:
    """Let a scan go on for a while; returns the share of a core, what the peer itself costs included."""
    values = cycle(
        [
            (number, key)
            for number in range(1, STRINGS * BLOCKS + 1)
            for key in ("module.voltage", "module.temperature", "module.impedance", "module.equalizing")
        ]
    )
    began, cpu, sent = time.perf_counter(), time.process_time(), 0
    while (passed := time.perf_counter() - began) < SECONDS:
        points: dict[str, dict[str, Message]] = {}
        while sent < RATE * passed:
            number, key = next(values)
            points.setdefault(module_id(number), {})[key] = reading(13 + (sent % 997) / 1000, at=time.time())
            sent += 1
        if told:
            await site.change(points=points)
        else:
            # What the peer itself does, to be taken off.
            await site.change(points=points, tell=False)
            site.revision -= 1
            json.dumps(points)
        await asyncio.sleep(TICK)
    return (time.process_time() - cpu) / (time.perf_counter() - began)


async def test_512_blocks(hass: HomeAssistant, site: BridgePeer) -> None:
    logging.disable(logging.WARNING)
    asyncio.get_running_loop().set_debug(False)
    entry = entry_for(site)
    entry.add_to_hass(hass)
    before = memory()
    began = time.perf_counter()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    took = time.perf_counter() - began
    registered = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    print(
        f"\nset up {len(site.devices)} devices, {len(hass.states.async_entity_ids())} entities of {len(registered)} "
        f"registered: {took:.2f} s, budget {SET_UP:g} s, ratio {took / SET_UP:.2f}; {memory() - before:.0f} MB"
    )
    # What was never told before is told at once.
    await steady(site)
    idle = await steady(site, told=False)
    writes = Counter[str]()

    @callback
    def count(_event: object) -> None:
        writes["states"] += 1

    hass.bus.async_listen(EVENT_STATE_CHANGED, count)
    revision = entry.runtime_data.mirror.revision
    share = await steady(site) - idle
    deltas = entry.runtime_data.mirror.revision - revision
    print(
        f"{RATE} values/s in {deltas / SECONDS:.0f} deltas/s, {writes['states'] / SECONDS:.0f} states/s: {share:.1%} of a "
        f"core beyond the peer's own {idle:.1%}, budget {SHARE:.0%}, ratio {share / SHARE:.2f}"
    )
    system = dr.async_get(hass).async_get_device_by_identifier(("ridethrough", SYSTEM_ID), entry.entry_id)
    assert system is not None
    messages: list[int] = []
    screen = StatusScreen(hass, entry.runtime_data, SYSTEM_ID, lambda: None)
    end = screen.subscribe(lambda message: messages.append(len(json.dumps(message))))
    share = await steady(site) - idle
    end()
    print(
        f"the same with a status card: {share:.1%} of a core; snapshot {messages[0] / 1000:.0f} kB, then "
        f"{sum(messages[1:]) / SECONDS / 1000:.1f} kB/s in {len(messages) - 1} messages"
    )


if __name__ == "__main__":
    # Anew, because Home Assistant's test harness must be imported before Home Assistant is.
    options = ["-q", "-s", "--no-header", "--show-capture=no", "-p", "no:logging"]
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, *options]))

"""How long Home Assistant takes to set up a site of 512 devices, and to take a full scan's worth of changes.

Run it with `scripts/bench bench_component`.
"""

import asyncio
from collections.abc import AsyncIterator
import logging
import os
import sys
import time

from homeassistant.core import HomeAssistant
import pytest

from tests.component.bridge_peer import BRIDGE_ID, BridgePeer, device, reading, state
from tests.component.conftest import entry_for, shows, until

pytest_plugins = ["tests.component.conftest"]

DEVICES = 512
BUDGET = 10.0
"""Seconds for the set-up (DESIGN §9)."""


@pytest.fixture
async def site(socket_enabled: None) -> AsyncIterator[BridgePeer]:
    """Run a bridge with 512 devices of six shown values and two conditions each."""
    peer = BridgePeer()
    for number in range(DEVICES):
        name = f"u{number}"
        peer.devices[name] = device(name, "ups", f"UPS {number}", BRIDGE_ID)
        peer.points[name] = scan(0)
        peer.conditions[name] = {"on_battery": state(False), "battery_low": state(False)}
    await peer.start()
    yield peer
    await peer.stop()


def scan(change: float) -> dict[str, dict[str, object]]:
    """Make one device's values."""
    values = {
        "battery.charge": 100, "battery.runtime": 1800, "battery.voltage": 27.3,
        "input.voltage": 230, "output.voltage": 230, "ups.load": 30,
    }  # fmt: skip
    return {key: reading(value - change) for key, value in values.items()}


async def test_512_devices(hass: HomeAssistant, site: BridgePeer) -> None:
    logging.disable(logging.WARNING)
    asyncio.get_running_loop().set_debug(False)
    entry = entry_for(site)
    entry.add_to_hass(hass)
    began = time.perf_counter()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    took = time.perf_counter() - began
    entities = len(hass.states.async_entity_ids())
    print(
        f"\nset up {DEVICES} devices, {entities} entities: {took:.2f} s, budget {BUDGET:g} s, ratio {took / BUDGET:.2f}"
    )

    began, cpu = time.perf_counter(), time.process_time()
    await site.change(points={f"u{number}": scan(1) for number in range(DEVICES)})
    await until(hass, shows(hass, f"sensor.ups_{DEVICES - 1}_battery_charge", "99"))
    await hass.async_block_till_done()
    took, busy = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"a full scan of {6 * DEVICES} changed values: {took * 1000:.0f} ms, {busy * 1000:.0f} ms of a core (bridge included)"
    )

    began = time.perf_counter()
    await site.change(points={"u7": {"battery.charge": reading(1)}})
    await until(hass, shows(hass, "sensor.ups_7_battery_charge", "1"))
    print(f"one value of {entities}: {(time.perf_counter() - began) * 1000:.1f} ms from the bridge to the state")


if __name__ == "__main__":
    # Anew, because Home Assistant's test harness must be imported before Home Assistant is.
    options = ["-q", "-s", "--no-header", "--show-capture=no", "-p", "no:logging"]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", __file__, *options])

"""Debian's upsmon: what the whole server is for."""

import asyncio
from collections.abc import Callable
import os
from pathlib import Path
import time

import pytest

from tests.bridge.feeds.rig import World
from tests.peers.upsmon import Upsmon
from tests.strangers import peer

from .rig import Dialer, Served, until

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip without upsmon, or without the right to be root as it wants to be."""
    peer("upsmon")
    if os.geteuid() != 0:
        pytest.skip("upsmon changes its user, which only root may")


async def logged_in(watcher: Dialer, count: int) -> None:
    """Wait until so many clients are logged in."""
    async with asyncio.timeout(10):
        while await watcher.ask("GET NUMLOGINS ups-1") != f"NUMLOGINS ups-1 {count}":
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_secondary_shuts_down_on_low_battery(
    world: World, served: Served, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    async with (
        Upsmon(tmp_path / "upsmon", served.ups("ups-1"), "monuser", "secret", "secondary") as upsmon,
        served.client() as watcher,
    ):
        await logged_in(watcher, 1)
        world.post(ups, conditions={"on_battery": True, "discharging": True})
        await until(lambda: "on battery" in upsmon.log)
        assert not upsmon.has_shut_down
        world.post(ups, conditions={"battery_low": True})
        low = time.monotonic()
        took = await upsmon.shut_down() - low
        record_property("seconds at POLLFREQALERT 1 and HOSTSYNC 5", took)
        # A secondary gives a primary time to say so first.
        assert took < 5 + 3
        # It has said good-bye: no primary need wait for it.
        await until(lambda: served.traffic.clients == 1)
        assert await watcher.ask("GET NUMLOGINS ups-1") == "NUMLOGINS ups-1 0"


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["system_shutdown", "shutdown_imminent"])
async def test_a_secondary_shuts_down_at_once_when_the_bridge_says_that_it_is_time(
    world: World,
    served: Served,
    tmp_path: Path,
    condition: str,
    record_property: Callable[[str, object], None],
) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    async with (
        Upsmon(tmp_path / "upsmon", served.ups("ups-1"), "monuser", "secret", "secondary") as upsmon,
        served.client() as watcher,
    ):
        await logged_in(watcher, 1)
        world.post(ups, conditions={"on_battery": True})
        await until(lambda: "on battery" in upsmon.log)
        world.post(ups, conditions={condition: True})
        due = time.monotonic()
        took = await upsmon.shut_down() - due
        record_property("seconds at POLLFREQALERT 1", took)
        assert took < 3


@pytest.mark.slow
async def test_a_primary_sets_fsd_and_waits_for_the_secondary(world: World, served: Served, tmp_path: Path) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    name = served.ups("ups-1")
    async with (
        Upsmon(tmp_path / "primary", name, "admin", "secret", "primary") as primary,
        Upsmon(tmp_path / "secondary", name, "monuser", "secret", "secondary") as secondary,
        served.client() as watcher,
    ):
        await logged_in(watcher, 2)
        assert await primary.order("fsd") == 0
        first = await secondary.shut_down()
        assert await watcher.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "FSD OL"'
        second = await primary.shut_down()
        assert first <= second
        assert (tmp_path / "primary" / "killpower").exists()
    assert world.site.conditions(ups.id)["forced_shutdown"].active


@pytest.mark.slow
async def test_a_ups_lost_on_battery_is_a_shutdown_too(world: World, served: Served, tmp_path: Path) -> None:
    """Upsmon must hear that data are stale: it then counts the UPS as dead after DEADTIME."""
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    async with (
        Upsmon(tmp_path / "upsmon", served.ups("ups-1"), "monuser", "secret", "secondary") as upsmon,
        served.client() as watcher,
    ):
        await logged_in(watcher, 1)
        world.post(ups, conditions={"on_battery": True})
        await until(lambda: "on battery" in upsmon.log)
        world.lose(ups)
        await upsmon.shut_down(patience=30)
        assert "Data stale" in upsmon.log or "stale" in upsmon.log

"""Forced shutdown: kept until it is over, and not longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path

import pytest

from ridethrough.clock import ManualClock
from ridethrough.feeds.nut.forced import FACT, HOLD, SEEN, Forced, boot
from ridethrough.site import Device, Quality
from tests.bridge.feeds.rig import World, a_world

from .rig import Served, a_server, until


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[World]:
    """Make a bridge whose clock stands still."""
    async with a_world(tmp_path, ManualClock()) as made:
        yield made


@asynccontextmanager
async def forced(world: World, booted: str = "first") -> AsyncIterator[Forced]:
    """Run what remembers forced shutdowns on a computer that has started so."""
    made = Forced(world.site, world.context.facts, world.context.clock, booted)
    await made.load()
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def advance(world: World, seconds: float) -> None:
    """Let time pass, second by second; the database has its own."""
    clock = world.context.clock
    assert isinstance(clock, ManualClock)
    for _ in range(round(seconds)):
        await clock.advance(1.0)


async def noted(world: World, *devices: str) -> None:
    """Wait until exactly these are written down."""
    async with asyncio.timeout(5):
        while json.loads(await world.context.facts.get(FACT) or '{"devices": []}')["devices"] != sorted(devices):
            await asyncio.sleep(0.01)


def is_shown(world: World, ups: Device) -> bool:
    return world.site.conditions(ups.id)["forced_shutdown"].active


async def test_every_client_sees_it_and_the_journal_has_it(world: World, served: Served) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    world.post(ups, conditions={"on_battery": True})
    async with served.client() as other:
        async with served.client(log_in="admin") as primary:
            assert await primary.ask("FSD ups-1") == "OK FSD-SET"
            assert await primary.ask("FSD ups-1") == "OK FSD-SET"
        # The primary has gone, and it is still so.
        assert await other.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "FSD OB"'
        assert 'VAR ups-1 ups.status "FSD OB"' in await other.list("VAR ups-1")
    await until(lambda: is_shown(world, ups))
    async with asyncio.timeout(5):
        while "forced_shutdown" not in [event.key for event in await world.store.journal.after(0)]:
            await asyncio.sleep(0.01)


async def test_it_outlasts_the_server(world: World) -> None:
    ups = world.ups()
    world.post(ups, conditions={"on_battery": True})
    async with a_server(world) as served, served.client(log_in="admin") as primary:
        assert await primary.ask("FSD ups-1") == "OK FSD-SET"
        await noted(world, "ups-1")
    state = world.site.conditions(ups.id)["forced_shutdown"]
    assert (state.active, state.quality) == (True, Quality.LOST)
    async with a_server(world) as served, served.client() as client:
        assert await client.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "FSD OB"'
        assert world.site.conditions(ups.id)["forced_shutdown"].quality is Quality.GOOD


async def test_it_is_over_once_the_mains_have_been_back_for_long_enough(quiet: World) -> None:
    ups = quiet.ups()
    quiet.post(ups, conditions={"on_battery": True})
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
        await advance(quiet, 10 * HOLD)
        assert ups.id in kept
        quiet.post(ups, conditions={"on_battery": False})
        await advance(quiet, HOLD / 2)
        # They fail again: the count begins anew.
        quiet.post(ups, conditions={"on_battery": True})
        await advance(quiet, 1)
        quiet.post(ups, conditions={"on_battery": False})
        await advance(quiet, HOLD - 1)
        assert ups.id in kept
        assert is_shown(quiet, ups)
        await advance(quiet, 2)
        assert ups.id not in kept
        assert not is_shown(quiet, ups)
        await noted(quiet)


async def test_on_mains_it_lasts_until_every_secondary_has_seen_it(quiet: World) -> None:
    ups = quiet.ups()
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
        await advance(quiet, HOLD - 1)
        assert ups.id in kept
        await advance(quiet, 3)
        assert ups.id not in kept


async def test_it_is_over_at_once_when_the_output_has_been_off(quiet: World) -> None:
    ups = quiet.ups()
    quiet.post(ups, conditions={"on_battery": True})
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
        await advance(quiet, SEEN)
        with quiet.site.transaction():
            quiet.post(ups, conditions={"output_active": False, "output_off": True})
        quiet.post(ups, conditions={"on_battery": False})
        await advance(quiet, 5)
        assert ups.id in kept
        quiet.post(ups, conditions={"output_active": True, "output_off": False})
        assert ups.id not in kept


async def test_a_ups_that_fell_silent_and_comes_back_on_mains_has_been_off(quiet: World) -> None:
    ups = quiet.ups()
    quiet.post(ups, conditions={"on_battery": True})
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
        quiet.lose(ups)
        await advance(quiet, 3 * HOLD)
        assert ups.id in kept
        quiet.post(ups, conditions={"on_battery": False, "output_active": True})
        assert ups.id not in kept


async def test_after_an_outage_that_took_the_bridge_along_nobody_is_told_to_shut_down(quiet: World) -> None:
    ups = quiet.ups()
    quiet.post(ups, conditions={"on_battery": True})
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
    # The bridge's computer starts again before the mains are back: there is no hurry to forget.
    async with forced(quiet, "second") as kept:
        await advance(quiet, HOLD)
        assert ups.id in kept
        quiet.lose(ups)
        assert ups.id in kept
    # It starts again with the servers: the first status that is heard ends it, before anybody can see both.
    async with forced(quiet, "third") as kept:
        await noted(quiet, ups.key)
        assert ups.id in kept
        quiet.post(ups, conditions={"on_battery": False, "output_active": True})
        assert ups.id not in kept
        await advance(quiet, 1)
        await noted(quiet)


async def test_a_status_that_was_heard_before_the_server_started_ends_it_too(quiet: World) -> None:
    ups = quiet.ups()
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
    async with forced(quiet, "second") as kept:
        await noted(quiet)
        assert ups.id not in kept


async def test_a_computer_knows_that_it_has_not_started_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert boot() == boot() != ""
    monkeypatch.setattr("ridethrough.feeds.nut.forced.BOOT", tmp_path / "none")
    assert boot() == ""


async def test_one_that_is_there_no_longer_waits_for_it_to_come_back(quiet: World) -> None:
    ups = quiet.ups()
    async with forced(quiet) as kept:
        kept.set(ups.id)
        await noted(quiet, ups.key)
        quiet.site.remove(ups.id)
        await advance(quiet, 2 * HOLD)
        assert ups.id in kept
    async with forced(quiet) as kept:
        # The server may start before the device's link.
        await noted(quiet, ups.key)
        ups = quiet.ups()
        assert ups.id in kept
        assert is_shown(quiet, ups)
        await advance(quiet, HOLD + 2)
        assert ups.id not in kept


async def test_a_transfer_switch_can_be_forced_too(quiet: World) -> None:
    switch = quiet.device("sts-1", "transfer_switch")
    quiet.post(switch, conditions={"output_active": True})
    async with forced(quiet) as kept:
        kept.set(switch.id)
        await noted(quiet, switch.key)
        await advance(quiet, SEEN)
        quiet.post(switch, conditions={"output_active": False})
        await advance(quiet, 1)
        assert switch.id in kept
        quiet.post(switch, conditions={"output_active": True})
        assert switch.id not in kept
    assert quiet.site.rejected == {}


async def test_a_full_disk_does_not_stop_a_shutdown(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.ups()
    async with a_server(world) as served:

        async def full(key: str, value: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(world.context.facts, "put", full)
        async with served.client(log_in="admin") as client:
            assert await client.ask("FSD ups-1") == "OK FSD-SET"
            assert await client.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "FSD OL"'
            await until(lambda: "would not outlast a restart" in caplog.text)

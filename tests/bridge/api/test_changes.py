"""Snapshots, deltas, and that a client which applies them sees the site as it is."""

import asyncio
from dataclasses import replace
from pathlib import Path
import random

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from ridethrough.api.delta import Delta
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, settle
from ridethrough.site import Change, Device, Site

from .harness import LIMITS, POINTS, UPS, World, running, ups


async def test_first_change_after_quiet_is_sent_without_time_passing(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as world, world.subscriber() as client:
        world.lane.post({"battery.charge": 90.0})
        delta = await client.receive("delta")
        assert delta["revision"] == delta["since"] + 1
        assert delta["points"][UPS.id].keys() == {"battery.charge"}
        assert delta["conditions"] == {}
        assert delta["devices"] == {}


async def test_further_changes_are_gathered_for_a_tick(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, limits=replace(LIMITS, tick=0.05), clock=clock) as world, world.subscriber() as client:
        world.lane.post({"battery.charge": 90.0})
        await client.receive("delta")
        for charge in (80.0, 70.0, 60.0):
            world.lane.post({"battery.charge": charge})
            await settle()
        assert client.deltas == 1
        await clock.advance(0.05)
        delta = await client.receive("delta")
        assert delta["revision"] == delta["since"] + 3
        assert delta["points"][UPS.id]["battery.charge"]["value"] == 60.0


async def test_delta_names_devices_that_came_changed_and_went(world: World) -> None:
    async with world.subscriber() as client:
        world.site.put(ups(7))
        world.site.lane(ups(7).id, None).post({"ups.load": 3.0})
        await client.until(lambda: client.view() == world.truth())
        world.site.put(replace(ups(7), name="Renamed"))
        await client.until(lambda: client.view() == world.truth())
        world.site.remove(ups(7).id)
        delta = await client.receive("delta")
        assert delta["devices"] == {ups(7).id: None}
        assert client.view() == world.truth()


async def test_device_that_is_removed_and_back_within_a_tick_is_a_gap(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as world, world.subscriber() as client:
        world.lane.post({"battery.charge": 1.0})
        await client.receive("delta")
        world.site.remove(UPS.id)
        world.site.put(UPS)
        world.site.lane(UPS.id, None).post({"ups.load": 1.0})
        await clock.advance(1.0)
        await client.receive("delta")
        assert client.gaps == 1
        await client.subscribe()
        assert client.view() == world.truth()


async def test_subscribing_again_gives_a_new_snapshot_and_deltas_from_there(world: World) -> None:
    async with world.subscriber() as client:
        for charge in range(5):
            world.lane.post({"battery.charge": float(charge)})
            await client.subscribe()
            world.lane.post({"battery.charge": charge + 0.5})
            await client.until(lambda: client.view() == world.truth())
        assert client.gaps == 0


async def test_nothing_is_gathered_while_nobody_listens(world: World) -> None:
    for charge in range(10):
        world.lane.post({"battery.charge": float(charge)})
    assert not world.server._broadcast._tick
    async with world.subscriber() as client:
        world.lane.post({"battery.charge": 99.0})
        await client.receive("delta")
        assert client.gaps == 0
        assert client.view() == world.truth()


async def test_many_clients_that_come_and_go_during_changes_all_see_one_truth(world: World) -> None:
    """The consistent cut: whenever a client subscribes, snapshot and deltas add up to the site."""
    lanes = world.fill(40)
    dice = random.Random(1)
    done = asyncio.Event()

    async def change() -> None:
        for step in range(400):
            match dice.randrange(12):
                case 0:
                    world.site.put(ups(100 + step))
                    world.site.lane(ups(100 + step).id, None).post({"ups.load": float(step)}, {"overload": True})
                case 1:
                    known = [key for key in world.site.devices if key.startswith("ups-id-1") and len(key) > 8]
                    if known:
                        world.site.remove(dice.choice(known))
                case 2:
                    lanes[dice.randrange(40)].lost()
                case _:
                    lane = lanes[dice.randrange(40)]
                    lane.post({dice.choice(POINTS): dice.random()}, {"on_battery": dice.random() < 0.5})
            if step % 3 == 0:
                await asyncio.sleep(0)
        done.set()

    async def follow() -> int:
        async with world.subscriber() as client:
            while not done.is_set():
                await client.receive() if dice.random() < 0.95 else await client.subscribe()
                if client.gaps:
                    await client.subscribe()
                    client.gaps = 0
                if dice.random() < 0.02:
                    await asyncio.sleep(0.01)
            await client.subscribe() if dice.random() < 0.3 else None
            while client.view() != world.truth():
                await client.receive()
            return client.deltas

    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(follow()) for _ in range(8)]
        group.create_task(change())
    assert sum(follower.result() for follower in followers) > 8


STEPS = st.lists(
    st.tuples(st.sampled_from(["post", "condition", "remove", "put", "rename", "deliver"]), st.integers(0, 2)),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_merged_deltas_say_the_same_as_the_changes_they_were_made_of(steps: list[tuple[str, int]]) -> None:
    """However changes are grouped into deltas and deltas merged, applying them gives the site, or a gap is told."""
    site = Site(load_catalogue(), ManualClock())
    pending = Delta(0)
    shown: dict[str, dict[str, object]] = {}
    revision = 0

    def observe(change: Change) -> None:
        nonlocal pending
        single = Delta(pending.revision)
        single.absorb(change)
        pending = pending.merged(single)

    def deliver() -> None:
        nonlocal pending, revision, shown
        if pending.since != revision:
            shown = {key: dict(site.readings(key)) | dict(site.conditions(key)) for key in site.devices}
        else:
            for key, device in pending.devices.items():
                if device is None:
                    shown.pop(key, None)
                else:
                    shown.setdefault(key, {})
            for table in (pending.points, pending.conditions):
                for (owner, name), row in table.items():
                    shown[owner][name] = row
        pending, revision = Delta(site.revision), site.revision

    site.observe(observe)
    lanes = {}
    for number, (step, which) in enumerate(steps):
        device: Device = ups(which)
        match step:
            case "put" if device.id not in site.devices:
                site.put(device)
                lanes[which] = site.lane(device.id, None)
            case "rename" if device.id in site.devices:
                site.put(replace(device, name=f"Name {number}"))
            case "remove":
                site.remove(device.id)
            case "post" if device.id in site.devices:
                lanes[which].post({POINTS[number % 6]: number})
            case "condition" if device.id in site.devices:
                lanes[which].post({}, {"on_battery": number % 2 == 0})
            case "deliver":
                deliver()
    deliver()
    assert shown == {key: dict(site.readings(key)) | dict(site.conditions(key)) for key in site.devices}


async def test_text_and_numbers_that_json_cannot_hold_do_not_silence_the_bridge(world: World) -> None:
    async with world.subscriber() as client:
        world.site.put(replace(UPS, serial="12\udc8034", model="ok"))
        world.lane.post({"link.answers": 2**70, "battery.charge": 5.0})
        await client.until(lambda: client.points[UPS.id]["battery.charge"]["value"] == 5.0)
        assert client.devices[UPS.id]["serial"] == "12?34"
        assert client.points[UPS.id]["link.answers"]["value"] == pytest.approx(2.0**70)
        world.lane.post({"link.answers": 10**400, "battery.charge": 6.0})
        await client.until(lambda: client.points[UPS.id]["battery.charge"]["value"] == 6.0)
        assert world.site.rejected == {"link.answers": 1}
        await client.subscribe()

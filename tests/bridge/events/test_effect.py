"""What a command should bring about: which condition tells it, and looking for it."""

import asyncio
from collections.abc import Iterator

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, settle
from ridethrough.events import Effect, Watch, effect_of
from ridethrough.events.effect import EFFECTS
from ridethrough.site import Device, DeviceId, Lane, Site

CATALOGUE = load_catalogue()
UPS = DeviceId("ups")
TESTING = Effect("test_in_progress", True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    site = Site(CATALOGUE, clock)
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    return site


@pytest.fixture
def lane(site: Site) -> Lane:
    return site.lane(UPS, None)


@pytest.fixture
def watch(site: Site, clock: ManualClock, lane: Lane) -> Iterator[Watch]:
    """Look for a test at a UPS that does none."""
    lane.post(conditions={"test_in_progress": False})
    with Watch(site, clock, UPS, TESTING) as watch:
        yield watch


@pytest.mark.parametrize(
    ("kind", "command", "effect"),
    [
        ("ups", "test.battery.start.quick", TESTING),
        ("ups", "test.battery.stop", Effect("test_in_progress", False)),
        ("ups", "load.off", Effect("output_active", False)),
        ("ups", "bypass.start", Effect("on_bypass", True)),
        ("outlet", "outlet.on", Effect("outlet_on", True)),
        ("ups", "beeper.toggle", None),
        ("outlet", "test.battery.start.quick", None),
        ("ups", "make.coffee", None),
    ],
)
def test_condition_that_tells_whether_a_command_was_obeyed(kind: str, command: str, effect: Effect | None) -> None:
    assert effect_of(CATALOGUE, kind, command) == effect


def test_effects_are_conditions_of_commands_that_exist() -> None:
    for command, effect in EFFECTS.items():
        assert CATALOGUE.command("ups", command) is not None
        assert CATALOGUE.condition("ups", effect.condition) is not None


async def test_effect_is_seen_when_it_shows(watch: Watch, lane: Lane, clock: ManualClock) -> None:
    waiting = asyncio.create_task(watch.within(60.0))
    await clock.advance(12.0)
    told = [watch.tells]
    lane.post(conditions={"test_in_progress": True})
    assert await waiting
    assert watch.after == 12.0
    lane.post(conditions={"test_in_progress": False})
    assert [*told, watch.tells] == [True, False]
    assert await watch.within(0.0)


async def test_effect_during_the_command_itself_counts(watch: Watch, lane: Lane) -> None:
    lane.post(conditions={"test_in_progress": True})
    lane.post(conditions={"test_in_progress": False})
    assert await watch.within(0.0)


async def test_effect_that_does_not_come_is_waited_for_no_longer(watch: Watch, clock: ManualClock) -> None:
    waiting = asyncio.create_task(watch.within(60.0))
    await clock.advance(59.0)
    assert not waiting.done()
    await clock.advance(1.0)
    assert not await waiting
    assert watch.tells


async def test_lost_ups_tells_nothing(watch: Watch, lane: Lane) -> None:
    lane.lost()
    assert not watch.tells


async def test_other_changes_and_other_devices_are_no_effect(watch: Watch, site: Site, lane: Lane) -> None:
    lane.post({"battery.charge": 5.0}, {"on_battery": True})
    other = DeviceId("other")
    site.put(Device(other, "ups-2", "ups", "UPS"))
    site.lane(other, None).post(conditions={"test_in_progress": True})
    await settle()
    assert watch.after is None


@pytest.mark.parametrize("before", [None, True])
async def test_what_is_so_already_or_never_told_says_nothing(
    site: Site, clock: ManualClock, lane: Lane, before: bool | None
) -> None:
    if before is not None:
        lane.post(conditions={"test_in_progress": before})
    with Watch(site, clock, UPS, TESTING) as watch:
        assert not await watch.within(60.0)
        lane.post(conditions={"test_in_progress": True})
        assert not watch.tells
        assert watch.after is None


async def test_watch_without_an_effect_and_one_that_is_over_see_nothing(
    site: Site, clock: ManualClock, lane: Lane
) -> None:
    lane.post(conditions={"test_in_progress": False})
    with Watch(site, clock, UPS, None) as nothing:
        assert not await nothing.within(60.0)
    with Watch(site, clock, UPS, TESTING) as over:
        pass
    lane.post(conditions={"test_in_progress": True})
    assert nothing.after is over.after is None

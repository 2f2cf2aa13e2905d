"""What is worked out about a device of the configuration, all parts together on a site."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from ridethrough.assembly.derivations import derivations, work_out
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.config import Limits, ThresholdConfig, UpsConfig
from ridethrough.site import CommandResult, Commands, Device, DeviceId, Quality, Site, Value

UPS = DeviceId("ups")
CONFIG = UpsConfig(
    "ups-1",
    "UPS",
    "megatec:/dev/null",
    power=1000,
    hold_time=10,
    system_shutdown_time=120,
    battery_health_level=10,
    thresholds=(
        ThresholdConfig("runtime", "battery.runtime", alarm=Limits(low=300)),
        ThresholdConfig("drift", "battery.symmetry", warning=Limits(high=3), alarm=Limits(high=5)),
        ThresholdConfig("outage", "battery.runtime.elapsed", warning=Limits(high=5)),
    ),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    site = Site(load_catalogue(), clock)
    site.put(Device(UPS, "ups-1", "ups", "UPS", commands=frozenset({"test.battery.start"})))
    return site


def raised(site: Site) -> set[str]:
    return {key for key, state in site.conditions(UPS).items() if state.active and state.quality is Quality.GOOD}


def shown(site: Site, key: str) -> Value | None:
    reading = site.reading(UPS, key)
    return None if reading is None or not reading.good else reading.value


def test_outage_runs_through_all_that_is_worked_out(site: Site, clock: ManualClock) -> None:
    work_out(CONFIG, UPS, site, Commands(site), clock)
    lane = site.lane(UPS, None)
    lane.post({"ups.load": 100.0, "battery.charge": 100.0}, {"on_battery": False})
    lane.drop(["battery.charge"])
    assert (shown(site, "ups.mode"), shown(site, "alarms.present")) == ("line", 0)
    lane.post(conditions={"on_battery": True})
    history: dict[str, float] = {}
    for _ in range(601):
        clock.tick(1.0)
        site.expire()
        for condition in raised(site):
            history.setdefault(condition, clock.monotonic())
    assert history["threshold.outage.warning"] == history["threshold_warning"] == 6.0
    assert history["threshold.runtime.alarm"] == history["threshold_alarm"] == 301.0
    assert history["system_shutdown"] == 480.0
    assert history["battery_depleted"] == 600.0
    # On battery 2, depleted 4, input bad 6, threshold alarm 174 and warning 175 of RFC 1628 and its extension.
    assert shown(site, "alarms.present") == 5
    lane.post(conditions={"on_battery": False})
    assert {"system_shutdown", "battery_depleted", "threshold.outage.warning"}.isdisjoint(raised(site))


def test_summary_counts_what_the_thresholds_raise_in_the_same_revision(site: Site, clock: ManualClock) -> None:
    work_out(CONFIG, UPS, site, Commands(site), clock)
    lane = site.lane(UPS, None)
    lane.post({"battery.positive.voltage": 120.0, "battery.negative.voltage": 120.0}, {"on_battery": False})
    revision = site.revision
    lane.post({"battery.positive.voltage": 126.0})
    assert site.revision == revision + 1
    assert raised(site) >= {"threshold.drift.warning", "threshold.drift.alarm"}
    assert shown(site, "alarms.present") == 2


def test_outage_that_was_known_before_goes_on(site: Site, clock: ManualClock) -> None:
    for condition in ("on_battery", "threshold.outage.warning", "system_shutdown"):
        site.restore(UPS, condition, clock.utc() - timedelta(seconds=300))
    edges: list[str] = []
    site.observe(lambda change: edges.extend(edge.condition for edge in change.edges))
    work_out(CONFIG, UPS, site, Commands(site), clock)
    site.lane(UPS, None).post({"ups.load": 100.0, "battery.charge": 90.0}, {"on_battery": True})
    assert shown(site, "battery.runtime.elapsed") == 300.0
    assert {"threshold.outage.warning", "system_shutdown"} <= raised(site)
    assert {"threshold.outage.warning", "system_shutdown"}.isdisjoint(edges)


async def test_test_that_is_ordered_shows_how_far_it_is(site: Site, clock: ManualClock) -> None:
    async def perform(command: str, arguments: Mapping[str, Value]) -> CommandResult:
        lane.post(conditions={"test_in_progress": True})
        return CommandResult("yes")

    commands = Commands(site)
    stop = work_out(CONFIG, UPS, site, commands, clock)
    lane = site.lane(UPS, None)
    commands.offer(UPS, perform)
    lane.post({"battery.voltage": 27.3}, {"on_battery": False, "test_in_progress": False})
    await commands.perform(UPS, "test.battery.start", {"duration": 1})
    lane.post({"battery.voltage": 20.0})
    clock.tick(30.0)
    site.expire()
    assert (shown(site, "ups.test.state"), shown(site, "ups.test.progress")) == ("in_progress", 50.0)
    clock.tick(30.0)
    lane.post(conditions={"test_in_progress": False})
    assert (shown(site, "ups.test.state"), shown(site, "ups.test.progress")) == ("failed", 100.0)
    assert {"battery_bad", "test_failed"} <= raised(site)
    stop()
    await commands.perform(UPS, "test.battery.start", {"duration": 1})
    assert shown(site, "ups.test.duration") is None


def test_battery_ages_by_the_clock_of_the_bridge(site: Site, clock: ManualClock) -> None:
    installed = clock.utc().date() - timedelta(days=48 * 30)
    work_out(replace(CONFIG, battery_installed=installed), UPS, site, Commands(site), clock)
    assert "battery_too_old" in raised(site)
    assert shown(site, "battery.date") == installed.isoformat()


def test_transfer_switch_has_its_thresholds_and_nothing_of_a_ups() -> None:
    switch = UpsConfig("sts-1", "STS", "nut://h/u", kind="transfer_switch")
    assert derivations(switch) == ()
    watched = ThresholdConfig("a", "input.1.voltage", warning=Limits(200, 250))
    assert len(derivations(replace(switch, thresholds=(watched,)))) == 1

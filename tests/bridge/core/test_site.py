"""The site: revisions, observers, lanes, derivations, expiry, restoration."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from ridethrough.catalogue import CatalogueError, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic.derivation import View
from ridethrough.site import (
    Change,
    Derived,
    Device,
    DeviceId,
    DeviceView,
    Edge,
    Lane,
    Quality,
    Reading,
    Site,
    Source,
    Value,
)

from .conftest import UPS

OUTLET = DeviceId("outlet")


def quality(site: Site, key: str) -> Quality:
    reading = site.reading(UPS, key)
    assert reading is not None
    return reading.quality


def value(site: Site, key: str) -> Value | None:
    reading = site.reading(UPS, key)
    assert reading is not None
    return reading.value


# Revisions


def test_change_holds_what_changed_and_nothing_else(site: Site, changes: list[Change]) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 20.0, "battery.charge": 100.0}, {"on_battery": False})
    lane.post({"ups.load": 21.0, "battery.charge": 100.0}, {"on_battery": False})
    assert [change.revision for change in changes] == [2, 3]
    assert set(changes[1].points) == {(UPS, "ups.load")}
    assert not changes[1].conditions
    assert not changes[1].devices


def test_same_values_make_no_revision_but_are_confirmed(site: Site, changes: list[Change], clock: ManualClock) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 20.0})
    clock.tick(3)
    lane.post({"ups.load": 20.0})
    assert len(changes) == 1
    reading = site.reading(UPS, "ups.load")
    assert reading is not None
    assert reading.measured_at == clock.utc()
    clock.tick(3)
    site.expire()
    assert quality(site, "ups.load") is Quality.GOOD


def test_transactions_join_into_one_revision(site: Site, changes: list[Change]) -> None:
    lane = site.lane(UPS, 5)
    with site.transaction():
        lane.post({"ups.load": 1.0})
        with site.transaction():
            lane.post({"ups.load": 2.0}, {"overload": True})
        lane.post({"battery.charge": 3.0}, {"overload": False})
    (change,) = changes
    assert {key: reading.value for (_, key), reading in change.points.items()} == {
        "ups.load": 2.0,
        "battery.charge": 3.0,
    }
    assert [edge.active for edge in change.edges] == [True, False]


def test_empty_transaction_is_no_revision(site: Site, changes: list[Change]) -> None:
    with site.transaction():
        pass
    assert (site.revision, changes) == (1, [])


def test_what_was_posted_before_an_exception_counts_and_the_site_goes_on(site: Site, changes: list[Change]) -> None:
    lane = site.lane(UPS, 5)

    def fail() -> None:
        with site.transaction():
            lane.post({"ups.load": 1.0})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    lane.post({"ups.load": 2.0})
    assert [reading.value for change in changes for reading in change.points.values()] == [1.0, 2.0]


def test_unsupported_point_has_no_value_and_is_not_lost_with_its_link(site: Site) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"battery.runtime": None})
    lane.lost()
    assert (value(site, "battery.runtime"), quality(site, "battery.runtime")) == (None, Quality.UNSUPPORTED)


def test_unknown_keys_are_counted_and_dropped(site: Site, changes: list[Change]) -> None:
    site.lane(UPS, 5).post({"no.such": 1.0}, {"no_such": True})
    assert changes == []
    assert site.rejected == {"no.such": 1, "no_such": 1}


def test_device_of_unknown_kind_is_refused(site: Site) -> None:
    with pytest.raises(CatalogueError, match="permitted: bridge, ups"):
        site.put(Device(OUTLET, "x", "teapot", "X"))
    assert OUTLET not in site.devices


def test_altered_device_is_announced_and_keeps_its_points(site: Site, changes: list[Change]) -> None:
    site.lane(UPS, 5).post({"ups.load": 1.0})
    device = replace(site.devices[UPS], model="3000")
    site.put(device)
    site.put(device)
    assert [dict(change.devices) for change in changes[1:]] == [{UPS: device}]
    assert value(site, "ups.load") == 1.0
    assert site.device_by_key("ups-1") == device
    assert site.device_by_key("ups-2") is None


def test_posts_of_unknown_devices_are_dropped(site: Site, changes: list[Change]) -> None:
    lane = site.lane(OUTLET, 5)
    lane.post({"link.state": "lost"})
    lane.lost()
    assert changes == []
    assert site.reading(OUTLET, "link.state") is None
    assert (site.readings(OUTLET), site.conditions(OUTLET)) == ({}, {})


# Conditions


def test_edge_is_raised_once_and_cleared_once(site: Site, changes: list[Change], clock: ManualClock) -> None:
    lane = site.lane(UPS, 5)
    for active in (False, True, True, False, False):
        clock.tick(1)
        lane.post(conditions={"on_battery": active})
    edges = [(edge.active, edge.at) for change in changes for edge in change.edges]
    assert [active for active, _ in edges] == [True, False]
    assert site.conditions(UPS)["on_battery"].since == edges[1][1]


def test_condition_that_goes_stale_and_returns_makes_no_edge(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    lane = site.lane(UPS, 5)
    lane.post(conditions={"on_battery": True})
    since = site.conditions(UPS)["on_battery"].since
    clock.tick(6)
    site.expire()
    assert site.conditions(UPS)["on_battery"].quality is Quality.STALE
    lane.post(conditions={"on_battery": True})
    assert site.conditions(UPS)["on_battery"].quality is Quality.GOOD
    assert site.conditions(UPS)["on_battery"].since == since
    assert [edge for change in changes[1:] for edge in change.edges] == []


# Cost


def test_one_point_among_three_thousand_touches_only_itself(clock: ManualClock) -> None:
    site = Site(load_catalogue(), clock)
    keys = ["ups.load", "battery.charge", "battery.runtime", "battery.voltage", "input.voltage", "output.voltage"]
    worked_out: list[DeviceId] = []

    def note(view: View, now: float) -> Derived:
        assert isinstance(view, DeviceView)
        worked_out.append(view.device.id)
        return Derived()

    devices = [DeviceId(f"d{number}") for number in range(512)]
    lanes = []
    for device in devices:
        site.put(Device(device, device, "ups", device))
        site.derive(device, note)
        lanes.append(site.lane(device, 5))
        lanes[-1].post(dict.fromkeys(keys, 50.0))
    heard: list[Change] = []
    others: list[Reading] = []
    mine: list[Reading] = []
    site.observe(heard.append)
    site.watch(devices[7], "ups.load", mine.append)
    for device in devices[8:]:
        site.watch(device, "ups.load", others.append)
    worked_out.clear()
    revision = site.revision
    lanes[7].post({"ups.load": 51.0, "battery.charge": 50.0})
    (change,) = heard
    assert list(change.points) == [(devices[7], "ups.load")]
    assert worked_out == [devices[7]]
    assert ([reading.value for reading in mine], others) == ([51.0], [])
    assert site.revision == revision + 1


# Lanes


def test_dead_source_makes_everything_it_posted_lost(site: Site, changes: list[Change]) -> None:
    lane, other = site.lane(UPS, 5), site.lane(UPS, 5)
    lane.post({"ups.load": 1.0}, {"on_battery": True})
    other.post({"battery.charge": 1.0})
    changes.clear()
    lane.lost()
    lane.lost()
    (change,) = changes
    assert set(change.points) == {(UPS, "ups.load")}
    assert change.edges == []
    assert (quality(site, "ups.load"), value(site, "ups.load")) == (Quality.LOST, 1.0)
    assert site.conditions(UPS)["on_battery"].active is True
    assert quality(site, "battery.charge") is Quality.GOOD


def test_point_no_longer_mentioned_is_stale_at_once(site: Site) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 1.0, "battery.charge": 1.0})
    lane.drop(["ups.load", "never.posted"])
    assert (quality(site, "ups.load"), quality(site, "battery.charge")) == (Quality.STALE, Quality.GOOD)


def test_configured_values_never_expire(site: Site, clock: ManualClock) -> None:
    site.lane(UPS, None, Source.CONFIGURED).post({"ups.load": 1.0})
    clock.tick(1e6)
    assert site.expire() is None
    assert quality(site, "ups.load") is Quality.GOOD


def test_only_what_is_older_than_its_deadline_expires(site: Site, clock: ManualClock) -> None:
    fast, slow = site.lane(UPS, 5), site.lane(UPS, 60)
    fast.post({"ups.load": 1.0, "battery.charge": 1.0}, {"on_battery": True})
    slow.post({"battery.voltage": 24.0})
    clock.tick(3)
    fast.post({"battery.charge": 1.0})
    clock.tick(2)
    site.expire()
    assert (quality(site, "ups.load"), quality(site, "battery.charge")) == (Quality.STALE, Quality.GOOD)
    assert site.conditions(UPS)["on_battery"].quality is Quality.STALE
    clock.tick(3)
    site.expire()
    assert (quality(site, "battery.charge"), quality(site, "battery.voltage")) == (Quality.STALE, Quality.GOOD)


def test_expiry_tells_when_it_need_be_called_again(site: Site, clock: ManualClock) -> None:
    assert site.expire() is None
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 1.0})
    assert site.expire() == 5.0
    clock.tick(4)
    assert site.expire() == 1.0
    clock.tick(1)
    assert site.expire() is None
    assert quality(site, "ups.load") is Quality.STALE


# Derivations


def runtime(view: View, now: float) -> Derived:
    """Work out a runtime from the charge, and whether the battery is low."""
    charge = view.values.get("battery.charge")
    if not isinstance(charge, float):
        return Derived()
    return Derived({"battery.runtime": charge * 60}, {"battery_low": charge < 20})


def test_derived_values_come_in_the_same_revision(site: Site, changes: list[Change]) -> None:
    site.derive(UPS, runtime)
    site.lane(UPS, 5).post({"battery.charge": 10.0})
    (change,) = changes
    assert change.points[UPS, "battery.runtime"].value == 600.0
    assert change.points[UPS, "battery.runtime"].source is Source.COMPUTED
    assert [edge.condition for edge in change.edges] == ["battery_low"]


def test_derivation_works_on_what_is_known_when_it_is_added(site: Site) -> None:
    site.lane(UPS, 5).post({"battery.charge": 10.0})
    site.derive(UPS, runtime)
    assert value(site, "battery.runtime") == 600.0


def test_derived_values_are_lost_with_what_they_come_from(site: Site, changes: list[Change]) -> None:
    site.derive(UPS, runtime)
    lane = site.lane(UPS, 5)
    lane.post({"battery.charge": 10.0})
    lane.lost()
    assert quality(site, "battery.runtime") is Quality.LOST
    assert site.conditions(UPS)["battery_low"].quality is Quality.LOST
    assert len(changes) == 2
    lane.post({"battery.charge": 10.0})
    assert quality(site, "battery.runtime") is Quality.GOOD
    assert [edge for change in changes[1:] for edge in change.edges] == []


def test_derived_values_are_stale_with_what_they_come_from(site: Site, clock: ManualClock) -> None:
    site.derive(UPS, runtime)
    site.lane(UPS, 5).post({"battery.charge": 10.0})
    clock.tick(6)
    site.expire()
    assert quality(site, "battery.runtime") is Quality.STALE


def test_later_derivation_sees_what_an_earlier_one_worked_out(site: Site) -> None:
    seen: list[Mapping[str, Value]] = []

    def look(view: View, now: float) -> Derived:
        seen.append(view.values)
        assert view.known >= view.active
        return Derived()

    site.derive(UPS, runtime)
    site.derive(UPS, look)
    site.lane(UPS, 5).post({"battery.charge": 10.0}, {"on_battery": True})
    assert seen[-1]["battery.runtime"] == 600.0


# Observers


def test_failing_observer_keeps_no_one_else_from_hearing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Change] = []
    site.observe(lambda change: heard[1])  # type: ignore[arg-type]  # it fails, that is the point
    site.observe(heard.append)
    site.lane(UPS, 5).post({"ups.load": 1.0})
    assert len(heard) == 1
    assert "An observer of the site failed" in caplog.text


def test_unsubscribing_twice_is_no_fault_and_ends_only_ones_own(site: Site) -> None:
    heard: list[Change] = []
    first = site.observe(heard.append)
    site.observe(heard.append)
    first()
    first()
    watched: list[Reading] = []
    unwatch = site.watch(UPS, "ups.load", watched.append)
    site.watch(UPS, "ups.load", watched.append)
    unwatch()
    unwatch()
    site.lane(UPS, 5).post({"ups.load": 1.0})
    assert (len(heard), len(watched)) == (1, 1)


def test_no_one_hears_after_unsubscribing_not_even_in_the_middle(site: Site) -> None:
    heard: list[object] = []
    ends: list[Callable[[], None]] = []
    site.observe(lambda change: ends[0]())
    ends.append(site.observe(heard.append))
    site.watch(UPS, "ups.load", lambda reading: ends[1]())
    ends.append(site.watch(UPS, "ups.load", heard.append))
    site.lane(UPS, 5).post({"ups.load": 1.0})
    assert heard == []


def test_watcher_hears_only_of_its_point(site: Site) -> None:
    heard: list[Reading] = []
    end = site.watch(UPS, "ups.load", heard.append)
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 1.0, "battery.charge": 2.0})
    lane.post({"battery.charge": 3.0})
    lane.lost()
    assert [(reading.value, reading.quality) for reading in heard] == [(1.0, Quality.GOOD), (1.0, Quality.LOST)]
    end()
    assert site._watchers == {}


def test_observers_hear_revisions_in_order_even_when_one_of_them_posts(site: Site) -> None:
    lane = site.lane(UPS, None)
    heard: list[int] = []

    def answer(change: Change) -> None:
        if (UPS, "ups.load") in change.points:
            lane.post({"battery.charge": 5.0})

    site.observe(answer)
    site.observe(lambda change: heard.append(change.revision))
    lane.post({"ups.load": 1.0})
    assert heard == [2, 3]


def test_failing_derivation_hides_no_reading_and_is_logged_once(
    site: Site, changes: list[Change], caplog: pytest.LogCaptureFixture
) -> None:
    broken = [False]

    def fragile(view: View, now: float) -> Derived:
        if broken[0]:
            raise ZeroDivisionError
        return Derived({"battery.runtime": 1.0})

    site.derive(UPS, fragile)
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 1.0})
    for broken[0], load in ((True, 2.0), (True, 3.0), (False, 4.0), (True, 5.0)):
        lane.post({"ups.load": load})
        assert value(site, "ups.load") == load
        assert quality(site, "battery.runtime") is (Quality.STALE if broken[0] else Quality.GOOD)
    assert [change.revision for change in changes] == list(range(2, len(changes) + 2))
    assert caplog.text.count("A derivation failed for ups-1") == 2


# Removal


def outlet_of(site: Site) -> DeviceId:
    site.put(Device(OUTLET, "ups-1/outlet-1", "outlet", "Outlet 1", parent=UPS))
    return OUTLET


def test_device_goes_with_its_children_in_one_revision(site: Site, changes: list[Change]) -> None:
    outlet = outlet_of(site)
    site.lane(outlet, 5).post(conditions={"outlet_on": True})
    changes.clear()
    site.remove(UPS)
    site.remove(UPS)
    (change,) = changes
    assert change.devices == {UPS: None, outlet: None}
    assert site.devices == {}
    assert site.readings(UPS) == {}
    assert site.conditions(outlet) == {}


def test_devices_that_are_each_others_parents_can_be_removed(site: Site) -> None:
    outlet = outlet_of(site)
    site.put(replace(site.devices[UPS], parent=outlet))
    site.remove(outlet)
    assert site.devices == {}


def test_nothing_is_said_of_a_device_that_was_removed_meanwhile(site: Site, changes: list[Change]) -> None:
    lane = site.lane(UPS, 5)
    with site.transaction():
        lane.post({"ups.load": 1.0}, {"on_battery": True})
        site.remove(UPS)
    (change,) = changes
    assert (change.points, change.conditions, change.edges) == ({}, {}, [])
    assert change.devices == {UPS: None}


def test_device_that_comes_back_begins_anew(site: Site, clock: ManualClock) -> None:
    device = site.devices[UPS]
    lane, heard = site.lane(UPS, 5), list[Reading]()
    site.derive(UPS, runtime)
    site.watch(UPS, "ups.load", heard.append)
    lane.post({"ups.load": 1.0, "battery.charge": 10.0})
    site.remove(UPS)
    heard.clear()
    site.put(device)
    lane.post({"ups.load": 2.0})
    lane.lost()
    clock.tick(10)
    site.expire()
    assert site.readings(UPS) == {}
    site.lane(UPS, 5).post({"ups.load": 3.0, "battery.charge": 10.0})
    assert set(site.readings(UPS)) == {"ups.load", "battery.charge"}
    assert heard == []


# Several sources of one point


def test_point_that_another_lane_keeps_confirming_does_not_expire(site: Site, clock: ManualClock) -> None:
    once, often = site.lane(UPS, 5), site.lane(UPS, 5)
    once.post({"ups.load": 1.0}, {"on_battery": False})
    for _ in range(4):
        clock.tick(3)
        often.post({"ups.load": 1.0}, {"on_battery": False})
        site.expire()
        assert quality(site, "ups.load") is Quality.GOOD
        assert site.conditions(UPS)["on_battery"].quality is Quality.GOOD
    once.lost()
    once.drop(["ups.load"])
    assert quality(site, "ups.load") is Quality.GOOD
    often.lost()
    assert quality(site, "ups.load") is Quality.LOST


def test_computed_value_never_takes_the_place_of_a_good_measured_one(site: Site, changes: list[Change]) -> None:
    site.derive(UPS, runtime)
    lane = site.lane(UPS, 5)
    lane.post({"battery.charge": 10.0, "battery.runtime": 555.0}, {"battery_low": False})
    assert value(site, "battery.runtime") == 555.0
    assert site.conditions(UPS)["battery_low"].active is False
    assert [edge for change in changes for edge in change.edges] == []
    lane.drop(["battery.runtime"])
    assert value(site, "battery.runtime") == 600.0
    lane.post({"battery.runtime": 550.0})
    reading = site.reading(UPS, "battery.runtime")
    assert reading is not None
    assert (reading.value, reading.source) == (550.0, Source.MEASURED)


def test_computed_value_stands_where_the_device_has_none(site: Site, changes: list[Change]) -> None:
    site.derive(UPS, runtime)
    lane = site.lane(UPS, 5)
    for _ in range(3):
        lane.post({"battery.charge": 10.0, "battery.runtime": None})
        assert value(site, "battery.runtime") == 600.0
    assert len(changes) == 1


# Quality goes down by itself and up only by being posted


def test_what_is_lost_stays_lost_until_it_is_posted_again(site: Site, clock: ManualClock) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"ups.load": 1.0})
    lane.lost()
    lane.drop(["ups.load"])
    clock.tick(6)
    site.expire()
    assert quality(site, "ups.load") is Quality.LOST
    lane.post({"ups.load": 1.0})
    assert quality(site, "ups.load") is Quality.GOOD


def test_derived_value_is_lost_when_only_conditions_were_lost(site: Site) -> None:
    def mode(view: View, now: float) -> Derived:
        return Derived({"ups.mode": "battery"}) if "on_battery" in view.known else Derived()

    site.derive(UPS, mode)
    lane = site.lane(UPS, 5)
    lane.post(conditions={"on_battery": True})
    assert quality(site, "ups.mode") is Quality.GOOD
    lane.lost()
    assert quality(site, "ups.mode") is Quality.LOST


def test_derived_value_is_not_kept_lost_by_having_been_lost(site: Site) -> None:
    site.derive(UPS, runtime)
    lane = site.lane(UPS, 5)
    lane.post({"battery.charge": 10.0})
    lane.lost()
    lane.post({"battery.charge": 10.0})
    lane.drop(["battery.charge"])
    assert quality(site, "battery.runtime") is Quality.STALE


# Restoration


def restored(site: Site, clock: ManualClock) -> None:
    site.restore(UPS, "on_battery", clock.utc())
    clock.tick(60)


def test_restored_condition_is_active_lost_and_makes_no_edge(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    since = clock.utc()
    restored(site, clock)
    state = site.conditions(UPS)["on_battery"]
    assert (state.active, state.quality, state.since) == (True, Quality.LOST, since)
    site.lane(UPS, 5).post(conditions={"on_battery": True})
    state = site.conditions(UPS)["on_battery"]
    assert (state.quality, state.since) == (Quality.GOOD, since)
    assert [edge for change in changes for edge in change.edges] == []


def test_restored_condition_that_ended_meanwhile_is_cleared(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    restored(site, clock)
    site.lane(UPS, 5).post(conditions={"on_battery": False})
    assert [edge for change in changes for edge in change.edges] == [Edge(UPS, "on_battery", False, clock.utc())]


def test_condition_is_restored_when_its_device_comes(clock: ManualClock) -> None:
    site = Site(load_catalogue(), clock)
    heard: list[Change] = []
    site.observe(heard.append)
    restored(site, clock)
    assert (heard, site.conditions(UPS)) == ([], {})
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    assert site.conditions(UPS)["on_battery"].active is True
    (change,) = heard
    assert set(change.conditions) == {(UPS, "on_battery")}
    site.remove(UPS)
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    assert site.conditions(UPS) == {}


def test_condition_that_the_catalogue_no_longer_knows_is_not_restored(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    site.restore(UPS, "no_such", clock.utc())
    assert changes == []


def test_source_that_was_quicker_than_the_journal_is_believed(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    site.lane(UPS, 5).post(conditions={"on_battery": False, "overload": True})
    changes.clear()
    restored(site, clock)
    site.restore(UPS, "overload", clock.utc())
    assert [(edge.condition, edge.active) for change in changes for edge in change.edges] == [("on_battery", False)]
    assert site.conditions(UPS)["on_battery"].active is False
    assert site.conditions(UPS)["overload"].quality is Quality.GOOD


def test_expiry_looks_at_no_lane_before_its_time(site: Site, clock: ManualClock) -> None:

    lanes = []
    for number in range(100):
        device = DeviceId(f"d{number}")
        site.put(Device(device, device, "ups", device))
        lanes.append(site.lane(device, 60))
        lanes[-1].post({"ups.load": 1.0})
    due = site.lane(UPS, 5)
    due.post({"ups.load": 1.0})
    looked_at: list[object] = []
    expire = site._expire

    def look(lane: Lane, now: float) -> None:
        looked_at.append(lane)
        expire(lane, now)

    site._expire = look  # type: ignore[method-assign]  # counts, and does it
    for _ in range(5):
        clock.tick(1)
        site.expire()
    assert looked_at == [due]


def test_lane_of_a_removed_device_expires_without_a_trace(
    site: Site, changes: list[Change], clock: ManualClock
) -> None:
    site.lane(UPS, 5).post({"ups.load": 1.0})
    site.remove(UPS)
    changes.clear()
    clock.tick(10)
    assert site.expire() is None
    assert changes == []


# Values that cannot be


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "n/a", "", True])
def test_value_that_cannot_be_is_counted_and_not_published(site: Site, wrong: Value, clock: ManualClock) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"input.voltage": 230.0})
    clock.tick(3)
    lane.post({"input.voltage": wrong})
    assert value(site, "input.voltage") == 230.0
    assert site.rejected == {"input.voltage": 1}
    clock.tick(2)
    site.expire()
    assert quality(site, "input.voltage") is Quality.STALE


def test_option_that_does_not_exist_is_rejected(site: Site) -> None:
    site.lane(UPS, 5).post({"ups.mode": "sideways"})
    assert site.reading(UPS, "ups.mode") is None


def test_values_have_the_type_of_their_point(site: Site, changes: list[Change]) -> None:
    lane = site.lane(UPS, 5)
    lane.post({"input.voltage": "230.5", "ups.load": 20, "link.answers": "7"})
    lane.post({"input.voltage": 230.5, "ups.load": "20", "link.answers": 7})
    assert (value(site, "input.voltage"), value(site, "ups.load"), value(site, "link.answers")) == (230.5, 20.0, 7)
    assert type(value(site, "ups.load")) is float
    assert len(changes) == 1


def test_device_that_makes_up_keys_costs_no_memory(site: Site) -> None:
    lane = site.lane(UPS, 5)
    lane.post({f"made.up.{number}": 1.0 for number in range(10_000)})
    assert len(site.rejected) <= 201
    assert sum(site.rejected.values()) == 10_000

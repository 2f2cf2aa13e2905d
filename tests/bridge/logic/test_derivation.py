"""What is worked out about a device lives beside what is measured of it, and gives way to it."""

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic.derivation import Derived, View, chain
from ridethrough.site import Device, DeviceId, Quality, Site, Source

UPS = DeviceId("ups")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    site = Site(load_catalogue(), clock)
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    return site


def charge_from_voltage(view: View, now: float) -> Derived:
    """Stand for any derivation: it works a charge out unless the device gives one."""
    if "battery.charge" in view.values or "battery.voltage" not in view.values:
        return Derived()
    return Derived({"battery.charge": float(view.values["battery.voltage"])}, {"battery_low": False})


def test_measured_value_displaces_the_computed_one_and_keeps_its_place(site: Site) -> None:
    site.derive(UPS, charge_from_voltage)
    lane = site.lane(UPS, 5.0)
    lane.post({"battery.voltage": 27.0})
    computed = site.reading(UPS, "battery.charge")
    assert computed is not None and (computed.value, computed.source) == (27.0, Source.COMPUTED)

    lane.post({"battery.charge": 80.0})
    for voltage in (26.0, 25.0):
        lane.post({"battery.voltage": voltage, "battery.charge": 80.0})
        measured = site.reading(UPS, "battery.charge")
        assert measured is not None
        assert (measured.value, measured.quality, measured.source) == (80.0, Quality.GOOD, Source.MEASURED)


def test_computed_value_takes_over_when_the_measured_one_is_withdrawn(site: Site) -> None:
    site.derive(UPS, charge_from_voltage)
    lane = site.lane(UPS, 5.0)
    lane.post({"battery.voltage": 27.0, "battery.charge": 80.0})
    lane.drop(["battery.charge"])
    reading = site.reading(UPS, "battery.charge")
    assert reading is not None and (reading.value, reading.source) == (27.0, Source.COMPUTED)
    lane.lost()
    reading = site.reading(UPS, "battery.charge")
    assert reading is not None and reading.quality is Quality.LOST


def test_device_that_does_not_know_a_point_does_not_displace_what_is_computed(site: Site) -> None:
    site.derive(UPS, charge_from_voltage)
    lane = site.lane(UPS, 5.0)
    lane.post({"battery.voltage": 27.0})
    revision = site.revision
    lane.post({"battery.voltage": 27.0, "battery.charge": None})
    reading = site.reading(UPS, "battery.charge")
    assert reading is not None and reading.quality is Quality.GOOD
    assert site.revision == revision


def test_condition_that_the_device_begins_to_tell_is_no_longer_derived(site: Site) -> None:
    known: list[bool] = []

    def low(view: View, now: float) -> Derived:
        known.append("battery_low" in view.known)
        return Derived() if known[-1] else Derived(conditions={"battery_low": False})

    site.derive(UPS, low)
    lane = site.lane(UPS, 5.0)
    lane.post({"ups.load": 1.0})
    lane.post(conditions={"battery_low": True})
    lane.post({"ups.load": 2.0})
    assert known == [False, False, True, True]
    state = site.conditions(UPS)["battery_low"]
    assert state.active and state.quality is Quality.GOOD


def test_derivation_is_run_again_when_it_asked_to_be(site: Site, clock: ManualClock) -> None:
    def seconds(view: View, now: float) -> Derived:
        if "on_battery" not in view.active:
            return Derived()
        return Derived({"battery.runtime.elapsed": now}, again=1.0)

    site.derive(UPS, seconds)
    lane = site.lane(UPS, None)
    assert site.expire() is None
    lane.post(conditions={"on_battery": True})
    assert site.expire() == 1.0
    clock.tick(0.25)
    assert site.expire() == 0.75
    clock.tick(0.75)
    assert site.expire() == 1.0
    reading = site.reading(UPS, "battery.runtime.elapsed")
    assert reading is not None and reading.value == 1.0
    lane.post(conditions={"on_battery": False})
    assert site.expire() is None


def test_removed_device_is_not_derived_again(site: Site, clock: ManualClock) -> None:
    site.derive(UPS, lambda view, now: Derived(again=1.0))
    assert site.expire() == 1.0
    site.remove(UPS)
    clock.tick(2.0)
    assert site.expire() is None


def test_chained_derivations_see_what_those_before_gave_and_are_asked_again_when_the_first_wants_it() -> None:
    def first(view: View, now: float) -> Derived:
        assert not {"battery.charge", "ups.load"} & view.values.keys()
        return Derived({"battery.charge": 40.0}, {"battery_low": False, "overload": True}, again=5.0)

    def second(view: View, now: float) -> Derived:
        assert view.values["battery.charge"] == 40.0
        assert (set(view.active), set(view.known)) == ({"overload"}, {"battery_low", "overload"})
        return Derived({"ups.load": 2.0}, again=3.0)

    class Nothing:
        values: dict[str, float] = {}
        active: frozenset[str] = frozenset()
        known: frozenset[str] = frozenset()

    derived = chain(first, second, lambda view, now: Derived())(Nothing(), 0.0)
    assert derived == Derived(
        {"battery.charge": 40.0, "ups.load": 2.0}, {"battery_low": False, "overload": True}, again=3.0
    )
    assert chain()(Nothing(), 0.0) == Derived()

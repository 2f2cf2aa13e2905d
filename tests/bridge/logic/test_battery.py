"""The battery: symmetry of a centre tap, date and age."""

from datetime import date, timedelta

import pytest

from ridethrough.catalogue import Value, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic.battery import BatterySettings, battery_derivation, symmetry, too_old
from ridethrough.logic.derivation import Derived
from ridethrough.site import Device, DeviceId, Site

from .views import seen

INSTALLED = date(2024, 5, 1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("positive", "negative", "difference"),
    [(120.0, 117.0, 3.0), (117.0, 120.0, 3.0), (120.0, -117.0, 3.0), (120.0, None, None), (None, 1.0, None)],
)
def test_symmetry_is_the_difference_of_the_strings(
    positive: float | None, negative: float | None, difference: float | None
) -> None:
    values: dict[str, Value] = {}
    if positive is not None:
        values["battery.positive.voltage"] = positive
    if negative is not None:
        values["battery.negative.voltage"] = negative
    assert symmetry(values) == difference
    derived = battery_derivation(BatterySettings(), lambda: INSTALLED)(seen(values), 0.0)
    assert derived.points.get("battery.symmetry") == difference


# M:2283: months of 30 days, 48 of them if nobody has said.
@pytest.mark.parametrize(("months", "days"), [(48, 1440), (1, 30), (120, 3600)])
def test_battery_is_too_old_after_months_of_30_days(months: int, days: int) -> None:
    assert not too_old(INSTALLED, months, INSTALLED + (days - 1) * DAY)
    assert too_old(INSTALLED, months, INSTALLED + days * DAY)


def test_date_and_age_come_from_what_a_person_said() -> None:
    derived = battery_derivation(BatterySettings(INSTALLED), lambda: INSTALLED + 1440 * DAY)(seen(), 0.0)
    assert derived.points == {"battery.date": "2024-05-01"}
    assert derived.conditions == {"battery_too_old": True}


def test_date_that_the_ups_tells_stands_but_age_counts_from_what_a_person_said() -> None:
    derivation = battery_derivation(BatterySettings(INSTALLED), lambda: INSTALLED)
    derived = derivation(seen({"battery.date": "1999-01-01"}), 0.0)
    assert (derived.points, derived.conditions) == ({}, {"battery_too_old": False})


@pytest.mark.parametrize(
    ("told", "old"),
    [("2020-01-01", True), ("2020/01/01", True), ("2026-01-01", False), ("01/02/20", None), ("", None), (7, None)],
)
def test_date_of_the_ups_counts_only_where_a_person_gave_an_age(told: Value, old: bool | None) -> None:
    asked = battery_derivation(BatterySettings(too_old_after=48), lambda: date(2026, 11, 21))
    assert asked(seen({"battery.date": told}), 0.0).conditions.get("battery_too_old") is old
    assert battery_derivation(BatterySettings(), lambda: date(2026, 11, 21))(seen({"battery.date": told}), 0.0) == (
        Derived()
    )


def test_ups_that_judges_the_age_itself_is_believed() -> None:
    derived = battery_derivation(BatterySettings(INSTALLED), lambda: date(2050, 1, 1))(seen(battery_too_old=False), 0.0)
    assert derived.conditions == {}


def test_battery_ages_on_a_site_where_nothing_else_happens() -> None:
    clock = ManualClock()
    site, ups = Site(load_catalogue(), clock), DeviceId("ups")
    site.put(Device(ups, "ups-1", "ups", "UPS"))
    installed = clock.utc().date() - 29 * DAY
    site.derive(ups, battery_derivation(BatterySettings(installed, 1), lambda: clock.utc().date()))
    assert not site.conditions(ups)["battery_too_old"].active
    for _ in range(24):
        following = site.expire()
        assert following is not None
        clock.tick(following)
    site.expire()
    assert site.conditions(ups)["battery_too_old"].active

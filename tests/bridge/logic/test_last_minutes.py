"""The end of an outage: system shutdown time and empty battery."""

import pytest

from ridethrough.catalogue import Value, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic import UpsSettings, ups_derivation
from ridethrough.logic.last_minutes import last_minutes_derivation
from ridethrough.site import Device, DeviceId, Site

from .views import Seen, seen


def outage(runtime: float | None = None, **conditions: bool) -> Seen:
    values: dict[str, Value] = {} if runtime is None else {"battery.runtime": runtime}
    return seen(values, **{"on_battery": True, **conditions})


@pytest.mark.parametrize(
    ("view", "reached"),
    [
        (outage(121.0), False),
        (outage(120.0), True),
        (seen({"battery.runtime": 60.0}, on_battery=False), False),
        (seen({"battery.runtime": 60.0}), None),
        (outage(), None),
        (outage(battery_low=False), None),
        (outage(battery_low=True), True),
        (outage(600.0, battery_low=True), False),
        # A full test uses the battery up with mains present.
        (outage(60.0, test_in_progress=True), False),
        (outage(60.0, calibrating=True, input_bad=False), False),
        (outage(60.0, test_in_progress=True, input_bad=True), True),
        (outage(60.0, system_shutdown=False), None),
    ],
)
def test_system_shutdown_is_when_so_little_is_left_in_an_outage(view: Seen, reached: bool | None) -> None:
    assert last_minutes_derivation(120.0)(view, 0.0).conditions.get("system_shutdown") is reached


def test_system_shutdown_holds_until_power_returns() -> None:
    derivation = last_minutes_derivation(120.0)
    mains, unknown = seen({"battery.runtime": 30.0}, on_battery=False), seen()

    def shown(view: Seen) -> bool | None:
        return derivation(view, 0.0).conditions.get("system_shutdown")

    views = [outage(100.0), outage(500.0), outage(), unknown, outage(500.0), mains, outage(500.0)]
    assert [shown(view) for view in views] == [True, True, True, None, True, False, False]


def test_system_shutdown_before_a_restart_of_the_bridge_holds_too() -> None:
    derivation = last_minutes_derivation(120.0, frozenset({"system_shutdown"}))
    assert "system_shutdown" not in derivation(seen(), 0.0).conditions
    assert derivation(outage(500.0), 0.0).conditions["system_shutdown"] is True


def test_nobody_asked_for_a_system_shutdown() -> None:
    assert "system_shutdown" not in last_minutes_derivation(None)(outage(1.0), 0.0).conditions


@pytest.mark.parametrize(
    ("view", "empty"),
    [
        (seen({"battery.charge": 0.0}, on_battery=True), True),
        (seen({"battery.charge": 0.1}, on_battery=True), False),
        (seen({"battery.charge": 80.0, "battery.runtime": 0.0}, on_battery=True), False),
        (seen({"battery.runtime": 0.0}, on_battery=True), True),
        (seen({"battery.charge": 0.0, "battery.runtime": 300.0}, on_battery=True), True),
        (seen({"battery.charge": 0.0}, on_battery=False), False),
        (seen({"battery.charge": 0.0}), None),
        (seen({"battery.charge": 0.0}, on_battery=True, test_in_progress=True), False),
        (seen(on_battery=True), None),
        (seen({"battery.charge": 0.0}, on_battery=True, battery_depleted=False), None),
    ],
)
def test_battery_is_depleted_when_nothing_is_left_in_an_outage(view: Seen, empty: bool | None) -> None:
    assert last_minutes_derivation(None)(view, 0.0).conditions.get("battery_depleted") is empty


def test_outage_down_to_the_end_on_a_site() -> None:
    clock = ManualClock()
    site, ups = Site(load_catalogue(), clock), DeviceId("ups")
    site.put(Device(ups, "ups-1", "ups", "UPS"))
    site.derive(ups, ups_derivation(UpsSettings(hold_time=5)))
    site.derive(ups, last_minutes_derivation(120.0))
    lane = site.lane(ups, None)
    edges: list[tuple[int, str, bool]] = []
    site.observe(lambda change: edges.extend((round(clock.monotonic()), e.condition, e.active) for e in change.edges))
    lane.post({"ups.load": 100.0, "battery.charge": 100.0}, {"on_battery": False})
    lane.drop(["battery.charge"])
    lane.post(conditions={"on_battery": True})
    for _ in range(310):
        clock.tick(1.0)
        site.expire()
    ends = [edge for edge in edges if edge[1] in ("system_shutdown", "battery_depleted") and edge[2]]
    # 5 minutes at full load: 2 minutes are left after 3, nothing after 5.
    assert ends == [(180, "system_shutdown", True), (300, "battery_depleted", True)]

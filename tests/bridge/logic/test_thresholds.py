"""Thresholds: literal comparisons, hysteresis, hold time, and what is not known."""

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic import Bounds, Threshold, UpsSettings, thresholds_derivation, ups_derivation
from ridethrough.logic.derivation import Derived
from ridethrough.site import Device, DeviceId, Quality, Site

from .views import Seen, seen

UPS = DeviceId("ups")
CHARGE = Threshold("charge", "battery.charge", Bounds(low=71), Bounds(low=61))
TEMPERATURE = Threshold("room", "ups.temperature", Bounds(10, 34), Bounds(5, 39), hysteresis=1)
DRIFT = Threshold("drift", "battery.symmetry", Bounds(high=3), Bounds(high=5), hysteresis=0.5, hold=10)


def active(derived: Derived) -> set[str]:
    return {key for key, holds in derived.conditions.items() if holds}


# The manual's own words, M:2870–2915: 67 % is not less than 67 %; below 71 it is on at 70 and off at 71.
@pytest.mark.parametrize(
    ("bounds", "value", "beyond"),
    [
        (Bounds(low=67), 67.0, False),
        (Bounds(low=67), 66.9, True),
        (Bounds(low=67), 43.0, True),
        (Bounds(low=71), 70.0, True),
        (Bounds(low=71), 71.0, False),
        (Bounds(high=3), 3.0, False),
        (Bounds(high=3), 3.1, True),
        (Bounds(10, 34), 10.0, False),
        (Bounds(10, 34), 34.0, False),
        (Bounds(10, 34), 9.9, True),
        (Bounds(10, 34), 34.1, True),
        (Bounds(), -1e9, False),
    ],
)
def test_comparison_is_taken_literally(bounds: Bounds, value: float, beyond: bool) -> None:
    assert bounds.beyond(value) is beyond


def test_manuals_tutorial_of_two_levels_of_charge() -> None:
    derivation = thresholds_derivation([CHARGE])
    shown = [
        active(derivation(seen({"battery.charge": charge}), 0.0)) for charge in (71.0, 70.0, 61.0, 60.0, 61.0, 71.0)
    ]
    warning, alarm = {"threshold.charge.warning", "threshold_warning"}, {"threshold.charge.alarm", "threshold_alarm"}
    assert shown == [set(), warning, warning, warning | alarm, warning, set()]


def test_value_must_come_back_by_the_hysteresis_from_either_side() -> None:
    derivation = thresholds_derivation([TEMPERATURE])
    shown = [
        "threshold.room.warning" in active(derivation(seen({"ups.temperature": value}), 0.0))
        for value in (34.1, 33.5, 33.0, 34.0, 9.0, 10.9, 11.0)
    ]
    assert shown == [True, True, False, False, True, True, False]


def test_value_must_be_beyond_for_the_hold_time_without_a_break() -> None:
    derivation = thresholds_derivation([DRIFT])

    def at(now: float, value: float | None) -> tuple[bool | None, float | None]:
        derived = derivation(seen({} if value is None else {"battery.symmetry": value}), now)
        return derived.conditions.get("threshold.drift.warning"), derived.again

    assert at(0.0, 2.0) == (False, None)
    assert at(1.0, 4.0) == (False, 10.0)
    assert at(7.0, 4.0) == (False, 4.0)
    assert at(8.0, 3.0) == (False, None)
    assert at(9.0, 4.0) == (False, 10.0)
    assert at(12.0, None) == (None, None)
    assert at(13.0, 4.0) == (False, 10.0)
    assert at(23.0, 4.0) == (True, None)
    assert at(24.0, None) == (None, None)
    assert at(25.0, 2.9) == (True, None)
    assert at(26.0, 2.5) == (False, None)


def test_summary_is_known_when_one_is_raised_or_all_are_known() -> None:
    derivation = thresholds_derivation([CHARGE, Threshold("load", "ups.load", Bounds(high=80))])
    assert derivation(seen({"battery.charge": 70.0}), 0.0).conditions["threshold_warning"] is True
    assert "threshold_warning" not in derivation(seen({"battery.charge": 80.0}), 0.0).conditions
    both = derivation(seen({"battery.charge": 80.0, "ups.load": 10.0}), 0.0).conditions
    assert (both["threshold_warning"], both["threshold_alarm"]) == (False, False)


def test_what_the_device_says_itself_of_its_own_thresholds_stands() -> None:
    derived = thresholds_derivation([CHARGE])(seen({"battery.charge": 1.0}, threshold_warning=False), 0.0)
    assert active(derived) == {"threshold.charge.warning", "threshold.charge.alarm", "threshold_alarm"}


def test_text_and_truth_are_no_numbers() -> None:
    derivation = thresholds_derivation([CHARGE])
    assert derivation(seen({"battery.charge": "n/a"}), 0.0) == Derived()
    assert derivation(seen({"battery.charge": True}), 0.0) == Derived()


VALUES = st.lists(st.tuples(st.floats(0.0, 30.0), st.none() | st.floats(-20.0, 60.0)), max_size=40)


@given(VALUES, st.floats(0.0, 5.0), st.floats(0.0, 40.0))
def test_threshold_neither_flaps_nor_hurries_nor_forgets(
    history: list[tuple[float, float | None]], hysteresis: float, hold: float
) -> None:
    threshold = Threshold("x", "ups.temperature", warning=Bounds(10, 34), hysteresis=hysteresis, hold=hold)
    derivation = thresholds_derivation([threshold])
    now, before, beyond_since = 0.0, False, None
    for after, value in history:
        now += after
        derived = derivation(Seen({} if value is None else {"ups.temperature": value}), now)
        if value is None:
            assert derived == Derived()
            beyond_since = None
            continue
        outside = not 10 <= value <= 34
        beyond_since = (now if beyond_since is None else beyond_since) if outside else None
        state = derived.conditions["threshold.x.warning"]
        if state and not before:
            assert beyond_since is not None and now >= beyond_since + hold
        if before and not state:
            assert 10 + hysteresis <= value <= 34 - hysteresis
        if not state and beyond_since is not None:
            assert derived.again is not None and 0 < derived.again <= hold + 1e-6
        before = state


# On a site


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    site = Site(load_catalogue(), clock)
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    return site


def test_threshold_watches_what_another_derivation_works_out(site: Site, clock: ManualClock) -> None:
    elapsed = Threshold("outage", "battery.runtime.elapsed", warning=Bounds(high=5), hold=2)
    runtime = Threshold("runtime", "battery.runtime", alarm=Bounds(low=480))
    site.derive(UPS, ups_derivation(UpsSettings(hold_time=10)))
    site.derive(UPS, thresholds_derivation([elapsed, runtime]))
    lane = site.lane(UPS, None)
    lane.post({"ups.load": 100.0, "battery.charge": 79.0}, {"on_battery": True})
    assert site.conditions(UPS)["threshold.runtime.alarm"].active
    raised_at: list[float] = []
    for _ in range(12):
        clock.tick(1.0)
        site.expire()
        if site.conditions(UPS)["threshold.outage.warning"].active:
            raised_at.append(clock.monotonic())
    # More than 5 s on battery at 6 s, and then for 2 s.
    assert raised_at[0] == 8.0
    revision = site.revision
    lane.post(conditions={"on_battery": False})
    assert site.revision == revision + 1
    assert not site.conditions(UPS)["threshold.outage.warning"].active


def test_hold_time_ends_by_itself_though_nothing_changes(site: Site, clock: ManualClock) -> None:
    site.derive(UPS, thresholds_derivation([DRIFT]))
    site.lane(UPS, None).post({"battery.symmetry": 9.0})
    assert site.expire() == 10.0
    clock.tick(10.0)
    assert site.expire() is None
    assert {key for key, state in site.conditions(UPS).items() if state.active} == {
        "threshold.drift.warning",
        "threshold.drift.alarm",
        "threshold_warning",
        "threshold_alarm",
    }


def test_lost_value_neither_raises_nor_clears(site: Site) -> None:
    site.derive(UPS, thresholds_derivation([CHARGE]))
    lane = site.lane(UPS, 5.0)
    edges: list[tuple[str, bool]] = []
    site.observe(lambda change: edges.extend((edge.condition, edge.active) for edge in change.edges))
    lane.post({"battery.charge": 70.0})
    assert ("threshold.charge.warning", True) in edges
    edges.clear()
    lane.lost()
    state = site.conditions(UPS)["threshold.charge.warning"]
    assert (state.active, state.quality) == (True, Quality.LOST)
    lane.post({"battery.charge": 70.0})
    assert edges == []
    assert site.conditions(UPS)["threshold.charge.warning"].quality is Quality.GOOD


def test_threshold_that_was_raised_before_a_restart_goes_on_without_an_edge(site: Site, clock: ManualClock) -> None:
    held = Threshold("charge", "battery.charge", Bounds(low=71), hysteresis=2, hold=60)
    raised = frozenset({"threshold.charge.warning", "threshold_warning"})
    for condition in raised:
        site.restore(UPS, condition, clock.utc())
    edges: list[tuple[str, bool]] = []
    site.observe(lambda change: edges.extend((edge.condition, edge.active) for edge in change.edges))
    site.derive(UPS, thresholds_derivation([held], raised))
    lane = site.lane(UPS, None)
    lane.post({"battery.charge": 72.0})
    assert edges == []
    lane.post({"battery.charge": 73.0})
    assert edges == [("threshold.charge.warning", False), ("threshold_warning", False)]


def test_transfer_switch_has_thresholds_too(clock: ManualClock) -> None:
    site = Site(load_catalogue(), clock)
    site.put(Device(UPS, "sts-1", "transfer_switch", "STS"))
    site.derive(UPS, thresholds_derivation([Threshold("a", "input.1.voltage", Bounds(200, 250))]))
    site.lane(UPS, None).post({"input.1.voltage": 190.0})
    assert site.conditions(UPS)["threshold.a.warning"].active

"""What is worked out about a UPS: mode, UPSMAN's word, RFC 1628's alarms, time on battery, charge and runtime."""

from collections.abc import Iterable

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import Value, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic.autonomy import ChargeBefore, UpsSettings
from ridethrough.logic.derivation import Derived
from ridethrough.logic.ups import block_voltage, load_share, summary_derivation, ups_derivation
from ridethrough.logic.ups_status import (
    UpsConditions,
    derived_conditions,
    discharging,
    mode,
    rfc1628_alarms,
    status_word,
)
from ridethrough.site import Device, DeviceId, Quality, Reading, Site, Source

from .views import Seen, seen

CATALOGUE = load_catalogue()
UPS_CONDITIONS = sorted(row.key for row in CATALOGUE.conditions if "ups" in row.kinds)
SETTINGS = UpsSettings(power=1000, hold_time=10, recharge_time=4)


def told(**conditions: bool) -> UpsConditions:
    return UpsConditions(frozenset(key for key, holds in conditions.items() if holds), frozenset(conditions))


def derive(view: Seen, settings: UpsSettings = SETTINGS, now: float = 0.0) -> Derived:
    """Work out everything once, as a site does: what follows, and then the summary of it all."""
    first = ups_derivation(settings)(view, now)
    active = view.active | {key for key, holds in first.conditions.items() if holds}
    known = view.known | first.conditions.keys()
    last = summary_derivation()(Seen({**first.points, **view.values}, active, known), now)
    return Derived({**first.points, **last.points}, first.conditions, first.again)


# The manual's own examples, M:11148–11153.
@pytest.mark.parametrize(
    ("view", "word"),
    [
        (seen(on_battery=False), 4),
        (seen(on_battery=True), 12),
        (seen(on_battery=True, battery_low=True), 28),
        (seen(on_battery=False, on_bypass=True), 5),
    ],
)
def test_status_word_is_that_of_the_manuals_examples(view: Seen, word: int) -> None:
    assert derive(view).points["ups.status.word"] == word


def test_runtime_does_not_contradict_a_ups_that_says_its_battery_is_low() -> None:
    view = seen(
        {"ups.load": 100.0, "battery.voltage": 26.0, "battery.voltage.nominal": 24.0}, on_battery=True, battery_low=True
    )
    assert derive(view).points["battery.charge"] == 10.0
    assert derive(view).points["battery.runtime"] == 60.0


def test_every_bit_of_the_status_word_has_a_condition() -> None:
    bits = {row.upsman_bit for row in CATALOGUE.conditions if "ups" in row.kinds and row.upsman_bit}
    assert sorted(bits) == [1 << bit for bit in range(16)]
    everything = told(**dict.fromkeys(UPS_CONDITIONS, True))
    assert status_word(everything, CATALOGUE) == 0xFFFF


def test_every_alarm_of_rfc_1628_has_exactly_one_condition() -> None:
    everything = told(**dict.fromkeys(UPS_CONDITIONS, True))
    alarms = rfc1628_alarms(everything, CATALOGUE)
    assert alarms is not None
    assert [number for number in alarms if number < 25] == list(range(1, 25))
    assert len(set(alarms)) == len(alarms)


def test_alarms_of_an_outage_are_on_battery_and_input_bad() -> None:
    conditions = told(on_battery=True, input_bad=True, charging=False)
    assert rfc1628_alarms(conditions, CATALOGUE) == (2, 6)
    assert derive(seen(on_battery=True)).points["alarms.present"] == 2


def test_nothing_is_said_of_a_ups_that_says_nothing() -> None:
    assert derive(seen()) == Derived()
    assert status_word(told(overload=True), CATALOGUE) is None
    assert rfc1628_alarms(told(overload=True), CATALOGUE) is None


def test_lost_ups_has_only_the_bit_and_the_alarm_that_say_so() -> None:
    derived = derive(seen(communications_lost=True))
    assert derived.points == {"ups.status.word": 0x4000, "alarms.present": 1}
    assert derived.conditions == {}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (told(), None),
        (told(overload=True), None),
        (told(on_battery=False), "line"),
        (told(on_battery=True), "battery"),
        (told(on_battery=False, on_bypass=True), "bypass"),
        (told(on_battery=False, on_bypass=True, eco_mode=True), "bypass"),
        (told(on_battery=False, eco_mode=True), "eco"),
        (told(on_battery=False, boost=True), "boost"),
        (told(on_battery=False, trim=True), "trim"),
        (told(on_battery=False, output_off=True), "off"),
        (told(on_battery=True, system_off=True), "off"),
        (told(on_battery=True, output_active=False), "off"),
        (told(on_battery=False, output_active=True), "line"),
        (told(on_battery=False, test_in_progress=True), "test"),
        (told(on_battery=True, calibrating=True), "test"),
        (told(on_battery=True, test_in_progress=True, input_bad=False), "test"),
        (told(on_battery=True, test_in_progress=True, input_bad=True), "battery"),
    ],
)
def test_mode_names_what_feeds_the_load(conditions: UpsConditions, expected: str | None) -> None:
    assert mode(conditions) == expected


def test_every_mode_is_an_option_of_the_point() -> None:
    point = CATALOGUE.point("ups", "ups.mode")
    assert point is not None
    for key in UPS_CONDITIONS:
        assert mode(told(**{"on_battery": False, key: True})) in point.options


@pytest.mark.parametrize(
    ("values", "low"),
    [
        ({}, None),
        ({"battery.charge": 15.0}, None),
        ({"battery.charge": 15.0, "battery.charge.low": 20.0}, True),
        ({"battery.charge": 20.0, "battery.charge.low": 20.0}, False),
        ({"battery.runtime": 100.0, "battery.runtime.low": 120.0}, True),
        (
            {
                "battery.charge": 90.0,
                "battery.charge.low": 20.0,
                "battery.runtime": 100.0,
                "battery.runtime.low": 120.0,
            },
            True,
        ),
    ],
)
def test_battery_is_low_below_either_limit(values: dict[str, Value], low: bool | None) -> None:
    assert derived_conditions(told(on_battery=True), values).get("battery_low") is low


def test_what_the_ups_says_itself_is_not_derived() -> None:
    values: dict[str, Value] = {"battery.charge": 5.0, "battery.charge.low": 20.0, "ups.mode": "eco"}
    derived = derive(seen(values, on_battery=True, battery_low=False, input_bad=False, output_active=True))
    assert derived.conditions == {}
    assert not {"battery.charge", "ups.mode"} & derived.points.keys()


def test_computed_charge_below_the_limit_makes_the_battery_low() -> None:
    derivation = ups_derivation(SETTINGS)
    derivation(seen({"battery.charge": 100.0, "ups.load": 100.0}, on_battery=True), 0.0)
    later = seen({"battery.charge.low": 20.0, "ups.load": 100.0}, on_battery=True)
    assert derivation(later, 479.0).conditions["battery_low"] is False
    assert derivation(later, 481.0).conditions["battery_low"] is True


@pytest.mark.parametrize(
    ("conditions", "values", "bad"),
    [
        (told(), {}, None),
        (told(on_battery=True), {}, True),
        (told(on_battery=False), {}, False),
        (told(on_battery=True, test_in_progress=True), {}, None),
        (told(on_battery=True, test_in_progress=True), {"input.voltage": 0.0, "input.voltage.nominal": 230.0}, True),
        (told(on_battery=True, test_in_progress=True), {"input.voltage": 230.0, "input.voltage.nominal": 230.0}, None),
        (
            told(on_battery=True, test_in_progress=True),
            {"input.voltage": 230.0, "input.transfer.low": 170.0, "input.transfer.high": 270.0},
            False,
        ),
        (told(), {"input.voltage": 280.0, "input.transfer.high": 270.0}, True),
        (told(), {"input.voltage": 160.0, "input.transfer.low": 170.0}, True),
        (told(on_battery=False), {"input.voltage": 160.0, "input.transfer.low": 170.0}, True),
    ],
)
def test_input_is_bad_outside_the_transfer_limits_or_when_it_sends_the_ups_on_battery(
    conditions: UpsConditions, values: dict[str, Value], bad: bool | None
) -> None:
    assert derived_conditions(conditions, values).get("input_bad") is bad


def test_input_voltage_above_its_limit_is_the_bit_for_it() -> None:
    values: dict[str, Value] = {"input.voltage": 280.0, "input.transfer.high": 270.0}
    assert derive(seen(values, on_battery=False)).points["ups.status.word"] == 0x0080 | 0x0004


def test_ups_that_is_off_has_no_active_output() -> None:
    assert derive(seen(on_battery=False, output_off=True)).conditions["output_active"] is False


def test_time_on_battery_counts_from_the_outage_and_is_zero_without_one() -> None:
    derivation = ups_derivation(UpsSettings())
    outage, mains = seen(on_battery=True), seen(on_battery=False)

    def elapsed(view: Seen, now: float) -> Value | None:
        return derivation(view, now).points.get("battery.runtime.elapsed")

    assert elapsed(mains, 100.0) == 0.0
    assert elapsed(outage, 110.0) == 0.0
    assert elapsed(outage, 121.9) == 11.0
    assert elapsed(seen(), 130.0) is None
    assert elapsed(outage, 140.0) == 30.0
    assert elapsed(mains, 150.0) == 0.0
    assert elapsed(outage, 160.0) == 0.0


@pytest.mark.parametrize(("before", "elapsed"), [(300.0, [305.0, 315.0]), (-5.0, [0.0, 10.0])])
def test_bridge_restarted_during_an_outage_goes_on_counting(before: float, elapsed: list[float]) -> None:
    derivation = ups_derivation(UpsSettings(), on_battery_before=before)
    assert derivation(seen(), 0.0) == Derived()
    shown = [derivation(seen(on_battery=True), now).points["battery.runtime.elapsed"] for now in (5.0, 15.0)]
    assert shown == elapsed


def test_outage_that_ended_while_the_bridge_was_away_is_not_counted_with_the_next() -> None:
    derivation = ups_derivation(UpsSettings(), on_battery_before=300.0)
    assert derivation(seen(on_battery=False), 0.0).points["battery.runtime.elapsed"] == 0.0
    assert derivation(seen(on_battery=True), 10.0).points["battery.runtime.elapsed"] == 0.0


@pytest.mark.parametrize(
    ("view", "again"),
    [
        (seen(on_battery=True), 1.0),
        (seen(on_battery=False), 10.0),
        (seen({"battery.charge": 50.0}, on_battery=False), None),
        (seen(), None),
    ],
)
def test_time_alone_is_looked_at_only_where_it_changes_something(view: Seen, again: float | None) -> None:
    assert derive(view).again == again


@pytest.mark.parametrize(
    ("settings", "values", "share"),
    [
        (UpsSettings(), {}, None),
        (UpsSettings(), {"ups.load": 40.0}, 0.4),
        (UpsSettings(power=1000, load=900), {"ups.load": 40.0}, 0.4),
        (UpsSettings(power=1000), {"ups.power": 250.0}, 0.25),
        (UpsSettings(), {"ups.power": 250.0, "ups.power.nominal": 500.0}, 0.5),
        (UpsSettings(), {"ups.power": 250.0, "ups.power.nominal": 0.0}, None),
        (UpsSettings(), {"ups.power": 250.0}, None),
        (UpsSettings(power=1000, load=900), {}, 0.9),
        (UpsSettings(load=900), {}, None),
        (UpsSettings(power=1000), {"ups.load": "n/a", "ups.power": True}, None),
        (UpsSettings(), {"ups.load": -3.0}, 0.0),
    ],
)
def test_load_is_what_was_told_else_measured_else_entered(
    settings: UpsSettings, values: dict[str, Value], share: float | None
) -> None:
    assert load_share(settings, values) == share


def test_load_that_a_person_has_entered_is_used_but_not_shown_as_measured() -> None:
    derived = derive(
        seen({"battery.charge": 100.0}, on_battery=False), UpsSettings(power=1000, load=1000, hold_time=10)
    )
    assert derived.points["battery.runtime"] == 600.0
    assert "ups.load" not in derived.points
    measured = derive(seen({"ups.power": 500.0}, on_battery=False), UpsSettings(power=1000))
    assert measured.points["ups.load"] == 50.0


@pytest.mark.parametrize(
    ("values", "block"),
    [
        ({}, None),
        ({"battery.voltage": 27.0}, None),
        ({"battery.voltage": 27.0, "battery.voltage.nominal": 24.0}, 13.5),
        ({"battery.voltage": 27.0, "battery.voltage.nominal": 24.0, "battery.type": "PbAc"}, 13.5),
        ({"battery.voltage": 27.0, "battery.voltage.nominal": 24.0, "battery.type": "Li-ion"}, None),
        ({"battery.voltage": 27.0, "battery.voltage.nominal": 24.0, "battery.type": "NiCd"}, None),
        ({"battery.voltage": 2.27, "battery.voltage.nominal": 192.0}, None),
        ({"battery.voltage": 13.5, "battery.voltage.nominal": 0.0}, None),
    ],
)
def test_voltage_tells_of_the_charge_only_for_lead_of_a_known_rating(
    values: dict[str, Value], block: float | None
) -> None:
    assert block_voltage(values) == block


def test_test_of_the_battery_counts_as_discharge() -> None:
    assert discharging(told(on_battery=False, test_in_progress=True)) is True
    assert discharging(told(on_battery=False, discharging=True)) is True
    assert discharging(told(on_battery=False)) is False
    assert discharging(told()) is None


def test_shown_charge_and_runtime_are_rounded_down() -> None:
    derivation = ups_derivation(SETTINGS)
    derivation(seen({"battery.charge": 100.0, "ups.load": 100.0}, on_battery=True), 0.0)
    points = derivation(seen({"ups.load": 100.0}, on_battery=True), 0.5).points
    assert (points["battery.charge"], points["battery.runtime"]) == (99.9, 599.0)


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 600.0),
            st.dictionaries(st.sampled_from(UPS_CONDITIONS), st.booleans(), max_size=12),
            st.dictionaries(
                st.sampled_from(
                    [
                        "ups.load",
                        "ups.power",
                        "battery.charge",
                        "battery.charge.low",
                        "battery.voltage",
                        "battery.voltage.nominal",
                        "input.voltage",
                        "input.transfer.low",
                        "input.voltage.nominal",
                    ]
                ),
                st.floats(-1000.0, 1000.0) | st.just("n/a"),
                max_size=9,
            ),
        ),
        max_size=12,
    )
)
def test_whatever_a_ups_says_the_catalogue_takes_what_is_derived(
    history: list[tuple[float, dict[str, bool], dict[str, Value]]],
) -> None:
    derivation = ups_derivation(SETTINGS)
    now = 0.0
    for after, conditions, values in history:
        now += after
        derived = derivation(seen(values, **conditions), now)
        assert not derived.points.keys() & values.keys()
        assert not derived.conditions.keys() & conditions.keys()
        for key, value in derived.points.items():
            point = CATALOGUE.point("ups", key)
            assert point is not None and point.coerce(value) == value
            assert isinstance(value, str) or value >= 0
        for key in derived.conditions:
            assert CATALOGUE.condition("ups", key) is not None


# On a real site


def readings(site: Site, device: DeviceId, keys: Iterable[str]) -> list[Reading]:
    found = [site.reading(device, key) for key in keys]
    return [reading for reading in found if reading is not None]


def test_outage_of_a_plain_megatec_ups_on_a_site() -> None:
    clock = ManualClock()
    site = Site(CATALOGUE, clock)
    ups = DeviceId("ups")
    site.put(Device(ups, "ups-1", "ups", "UPS"))
    site.derive(ups, ups_derivation(UpsSettings(power=1000, hold_time=6, recharge_time=4)))
    site.derive(ups, summary_derivation())
    lane = site.lane(ups, 5.0)

    def poll(voltage: float, load: float, *, on_battery: bool) -> None:
        lane.post(
            {"battery.voltage": voltage, "battery.voltage.nominal": 24.0, "ups.load": load},
            {"on_battery": on_battery, "battery_low": False},
        )

    def shown(*keys: str) -> list[Value | None]:
        return [reading.value for reading in readings(site, ups, keys)]

    poll(27.3, 50.0, on_battery=False)
    assert shown("ups.mode", "ups.status.word", "battery.charge", "battery.runtime") == ["line", 4, 90.0, 607.0]
    assert {reading.source for reading in readings(site, ups, ["battery.charge"])} == {Source.COMPUTED}

    clock.tick(1.0)
    revision = site.revision
    poll(25.0, 50.0, on_battery=True)
    assert site.revision == revision + 1
    assert shown("ups.mode", "ups.status.word", "alarms.present") == ["battery", 12, 2]
    clock.jump(-86400.0)
    for _ in range(60):
        clock.tick(1.0)
        poll(25.0, 50.0, on_battery=True)
        site.expire()
    assert shown("battery.charge", "battery.runtime", "battery.runtime.elapsed") == [81.1, 547.0, 60.0]

    lane.lost()
    assert {reading.quality for reading in readings(site, ups, ["ups.mode", "battery.charge", "battery.runtime"])} == {
        Quality.LOST
    }
    assert site.conditions(ups)["input_bad"].quality is Quality.LOST


# After a restart of the bridge


def resumed(view: Seen, charge: float, age: float, settings: UpsSettings = SETTINGS) -> Derived:
    return ups_derivation(settings, charge_before=ChargeBefore(charge, age))(view, 1000.0)


def test_charge_goes_on_after_a_restart_less_what_full_load_would_have_taken() -> None:
    on_mains = resumed(seen({"ups.load": 50.0}, on_battery=False), 1.0, 60.0)
    assert on_mains.points["battery.charge"] == 90.0
    assert on_mains.points["battery.runtime"] == pytest.approx(0.9 * 1.875 * 600, abs=1)
    assert resumed(seen({"ups.load": 50.0}, on_battery=True), 0.5, 60.0).points["battery.charge"] == 40.0


@pytest.mark.parametrize(("charge", "age"), [(1.0, 600.0), (0.5, 300.0), (0.0, 0.0), (1.0, -60.0)])
def test_charge_of_long_ago_or_of_the_future_is_forgotten(charge: float, age: float) -> None:
    assert "battery.charge" not in resumed(seen(on_battery=False), charge, age).points


def test_charge_of_before_is_worth_nothing_when_nobody_knows_how_fast_it_goes() -> None:
    nobody_knows = UpsSettings(power=1000, recharge_time=4)
    assert "battery.charge" not in resumed(seen(on_battery=False), 1.0, 1.0, nobody_knows).points


def test_charge_of_before_ages_until_the_ups_is_heard_of() -> None:
    derivation = ups_derivation(SETTINGS, charge_before=ChargeBefore(1.0, 60.0))
    assert "battery.charge" not in derivation(seen(), 0.0).points
    assert derivation(seen(on_battery=False), 60.0).points["battery.charge"] == 80.0


def test_a_ups_that_tells_its_charge_is_believed_more_than_what_was_kept() -> None:
    derivation = ups_derivation(SETTINGS, charge_before=ChargeBefore(1.0, 60.0))
    assert "battery.charge" not in derivation(seen({"battery.charge": 30.0}, on_battery=False), 0.0).points
    assert derivation(seen(on_battery=False), 0.0).points["battery.charge"] == 30.0

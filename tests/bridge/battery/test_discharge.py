"""What batteries do: by the UPS, by currents, by voltages; who is believed, what is counted, what survives."""

from collections.abc import Sequence
import json
from typing import Literal

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.board import Board, Findings, Phase
from ridethrough.battery.discharge import COUNTED, Discharge, Edge, Source, UpsView, Verdict
from ridethrough.battery.layout import Layout
from ridethrough.battery.saved import JSON
from ridethrough.config.battery import BlockConfig, Chemistry, DischargeConfig

from .systems import Count, battery

MAINS = UpsView(on_battery=False, charging=False)
BATTERY = UpsView(on_battery=True)
STALE = UpsView()
FLOAT = 13.6
CHARGER = ("battery_system", 0, "battery.charger.status")
COUNTER = ("battery_system", 0, "battery.discharges")


class Run:
    """A battery system that is looked at once a second."""

    def __init__(
        self,
        *,
        strings: int = 2,
        sensors: Count = "each",
        source: Literal["auto", "ups", "current", "modules"] = "auto",
        multiplier: float = 1.0,
        chemistry: Chemistry = "lead",
        optimised: bool = True,
        saved: dict[str, JSON] | None = None,
        away: float | None = None,
        start: float = 5000.0,
    ) -> None:
        self.layout = Layout.of([4] * strings)
        self.config = battery(
            block=BlockConfig(chemistry=chemistry),
            sensors=sensors,
            multiplier=multiplier,
            discharge=DischargeConfig(source=source, optimised_scan=optimised),
        )
        self.board = Board(self.layout)
        self.core = Discharge(self.config, self.layout, saved, away)
        self.now = start
        self.ups: UpsView | None = None
        self.edges: list[Edge] = []
        self.doubts: list[str] = []
        self.points: dict[tuple[str, int, str], object] = {}
        self.conditions: dict[tuple[str, int, str], bool] = {}
        self.volts(FLOAT)
        if sensors != "none":
            self.amps(*[0.1] * strings)

    def volts(self, *each: float | None) -> None:
        """Give the voltage of all blocks, or of those of each string."""
        for block in range(1, self.layout.blocks + 1):
            self.board.voltage[block] = each[0] if len(each) == 1 else each[self.layout.string_of(block) - 1]

    def amps(self, *each: float | None) -> None:
        self.board.current[1:] = list(each)

    def go(self, seconds: float) -> Verdict:
        end = self.now + seconds
        verdict = self.look()
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            verdict = self.look()
        return verdict

    def look(self) -> Verdict:
        verdict = self.core.see(self.board, self.ups, self.now)
        self.edges += verdict.edges
        self.points |= verdict.findings.points
        self.conditions |= verdict.findings.conditions
        if verdict.doubt is not None:
            self.doubts.append(verdict.doubt)
        assert self.board.phase is verdict.phase
        return verdict

    def fall(self, seconds: int, first: float, last: float) -> Verdict:
        """Have the voltage fall evenly."""
        verdict = self.look()
        for second in range(seconds):
            self.volts(first + (last - first) * (second + 1) / seconds)
            verdict = self.go(1.0)
        return verdict

    def raised(self, key: str, number: int = 0) -> bool:
        return self.conditions["battery_string" if number else "battery_system", number, key]

    def saved(self) -> dict[str, JSON]:
        state: dict[str, JSON] = json.loads(json.dumps(self.core.state()))
        return state


# The UPS, M:5525


def test_ups_on_battery_is_a_discharge_at_once_and_reads_voltages_only() -> None:
    run = Run()
    run.ups = MAINS
    assert run.go(5.0).phase is Phase.FLOATING
    run.ups = BATTERY
    verdict = run.look()
    assert (verdict.phase, verdict.source, verdict.voltage_only) == (Phase.DISCHARGING, Source.UPS, True)
    assert verdict.edges == (Edge.DISCHARGE_BEGAN,)
    assert run.raised("discharging") and not run.raised("float_charging")
    assert run.points[CHARGER] == "discharging"


def test_scan_is_left_alone_where_it_is_not_to_be_optimised() -> None:
    run = Run(optimised=False)
    run.ups = BATTERY
    assert run.look().phase is Phase.DISCHARGING
    assert not run.look().voltage_only


def test_end_of_discharge_charge_and_float_follow_one_another() -> None:
    run = Run()
    run.ups = BATTERY
    run.amps(-10.0, -10.0)
    run.go(120.0)
    run.ups = MAINS
    run.amps(4.0, 4.0)
    assert run.go(2.0).phase is Phase.CHARGING
    assert run.raised("discharging_stopped") and run.raised("charging")
    assert run.core.ended is not None
    run.go(60.0)
    assert not run.raised("discharging_stopped")
    run.amps(0.3, 0.3)
    assert run.go(59.0).phase is Phase.CHARGING
    assert run.go(2.0).phase is Phase.FLOATING
    assert run.edges == [
        Edge.DISCHARGE_BEGAN,
        Edge.DISCHARGE_COUNTED,
        Edge.DISCHARGE_ENDED,
        Edge.CHARGE_BEGAN,
        Edge.CHARGE_ENDED,
    ]


def test_end_of_discharge_does_not_wait_for_a_restless_charging_current() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(60.0)
    run.ups = MAINS
    for index in range(6):
        run.amps(*[2.0 if index % 2 else 0.0] * 2)
        run.go(1.0)
    assert run.edges.count(Edge.DISCHARGE_ENDED) == 1


def test_batteries_that_are_not_charged_after_a_discharge_rest_and_have_stopped() -> None:
    run = Run()
    run.ups = BATTERY
    run.volts(12.0)
    run.go(100.0)
    run.ups = MAINS
    run.volts(12.3)
    run.amps(0.0, 0.0)
    assert run.go(200.0).phase is Phase.RESTING
    assert run.raised("discharging_stopped")
    assert run.points[CHARGER] == "resting"


def test_battery_test_is_a_discharge() -> None:
    run = Run()
    run.ups = UpsView(on_battery=False, testing=True)
    assert run.look().phase is Phase.DISCHARGING


def test_ups_tells_charging_where_no_sensor_does() -> None:
    run = Run(sensors="none")
    run.ups = UpsView(on_battery=False, charging=True)
    assert run.go(5.0).phase is Phase.CHARGING


@pytest.mark.parametrize(
    "ups", [pytest.param(UpsView(on_battery=False), id="silent UPS"), pytest.param(None, id="none")]
)
def test_rising_voltage_is_charging_where_nobody_tells_of_it(ups: UpsView | None) -> None:
    run = Run(sensors="none")
    run.fall(600, 12.4, 11.4)
    run.ups = ups
    run.volts(12.0)
    run.go(100.0)
    assert run.fall(1800, 12.0, 12.9).phase is Phase.CHARGING
    assert run.fall(900, 12.9, 13.5).phase is Phase.CHARGING, "as long as it rises"
    run.volts(13.6)
    assert run.go(900.0).phase is Phase.FLOATING
    run.volts(12.9)
    assert run.go(900.0).phase is Phase.RESTING


def test_ups_that_denies_charging_is_believed_whatever_the_voltage_does() -> None:
    run = Run(sensors="none")
    run.ups = MAINS
    run.volts(12.0)
    run.go(100.0)
    assert run.fall(1800, 12.0, 12.9).phase is Phase.RESTING


# Fall back, M:5540


def test_stale_ups_leaves_it_to_the_current_sensors() -> None:
    run = Run()
    run.ups = STALE
    run.amps(-8.0, -8.0)
    run.look()
    assert run.go(1.0).phase is Phase.FLOATING
    verdict = run.go(2.0)
    assert (verdict.phase, verdict.source) == (Phase.DISCHARGING, Source.CURRENT)


def test_discharge_goes_on_when_the_ups_is_lost_in_its_midst() -> None:
    run = Run(sensors="none")
    run.ups = BATTERY
    run.fall(30, 12.9, 12.6)
    run.ups = STALE
    verdict = run.fall(300, 12.6, 12.1)
    assert (verdict.phase, verdict.source) == (Phase.DISCHARGING, Source.MODULES)
    run.volts(13.4)
    assert run.go(31.0).phase is Phase.FLOATING


def test_nobody_to_ask_leaves_the_phase_and_says_that_it_is_not_known() -> None:
    run = Run(sensors="none")
    run.ups = BATTERY
    run.look()
    run.ups = STALE
    run.volts(None)
    verdict = run.go(100.0)
    assert (verdict.phase, verdict.source) == (Phase.DISCHARGING, Source.NONE)
    assert run.points[CHARGER] is None
    assert run.raised("discharging")


def test_voltages_of_less_than_half_of_the_blocks_say_nothing() -> None:
    run = Run(sensors="none")
    for block in (1, 2, 3, 5, 6):
        run.board.voltage[block] = None
    assert run.look().source is Source.NONE


# Currents, M:5695


@pytest.mark.parametrize(
    ("currents", "phase"),
    [
        pytest.param((-0.9, -0.9), Phase.FLOATING, id="within the limits"),
        pytest.param((-1.1, -0.2), Phase.DISCHARGING, id="one string out"),
        pytest.param((1.1, 0.2), Phase.CHARGING, id="one string in"),
        pytest.param((-3.0, 3.0), Phase.FLOATING, id="strings charge one another"),
        pytest.param((-3.0, None), Phase.DISCHARGING, id="one sensor lost"),
    ],
)
def test_current_tells_the_phase(currents: Sequence[float | None], phase: Phase) -> None:
    run = Run(source="current")
    run.amps(*currents)
    assert run.go(10.0).phase is phase


def test_strings_have_phases_of_their_own() -> None:
    run = Run(source="current")
    run.amps(-3.0, 3.0)
    verdict = run.go(10.0)
    assert verdict.strings == (Phase.DISCHARGING, Phase.CHARGING)
    assert run.raised("discharging", 1) and run.raised("charging", 2)
    assert run.points["battery_string", 2, "battery.charger.status"] == "charging"


def test_string_without_current_rests_while_the_others_discharge() -> None:
    run = Run(source="current")
    run.amps(-3.0, 0.0)
    assert run.go(65.0).strings == (Phase.DISCHARGING, Phase.RESTING)


def test_small_load_on_battery_discharges_every_string() -> None:
    run = Run()
    run.ups = BATTERY
    run.amps(-0.5, -0.5)
    assert run.go(100.0).strings == (Phase.DISCHARGING, Phase.DISCHARGING)
    assert not run.doubts


@pytest.mark.parametrize(
    ("multiplier", "share", "phase"),
    [
        pytest.param(1.0, -0.6, Phase.DISCHARGING, id="main line"),
        pytest.param(1.0, -0.4, Phase.FLOATING, id="main line, within the limit"),
        pytest.param(2.0, -0.6, Phase.FLOATING, id="in one string, within the limit"),
        pytest.param(2.0, -1.1, Phase.DISCHARGING, id="in one string"),
    ],
)
def test_one_sensor_is_judged_by_what_it_measures(multiplier: float, share: float, phase: Phase) -> None:
    run = Run(source="current", sensors="one", multiplier=multiplier)
    run.amps(share, share)
    verdict = run.go(10.0)
    assert verdict.phase is phase
    assert verdict.strings == (phase, phase)


def test_current_at_its_limit_does_not_chatter() -> None:
    run = Run(source="current")
    for index in range(200):
        run.amps(*[-1.05 if index % 2 else -0.95] * 2)
        run.go(1.0)
    assert run.edges == [Edge.DISCHARGE_BEGAN, Edge.DISCHARGE_COUNTED]


def test_charging_that_comes_and_goes_is_one_charge() -> None:
    run = Run(source="current")
    for index in range(20):
        run.amps(*[3.0 if index % 2 else 0.2] * 2)
        run.go(20.0)
    assert run.edges == [Edge.CHARGE_BEGAN]


# Modules, M:5540–5554


def test_modules_see_a_discharge_when_most_blocks_of_a_string_fall_below_nominal() -> None:
    run = Run(sensors="none")
    run.fall(300, 13.6, 12.05)
    assert run.board.phase is not Phase.DISCHARGING
    verdict = run.fall(200, 12.05, 11.6)
    assert (verdict.phase, verdict.source) == (Phase.DISCHARGING, Source.MODULES)
    run.fall(100, 11.6, 11.3)
    assert run.core.discharges == 1


def test_fall_from_float_to_rest_is_no_discharge() -> None:
    run = Run(sensors="none")
    run.fall(3000, 13.6, 12.7)
    assert run.go(100.0).phase is Phase.RESTING
    assert not run.edges


def test_one_weak_block_is_no_discharge() -> None:
    run = Run(sensors="none")
    for second in range(300):
        run.board.voltage[3] = 11.9 - 0.01 * second
        run.go(1.0)
    assert not run.edges


def test_batteries_found_low_and_at_rest_are_not_discharging() -> None:
    run = Run(sensors="none")
    run.volts(11.8)
    assert run.go(300.0).phase is Phase.RESTING
    assert run.core.discharges == 0


def test_voltage_that_stands_still_below_nominal_is_the_end() -> None:
    run = Run(sensors="none")
    run.fall(600, 12.2, 11.2)
    assert run.board.phase is Phase.DISCHARGING
    run.volts(11.7)
    assert run.go(1900.0).phase is Phase.RESTING
    run.go(4000.0)
    assert run.edges.count(Edge.DISCHARGE_BEGAN) == 1


def test_voltage_of_other_chemistries_never_tells_rest_from_float() -> None:
    run = Run(sensors="none", chemistry="other")
    run.volts(12.1)
    assert run.go(100.0).phase is Phase.FLOATING
    run.fall(600, 12.1, 11.0)
    assert run.board.phase is Phase.DISCHARGING


# Lies


def test_ups_on_battery_is_not_believed_while_currents_charge_and_voltages_stand() -> None:
    run = Run()
    run.ups = MAINS
    run.go(5.0)
    run.ups = BATTERY
    run.amps(5.0, 5.0)
    run.volts(13.9)
    assert run.look().phase is Phase.DISCHARGING
    verdict = run.go(20.0)
    assert (verdict.phase, verdict.source) == (Phase.CHARGING, Source.CURRENT)
    assert run.core.discharges == 0
    (doubt,) = run.doubts
    assert doubt.startswith("The UPS says that it is on battery, but the sensors measure a charging current.")
    assert doubt.endswith("The sensors are believed, since the voltage of the blocks has not fallen.")


def test_sensors_that_are_the_wrong_way_round_are_outvoted() -> None:
    run = Run()
    run.ups = MAINS
    run.go(5.0)
    run.ups = BATTERY
    run.amps(12.0, 12.0)
    run.volts(12.4)
    verdict = run.go(60.0)
    assert (verdict.phase, verdict.source) == (Phase.DISCHARGING, Source.UPS)
    assert "The UPS is believed" in run.doubts[0]


def test_discharge_that_the_ups_denies_is_seen_by_current_and_voltage() -> None:
    run = Run()
    run.ups = MAINS
    run.go(5.0)
    run.amps(-12.0, -12.0)
    run.volts(12.4)
    assert run.go(9.0).phase is Phase.FLOATING
    assert run.go(20.0).phase is Phase.DISCHARGING
    assert len(run.doubts) == 1


@pytest.mark.parametrize(
    ("volts", "phase"),
    [
        pytest.param(None, Phase.DISCHARGING, id="no voltages: the sensors are believed"),
        pytest.param(11.5, Phase.DISCHARGING, id="below nominal from the start"),
        pytest.param(13.6, Phase.FLOATING, id="on charger from the start"),
        pytest.param(12.5, Phase.DISCHARGING, id="neither: the sensors are believed"),
    ],
)
def test_contradiction_from_the_start(volts: float | None, phase: Phase) -> None:
    run = Run()
    run.ups = MAINS
    run.volts(volts)
    run.amps(-12.0, -12.0)
    assert run.go(20.0).phase is phase


def test_named_source_is_taken_at_its_word() -> None:
    run = Run(source="ups")
    run.ups = BATTERY
    run.amps(5.0, 5.0)
    assert run.go(60.0).source is Source.UPS
    assert run.board.phase is Phase.DISCHARGING
    assert not run.doubts


def test_moment_of_contradiction_while_mains_return_is_no_doubt() -> None:
    run = Run()
    run.ups = BATTERY
    run.amps(-5.0, -5.0)
    run.go(30.0)
    run.amps(5.0, 5.0)
    run.go(8.0)
    run.ups = MAINS
    run.go(30.0)
    assert not run.doubts


# The counter, M:6383


@pytest.mark.parametrize(
    ("seconds", "count"),
    [pytest.param(COUNTED - 5.0, 0, id="too short"), pytest.param(COUNTED, 1, id="confirmed")],
)
def test_only_confirmed_discharges_count(seconds: float, count: int) -> None:
    run = Run()
    run.ups = BATTERY
    run.go(seconds)
    run.ups = MAINS
    run.go(30.0)
    assert run.core.discharges == count
    assert run.points[COUNTER] == count


def test_counter_can_be_reset_and_goes_on() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(70.0)
    assert run.core.reset().points == {COUNTER: 0}
    run.go(70.0)
    assert run.core.discharges == 0
    run.ups = MAINS
    run.go(10.0)
    run.ups = BATTERY
    run.go(70.0)
    assert run.core.discharges == 1


def test_end_of_the_discharge_is_when_the_load_was_seen_back() -> None:
    run = Run()
    assert run.core.ended is None
    run.ups = BATTERY
    run.go(70.0)
    assert run.core.ended is None
    run.ups = MAINS
    run.go(10.0)
    assert run.core.ended == pytest.approx(run.now - 10.0, abs=3.0)


def test_nothing_need_be_written_long_after_a_discharge() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(70.0)
    run.ups = MAINS
    run.go(7100.0)
    assert "ended" in run.saved()
    run.go(200.0)
    before = run.saved()
    run.go(100.0)
    assert run.saved() == before == {"phase": "floating", "discharges": 1, "counted": True, "lasted": 0.0}


# Restarts


def test_restart_in_a_discharge_counts_it_once() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(70.0)
    again = Run(saved=run.saved(), start=3.0)
    again.ups = BATTERY
    again.go(70.0)
    assert again.core.discharges == 1
    assert not again.edges


def test_restart_in_a_discharge_goes_on_with_its_time() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(50.0)
    again = Run(saved=run.saved(), start=3.0)
    again.ups = BATTERY
    again.go(12.0)
    assert again.core.discharges == 1


def test_restart_after_a_discharge_knows_when_it_ended_whatever_the_clocks_say() -> None:
    run = Run()
    run.ups = BATTERY
    run.go(70.0)
    run.ups = MAINS
    run.go(102.0)
    again = Run(saved=run.saved(), away=30.0, start=3.0)
    untouched = again.saved()
    again.ups = MAINS
    again.look()
    assert again.core.ended == pytest.approx(3.0 - 130.0)
    assert untouched["ended"] == pytest.approx(130.0)


@pytest.mark.parametrize(
    "saved",
    [
        pytest.param({"phase": 7, "discharges": "many", "ended": True, "lasted": None}, id="wrong types"),
        pytest.param({"phase": "sleeping", "discharges": -4, "ended": -9.0, "counted": 1}, id="wrong values"),
        pytest.param({"discharges": float("nan"), "lasted": float("inf")}, id="no numbers"),
    ],
)
def test_damaged_memory_costs_what_is_damaged_only(saved: dict[str, JSON]) -> None:
    run = Run(saved=saved)
    run.ups = MAINS
    assert run.look().phase is Phase.FLOATING
    assert run.core.discharges == 0


# Always


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, STALE, MAINS, BATTERY]),
            st.one_of(st.none(), st.floats(-50.0, 50.0)),
            st.one_of(st.none(), st.floats(8.0, 15.0)),
            st.floats(0.0, 100.0),
        ),
        max_size=12,
    )
)
def test_whatever_happens_discharges_begin_and_end_in_turn_and_nothing_is_said_twice(
    story: list[tuple[UpsView | None, float | None, float | None, float]],
) -> None:
    run = Run()
    for ups, current, volts, seconds in story:
        run.ups = ups
        run.amps(current, current)
        run.volts(volts)
        before = run.core.discharges
        run.look()
        assert run.look().findings == Findings()
        run.now += seconds
        assert run.core.discharges in (before, before + 1)
    turns = [edge for edge in run.edges if edge in (Edge.DISCHARGE_BEGAN, Edge.DISCHARGE_ENDED)]
    assert all(
        edge is (Edge.DISCHARGE_ENDED if index % 2 else Edge.DISCHARGE_BEGAN) for index, edge in enumerate(turns)
    )
    assert Discharge(run.config, run.layout, run.saved()).discharges == run.core.discharges

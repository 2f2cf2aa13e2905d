"""Charge: counted by the current, begun anew where it is known, unknown where it cannot be known (manual M:6972)."""

import json
import math
import random

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.board import Board, Findings, Phase
from ridethrough.battery.charge import Charge
from ridethrough.battery.chemistry import CELLS, at, cells
from ridethrough.battery.layout import Layout
from ridethrough.battery.saved import JSON
from ridethrough.config.battery import BlockConfig, Chemistry

from .systems import Count, amps, battery, volts, warmth

HOUR = 3600.0
SYSTEM = ("battery_system", 0, "battery.charge")


class Run:
    """Two strings of four blocks of 100 Ah, by default full and floating."""

    def __init__(
        self,
        *,
        sensors: Count = "each",
        chemistry: Chemistry = "lead",
        capacity: float = 100.0,
        full: bool = True,
        saved: dict[str, JSON] | None = None,
        away: float | None = None,
        start: float = 1000.0,
    ) -> None:
        self.layout = Layout.of([4, 4])
        self.board = Board(self.layout)
        block = BlockConfig(12.0, capacity, chemistry)
        self.core = Charge(battery(sensors=sensors, block=block), self.layout, saved, away)
        self.now = start
        self.phase = Phase.FLOATING
        self.told: list[float | int | str | None] = []
        self.points: dict[tuple[str, int, str], float | int | str | None] = {}
        volts(self.board, 13.6)
        warmth(self.board, 25.0)
        amps(self.board, 0.05, 0.05)
        if full:
            self.go(HOUR, step=20.0)

    def look(self) -> Findings:
        found = self.core.see(self.board, [self.phase] * 2, self.now)
        self.points |= found.points
        self.told += [value for name, value in found.points.items() if name == SYSTEM]
        return found

    def go(self, seconds: float, step: float = 5.0) -> float | None:
        """Go on and return the charge of the first string."""
        end = self.now + seconds
        self.look()
        while self.now < end:
            self.now = min(end, self.now + step)
            self.look()
        return self.charge

    @property
    def charge(self) -> float | None:
        return self.board.string_charge[1]

    def discharge(self, current: float, voltage: float = 12.2) -> None:
        self.phase = Phase.DISCHARGING
        amps(self.board, -current, -current)
        volts(self.board, voltage)

    def saved(self) -> dict[str, JSON]:
        state: dict[str, JSON] = json.loads(json.dumps(self.core.state()))
        return state


# Where it is known


def test_nothing_is_known_until_it_has_floated_for_a_while() -> None:
    run = Run(full=False)
    assert run.go(1700.0, 20.0) is None
    assert not run.points
    assert run.go(200.0, 20.0) == 100.0
    assert run.points[SYSTEM] == 100.0
    assert run.points["battery_module", 3, "module.charge"] == 100.0


@pytest.mark.parametrize(
    ("voltage", "charge"),
    [
        pytest.param(12.87, 100.0, id="full"),
        pytest.param(12.27, 50.0, id="half"),
        pytest.param(11.67, 0.0, id="empty"),
        pytest.param(11.0, 0.0, id="deeply discharged"),
    ],
)
def test_lead_at_rest_shows_its_charge(voltage: float, charge: float) -> None:
    run = Run(full=False)
    run.phase = Phase.RESTING
    volts(run.board, voltage)
    amps(run.board, 0.0, 0.0)
    assert run.go(7000.0, 20.0) is None
    assert run.go(400.0, 20.0) == pytest.approx(charge, abs=0.2)


@pytest.mark.parametrize(
    ("chemistry", "voltage", "charge"),
    [
        pytest.param("lfp", 4 * 3.28, None, id="lfp on its plateau"),
        pytest.param("lfp", 4 * 3.00, 5.0, id="lfp nearly empty"),
        pytest.param("lfp", 4 * 3.36, 100.0, id="lfp full"),
        pytest.param("nicd", 10 * 1.25, None, id="nicd"),
    ],
)
def test_voltage_at_rest_is_believed_where_it_says_something(
    chemistry: Chemistry, voltage: float, charge: float | None
) -> None:
    run = Run(chemistry=chemistry, full=False)
    run.phase = Phase.RESTING
    volts(run.board, voltage)
    amps(run.board, 0.0, 0.0)
    assert run.go(8000.0, 20.0) == (None if charge is None else pytest.approx(charge, abs=0.2))


def test_load_that_is_too_small_to_be_a_discharge_is_no_rest() -> None:
    run = Run(full=False)
    run.phase = Phase.RESTING
    volts(run.board, 12.3)
    amps(run.board, -0.5, -0.5)
    assert run.go(8000.0, 20.0) is None


# Counting


def test_rated_current_empties_it_in_the_rated_time() -> None:
    run = Run()
    run.discharge(5.0)
    assert run.go(10 * HOUR, 10.0) == pytest.approx(50.0, abs=0.2)
    assert run.go(10 * HOUR, 10.0) == pytest.approx(0.0, abs=0.2)


def test_fast_discharge_takes_more_than_it_gives() -> None:
    # Peukert: t = H (C / (I H))^k; 100 A from 100 Ah at the 20-hour rate with k = 1.2.
    run = Run()
    run.discharge(100.0)
    expected = 20.0 * (100.0 / (100.0 * 20.0)) ** 1.2 * HOUR
    run.go(expected / 2.0)
    assert run.charge == pytest.approx(50.0, abs=0.5)
    assert expected == pytest.approx(0.549 * HOUR, rel=0.01)


def test_cold_lead_has_less() -> None:
    warm, cold = Run(), Run()
    warmth(cold.board, 0.0)
    for run in (warm, cold):
        run.discharge(5.0)
        run.go(5 * HOUR, 10.0)
    assert warm.charge == pytest.approx(75.0, abs=0.2)
    assert cold.charge == pytest.approx(62.0, abs=2.0)


def test_unknown_temperature_is_taken_for_the_rated_one() -> None:
    run = Run()
    warmth(run.board, None)
    run.discharge(5.0)
    assert run.go(5 * HOUR, 10.0) == pytest.approx(75.0, abs=0.2)


def test_charge_comes_back_with_what_was_drawn_and_the_losses() -> None:
    run = Run()
    run.discharge(50.0)
    run.go(0.5 * HOUR)
    low = run.charge
    assert low is not None
    run.phase = Phase.CHARGING
    amps(run.board, 10.0, 10.0)
    volts(run.board, 13.8)
    run.go(1.25 * HOUR)
    run.phase = Phase.FLOATING
    amps(run.board, 0.9, 0.9)
    again = run.go(60.0)
    assert again is not None
    # 12.5 of the 25 Ah, less a tenth: 45 % of what the discharge has cost.
    assert again - low == pytest.approx(0.45 * (100.0 - low), abs=1.0)


def test_zero_of_the_sensor_in_float_takes_nothing() -> None:
    run = Run()
    amps(run.board, -0.5, -0.5)
    assert run.go(20 * HOUR, 20.0) == 100.0


def test_voltage_of_an_aged_string_tells_that_it_is_empty_before_its_label_does() -> None:
    run = Run()
    run.discharge(5.0, 12.2)
    run.go(6 * HOUR, 10.0)
    assert run.charge == pytest.approx(70.0, abs=0.5)
    volts(run.board, 11.0)
    assert run.go(300.0) == pytest.approx(13.3, abs=0.5)
    volts(run.board, 10.4)
    assert run.go(300.0) == pytest.approx(0.0, abs=0.5)


def test_sag_over_the_impedance_is_no_sign_of_emptiness() -> None:
    run = Run()
    for block in range(1, 9):
        run.board.impedance[block] = 8.0
    run.discharge(100.0, 11.4)
    run.go(60.0)
    without = Run()
    without.discharge(100.0, 11.4)
    without.go(60.0)
    assert run.charge == pytest.approx(97.0, abs=0.5)
    assert without.charge is not None and without.charge < 75.0


# Unknown


def test_boost_charge_has_no_percentage() -> None:
    run = Run()
    run.discharge(10.0)
    run.go(HOUR)
    run.phase = Phase.CHARGING
    amps(run.board, 8.0, 8.0)
    assert run.go(10.0) is None
    assert run.points[SYSTEM] is None
    assert run.points["battery_string", 1, "string.charge"] is None
    assert run.points["battery_module", 1, "module.charge"] is None


def test_more_than_an_ampere_is_boost_charge_before_its_phase_is_known() -> None:
    run = Run()
    amps(run.board, 1.1, 0.1)
    assert run.go(1.0) is None
    assert run.board.string_charge[2] == 100.0
    assert run.points[SYSTEM] is None, "a mean of what is known is not that of all"


@pytest.mark.parametrize(
    ("sensors", "chemistry"),
    [pytest.param("none", "lead", id="no sensor"), pytest.param("each", "other", id="other chemistry")],
)
def test_nothing_is_told_where_nothing_can_be_known(sensors: Count, chemistry: Chemistry) -> None:
    run = Run(sensors=sensors, chemistry=chemistry)
    assert run.go(HOUR, 20.0) is None
    assert not run.points
    assert run.core.state() == {"strings": {}, "blocks": {}}


def test_one_sensor_for_all_gives_strings_an_estimate_and_blocks_nothing() -> None:
    run = Run(sensors="one")
    run.discharge(5.0)
    run.board.voltage[1] = 11.0
    run.go(5 * HOUR, 20.0)
    assert run.points[SYSTEM] == pytest.approx(75.0, abs=0.3)
    assert run.board.charge == [None] * 9


def test_short_gap_in_the_current_is_bridged_and_a_long_one_is_not() -> None:
    run = Run()
    run.discharge(10.0)
    run.go(HOUR)
    before = run.charge
    amps(run.board, None, None)
    assert run.go(25.0) == before
    assert run.go(10.0) is None
    amps(run.board, -10.0, -10.0)
    assert run.go(1.0) == pytest.approx(before, abs=0.3)
    amps(run.board, None, None)
    run.go(1200.0)
    amps(run.board, -10.0, -10.0)
    assert run.go(60.0) is None
    run.phase = Phase.FLOATING
    amps(run.board, 0.1, 0.1)
    assert run.go(HOUR, 20.0) == 100.0


@pytest.mark.parametrize(
    ("phase", "charge"),
    [
        pytest.param(Phase.FLOATING, 100.0, id="full before and after"),
        pytest.param(Phase.RESTING, None, id="who knows"),
    ],
)
def test_long_gap_is_bridged_by_float_only(phase: Phase, charge: float | None) -> None:
    run = Run()
    amps(run.board, None, None)
    run.go(2 * HOUR, 20.0)
    assert run.charge is None
    run.phase = phase
    amps(run.board, 0.0, 0.0)
    assert run.go(1.0) == charge


# Blocks


def test_weak_block_is_told_by_its_sag() -> None:
    run = Run()
    run.discharge(10.0)
    run.board.voltage[3] = 12.2 - 0.4
    run.go(HOUR)
    charge = run.board.charge
    assert charge[1] is not None and charge[3] is not None
    assert charge[1] - charge[3] == pytest.approx(100.0 * 0.4 / 1.2, abs=1.0)
    run.phase = Phase.FLOATING
    volts(run.board, 13.6)
    amps(run.board, 0.1, 0.1)
    run.go(600.0)
    assert charge[3] < charge[1], "float says nothing of it"
    run.go(HOUR, 20.0)
    assert run.board.charge[3] == 100.0


def test_impedance_of_a_block_is_no_lack_of_charge() -> None:
    run = Run()
    for block in range(1, 9):
        run.board.impedance[block] = 6.0
    run.board.impedance[3] = 10.0
    run.discharge(50.0)
    run.board.voltage[3] = 12.2 - 50.0 * 0.004
    run.go(300.0)
    assert run.board.charge[3] == pytest.approx(run.board.charge[1], abs=1.0)


def test_blocks_at_rest_are_told_by_their_voltage() -> None:
    run = Run(full=False)
    run.phase = Phase.RESTING
    volts(run.board, 12.6)
    run.board.voltage[3] = 12.3
    amps(run.board, 0.0, 0.0)
    run.go(8000.0, 20.0)
    assert run.board.charge[3] == pytest.approx(52.5, abs=1.5)
    assert run.board.charge[1] == pytest.approx(77.5, abs=1.5)


@pytest.mark.parametrize("how", [pytest.param("lost", id="lost"), pytest.param("voltage", id="no voltage")])
def test_block_that_is_not_measured_has_no_charge(how: str) -> None:
    run = Run()
    run.board.changed.clear()
    run.discharge(1.0)
    if how == "lost":
        run.board.lost[3] = True
    else:
        run.board.voltage[3] = None
    run.go(5.0)
    assert run.board.charge[3] is None
    assert run.board.changed == {3}
    assert run.points["battery_module", 3, "module.charge"] is None


def test_string_without_voltages_counts_on() -> None:
    run = Run()
    run.discharge(5.0)
    volts(run.board, None)
    assert run.go(2 * HOUR, 10.0) == pytest.approx(90.0, abs=0.2)


# Chatter


def test_charge_does_not_chatter() -> None:
    noise = random.Random(6)
    run = Run()
    run.discharge(5.0)
    run.go(HOUR)
    run.told.clear()
    for _ in range(3600):
        amps(run.board, *[-5.0 + noise.uniform(-1.0, 1.0)] * 2)
        for block in range(1, 9):
            run.board.voltage[block] = 12.2 + noise.uniform(-0.005, 0.005)
        run.now += 1.0
        run.look()
    assert 45 <= len(run.told) <= 55, "5 % in steps of 0.1"
    told = [value for value in run.told if isinstance(value, float)]
    assert told == sorted(told, reverse=True)


def test_same_again_says_nothing() -> None:
    run = Run()
    assert run.look() == Findings()


# Restarts


def test_charge_goes_on_after_a_short_restart() -> None:
    run = Run()
    run.discharge(10.0)
    run.board.voltage[3] = 11.8
    run.go(HOUR)
    again = Run(full=False, saved=run.saved(), away=20.0, start=5.0)
    again.discharge(10.0)
    again.board.voltage[3] = 11.8
    again.look()
    assert again.charge == pytest.approx(run.charge, abs=0.3)
    assert again.board.charge[3] == pytest.approx(run.board.charge[3], abs=1.0)


@pytest.mark.parametrize(
    "away", [pytest.param(1800.0, id="half an hour"), pytest.param(None, id="not known"), pytest.param(9e9, id="ages")]
)
def test_charge_of_a_discharge_is_unknown_after_a_long_restart(away: float | None) -> None:
    run = Run()
    run.discharge(10.0)
    run.go(HOUR)
    again = Run(full=False, saved=run.saved(), away=away)
    again.discharge(10.0)
    assert again.go(10.0) is None


@pytest.mark.parametrize(
    "away", [pytest.param(300.0, id="some minutes"), pytest.param(None, id="nobody knows how long")]
)
def test_full_battery_that_floats_is_full_after_a_restart(away: float | None) -> None:
    run = Run()
    again = Run(full=False, saved=run.saved(), away=away)
    again.look()
    assert again.charge == 100.0


def test_nothing_need_be_written_in_float() -> None:
    run = Run()
    before = run.saved()
    amps(run.board, 0.09, 0.03)
    run.go(HOUR, 20.0)
    assert run.saved() == before


@pytest.mark.parametrize(
    "saved",
    [
        pytest.param({"strings": {"1": {"charge": "x"}, "0": {"charge": 1.0}, "7": {}}, "blocks": 3}, id="wrong types"),
        pytest.param({"strings": {"1": {"charge": True}}, "blocks": {"0": {"off": 1}, "2": {}}}, id="nothing usable"),
    ],
)
def test_damaged_memory_is_unknown(saved: dict[str, JSON]) -> None:
    run = Run(full=False, saved=saved, away=1.0)
    run.look()
    assert run.charge is None


def test_memory_out_of_range_is_brought_into_it() -> None:
    saved: dict[str, JSON] = {"strings": {"1": {"charge": 7.0, "worth": -3.0}}, "blocks": {"1": {"off": -9}}}
    run = Run(full=False, saved=saved, away=1.0)
    run.look()
    assert run.charge == 100.0
    assert run.board.charge[1] == 0.0


# Tables


@pytest.mark.parametrize(
    ("chemistry", "voltage", "count"),
    [
        pytest.param("lead", 12.0, 6, id="lead 12 V"),
        pytest.param("lead", 2.0, 1, id="lead 2 V"),
        pytest.param("nicd", 1.2, 1, id="nicd"),
        pytest.param("nicd", 2.0, 2, id="pair of nicd called 2 V"),
        pytest.param("nicd", 2.4, 2, id="pair of nicd"),
        pytest.param("lfp", 12.0, 4, id="lfp 12 V"),
        pytest.param("lfp", 24.0, 8, id="lfp 24 V"),
        pytest.param("other", 12.0, 1, id="other"),
    ],
)
def test_cells_of_a_block(chemistry: Chemistry, voltage: float, count: int) -> None:
    assert cells(BlockConfig(voltage, 100.0, chemistry)) == count


@pytest.mark.parametrize("chemistry", ["lead", "nicd", "lfp"])
def test_tables_rise_and_agree(chemistry: Chemistry) -> None:
    cell = CELLS[chemistry]
    for table in (cell.charge, cell.ceiling, cell.warmth):
        assert list(table) == sorted(table)
    assert (at(cell.charge, 0.0), at(cell.charge, 9.0)) == (0.0, 1.0)
    assert at(cell.warmth, 25.0) == 1.0
    full = max(volts_ for volts_, charge in cell.charge if charge == 1.0)
    assert full < cell.floating, "rest is never taken for float"


# Always


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["lead", "nicd", "lfp"]),
    st.lists(
        st.tuples(
            st.sampled_from(list(Phase)),
            st.one_of(st.none(), st.floats(-1000.0, 1000.0)),
            st.one_of(st.none(), st.floats(0.0, 70.0)),
            st.one_of(st.none(), st.floats(-40.0, 90.0)),
            st.one_of(st.none(), st.floats(0.0, 655.0)),
            st.floats(0.0, 9000.0),
        ),
        max_size=15,
    ),
)
def test_charge_is_within_its_bounds_whatever_is_measured(
    chemistry: Chemistry,
    story: list[tuple[Phase, float | None, float | None, float | None, float | None, float]],
) -> None:
    run = Run(chemistry=chemistry)
    for phase, current, voltage, temperature, impedance, seconds in story:
        run.phase = phase
        amps(run.board, current, 0.0)
        volts(run.board, voltage, 13.6)
        warmth(run.board, temperature)
        run.board.impedance[1] = impedance
        run.look()
        run.now += seconds
        run.look()
        for value in [*run.board.string_charge[1:], *run.board.charge[1:]]:
            assert value is None or (0.0 <= value <= 100.0 and math.isfinite(value))
        if phase is Phase.CHARGING:
            assert run.charge is None
    again = Run(chemistry=chemistry, full=False, saved=run.saved(), away=0.0)
    assert again.core.state() == run.core.state()

"""Thermal runaway: what counts as one, what never does, and what a broken sensor looks like (manual M:6655)."""

from itertools import pairwise
import json
from math import nan

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.board import Board
from ridethrough.battery.layout import Layout
from ridethrough.battery.runaway import Runaway, Runaways
from ridethrough.battery.saved import JSON
from ridethrough.config.battery import RunawayConfig

from .systems import Count, amps, battery, warmth

LIMIT = 10.0
HOLD = 60.0
SYSTEM = ("battery_system", 0, "thermal_runaway")


class Run:
    """Two strings of six blocks at 25 °C that are looked at once a second."""

    def __init__(
        self,
        *,
        limit: float | None = LIMIT,
        current: float | None = None,
        sensors: Count = "each",
        saved: dict[str, JSON] | None = None,
        strings: tuple[int, ...] = (6, 6),
    ) -> None:
        config = battery(sensors=sensors, runaway=RunawayConfig(limit, current, HOLD))
        self.layout = Layout.of(strings)
        self.board = Board(self.layout)
        self.core = Runaway(config, self.layout, saved)
        self.now = 100.0
        self.said: list[str] = []
        self.conditions: dict[tuple[str, int, str], bool] = {}
        warmth(self.board, 25.0)
        amps(self.board, *[0.2] * len(strings))

    def look(self) -> Runaways:
        found = self.core.see(self.board, self.now)
        self.said += found.said
        self.conditions |= found.findings.conditions
        return found

    def go(self, seconds: float) -> Runaways:
        found = self.look()
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            found = self.look()
        return found

    def heat(self, block: int, to: float, per_second: float = 0.5) -> Runaways:
        """Warm a block up as a real one does."""
        found = self.look()
        while (temperature := self.board.temperature[block]) is not None and temperature < to:
            self.board.temperature[block] = min(to, temperature + per_second)
            found = self.go(1.0)
        return found

    def raised(self, string: int = 0) -> bool:
        return self.conditions["battery_string" if string else "battery_system", string, "thermal_runaway"]

    def saved(self) -> dict[str, JSON]:
        state: dict[str, JSON] = json.loads(json.dumps(self.core.state()))
        return state


def test_block_far_warmer_than_its_string_for_the_time_runs_away() -> None:
    run = Run()
    run.heat(8, 45.0)
    assert not run.go(20.0).running
    found = run.go(HOLD)
    assert found.running == found.alarmed == {2}
    assert found.blocks == {8}
    assert run.raised() and run.raised(2) and not run.raised(1)
    assert run.said == ["Thermal runaway: block 8 of string 2 has 45.0 °C, 16.7 K above the mean of its string."]


def test_warm_room_is_no_runaway() -> None:
    run = Run()
    for degrees in range(25, 60):
        warmth(run.board, float(degrees))
        assert not run.go(10.0).running


def test_heat_that_does_not_last_is_no_runaway() -> None:
    run = Run()
    for _ in range(5):
        run.heat(8, 45.0)
        run.go(20.0)
        run.board.temperature[8] = 30.0
        run.go(2.0)
    assert not run.raised()


def test_nothing_is_watched_where_nothing_is_configured() -> None:
    run = Run(limit=None, saved={"strings": {"1": {}}})
    run.heat(8, 90.0)
    assert not run.go(300.0).running
    assert not run.raised()


# Current, M:6690


@pytest.mark.parametrize(
    ("current", "runs", "blind"),
    [
        pytest.param(6.0, True, False, id="flows"),
        pytest.param(1.0, False, False, id="too little"),
        pytest.param(-20.0, False, False, id="out"),
        pytest.param(None, False, True, id="not known"),
    ],
)
def test_current_must_flow_into_the_string_as_well(current: float | None, runs: bool, blind: bool) -> None:
    run = Run(current=5.0)
    amps(run.board, 0.2, current)
    run.heat(8, 45.0)
    found = run.go(HOLD + 5.0)
    assert bool(found.running) is runs
    assert found.blind == ({2} if blind else set())


def test_current_must_flow_for_the_whole_time() -> None:
    run = Run(current=5.0)
    amps(run.board, 0.2, 6.0)
    run.heat(8, 45.0)
    run.go(30.0)
    amps(run.board, 0.2, 4.0)
    run.go(1.0)
    amps(run.board, 0.2, 6.0)
    assert not run.go(HOLD - 5.0).running
    assert run.go(10.0).running


def test_alarm_stays_while_the_block_is_hot_though_the_breaker_has_taken_the_current() -> None:
    run = Run(current=5.0)
    amps(run.board, 0.2, 6.0)
    run.heat(8, 45.0)
    run.go(HOLD + 5.0)
    amps(run.board, 0.2, 0.0)
    found = run.go(300.0)
    assert not found.running
    assert run.raised(2)


def test_current_that_nobody_can_measure_is_told() -> None:
    run = Run(current=5.0, sensors="none")
    assert run.go(1.0).blind == {1, 2}
    assert not run.said, "modules and sensors must first be read after a start"
    run.go(120.0)
    assert run.said == [
        "Thermal runaway in string 1 cannot be watched for: the current not known.",
        "Thermal runaway in string 2 cannot be watched for: the current not known.",
    ]


# The end


def test_alarm_ends_when_the_block_is_known_to_be_cool_for_the_time() -> None:
    run = Run()
    run.heat(8, 45.0)
    run.go(HOLD)
    run.board.temperature[8] = 35.5
    run.go(HOLD * 2)
    assert run.raised(2), "8.75 K are still more than 8"
    run.board.temperature[8] = 28.0
    run.go(HOLD - 2.0)
    assert run.raised(2)
    run.go(3.0)
    assert not run.raised() and not run.raised(2)


def test_alarm_of_a_module_that_has_burnt_is_not_taken_back() -> None:
    run = Run()
    run.heat(8, 70.0)
    run.go(HOLD)
    run.board.temperature[8] = None
    run.board.lost[8] = True
    found = run.go(600.0)
    assert not found.running
    assert found.alarmed == {2}
    assert run.raised(2)


def test_alarm_survives_a_restart_until_its_block_is_cool() -> None:
    run = Run()
    run.heat(8, 45.0)
    run.go(HOLD)
    again = Run(saved=run.saved())
    again.board.temperature[8] = None
    again.go(200.0)
    assert again.raised(2)
    again.board.temperature[8] = 26.0
    again.go(HOLD + 1.0)
    assert not again.raised(2)


# What is not known


def test_unknown_temperatures_never_count() -> None:
    run = Run()
    run.heat(8, 45.0)
    run.go(30.0)
    run.board.temperature[8] = None
    run.go(100.0)
    run.board.temperature[8] = 46.0
    assert not run.go(HOLD - 2.0).running, "the time begins anew"
    assert run.go(3.0).running


def test_modules_that_are_lost_do_not_count_with_what_they_said_last() -> None:
    run = Run()
    run.heat(8, 45.0)
    run.board.lost[8] = True
    assert not run.go(300.0).running


@pytest.mark.parametrize("known", [pytest.param(1, id="one"), pytest.param(2, id="less than half")])
def test_too_few_temperatures_have_no_mean(known: int) -> None:
    run = Run(strings=(6,))
    for block in range(known + 1, 7):
        run.board.temperature[block] = None
    run.board.temperature[1] = 60.0
    found = run.go(300.0)
    assert not found.running
    assert found.blind == {1}
    assert run.said == ["Thermal runaway in string 1 cannot be watched for: too many temperatures not known."]
    warmth(run.board, 25.0)
    run.board.temperature[1] = 60.0
    assert not run.go(3.0).blind
    assert run.said[1:] == ["Thermal runaway in string 1 is watched for again."]


def test_sensor_that_shows_too_little_does_not_make_the_others_hot() -> None:
    run = Run(strings=(4,))
    run.board.temperature[1] = -30.0
    assert not run.go(300.0).running


def test_time_in_which_nobody_looked_does_not_count() -> None:
    run = Run()
    run.heat(8, 45.0)
    run.now += 600.0
    assert not run.look().running
    assert not run.go(HOLD - 2.0).running
    assert run.go(3.0).running


# Broken sensors


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(85.0, id="60 K at once"),
        pytest.param(36.0, id="little more than the limit"),
        pytest.param(3276.7, id="the value for no sensor"),
        pytest.param(-273.0, id="too cold"),
        pytest.param(nan, id="no number"),
    ],
)
@pytest.mark.parametrize("seconds", [pytest.param(1.0, id="once"), pytest.param(600.0, id="for good")])
def test_jump_never_counts_but_is_told(wrong: float, seconds: float) -> None:
    run = Run()
    run.go(5.0)
    run.board.temperature[8] = wrong
    found = run.go(seconds)
    assert not found.running
    assert found.suspects == {8}
    assert len(run.said) == 1
    assert run.said[0].startswith("Block 8: ")
    run.board.temperature[8] = 25.0
    assert not run.go(5.0).suspects
    run.heat(8, 45.0)
    assert run.go(HOLD).running, "it is watched again"


def test_fire_that_began_with_a_jump_is_believed_when_it_goes_on() -> None:
    run = Run()
    run.go(5.0)
    run.board.temperature[8] = 60.0
    assert run.go(30.0).suspects == {8}
    assert not run.heat(8, 64.0).suspects
    assert run.go(HOLD).running == {2}


@pytest.mark.parametrize("step", [pytest.param(12.0, id="12 K a scan"), pytest.param(25.0, id="25 K a scan")])
def test_fire_that_is_read_so_rarely_that_it_comes_in_jumps_is_believed_when_it_goes_on(step: float) -> None:
    run = Run()
    run.go(5.0)
    for count in range(1, 5):
        run.board.temperature[8] = 25.0 + count * step
        run.go(20.0)
    assert run.go(HOLD).running == {2}


def test_sensor_that_was_not_believed_is_not_believed_after_a_restart() -> None:
    run = Run()
    run.go(5.0)
    run.board.temperature[8] = 85.0
    run.go(5.0)
    again = Run(saved=run.saved())
    again.board.temperature[8] = 85.0
    found = again.go(300.0)
    assert not found.running
    assert found.suspects == {8}


def test_all_sensors_that_jump_together_are_believed_again() -> None:
    run = Run()
    run.go(5.0)
    warmth(run.board, 50.0)
    assert len(run.look().suspects) == 0, "looked at within the second"
    run.now += 1.0
    assert len(run.look().suspects) == 12
    assert not run.go(3.0).suspects
    assert not run.said[-1].startswith("Thermal runaway:")


def test_block_may_be_much_warmer_after_it_was_not_known_for_a_while() -> None:
    run = Run()
    run.go(5.0)
    run.board.temperature[8] = None
    run.go(120.0)
    run.board.temperature[8] = 60.0
    assert not run.go(1.0).suspects
    assert run.go(HOLD).running


@pytest.mark.parametrize(
    "saved",
    [
        pytest.param({"strings": [1], "blocks": "x", "suspects": {"8": 85}}, id="wrong types"),
        pytest.param(
            {"strings": {"9": {}, "x": {}}, "blocks": {"99": {}}, "suspects": {"8": {}}}, id="others' numbers"
        ),
    ],
)
def test_damaged_memory_is_left_out(saved: dict[str, JSON]) -> None:
    run = Run(saved=saved)
    assert run.go(2.0) == Runaways(frozenset(), frozenset(), frozenset(), frozenset(), frozenset())


# Always


def _climbs(temperatures: list[float]) -> bool:
    """Whether there are three rises in a row, as of a fire."""
    moves = [after - before for before, after in pairwise(temperatures) if after != before]
    return any(all(move > 0.0 for move in moves[at : at + 3]) for at in range(len(moves) - 2))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-273.0, -40.0, 25.0, 55.0, 85.0, 115.0, 145.0, 3276.7, nan]), st.integers(1, 100)),
        max_size=12,
    ).filter(lambda story: not _climbs([25.0, *(temperature for temperature, _ in story)]))
)
def test_sensor_that_jumps_about_never_runs_away(story: list[tuple[float, int]]) -> None:
    run = Run(strings=(4,))
    run.go(2.0)
    for temperature, seconds in story:
        run.board.temperature[2] = temperature
        assert not run.go(float(seconds)).running
    run.board.temperature[2] = 25.0
    run.go(3.0)
    run.heat(3, 60.0)
    assert run.go(HOLD).blocks == {3}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.floats(0.02, 3.0), st.floats(15.0, 40.0))
def test_every_real_fire_is_found_in_time(block: int, rate: float, rise: float) -> None:
    run = Run()
    run.heat(block, 25.0 + rise, rate)
    found = run.go(HOLD + 1.0)
    assert found.running == {run.layout.string_of(block)}
    assert found.blocks == {block}

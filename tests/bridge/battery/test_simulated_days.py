"""Equalising against the physics of blocks: what a day of it does, and what it must never do."""

from collections.abc import Callable

import pytest

from ridethrough.battery.board import Phase
from ridethrough.battery.equaliser import Why
from ridethrough.config.battery import EqualisingConfig
from ridethrough.sim.blocks import BlockDesign, Failure, Plant
from ridethrough.sim.blocks.string import ALIKE, Spread
from tests.bridge.battery.days import DAY, HOUR, MINUTE, NEW, Days, thirst

OFF = EqualisingConfig()
BIG = BlockDesign(capacity=100.0)
AGED = Spread(overcharge=0.25, capacity=0.05, resistance=0.1, ambient=1.0)


def sound(_: Plant) -> None:
    """Leave a plant as it is delivered."""


def aged(plant: Plant) -> None:
    """Let eight years pass."""
    for block in range(1, plant.blocks + 1):
        plant.wear(block, 1.4)
        plant.weaken(block, 0.8)


def weak(plant: Plant) -> None:
    """Have one block that takes three times the current on float, and one that takes hardly half."""
    thirst(plant, 7, 3.0)
    thirst(plant, 19, 0.4)
    plant.weaken(7, 0.6)


# Left of the spread of float voltages after 24 hours, as a share of what it is without equalising.
@pytest.mark.parametrize(
    ("design", "blocks", "spread", "spoil", "left"),
    [
        pytest.param(BlockDesign(), 40, NEW, sound, 0.4, id="new-12V-7Ah"),
        pytest.param(BIG, 40, NEW, sound, 0.45, id="new-12V-100Ah"),
        pytest.param(BIG, 40, AGED, aged, 0.65, id="aged-12V-100Ah"),
        pytest.param(BIG, 40, NEW, weak, 0.75, id="weak-12V-100Ah"),
        pytest.param(BlockDesign(6.0, 200.0), 24, NEW, sound, 0.2, id="new-6V-200Ah"),
        pytest.param(BlockDesign(2.0, 600.0), 24, NEW, sound, 0.1, id="new-2V-600Ah"),
        pytest.param(BlockDesign(2.4, 100.0, "nicd"), 24, NEW, sound, 0.1, id="new-NiCd"),
        pytest.param(BlockDesign(12.0, 100.0, "lfp"), 16, NEW, sound, 0.1, id="new-LFP"),
    ],
)
def test_day_of_equalising_brings_blocks_together_and_makes_none_worse(
    design: BlockDesign, blocks: int, spread: Spread, spoil: Callable[[Plant], None], left: float
) -> None:
    plants = [Plant(design, 1, blocks, spread=spread) for _ in range(2)]
    for plant in plants:
        spoil(plant)
    without, with_it = Days(plants[0], OFF), Days(plants[1])
    without.run(HOUR)
    assert without.energy == 0.0
    without.plant.advance(DAY - HOUR)
    with_it.run(DAY, 2 * MINUTE)
    assert with_it.equaliser.why(1) is Why.WORKING
    assert with_it.spread() <= left * without.spread()
    # Blocks that stood in the middle may be moved a little for the sake of the others: 7 mV a cell, as noise would do.
    worse = [
        abs(after) - max(abs(before), 0.007 * design.cells)
        for before, after in zip(without.deviations(), with_it.deviations(), strict=True)
    ]
    assert max(worse) <= 0.0


def test_voltages_begin_to_level_off_within_a_quarter_of_an_hour() -> None:
    days = Days(Plant(BlockDesign(2.0, 200.0), 1, 40))  # M:6967
    before = days.spread()
    days.run(15 * MINUTE)
    assert days.spread() < 0.8 * before
    days.run(12 * HOUR)  # M:6963: identical after 12 h
    assert days.spread() < 0.1 * before


def test_blocks_that_are_alike_are_left_alone() -> None:
    days = Days(Plant(BIG, 1, 40, spread=ALIKE))
    days.run(6 * HOUR)
    assert days.energy < 1.0, "a few milliwatts for what modules measure with a noise of a millivolt"
    assert days.told("battery_string", 1, "equalizing") is True
    assert days.told("battery_module", 1, "equalizing") is False


def test_failed_block_stops_its_string_and_no_other() -> None:
    days = Days(Plant(BIG, 2, 40))
    days.run(2 * HOUR)
    days.plant.fail(7, Failure.SHORT)
    days.plant.advance(MINUTE)
    days.look()
    days.decide()
    assert days.equaliser.why(1) is Why.OUT_OF_RANGE  # M:7054
    assert not any(days.plant.columns[0].drawn)
    days.run(12 * HOUR)
    assert not any(days.plant.columns[0].drawn)
    assert any(days.plant.columns[1].drawn)
    assert days.told("battery_string", 1, "equalizing") is False
    assert days.told("battery_string", 2, "equalizing") is True
    assert days.spread(2) < 0.3


def test_alarm_stops_the_string_until_it_is_over() -> None:
    days = Days(Plant(BIG, 2, 20))
    days.run(6 * HOUR)
    level = days.spread(1)
    days.stopped.add(1)  # M:6945
    days.decide()
    assert days.equaliser.why(1) is Why.ALARM
    days.run(12 * HOUR)
    assert not any(days.plant.columns[0].drawn)
    assert days.spread(1) > 1.5 * level
    assert days.equaliser.why(2) is Why.WORKING
    days.stopped.clear()
    days.run(6 * HOUR)
    assert days.spread(1) < 1.2 * level


def test_pause_lets_blocks_go_and_ends_by_itself() -> None:
    days = Days(Plant(BIG, 1, 20))
    days.run(6 * HOUR)
    level, drawn = days.spread(), days.energy
    days.equaliser.pause(10 * HOUR, days.plant.time)  # M:7106
    days.run(9.5 * HOUR)
    assert days.energy == drawn
    assert days.spread() > 1.5 * level
    assert days.told("battery_system", 0, "equalizing_paused") is True
    assert days.told("battery_system", 0, "equalizing.pause.remaining") == 31 * MINUTE
    days.run(6.5 * HOUR)
    assert days.told("battery_system", 0, "equalizing_paused") is False
    assert days.told("battery_system", 0, "equalizing.pause.remaining") == 0
    assert days.spread() < 1.2 * level


# One that takes too much to be filled by what all the others leave, and one too large for what its module can draw.
@pytest.mark.parametrize(
    ("capacity", "factor"), [pytest.param(100.0, 20.0, id="too-low"), pytest.param(600.0, 0.1, id="too-high")]
)
def test_stubborn_block_is_given_up_after_days_and_tried_again_once_it_fits(capacity: float, factor: float) -> None:
    plant = Plant(BlockDesign(capacity=capacity), 1, 20, spread=Spread(0.05, 0.0, 0.0, 0.0))
    thirst(plant, 7, factor)
    plant.advance(12 * HOUR)
    days = Days(plant)
    days.run(4 * DAY, 2 * MINUTE)
    assert days.equaliser.why(1) is Why.WORKING
    assert days.told("battery_system", 0, "equalizing_deactivated") is False
    days.run(DAY, 2 * MINUTE)
    assert days.equaliser.why(1) is Why.GIVEN_UP  # M:7771
    assert not any(plant.columns[0].drawn)
    raised = {where[:2] for where, so in days.seen.items() if so and where[2] == "equalizing_deactivated"}
    assert raised == {("battery_system", 0), ("battery_string", 1), ("battery_module", 7)}
    thirst(plant, 7, 1.0 / factor)  # as if it had been exchanged for one that fits
    days.run(DAY, 2 * MINUTE)
    assert days.equaliser.why(1) is Why.WORKING  # M:7783
    assert days.told("battery_system", 0, "equalizing_deactivated") is False


def test_nothing_is_drawn_while_discharging_and_much_the_same_as_before_afterwards() -> None:
    days = Days(Plant(BIG, 1, 20))
    days.run(6 * HOUR)
    level = days.spread()
    days.plant.mains, days.phase = False, Phase.DISCHARGING
    days.decide()
    assert not any(days.plant.columns[0].drawn)
    days.run(10 * MINUTE)
    days.plant.mains, days.phase = True, Phase.CHARGING
    days.run(12 * HOUR)
    days.phase = Phase.FLOATING
    days.run(12 * HOUR)
    assert days.spread() < 1.5 * level


def test_small_blocks_are_drawn_a_small_part_of_the_power() -> None:
    days = Days(Plant(BlockDesign(capacity=15.0), 1, 20))  # M:5434
    for _ in range(120):
        days.run(MINUTE)
        assert max(duty for duty in days.board.duty if duty is not None) <= 10
    assert days.energy > 0.0

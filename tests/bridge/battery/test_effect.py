"""When equalising counts as being without effect (manual M:7249, M:7771)."""

import pytest

from ridethrough.battery.equaliser.effect import Effect
from tests.bridge.battery.days import DAY, HOUR

FAR = [0.06, -0.06, None]
"""V per cell."""


def work(effect: Effect, hours: float, deviations: list[float | None], *, at_limit: bool = True) -> None:
    """Let a string be equalised for so long."""
    for _ in range(round(hours * 4)):
        effect.working(deviations, at_limit=at_limit, seconds=900.0, patience=4 * DAY)


def test_four_days_at_the_limit_without_improvement_are_enough() -> None:
    effect = Effect(6)
    work(effect, 96.0, FAR)
    assert not effect.culprits
    work(effect, 0.5, FAR)
    assert effect.culprits == {0, 1}


def test_only_blocks_that_deviate_much_are_told() -> None:
    effect = Effect(6)
    work(effect, 97.0, [0.003, -0.08, None, 0.041, 0.039])
    assert effect.culprits == {1, 3}


@pytest.mark.parametrize(("cells", "well"), [(1, 0.099), (3, 0.057), (6, 0.04)])
def test_what_makers_permit_on_float_is_well_enough(cells: int, well: float) -> None:
    effect = Effect(cells)
    work(effect, 200.0, [well, -well])
    assert not effect.culprits
    work(effect, 97.0, [well, -well - 0.002])
    assert effect.culprits == {0, 1}


def test_hour_without_a_module_at_its_limit_begins_the_count_anew() -> None:
    effect = Effect(6)
    for _ in range(4):
        work(effect, 48.0, FAR)
        work(effect, 1.0, FAR, at_limit=False)
    assert not effect.culprits
    work(effect, 48.0, FAR)
    work(effect, 0.75, FAR, at_limit=False)
    work(effect, 48.5, FAR)
    assert effect.culprits


def test_worst_deviation_must_shrink_measurably_to_count() -> None:
    effect = Effect(6)
    for worst in (0.1, 0.094, 0.089, 0.084):
        work(effect, 48.0, [worst, 0.0])
    assert not effect.culprits, "by a twentieth every two days"
    for worst in (0.084, 0.083, 0.082):
        work(effect, 48.0, [worst, 0.0])
    assert effect.culprits == {0}


def test_block_that_was_given_up_is_tried_again_after_an_hour_within_bounds() -> None:
    effect = Effect(6)
    work(effect, 97.0, FAR)
    assert not effect.given_up([0.0, 0.0, None], HOUR / 2)
    assert not effect.given_up([0.0, None, None], HOUR), "what is not known is not well"
    assert not effect.given_up([0.0, 0.0, None], HOUR / 2)
    assert effect.given_up([0.0, 0.0, None], HOUR / 2)
    assert not effect.culprits

"""What autonomy promises from voltage, load and hold time alone, against simulated batteries that know the truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from ridethrough.logic.autonomy import AutonomyInputs, AutonomyState, UpsSettings, step
from ridethrough.sim.battery import NEW, Wear
from ridethrough.sim.designs import DESIGNS
from ridethrough.sim.dynamics import runtime_left, step as live
from ridethrough.sim.ups import Faults, Inputs, UpsDesign, UpsState, gauges

NAMES = [name for name in DESIGNS if not name.endswith("-packs")]
"""Without those whose battery lasts for an hour: a short test, or a light load, shows nothing of its wear."""

OUTAGE = Inputs(mains_voltage=0.0)


@dataclass(frozen=True)
class Moment:
    """What was promised and what was true, in seconds."""

    promised: float
    true: float


def hold_time(design: UpsDesign) -> float:
    """Measure in a laboratory how long a new, full battery carries full load, s."""
    inputs = replace(OUTAGE, load=1.0)
    return 1.0 + runtime_left(design, live(design, UpsState(), inputs, 1.0), inputs)


def outage(
    design: UpsDesign, loads: tuple[float, ...], *, wear: Wear = NEW, charge: float = 1.0, mains: float = 3600.0
) -> Iterator[Moment]:
    """Live through some time on mains, then an outage until the battery is empty; every minute the next load, read every 5 s."""
    settings = UpsSettings(power=design.rating, hold_time=hold_time(design) / 60.0, recharge_time=8.0)
    faults = Faults(wear=wear)
    ups, state, now = UpsState(charge=charge), AutonomyState(), 0.0
    inputs = Inputs(load=loads[0], faults=faults)
    while ups.output_on:
        seen = gauges(design, ups, inputs)
        block = 12.0 * seen.battery_voltage / design.battery.nominal_voltage
        known = AutonomyInputs(ups.on_battery, inputs.load, block_voltage=block)
        state, autonomy = step(settings, state, known, now)
        if ups.on_battery:
            assert autonomy.runtime is not None
            yield Moment(autonomy.runtime, runtime_left(design, ups, inputs))
        if now >= mains:
            minute = int((now - mains) // 60.0)
            inputs = replace(OUTAGE, load=loads[min(minute, len(loads) - 1)], faults=faults)
        now += 5.0
        ups = live(design, ups, inputs, 5.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loads", [(1.0,), (0.5,), (0.2,), (1.0, 0.5, 0.2), (0.2, 0.5, 1.0)])
def test_sound_battery_always_keeps_what_was_promised(name: str, loads: tuple[float, ...]) -> None:
    moments = list(outage(DESIGNS[name], loads))
    assert len(moments) > 30
    assert all(moment.promised <= moment.true + 1.0 for moment in moments)
    # And it promises something worth having.
    assert moments[0].promised >= 0.4 * moments[0].true


@pytest.mark.parametrize("name", NAMES)
def test_worn_battery_is_found_out_before_its_end(name: str) -> None:
    moments = list(outage(DESIGNS[name], (0.5,), wear=Wear(capacity=0.5, resistance=2.0)))
    assert moments[-1].promised <= 10.0
    assert all(later.promised <= earlier.promised for earlier, later in pairwise(moments))


@pytest.mark.parametrize("name", NAMES)
def test_battery_that_was_half_empty_at_the_start_is_found_out_on_the_way(name: str) -> None:
    moments = list(outage(DESIGNS[name], (0.5,), charge=0.5, mains=120.0))
    errors = [moment.promised - moment.true for moment in moments]
    assert errors[-1] < 0.5 * errors[0] or errors[0] <= 0.0

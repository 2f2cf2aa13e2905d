"""What equalising does in a simulated day: the spread of float voltages with and without it, and what it draws.

Run it with `python -m tests.bench.bench_equaliser [hours]`. It takes some seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
import sys
from time import process_time

from ridethrough.battery.board import Board
from ridethrough.battery.equaliser import Equaliser
from ridethrough.battery.layout import Layout
from ridethrough.config.battery import BlockConfig, EqualisingConfig
from ridethrough.sim.blocks import BlockDesign, Failure, Plant
from ridethrough.sim.blocks.string import Spread
from tests.bridge.battery.days import HOUR, Days, thirst


def _aged(plant: Plant) -> None:
    for block in range(1, plant.blocks + 1):
        plant.wear(block, 1.4)
        plant.weaken(block, 0.8)


def _weak(plant: Plant) -> None:
    thirst(plant, 7, 3.0)
    thirst(plant, 19, 1 / 2.5)


def _failed(plant: Plant) -> None:
    plant.fail(7, Failure.SHORT)


@dataclass(frozen=True, slots=True)
class Row:
    """A plant to try."""

    name: str
    design: BlockDesign
    blocks: int = 40
    spread: Spread = Spread()
    spoil: Callable[[Plant], None] | None = None

    def days(self, *, enabled: bool) -> Days:
        """Put it up."""
        plant = Plant(self.design, 1, self.blocks, spread=self.spread)
        if self.spoil is not None:
            self.spoil(plant)
            plant.advance(60.0)
        return Days(plant, EqualisingConfig(enabled=enabled))


OLD = Spread(0.25, 0.05, 0.1, 1.0)
ROWS = (
    Row("new, 12 V 7 Ah", BlockDesign()),
    Row("new, 12 V 100 Ah", BlockDesign(capacity=100.0)),
    Row("aged, 12 V 100 Ah", BlockDesign(capacity=100.0), spread=OLD, spoil=_aged),
    Row("weak and stubborn ones, 12 V 100 Ah", BlockDesign(capacity=100.0), spoil=_weak),
    Row("failed one, 12 V 100 Ah", BlockDesign(capacity=100.0), spoil=_failed),
    Row("new, 6 V 200 Ah", BlockDesign(6.0, 200.0)),
    Row("new, 24 cells of 2 V 600 Ah", BlockDesign(2.0, 600.0), 24),
    Row("new, NiCd 2.4 V 100 Ah", BlockDesign(2.4, 100.0, "nicd"), 92),
    Row("new, LFP 12 V 100 Ah", BlockDesign(12.0, 100.0, "lfp"), 16),
)


def days(hours: float) -> None:
    """Print a table of simulated days."""
    print(f"{'after ' + format(hours, 'g') + ' h':<36}  at first   without      with     drawn  why")
    for row in ROWS:
        off, on = row.days(enabled=False), row.days(enabled=True)
        before = on.spread()
        off.run(hours * HOUR)
        on.run(hours * HOUR)
        print(
            f"{row.name:<36}  {1000 * before:5.0f} mV  {1000 * off.spread():5.0f} mV  {1000 * on.spread():5.0f} mV"
            f"  {on.energy:5.1f} Wh  {on.equaliser.why(1)}"
        )


def cost(blocks: int = 512) -> None:
    """Print what a pass over all blocks costs."""
    layout = Layout.of([blocks])
    board = Board(layout)
    board.voltage[1:] = [13.5 + 0.001 * (number % 97) for number in range(blocks)]
    equaliser = Equaliser(EqualisingConfig(enabled=True), BlockConfig(), layout)
    took = []
    for second in range(240):
        board.duty[1:] = [0.0] * blocks
        begun = process_time()
        equaliser.decide(board, frozenset(), float(second))
        took.append(1000 * (process_time() - begun))
    took.sort()
    print(f"one pass over {blocks} blocks: {took[120]:.2f} ms as a rule, {took[-3]:.2f} ms when duties are worked out")


if __name__ == "__main__":
    cost()
    days(float(sys.argv[1]) if len(sys.argv) > 1 else 24.0)

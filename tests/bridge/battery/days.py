"""Simulated days: an equaliser on a plant that knows nothing of it, as modules stand between them."""

from dataclasses import dataclass, field
from random import Random

from ridethrough.battery.board import Board, Phase
from ridethrough.battery.equaliser import Decision, Equaliser
from ridethrough.battery.layout import Layout
from ridethrough.config.battery import BlockConfig, Chemistry, EqualisingConfig
from ridethrough.sim.blocks import BlockDesign, Plant
from ridethrough.sim.blocks.string import Spread

HOUR = 3600.0
DAY = 86400.0
MINUTE = 60.0
NOISE = 0.001
"""V, standard deviation of what modules measure."""
NEW = Spread()
"""Blocks of one delivery."""


def chemistry_of(design: BlockDesign) -> Chemistry:
    """Return a design's chemistry as a configuration has it."""
    known: dict[str, Chemistry] = {"lead": "lead", "nicd": "nicd", "lfp": "lfp"}
    return known[design.chemistry]


@dataclass
class Days:
    """A plant with a module on each block. Modules measure whole millivolts, not quite still, and draw whole percents."""

    plant: Plant
    config: EqualisingConfig = EqualisingConfig(enabled=True)
    stopped: set[int] = field(default_factory=set)
    phase: Phase = Phase.FLOATING
    energy: float = 0.0
    """Wh that modules have drawn."""
    seen: dict[tuple[str, int, str], float | int | str | bool | None] = field(default_factory=dict)
    """All that was found out."""
    equaliser: Equaliser = field(init=False)
    board: Board = field(init=False)

    _noise: Random = field(init=False, default_factory=lambda: Random(7))

    def __post_init__(self) -> None:
        """Put the modules on."""
        design = self.plant.design
        layout = Layout.of([self.plant.length] * self.plant.strings)
        self.board = Board(layout)
        block = BlockConfig(design.voltage, design.capacity, chemistry_of(design))
        self.equaliser = Equaliser(self.config, block, layout)
        self.look()

    def look(self) -> None:
        """Have the modules measured."""
        for number, voltage in enumerate(self.plant.voltages(), 1):
            self.board.voltage[number] = round(voltage + self._noise.gauss(0.0, NOISE), 3)

    def decide(self) -> Decision:
        """Have it decided once, and obeyed."""
        self.board.phase = self.phase
        decision = self.equaliser.decide(self.board, self.stopped, self.plant.time)
        for number, duty in decision.duties.items():
            self.plant.equalise(number, duty / 100.0)
            self.board.duty[number] = duty
        self.seen.update(decision.findings.points)
        self.seen.update(decision.findings.conditions)
        return decision

    def run(self, seconds: float, step: float = MINUTE) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.decide()
            self.plant.advance(step)
            self.energy += sum(sum(string.drawn) for string in self.plant.columns) * step / HOUR
            self.look()

    def told(self, kind: str, number: int, key: str) -> float | int | str | bool | None:
        """Return what was found out last."""
        return self.seen[kind, number, key]

    def deviations(self, string: int = 1) -> list[float]:
        """Return by how much each block of a string differs from their mean, V."""
        voltages = self.plant.columns[string - 1].voltage
        mean = sum(voltages) / len(voltages)
        return [voltage - mean for voltage in voltages]

    def spread(self, string: int = 1) -> float:
        """Return the difference between the highest and the lowest block of a string, V."""
        voltages = self.plant.columns[string - 1].voltage
        return max(voltages) - min(voltages)


def thirst(plant: Plant, block: int, factor: float) -> None:
    """Have a block take so many times more current on float: more stands lower, less stands higher."""
    string, index = plant.at(block)
    string.overcharge[index] *= factor


__all__ = ["DAY", "HOUR", "MINUTE", "NEW", "Days", "thirst"]

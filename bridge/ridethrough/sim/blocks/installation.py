"""A battery room: the plant, a module at each block, current sensors, boxes, and the breakers wired to their outputs."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

from .module import Identity, Module
from .plant import Plant

type Breakers = Literal["none", "one", "each"]
"""No breaker, one that takes all strings off the bus, or one for each string."""

NOMINAL = (2, 4, 6, 12, 16, 24)
CONTACTS = 4
"""Inputs of a box, and as many outputs."""
_FIRST_SERIAL = 240_001


@dataclass(slots=True)
class Box:
    """Four inputs and four relay outputs."""

    number: int
    inputs: int = 0
    """Bits; 1 is closed."""
    outputs: int = 0
    """Bits; 1 is energised."""
    lost: bool = False
    safe_mask: int = 0
    safe_state: int = 0
    patience: float = 0.0
    """Seconds without a valid frame after which the safe state is taken; 0: never."""
    heard: float = 0.0
    """When the last one came."""

    def look(self, now: float) -> None:
        """Take the safe state when the master has been silent for too long."""
        if self.patience and now - self.heard >= self.patience:
            self.switch(self.safe_mask, self.safe_state)

    def switch(self, mask: int, state: int) -> None:
        """Set the outputs in the mask."""
        self.outputs = self.outputs & ~mask | state & mask


class Installation:
    """Everything that hangs on the bus, and what it does to the plant."""

    def __init__(
        self,
        plant: Plant,
        *,
        boxes: int = 0,
        breakers: Breakers = "none",
        sensors: bool = True,
        noise: float = 0.0,
        seed: int = 1,
    ) -> None:
        """Fit out `plant`: output 1, 2, … of the boxes trips the breaker of string 1, 2, … or the one of all.

        `noise` is that of the modules' voltages, V.
        """
        if breakers == "each" and boxes * CONTACTS < plant.strings:
            raise ValueError(f"{plant.strings} breakers need {-(-plant.strings // CONTACTS)} boxes, not {boxes}")
        self.plant = plant
        self.seed = seed
        nominal = next((volts for volts in NOMINAL if volts >= plant.design.voltage - 0.9), NOMINAL[-1])
        self.modules = [
            Module(plant, block, Identity(_FIRST_SERIAL + 7 * block, nominal), seed=seed, noise=noise)
            for block in range(1, plant.blocks + 1)
        ]
        """One at each block; the first is that of block 1."""
        self.boxes = [Box(number) for number in range(1, boxes + 1)]
        self.breakers: Breakers = breakers if boxes else "none"
        self.sensors = plant.strings if sensors else 0
        """Sensor 1 is that of string 1."""
        self.broken_sensors: set[int] = set()
        self.lost_sensors: set[int] = set()

    def module(self, block: int) -> Module:
        """Find the module at a block, whatever its number. Raises IndexError."""
        self.plant.at(block)
        return self.modules[block - 1]

    def look(self, now: float) -> None:
        """Do what is due: boxes without a master, breakers whose coil is energised, duties that end."""
        for box in self.boxes:
            box.look(now)
        self._trip()
        for module in self.modules:
            if module.duty:
                module.look(now)

    def hear(self, reach: Container[int], now: float) -> None:
        """Note that the boxes have heard a valid frame."""
        if 0 in reach:
            for box in self.boxes:
                box.look(now)
                box.heard = now

    def _trip(self) -> None:
        """Open breakers; only a hand closes them again."""
        if self.breakers == "one":
            if self.boxes[0].outputs & 1:
                self.plant.closed = [False] * self.plant.strings
        elif self.breakers == "each":
            for string in range(self.plant.strings):
                box, output = divmod(string, CONTACTS)
                if self.boxes[box].outputs >> output & 1:
                    self.plant.closed[string] = False

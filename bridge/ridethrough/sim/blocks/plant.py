"""A direct current plant: strings of blocks side by side on one bus, a charger, and a load when the mains is away.

Seen from the bus each string is a voltage and a resistance for the length of a step, so that one formula shares the
current between them. Steps are long while nothing happens and short while much does.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, sqrt
from random import Random

from .chemistry import BlockDesign
from .string import OPEN, BlockString, Spread

_QUIET_STEP, _BUSY_STEP = 60.0, 5.0
"""Seconds of a step on float, and while the strings are charged or discharged."""
_QUIET = 0.02
"""A per Ah above which a string counts as busy."""
_AGEING = 600.0
"""Seconds between two looks at the calendar."""
_DISTURBED = 60.0
"""Seconds after a change within which steps are short."""


class Failure(StrEnum):
    """What a block can die of."""

    SHORT = "short"
    """One cell is shorted: it lacks the voltage of that cell."""
    OPEN = "open"
    """The connection inside is broken: the string carries nothing."""


@dataclass(slots=True)
class Charger:
    """What feeds the bus while the mains is there."""

    voltage: float
    """V held at the bus."""
    current: float
    """A that it can give to all strings together."""
    on: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """One block as a laboratory would know it."""

    voltage: float
    """V at the module."""
    temperature: float
    """°C."""
    impedance: float
    """Ohm, with the connector before it."""
    charge: float
    """0–1 of what it can hold."""
    capacity: float
    """Ah that it can hold."""
    overcharge: float
    """A that it takes at the float voltage and 25 °C."""
    drawn: float
    """W drawn by its module."""


@dataclass(frozen=True, slots=True)
class StringReading:
    """What can be measured at a string."""

    voltage: float
    """V over all its blocks."""
    current: float
    """A, positive while charging."""
    ripple: float
    """A of alternating current."""
    charge: float
    """0–1; the least of its blocks, since blocks in series end together."""


@dataclass(slots=True)
class Plant:
    """Blocks 1 … n in equal strings, numbered through. Change it by its methods; it is at rest between steps."""

    design: BlockDesign
    strings: int
    blocks: int
    """Of all strings together."""
    ambient: float = 25.0
    seed: int = 1
    spread: Spread = Spread()
    load: float | None = None
    """W drawn from the bus while the mains is away; None: what empties the strings in half an hour."""
    cutoff: float = 0.8
    """Share of the nominal voltage at which the load is dropped: 1.6 V for a cell of lead."""
    charger: Charger = field(init=False)
    mains: bool = field(default=True, init=False)
    dropped: bool = field(default=False, init=False)
    """Whether the strings were too low for the load; ends with the outage."""
    voltage: float = field(init=False)
    """V of the bus."""
    time: float = field(default=0.0, init=False)
    """Seconds that have been simulated."""
    columns: list[BlockString] = field(init=False)
    """The strings, from the first."""
    closed: list[bool] = field(init=False)
    """Whether the breaker of each string is."""
    _aged: float = field(default=0.0, init=False)
    _changed: float = field(default=-_DISTURBED, init=False)

    def __post_init__(self) -> None:
        """Put everything up: full, on float."""
        if self.strings < 1 or self.blocks < self.strings or self.blocks % self.strings:
            raise ValueError(f"{self.blocks} blocks do not make {self.strings} equal strings; they share one bus")
        chance = Random(self.seed)
        self.columns = [
            BlockString(self.design, self.length, chance, self.spread, self.ambient) for _ in range(self.strings)
        ]
        self.closed = [True] * self.strings
        capacity = self.design.capacity * self.strings
        self.charger = Charger(self.length * self.design.float_voltage, 0.15 * capacity)
        self.voltage = self.charger.voltage
        if self.load is None:
            self.load = capacity * self.length * self.design.voltage

    @property
    def length(self) -> int:
        """Blocks of one string."""
        return self.blocks // self.strings

    def at(self, block: int) -> tuple[BlockString, int]:
        """Find a block by its number, from 1: its string, and its position in it, from 0. Raises IndexError."""
        if not 1 <= block <= self.blocks:
            raise IndexError(f"There is no block {block}, only 1 to {self.blocks}")
        string, index = divmod(block - 1, self.length)
        return self.columns[string], index

    def block(self, number: int) -> Block:
        """Look into a block, by its number from 1."""
        string, index = self.at(number)
        return Block(
            voltage=string.voltage[index],
            temperature=string.temperature[index],
            impedance=string.impedance(index),
            charge=string.charge[index],
            capacity=string.capacity[index] / 3600.0,
            overcharge=string.overcharge[index],
            drawn=string.drawn[index],
        )

    def string(self, number: int) -> StringReading:
        """Measure at a string, by its number from 1."""
        string = self.columns[number - 1]
        fed = self.mains and self.charger.on and self.closed[number - 1]
        # A charger without a large filter leaves a ripple of some percent of the capacity (IEEE 1188 §5).
        ripple = 0.02 * self.design.capacity if fed else 0.0
        return StringReading(sum(string.voltage), string.current, ripple, min(string.charge))

    def voltages(self) -> list[float]:
        """Give the voltages of all blocks, V; the first is that of block 1."""
        return [volts for string in self.columns for volts in string.voltage]

    def temperatures(self) -> list[float]:
        """Give the temperatures of all blocks, °C; the first is that of block 1."""
        return [kelvin for string in self.columns for kelvin in string.temperature]

    def equalise(self, block: int, duty: float) -> None:
        """Draw a share (0–1) of the equalising power from a block."""
        string, index = self.at(block)
        string.drawn[index] = duty * self.design.equalising_power

    def wear(self, block: int, resistance: float) -> None:
        """Age a block: its ohmic resistance grows by this factor."""
        string, index = self._change(block)
        string.resistance[index] *= resistance

    def weaken(self, block: int, capacity: float) -> None:
        """Take capacity from a block; a share of 0.5 leaves half of it."""
        string, index = self._change(block)
        string.capacity[index] *= capacity

    def dry_out(self, string: int, factor: float, cooling: float = 1.0) -> None:
        """Have all blocks of a string take so many times more overcharge, and lose only a share of the usual heat."""
        blocks = self.columns[string - 1]
        self._changed = self.time
        blocks.overcharge = [factor * mine for mine in blocks.overcharge]
        blocks.cooling = cooling

    def fail(self, block: int, failure: Failure) -> None:
        """Let a block die."""
        string, index = self._change(block)
        if failure is Failure.OPEN:
            string.resistance[index] = OPEN
        else:
            string.short(index)

    def run_away(self, block: int, current: float) -> None:
        """Begin a soft short circuit inside a block: a leak of so many A that doubles with each 10 K (0 ends it)."""
        string, index = self._change(block)
        string.leak[index] = current

    def loosen(self, block: int, resistance: float) -> None:
        """Add ohms to the connector before a block, which its module measures as well (manual M:5285)."""
        string, index = self._change(block)
        string.connector[index] = resistance

    def surround(self, ambient: float) -> None:
        """Change the temperature of the room, °C."""
        self.ambient = ambient
        for string in self.columns:
            string.ambient = ambient

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps as short as need be."""
        while seconds > 0.0:
            longest = _BUSY_STEP if self._busy() else _QUIET_STEP
            step = seconds / ceil(seconds / longest)
            self._step(step)
            seconds -= step
            if seconds < 1e-9:
                break
        if self.time - self._aged >= _AGEING:
            for string in self.columns:
                string.age(self.time - self._aged)
            self._aged = self.time

    def _busy(self) -> bool:
        if not (self.mains and self.charger.on) or self.time - self._changed < _DISTURBED:
            return True
        quiet = _QUIET * self.design.capacity
        return any(abs(string.current) > quiet or any(string.leak) for string in self.columns)

    def _change(self, block: int) -> tuple[BlockString, int]:
        self._changed = self.time
        return self.at(block)

    def _step(self, seconds: float) -> None:
        outlines = [string.outline(seconds) for string in self.columns]
        joined = [(still, stiff) for (still, stiff), closed in zip(outlines, self.closed, strict=True) if closed]
        volts = self._bus(joined)
        self.voltage = 0.0 if volts is None else volts
        for string, (still, stiff), closed in zip(self.columns, outlines, self.closed, strict=True):
            string.settle(seconds, (volts - still) / stiff if closed and volts is not None else 0.0)
        self.time += seconds

    def _bus(self, strings: list[tuple[float, float]]) -> float | None:
        """Find the voltage of the bus: G U - S is what the strings take; None when nothing is on it."""
        conductance = sum(1.0 / stiff for _, stiff in strings)
        short_current = sum(still / stiff for still, stiff in strings)
        if self.mains:
            self.dropped = False
        if self.mains and self.charger.on:
            volts = self.charger.voltage
            if not strings:
                return volts
            flows = conductance * volts - short_current
            flows = min(max(flows, 0.0), self.charger.current)  # a charger takes nothing back
            return (flows + short_current) / conductance
        if not strings:
            return None
        rest = short_current / conductance
        if self.mains or self.dropped or not self.load:
            return rest
        # U (S - G U) = P, of which the larger root is stable.
        root = short_current * short_current - 4.0 * conductance * self.load
        volts = 0.0 if root < 0.0 else (short_current + sqrt(root)) / (2.0 * conductance)
        if volts < self.cutoff * self.length * self.design.voltage:
            self.dropped = True
            return rest
        return volts

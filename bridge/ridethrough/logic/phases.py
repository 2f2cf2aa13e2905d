"""A UPS of three phases seen as one: its load, and whether its input is good on all of them.

Phases are L1 to L3 as the catalogue names them, each measured against the neutral. Limits and ratings are printed for
one phase against the neutral (230 V) or for two phases (400 V), and no protocol says which: it is told from how they
compare with the highest phase, of which they are the √3-fold in the second case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from ridethrough.catalogue import Value

from .derivation import number

LINES = ("L1", "L2", "L3")
NEUTRAL = ("L1-N", "L2-N", "L3-N")
BETWEEN_PHASES = 1.4
"""A rating or limit that is so many times the highest phase is one between two phases: half-way to √3."""
MISSING = 0.5
"""A phase with less than this share of the rating, or of the highest one, is missing."""


@dataclass(frozen=True, slots=True)
class Input:
    """What is known of the input; voltages and limits are of the same kind."""

    voltages: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    nominal: float | None = None

    @property
    def within(self) -> bool | None:
        """Whether all phases are within both transfer limits; None where a limit or all voltages are unknown.

        That one of them is outside a limit is enough to know that they are not.
        """
        too_low = _any_beyond(self.low, [-voltage for voltage in self.voltages], -1.0)
        if self.too_high or too_low:
            return False
        return None if self.too_high is None or too_low is None else True

    @property
    def too_high(self) -> bool | None:
        """Whether any phase is above the upper transfer limit; None where that is not known."""
        return _any_beyond(self.high, self.voltages, 1.0)

    @property
    def missing(self) -> bool:
        """Whether a phase is known to be missing."""
        expected = max(self.voltages, default=0.0) if self.nominal is None else self.nominal
        return any(voltage < MISSING * expected for voltage in self.voltages)


def input_of(values: Mapping[str, Value]) -> Input:
    """Read the input of a UPS of one or three phases."""
    low, high = number(values, "input.transfer.low"), number(values, "input.transfer.high")
    nominal = number(values, "input.voltage.nominal")
    phases = _phases(values, "input.{line}.voltage", LINES) or _phases(values, "input.{line}.voltage", NEUTRAL)
    single = number(values, "input.voltage")
    voltages: tuple[float, ...] = () if single is None else (single,)
    if phases:
        between = _expected(low, high, nominal) > BETWEEN_PHASES * max(phases)
        voltages = tuple(sqrt(3.0) * voltage if between else voltage for voltage in phases)
    return Input(voltages, low, high, nominal)


def phases_load(values: Mapping[str, Value]) -> float | None:
    """Work out the load in percent as the mean of the phases; None unless all of them are known."""
    for template in ("output.{line}.power.percent", "ups.{line}.load"):
        loads = _phases(values, template, LINES)
        expected = number(values, "output.phases") or (len(LINES) if _later(values, template) else 1)
        if loads and len(loads) >= expected:
            return sum(loads) / len(loads)
    return None


def _expected(low: float | None, high: float | None, nominal: float | None) -> float:
    """Guess what voltage the ratings speak of; limits lie some 20 % around it. 0 for no idea."""
    guesses = (nominal, low and high and (low + high) / 2.0, low and low / 0.8, high and high / 1.2)
    return next((guess for guess in guesses if guess), 0.0)


def _later(values: Mapping[str, Value], template: str) -> bool:
    return any(template.format(line=line) in values for line in LINES[1:])


def _phases(values: Mapping[str, Value], template: str, lines: tuple[str, ...]) -> tuple[float, ...]:
    found = (number(values, template.format(line=line)) for line in lines)
    return tuple(value for value in found if value is not None)


def _any_beyond(limit: float | None, values: list[float] | tuple[float, ...], sign: float) -> bool | None:
    return None if limit is None or not values else any(value > sign * limit for value in values)


__all__ = ["Input", "input_of", "phases_load"]

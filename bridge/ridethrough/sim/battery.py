"""A string of lead-acid blocks: open-circuit voltage, ohmic sag, Peukert discharge, recharge. Pure functions."""

from dataclasses import dataclass
from math import sqrt

FULL_CELL = 2.13
EMPTY_CELL = 1.84
"""Open-circuit voltage of a full and of an empty cell, V; taken as linear in between."""
FLOAT_CELL = 2.275
"""Float voltage per cell at 25 °C, V."""
FLOAT_PER_KELVIN = -0.003
"""Temperature compensation of the float voltage, V per cell and kelvin."""
CAPACITY_PER_KELVIN = 0.006
"""Share of the capacity gained per kelvin above 25 °C, lost below it."""
TRICKLE = 0.02
"""The charging current tapers to this share of the full one."""


@dataclass(frozen=True, slots=True)
class BatteryDesign:
    """What is printed on the blocks, and what a laboratory would find out about them."""

    nominal_voltage: float
    """Volts of the whole string; 2 V per cell."""
    blocks: int
    capacity: float
    """Ah at the 20-hour rate and 25 °C."""
    peukert: float = 1.2
    resistance: float = 0.03
    """Ohm of the whole string, new."""
    charge_current: float = 1.0
    """Ampere until the taper begins."""
    charge_efficiency: float = 0.9
    taper_from: float = 0.85
    """Charge (0–1) from which the charging current tapers."""
    hours: float = 20.0
    """Discharge time to which `capacity` refers."""

    @property
    def cells(self) -> float:
        """Cells in series."""
        return self.nominal_voltage / 2.0


@dataclass(frozen=True, slots=True)
class Wear:
    """What age has done: factors on the capacity and on the resistance of new blocks."""

    capacity: float = 1.0
    resistance: float = 1.0


NEW = Wear()


@dataclass(frozen=True, slots=True)
class Draw:
    """What flows when power is drawn: ampere, and the terminal voltage under that current."""

    current: float
    voltage: float


def open_voltage(design: BatteryDesign, charge: float) -> float:
    """Terminal voltage at rest, V."""
    return design.cells * (EMPTY_CELL + (FULL_CELL - EMPTY_CELL) * charge)


def float_voltage(design: BatteryDesign, temperature: float) -> float:
    """Terminal voltage that the charger holds at the end of a charge, V."""
    return design.cells * (FLOAT_CELL + FLOAT_PER_KELVIN * (temperature - 25.0))


def resistance(design: BatteryDesign, wear: Wear) -> float:
    """Tell the internal resistance, ohm; blocks that lose capacity gain resistance."""
    return design.resistance * wear.resistance / wear.capacity


def capacity(design: BatteryDesign, temperature: float, wear: Wear) -> float:
    """Capacity at this temperature and age, Ah at the 20-hour rate."""
    warmth = 1.0 + CAPACITY_PER_KELVIN * (temperature - 25.0)
    return design.capacity * wear.capacity * min(1.1, max(0.5, warmth))


def draw(design: BatteryDesign, charge: float, power: float, wear: Wear = NEW) -> Draw | None:
    """Find what flows when `power` watts are drawn; None when the battery cannot give that much.

    The terminal voltage is U = U0 - I R and the power P = U I, which is a quadratic in I; the smaller root is stable.
    """
    rest = open_voltage(design, charge)
    ohm = resistance(design, wear)
    if ohm == 0.0:
        return Draw(power / rest, rest)
    root = rest * rest - 4.0 * ohm * power
    if root < 0.0:
        return None
    current = (rest - sqrt(root)) / (2.0 * ohm)
    return Draw(current, rest - current * ohm)


def depletion(design: BatteryDesign, current: float, temperature: float, wear: Wear = NEW) -> float:
    """Charge (0–1) lost per second at a constant current, by Peukert's law.

    t = H (C / (I H))^k for currents above that of the H-hour rate; below it, charge is simply counted.
    """
    present = capacity(design, temperature, wear)
    rated = present / design.hours
    share: float = max(1.0, current / rated) ** (design.peukert - 1.0)
    return current / present * share / 3600.0


def charge_at(design: BatteryDesign, power: float, voltage: float, wear: Wear) -> float:
    """Find the charge at which `power` watts pull the terminals down to `voltage`; it may lie outside 0–1."""
    rest = voltage + power / voltage * resistance(design, wear)
    return (rest / design.cells - EMPTY_CELL) / (FULL_CELL - EMPTY_CELL)


def discharge(
    design: BatteryDesign, charge: float, power: float, temperature: float, wear: Wear, seconds: float
) -> float:
    """Charge after drawing `power` watts for a short time (midpoint rule); unchanged if they cannot be drawn."""
    begin = draw(design, charge, power, wear)
    if begin is None:
        return charge
    middle = charge - depletion(design, begin.current, temperature, wear) * seconds / 2.0
    half = draw(design, max(0.0, middle), power, wear) or begin
    return max(0.0, charge - depletion(design, half.current, temperature, wear) * seconds)


def charging_current(design: BatteryDesign, charge: float) -> float:
    """Ampere from the charger: constant, then tapering, then nothing that counts."""
    if charge >= 1.0:
        return 0.0
    if charge <= design.taper_from:
        return design.charge_current
    return design.charge_current * max(TRICKLE, (1.0 - charge) / (1.0 - design.taper_from))


def charging_voltage(design: BatteryDesign, charge: float, temperature: float) -> float:
    """Terminal voltage while charging, V: it rises with the charge to the float voltage and stays there."""
    top = float_voltage(design, temperature)
    if charge >= design.taper_from:
        return top
    return open_voltage(design, charge) + top - open_voltage(design, design.taper_from)


def recharge(design: BatteryDesign, charge: float, temperature: float, wear: Wear, seconds: float) -> float:
    """Charge after charging for a short time (midpoint rule)."""
    rate = design.charge_efficiency / (capacity(design, temperature, wear) * 3600.0)
    middle = min(1.0, charge + charging_current(design, charge) * rate * seconds / 2.0)
    # A charge that is nearly complete goes on at the trickle until it is complete.
    current = charging_current(design, middle) or charging_current(design, charge)
    return min(1.0, charge + current * rate * seconds)

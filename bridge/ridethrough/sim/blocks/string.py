"""A string of blocks in series: one current, and of each block its charge, polarisation, resistance and temperature.

A block is a voltage source that depends on its charge, a capacitor that holds its polarisation, and a resistance. What
flows into the polarisation leaves it as charge or as overcharge. One step solves that implicitly: `outline` tells how
the voltage of the whole string will depend on its current, `settle` takes the current that has been found.
"""

from dataclasses import dataclass
from math import exp, log
from random import Random

from .chemistry import DOUBLING, BlockDesign

_LOWEST_CHARGE = -0.05
_COLLAPSE = 40.0
"""V per unit of charge by which the voltage of an exhausted cell falls, down to its reversal."""
_HOTTEST = 120.0
"""°C at which boiling takes up what heat there is."""
_STEEPEST = 18.0
"""Largest exponent of the overcharge current; beyond it the wires limit the current anyway."""
_LOW_CHARGE = 0.6
"""By what share the ohmic resistance of an empty block is above that of a full one."""
_DECADE = log(10.0)
_SHORT = 20.0
"""A per Ah through the short circuit of the only cell."""
_DECADE_PER_KELVIN = log(2.0) / _DECADE / DOUBLING
_HIGHEST, _REVERSED = 200.0, 40.0
"""V between which a block's polarisation stays whatever happens to it."""
_HEATING = 1.0
"""Ohm above which a resistance is a break, whose heat arises in the arc and not in the block."""
_MONTH = 30.0 * 86400.0
_YEAR = 365.25 * 86400.0
OPEN = 1e6
"""Ohm of a block that has failed open."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How much blocks of one delivery differ: standard deviations."""

    overcharge: float = 0.15
    """Decades of overcharge current; times 0.1 V and six cells that is 90 mV for a block of 12 V."""
    capacity: float = 0.02
    resistance: float = 0.03
    ambient: float = 0.5
    """K between places in the rack."""


ALIKE = Spread(0.0, 0.0, 0.0, 0.0)


class BlockString:
    """Columns by position, from 0. Everything in SI units, °C and shares of one."""

    def __init__(self, design: BlockDesign, blocks: int, chance: Random, spread: Spread, ambient: float) -> None:
        """Begin full and on float, with every block at the voltage that its own overcharge current asks for."""
        cell, each = design.cell, range(blocks)
        self.design = design
        self.current = 0.0
        """A, positive while charging."""
        self.ambient = ambient
        self.cooling = 1.0
        """Share of the usual loss of heat; less in a cabinet whose fans have failed."""
        self.cells = [design.cells] * blocks
        self.charge = [1.0] * blocks
        self.capacity = [design.capacity * max(0.5, chance.gauss(1.0, spread.capacity)) * 3600.0 for _ in each]
        """Ampere-seconds."""
        self.overcharge = [
            cell.overcharge * design.capacity * 10.0 ** chance.gauss(0.0, spread.overcharge) for _ in each
        ]
        """A at the reference voltage and 25 °C."""
        self.resistance = [design.resistance * max(0.5, chance.gauss(1.0, spread.resistance)) for _ in each]
        """Ohmic, when full, with all its age; without the connector."""
        self.connector = [0.0] * blocks
        """Ohm of the connector before the block, which its module measures along with it (manual M:5285)."""
        self.leak = [0.0] * blocks
        """A through a soft short circuit inside, at the float voltage and 25 °C."""
        self.drawn = [0.0] * blocks
        """W that its module draws for equalising."""
        self.place = [chance.gauss(0.0, spread.ambient) for _ in each]
        """K by which a block's surroundings are warmer than those of the string."""
        self.temperature = [ambient + warmer for warmer in self.place]
        self.polarised: list[float] = []
        """V inside the ohmic resistance."""
        self.voltage: list[float] = []
        """V as a module measures it: with the ohmic drop and the connector before it."""
        self._rows: list[tuple[float, float, float, float, float, float]] = []
        self._begin(blocks * design.float_voltage)

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self.charge)

    def _begin(self, volts: float) -> None:
        """Share the voltage so that one overcharge current flows through all (Tafel's law is linear in its logarithm)."""
        cell = self.design.cell
        warm = _DECADE_PER_KELVIN * cell.tafel
        own = [
            n * (cell.reference - cell.tafel * log(mine) / _DECADE - warm * (kelvin - 25.0))
            for n, mine, kelvin in zip(self.cells, self.overcharge, self.temperature, strict=True)
        ]
        rest = (volts - sum(own)) / sum(self.cells)
        self.polarised = [mine + n * rest for mine, n in zip(own, self.cells, strict=True)]
        self.voltage = list(self.polarised)
        self.current = exp(rest / cell.tafel * _DECADE)

    def outline(self, seconds: float) -> tuple[float, float]:
        """Tell the string's voltage at the end of a step: (V without current, V per A)."""
        design, cell = self.design, self.design.cell
        slope, warmth, reference = _DECADE / cell.tafel, _DECADE * _DECADE_PER_KELVIN, cell.reference
        empty, tenth, full = cell.empty, cell.tenth, cell.full
        rising, early = (full - tenth) / 0.9, (tenth - empty) / 0.1
        storage = cell.polarisation * design.capacity
        ohm = design.resistance / design.cells
        discharging, charging = 1.0 / (ohm * cell.discharge_polarisation), 1.0 / (ohm * cell.charge_polarisation)
        taper, until = 1.0 / (1.0 - cell.taper_from), cell.taper_from
        float_voltage = cell.float_voltage
        rows = []
        still = stiff = 0.0
        for n, charge, kelvin, volts, over, own, joint, leak, watts in zip(
            self.cells,
            self.charge,
            self.temperature,
            self.polarised,
            self.overcharge,
            self.resistance,
            self.connector,
            self.leak,
            self.drawn,
            strict=True,
        ):
            inner = volts / n
            exponent = slope * (inner - reference) + warmth * (kelvin - 25.0)
            gas = over * exp(min(_STEEPEST, exponent))
            if charge > 0.1:
                rest = tenth + rising * (charge - 0.1)
            elif charge > 0.0:
                rest = empty + early * charge
            else:
                rest = empty + _COLLAPSE * charge
            push = inner - rest
            if push < 0.0:
                yields = discharging
            elif charge > until:
                yields = charging * (1.0 - charge) * taper
            else:
                yields = charging
            out = gas + push * yields
            per_volt = (gas * slope + yields) / n
            if leak:
                leaking = leak * exp(min(warmth * (kelvin - 25.0), 3.0)) / (float_voltage * n)
                out += leaking * volts
                per_volt += leaking
            drawn = watts / volts if watts and volts > 0.5 and own < _HEATING else 0.0
            gain = seconds / (storage / n + seconds * per_volt)
            low = 1.0 - charge
            ohmic = own * (1.0 + _LOW_CHARGE * low * low)
            still += volts - gain * (out + drawn) - drawn * ohmic
            stiff += gain + ohmic + joint
            rows.append((gain, out, drawn, ohmic, push * yields, yields / n))
        self._rows = rows
        return still, stiff

    def settle(self, seconds: float, current: float) -> None:
        """Take the step with this current, A, positive while charging."""
        design = self.design
        self.current = current
        storing, losing = design.heat_capacity, design.heat_loss * self.cooling
        warming = seconds / (storing + seconds * losing)
        fading = seconds * design.cell.self_discharge / _MONTH
        charge, temperature, polarised, voltage = self.charge, self.temperature, self.polarised, self.voltage
        capacity, connector, ambient, place = self.capacity, self.connector, self.ambient, self.place
        for index, (gain, out, drawn, ohmic, stored, per_volt) in enumerate(self._rows):
            own = current - drawn
            volts = polarised[index]
            step = gain * (own - out)
            reached = volts + step
            if not -_REVERSED < reached < _HIGHEST:  # a broken block between large voltages
                reached = max(-_REVERSED, min(_HIGHEST, reached))
            polarised[index] = reached
            joint = connector[index]
            voltage[index] = reached + own * ohmic + current * joint
            taken = stored + per_volt * step
            full = charge[index] + taken * seconds / capacity[index] - fading
            charge[index] = 1.0 if full > 1.0 else max(_LOWEST_CHARGE, full)
            # All that goes in and is not stored becomes heat: overcharge recombines inside the block.
            heat = (out - stored) * volts + own * own * min(ohmic, _HEATING) + current * current * min(joint, _HEATING)
            if per_volt:
                heat += stored * stored / per_volt
            kelvin = temperature[index]
            kelvin += warming * (heat - losing * (kelvin - ambient - place[index]))
            temperature[index] = min(_HOTTEST, kelvin)

    def age(self, seconds: float) -> None:
        """Let heat and time make the resistance grow; cheap for long times, so not a part of each step."""
        share = 0.5 * seconds / (self.design.cell.life * _YEAR) * self.design.resistance
        for index, kelvin in enumerate(self.temperature):
            self.resistance[index] += share * 2.0 ** ((kelvin - 25.0) / DOUBLING)

    def impedance(self, index: int) -> float:
        """Measure as a module does, ohm."""
        low = 1.0 - self.charge[index]
        return self.resistance[index] * (1.0 + _LOW_CHARGE * low * low) + self.connector[index]

    def short(self, index: int) -> None:
        """Let one cell of a block fail to a short circuit."""
        if self.cells[index] > 1:
            self.polarised[index] *= (self.cells[index] - 1) / self.cells[index]
            self.cells[index] -= 1
        else:
            self.leak[index] = _SHORT * self.design.capacity

"""How much power is drawn from each block of one string: a slow proportional and integral controller per block.

The charger holds the voltage of the string, so drawing from some blocks never moves the mean: it is the target, and what
one block loses the others gain (manual M:4717, M:6984). The float voltage of a block follows the current that is left
to it by Tafel's law, with a time constant of hours, since some ten farads per ampere-hour have to be charged. The current
that may be drawn and the float current both grow with the capacity, so one gain, in shares of the permitted power per
volt and cell, suits all sizes.

Drawing the same from every block changes nothing but the bill, so only differences count: integrals may go below 0, and
what all of them have in common is taken off. The block that needs its current most is drawn nothing from, and the others
make room for it (M:6986); at the end there is no more drawn than is needed (M:6990).

No block is made worse by it. The charger keeps the sum of the voltages, which by Tafel's law keeps the geometric mean of
the currents that are left to the blocks. So the one from which nothing is drawn has more current left than without
equalising, and the one from which most is drawn has less, whatever is drawn from the rest.

Where the power is not enough for a block, the others are not pulled on: what is drawn from them would raise it. They
yield instead and stay a little above the target, until the highest and the lowest block are equally far from it.
"""

from collections.abc import Sequence
from math import exp

FULL_POWER_CAPACITY = 150.0
"""Ah from which on modules may draw all they can (manual M:5434)."""
GAIN = 60.0
"""Share of the permitted power per volt and cell: 17 mV of a cell ask for all of it."""
RESET_TIME = 7200.0
"""Seconds in which the integral gains what the proportional part has: the time constant of a polarised lead cell."""
SMOOTHING = 600.0
"""Seconds over which deviations are smoothed, so that ripple and the noise of a converter are not answered."""
YIELDING = 0.2
"""Share of what the highest block is farther from the target than the lowest one, by which the others yield in each
`RESET_TIME`: little, since tens of blocks yield for one."""
LONGEST = 900.0
"""Seconds that one step counts at most: nobody knows what was between two that are further apart."""


def limit_of(capacity: float) -> int:
    """Return what a module may draw from a block of so many Ah, in whole percents of what it can (manual M:5434)."""
    return max(1, min(100, round(100.0 * capacity / FULL_POWER_CAPACITY)))


class Regulator:
    """The blocks of one string by position, from 0."""

    def __init__(self, blocks: int, cells: int, limit: int) -> None:
        """Take the number of cells in a block, and the limit in percent."""
        self.cells = cells
        self.limit = limit
        self.integral = [0.0] * blocks
        """Shares of the limit."""
        self.deviation: list[float | None] = [None] * blocks
        """V per cell above the target, smoothed; None: not known."""
        self.share = [0.0] * blocks
        """What is asked for: shares of the limit."""
        self._carry = [0.0] * blocks
        self._yield = 0.0
        """V per cell above the target at which blocks are left while others are at their limit and still too high."""

    def observe(self, voltages: Sequence[float | None], target: float, seconds: float) -> None:
        """Smooth the deviations without answering them."""
        part = 1.0 - exp(-min(seconds, LONGEST) / SMOOTHING)
        cells, deviation = self.cells, self.deviation
        for index, voltage in enumerate(voltages):
            if voltage is None:
                deviation[index] = None
                continue
            now, before = (voltage - target) / cells, deviation[index]
            deviation[index] = now if before is None else before + part * (now - before)

    def step(self, voltages: Sequence[float | None], target: float, seconds: float, *, learn: bool = True) -> list[int]:
        """Return the duties in percent of what modules can; 0 where the voltage is not known.

        Modules take whole percents only, which are coarse for small blocks: the fractions are carried over to the next
        step, so that the mean of minutes is what was asked for. `learn`: whether integrals go on; not during a boost
        charge, when voltages differ since some blocks are full before others, whatever they will need on float.
        """
        self.observe(voltages, target, seconds)
        if learn:
            self._integrate(min(seconds, LONGEST) / RESET_TIME)
        above, carry = self._yield, self._carry
        duties = [0] * len(carry)
        for index, deviation in enumerate(self.deviation):
            if deviation is None:
                self.share[index] = carry[index] = 0.0
                continue
            share = max(0.0, min(1.0, GAIN * (deviation - above) + self.integral[index]))
            exact = share * self.limit + carry[index]
            duty = max(0, min(self.limit, int(exact + 0.5)))
            self.share[index], duties[index] = share, duty
            carry[index] = exact - duty if share > 0.0 else 0.0
        return duties

    def _integrate(self, times: float) -> None:
        """Learn for so many times the reset time; what is not known stays as it is."""
        known = [(index, value) for index, value in enumerate(self.deviation) if value is not None]
        if not known:
            return
        integral = self.integral
        spent = max(self.share) >= 1.0
        unequal = max(value for _, value in known) + min(value for _, value in known)
        if not spent:
            self._yield -= min(1.0, times) * self._yield
        elif unequal < 0.0 or any(0.0 < share < 1.0 for share in self.share):
            # Not farther than to where nothing is drawn from the others.
            self._yield = max(0.0, self._yield + times * YIELDING * unequal)
        above = self._yield
        for index, value in known:
            answered, held = value - above, integral[index]
            # At an end of what can be drawn the integral does not go on towards it.
            if (GAIN * answered + held < 1.0) if answered > 0.0 else (held > 0.0 or not spent):
                integral[index] = held + times * GAIN * answered
        least = min(integral[index] for index, _ in known)
        for index, _ in known:
            integral[index] = min(1.0, integral[index] - least)

    def rest(self) -> None:
        """Draw nothing; what has been learnt of the blocks is kept, since it is of their nature and not of the hour."""
        for index in range(len(self.share)):
            self.share[index] = self._carry[index] = 0.0

    def forget_deviations(self) -> None:
        """Begin with the next voltages as they are: those of long ago say nothing."""
        self.deviation = [None] * len(self.deviation)


__all__ = ["FULL_POWER_CAPACITY", "GAIN", "LONGEST", "RESET_TIME", "SMOOTHING", "YIELDING", "Regulator", "limit_of"]

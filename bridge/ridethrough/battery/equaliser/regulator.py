"""How much power is drawn from each block of one string: a slow proportional and integral controller per block.

The charger holds the voltage of the string, so drawing from some blocks never moves the mean: it is the target, and what
one block loses the others gain (manual M:4717, M:6984). The float voltage of a block follows the current that is left
to it by Tafel's law, with a time constant of hours, since some ten farads per ampere-hour have to be charged. The current
that may be drawn and the float current both grow with the capacity, so one gain, in shares of the permitted power per
volt and cell, suits all sizes.

Drawing the same from every block changes nothing but the bill, so what all integrals have in common is taken off: the
block that needs its current most has no integral (M:6990: at the end 0–15 %, and no energy is wasted).
"""

from collections.abc import Sequence
from math import ceil, exp

FULL_POWER_CAPACITY = 150.0
"""Ah from which on modules may draw all they can (manual M:5434)."""
GAIN = 60.0
"""Share of the permitted power per volt and cell: 17 mV of a cell ask for all of it."""
RESET_TIME = 7200.0
"""Seconds in which the integral gains what the proportional part has: the time constant of a polarised lead cell."""
SMOOTHING = 600.0
"""Seconds over which deviations are smoothed, so that ripple and the noise of a converter are not answered."""
DEAD_BAND = 0.0005
"""V per cell that are not answered: what a module's converter resolves."""
LONGEST = 900.0
"""Seconds that one step counts at most: nobody knows what was between two that are further apart."""


def limit_of(capacity: float) -> float:
    """Return what a module may draw from a block of so many Ah, in percent of what it can (manual M:5434)."""
    return min(100.0, 100.0 * max(0.0, capacity) / FULL_POWER_CAPACITY)


class Regulator:
    """The blocks of one string by position, from 0."""

    def __init__(self, blocks: int, cells: int, limit: float) -> None:
        """Take the number of cells in a block, and the limit in percent."""
        self._cells = cells
        self.limit = limit
        self.integral = [0.0] * blocks
        """Shares of the limit."""
        self.deviation: list[float | None] = [None] * blocks
        """V per cell above the target, smoothed; None: not known."""
        self.share = [0.0] * blocks
        """What is asked for: shares of the limit."""
        self._carry = [0.0] * blocks

    def observe(self, voltages: Sequence[float | None], target: float, seconds: float) -> None:
        """Smooth the deviations without answering them."""
        part = 1.0 - exp(-min(seconds, LONGEST) / SMOOTHING)
        cells, deviation = self._cells, self.deviation
        for index, voltage in enumerate(voltages):
            if voltage is None:
                deviation[index] = None
                continue
            now, before = (voltage - target) / cells, deviation[index]
            deviation[index] = now if before is None else before + part * (now - before)

    def step(self, voltages: Sequence[float | None], target: float, seconds: float) -> list[int]:
        """Return the duties in percent of what modules can; 0 where the voltage is not known.

        Modules take whole percents only, which are coarse for small blocks: the fractions are carried over to the next
        step, so that the mean of minutes is what was asked for.
        """
        self.observe(voltages, target, seconds)
        integral, share, carry = self.integral, self.share, self._carry
        rate = GAIN / RESET_TIME * min(seconds, LONGEST)
        least = 1.0
        for index, deviation in enumerate(self.deviation):
            if deviation is None:
                share[index] = 0.0
                continue
            answered = deviation if abs(deviation) > DEAD_BAND else 0.0
            held = integral[index]
            wanted = GAIN * answered + held
            # At an end of what can be done the integral does not go on towards it.
            if not (wanted >= 1.0 and answered > 0.0) and not (wanted <= 0.0 and answered < 0.0 and held <= 0.0):
                held = max(0.0, min(1.0, held + rate * answered))
                integral[index] = held
            least = min(least, held)
            share[index] = max(0.0, min(1.0, GAIN * answered + held))
        top = ceil(self.limit)
        duties = [0] * len(share)
        for index, deviation in enumerate(self.deviation):
            if deviation is None:
                carry[index] = 0.0
                continue
            integral[index] -= least
            exact = share[index] * self.limit + carry[index]
            duties[index] = max(0, min(top, int(exact + 0.5)))
            carry[index] = exact - duties[index] if share[index] > 0.0 else 0.0
        return duties

    def rest(self) -> None:
        """Draw nothing; what has been learnt of the blocks is kept, since it is of their nature and not of the hour."""
        for index in range(len(self.share)):
            self.share[index] = self._carry[index] = 0.0

    def forget_deviations(self) -> None:
        """Begin with the next voltages as they are: those of long ago say nothing."""
        self.deviation = [None] * len(self.deviation)


__all__ = ["DEAD_BAND", "FULL_POWER_CAPACITY", "GAIN", "LONGEST", "RESET_TIME", "SMOOTHING", "Regulator", "limit_of"]

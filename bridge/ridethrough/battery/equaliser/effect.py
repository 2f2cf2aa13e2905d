"""Whether equalising is of use: not, if a module runs at its limit for days and the voltages come no closer.

The manual's example: only with permanent 100 % balancing and only without any measurable improvement (M:7249, M:7771).
Time counts only while the string is really being equalised on float, and it goes on counting after a restart of the
bridge: one that restarts each night would never notice otherwise.
"""

from collections.abc import Sequence
from math import sqrt

TOLERANCE = 0.1
"""V by which a cell may be from the mean and be well enough; of a block of n cells √n times that, 0.24 V for one of 12 V.
That is what makers of sealed lead batteries usually permit below the mean on float; the manual calls blocks that are
within 1 V of one another in step (M:7180). A module that holds its block there with all its power is of use."""
MEASURABLE = 0.001
"""V per cell by which the worst deviation must have become less to be an improvement, …"""
PROPORTION = 0.05
"""… or this share of it, if that is more."""
CALM = 3600.0
"""Seconds without any module at its limit after which the counting begins anew."""
CURED = 3600.0
"""Seconds for which the blocks that could not be equalised must be within the tolerance, before it is tried again."""
CULPRIT = 0.5
"""Blocks that deviate by at least this share of the worst deviation are told with it."""


def _worst(deviations: Sequence[float | None]) -> float:
    """Return the largest deviation in either direction; 0 if none is known."""
    return max((abs(value) for value in deviations if value is not None), default=0.0)


class Effect:
    """What equalising does for one string."""

    def __init__(self, cells: int) -> None:
        """Take the number of cells in a block."""
        self._tolerance = TOLERANCE / sqrt(cells)
        """V per cell of a block."""
        self.best: float | None = None
        """Least of the worst deviations since the counting began, V per cell."""
        self.futile = 0.0
        """Seconds at the limit without improvement."""
        self.culprits: frozenset[int] = frozenset()
        """Positions of the blocks for which it was given up; empty: it has not been."""
        self._calm = 0.0
        self._cured = 0.0

    def restart(self) -> None:
        """Begin anew, and try again if it has been given up."""
        self.best, self.futile, self.culprits, self._calm, self._cured = None, 0.0, frozenset(), 0.0, 0.0

    def working(self, deviations: Sequence[float | None], *, at_limit: bool, seconds: float, patience: float) -> None:
        """Judge a stretch of time in which the string was equalised."""
        worst = _worst(deviations)
        if worst <= self._tolerance:
            self.best, self.futile, self._calm = None, 0.0, 0.0
            return
        if not at_limit:
            self._calm += seconds
            if self._calm >= CALM:
                self.best, self.futile = None, 0.0
            return
        self._calm = 0.0
        if self.best is None or worst < self.best - max(MEASURABLE, PROPORTION * self.best):
            self.best, self.futile = worst, 0.0
            return
        self.futile += seconds
        if self.futile >= patience:
            self.culprits = frozenset(
                index for index, value in enumerate(deviations) if value is not None and abs(value) >= CULPRIT * worst
            )
            self.futile, self._cured = 0.0, 0.0

    def given_up(self, deviations: Sequence[float | None], seconds: float) -> bool:
        """Watch a string that is not equalised any more; return whether it was tried again just now.

        Effect returns where a block has been replaced by one that fits, or has recovered.
        """
        known = [deviations[index] for index in self.culprits]
        if any(value is None or abs(value) > self._tolerance for value in known):
            self._cured = 0.0
            return False
        self._cured += seconds
        if self._cured < CURED:
            return False
        self.restart()
        return True


__all__ = ["CALM", "CULPRIT", "CURED", "MEASURABLE", "PROPORTION", "TOLERANCE", "Effect"]

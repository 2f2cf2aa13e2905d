"""Equalising of one string: whether it is at work, why not, and what its blocks are to draw."""

from collections.abc import Sequence
from enum import StrEnum

from .effect import Effect
from .regulator import LONGEST, Regulator
from .working_range import Range

PERIOD = 60.0
"""Seconds between two sets of duties: blocks answer within hours."""
BACK_INSIDE = 60.0
"""Seconds for which all blocks must be back in the range before it goes on; leaving it stops at once."""
ENOUGH = 0.5
"""Share of a string's blocks that must be known: the mean of fewer is not what the charger tries to reach."""
AT_LIMIT = 0.99
"""Share of the permitted power from which on a module is at its limit."""


class Why(StrEnum):
    """What a string's equalising does, or what keeps it from working; the first that holds."""

    WORKING = "working"
    OFF = "off"
    """Not enabled, or no range is known for these blocks."""
    PAUSED = "paused"
    ERROR = "error"
    """A module of the system does not follow: all equalising stops (manual M:7450)."""
    UNREACHABLE = "unreachable"
    """The modules cannot be told anything, since the programmer has their bus (manual M:5733)."""
    NOT_ON_CHARGE = "not_on_charge"
    """Discharging or resting: there is no charging current to share out."""
    ALARM = "alarm"
    """A block of the string or the string itself has an alarm (manual M:6945)."""
    UNKNOWN = "unknown"
    """Too few of its voltages are known."""
    OUT_OF_RANGE = "out_of_range"
    """One block is outside the range (manual M:7054)."""
    GIVEN_UP = "given_up"
    """Without effect for days (manual M:7771)."""


class Workings:
    """One string."""

    def __init__(self, members: range, regulator: Regulator, span: Range | None) -> None:
        """Take the numbers of its blocks and the voltages between which it works."""
        self.members = members
        self.regulator = regulator
        self.effect = Effect(regulator.cells)
        self.why = Why.OFF
        self.target: float | None = None
        """V that each block should have at the string's voltage of this moment (manual M:4717)."""
        self._span = span
        self._voltages: Sequence[float | None] = ()
        self._outside = False
        self._inside_since: float | None = None
        self._observed: float | None = None

    def look(self, voltages: Sequence[float | None], now: float) -> Why | None:
        """Take the voltages of all blocks; return what in them keeps the string from being equalised."""
        self._voltages = voltages
        known = [voltage for voltage in voltages if voltage is not None]
        if not known or len(known) < ENOUGH * len(voltages):
            self.target = None
            return Why.UNKNOWN
        self.target = sum(known) / len(known)
        span = self._span
        if span is None:
            return Why.OFF
        if min(known) < span.minimum or max(known) > span.maximum:
            self._outside, self._inside_since = True, None
        elif self._outside:
            if self._inside_since is None:
                self._inside_since = now
            self._outside = now - self._inside_since < BACK_INSIDE
        return Why.OUT_OF_RANGE if self._outside else None

    def observe(self, now: float) -> float:
        """Go on smoothing the deviations of a string on charge that is not equalised; return the seconds that passed."""
        seconds = self._passed(now)
        if self.target is not None:
            self.regulator.observe(self._voltages, self.target, seconds)
        return seconds

    def regulate(self, now: float, patience: float, *, floating: bool) -> list[int]:
        """Return the duties of all blocks; only time on float counts for the effect, and for what is learnt."""
        assert self.target is not None, "Only a string whose voltages are known is equalised"
        seconds = self._passed(now)
        regulator = self.regulator
        duties = regulator.step(self._voltages, self.target, seconds, learn=floating)
        if floating:
            at_limit = max(regulator.share) >= AT_LIMIT
            self.effect.working(
                regulator.deviation, at_limit=at_limit, seconds=min(seconds, LONGEST), patience=patience
            )
        return duties

    def watch(self, now: float) -> bool:
        """Watch a string that was given up; return whether it is tried again from now on."""
        seconds = self.observe(now)
        return self.effect.given_up(self.regulator.deviation, min(seconds, LONGEST))

    def _passed(self, now: float) -> float:
        """Return the seconds since deviations were last looked at; what was long ago is forgotten."""
        before, self._observed = self._observed, now
        if before is None:
            return 0.0
        if now - before > LONGEST:
            self.regulator.forget_deviations()
        return now - before


__all__ = ["AT_LIMIT", "BACK_INSIDE", "ENOUGH", "PERIOD", "Why", "Workings"]

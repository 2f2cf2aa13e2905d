"""Which way the current goes: as the sensors measure it, and as the voltages of the blocks let it be guessed."""

from enum import StrEnum
from typing import Final

from ridethrough.config.battery import BatteryConfig

from .board import Board
from .chemistry import CELLS, cells
from .layout import Layout

FALLEN: Final = 0.02
"""Share by which the mean voltage is below what it was when it must have been under load."""
FLAT: Final = 1800.0
"""Seconds without a new lowest voltage after which a voltage below nominal is that of batteries at rest."""
LOWER: Final = 0.002
"""Share by which a lowest voltage must be lower to be a new one."""
BACK: Final = 0.2
"""Share of a limit of current by which the current must come back: 0.8 A for 1 A."""
ABOVE: Final = 1.01
"""Times the nominal voltage that a block must reach to be no longer below nominal."""
RISE: Final = 0.001
"""Share by which the mean voltage must rise within `RISING` to be that of batteries on a charger."""
RISING: Final = 300.0
"""Seconds; up to twice as many are looked at."""
VOLTAGES: Final = 1.0
"""Seconds between two passes over all voltages."""


class Flow(StrEnum):
    """Which way the current goes."""

    OUT = "out"
    IN = "in"
    STILL = "still"


class Currents:
    """Which way the current flows, in each string and on the whole."""

    def __init__(self, config: BatteryConfig, layout: Layout) -> None:
        """Nothing has been measured."""
        self._out, self._in = config.discharge.discharging, config.discharge.charging
        self._one = config.sensors.count == "one"
        # The limits are those of the sensor. Strings have shares of what it measures, times the multiplier.
        self._parts = layout.strings / (config.sensors.multiplier or 1.0)
        self._used = config.sensors.count != "none"
        self.strings: list[Flow | None] = [None] * layout.strings
        """Of each string, the first one's first; None: not known."""
        self.whole: Flow | None = None
        """Of the system."""

    def see(self, board: Board) -> Flow | None:
        """Look at all currents; None: none is known."""
        known = [(index, current) for index, current in enumerate(board.current[1:]) if current is not None]
        if not self._used or not known:
            self.strings = [None] * len(self.strings)
            self.whole = None
            return None
        flows: list[Flow | None] = [None] * len(self.strings)
        for index, current in known:
            flows[index] = self._flow(current, self.strings[index])
        self.strings = flows
        net = sum(current for _, current in known)
        whole = self._flow(net / len(known) * self._parts if self._one else net, self.whole)
        if not self._one and whole not in flows:
            whole = Flow.STILL
        self.whole = whole
        return whole

    def _flow(self, current: float, before: Flow | None) -> Flow:
        leave_out = self._out + BACK * abs(self._out)
        leave_in = self._in - BACK * abs(self._in)
        if current < self._out or (before is Flow.OUT and current < leave_out):
            return Flow.OUT
        if current > self._in or (before is Flow.IN and current > leave_in):
            return Flow.IN
        return Flow.STILL


class Voltages:
    """What the voltages of the blocks say."""

    def __init__(self, config: BatteryConfig, layout: Layout) -> None:
        """Nothing has been measured."""
        self._layout = layout
        self._nominal = config.block.voltage
        cell = CELLS.get(config.block.chemistry)
        # Of other chemistries nobody can tell float from rest by the voltage.
        self._floating = None if cell is None else cell.floating * cells(config.block)
        self._seen: float | None = None
        self._mean: float | None = None
        self._below = False
        self._lowest: float | None = None
        self._lowered = 0.0
        self._falls = False
        self._reference: float | None = None
        self._samples: tuple[tuple[float, float], tuple[float, float]] | None = None
        """Time and mean voltage, an older one and a newer one."""
        self._was = False
        self.flow: Flow | None = None
        """Out of the batteries or not; None: too few voltages are known."""

    @property
    def fallen(self) -> bool | None:
        """Whether the voltage is that of batteries under load; None: it cannot be told."""
        if self._mean is None:
            return None
        if self._reference is not None:
            return self._mean <= self._reference * (1.0 - FALLEN)
        if self._mean < self._nominal:
            return True
        return False if self._floats(self._mean) else None

    @property
    def resting(self) -> bool:
        """Whether the voltage is known to be lower than any charger holds it."""
        return self._mean is not None and self._floating is not None and self._mean < self._floating

    @property
    def rises(self) -> bool:
        """Whether the voltage has been rising lately, or since the end of the discharge."""
        return self._mean is not None and self._samples is not None and self._mean >= self._samples[0][1] * (1.0 + RISE)

    def _floats(self, mean: float) -> bool:
        return self._floating is not None and mean >= self._floating

    def see(self, board: Board, now: float, *, discharging: bool) -> None:
        """Look at all voltages, once a second at most; `discharging` is what is believed so far."""
        if self._seen is not None and now - self._seen < VOLTAGES:
            return
        self._seen = now
        limit = self._nominal * (ABOVE if self._below else 1.0)
        total, known, below = 0.0, 0, False
        for number_ in range(1, self._layout.strings + 1):
            members = self._layout.members(number_)
            volts = [value for value in board.voltage[members.start : members.stop] if value is not None]
            total += sum(volts)
            known += len(volts)
            below = below or 2 * sum(value < limit for value in volts) > len(members)
        # From less than half of the blocks nothing can be said of them all.
        if 2 * known < self._layout.blocks or not known:
            self._mean, self.flow, self._below, self._lowest, self._samples = None, None, False, None, None
            return
        self._mean, self._below = total / known, below
        sample = (now, self._mean)
        if self._samples is None or discharging:
            self._samples = (sample, sample)
        elif now - self._samples[1][0] >= RISING:
            self._samples = (self._samples[1], sample)
        self._follow(self._mean, now, discharging=discharging)

    def _follow(self, mean: float, now: float, *, discharging: bool) -> None:
        """Look whether the voltage still falls, and whether it has come back."""
        if discharging and not self._was:
            self._lowest = None
        self._was = discharging
        if not self._below and not discharging:
            self._lowest = None
            self.flow = Flow.STILL
            return
        if self._lowest is None:
            self._lowest, self._lowered, self._falls = mean, now, False
        elif mean < self._lowest * (1.0 - LOWER):
            self._lowest, self._lowered, self._falls = mean, now, True
        back = not self._below and (self._floats(mean) or mean >= self._lowest * (1.0 + FALLEN))
        flat = now - self._lowered >= FLAT
        # Batteries that are found below nominal may have been at rest for weeks: only a fall is a discharge.
        self.flow = Flow.OUT if (discharging or self._falls) and not back and not flat else Flow.STILL

    def remember(self, *, quiet: bool) -> None:
        """Take the voltage for that without load."""
        if quiet and self._mean is not None:
            self._reference = self._mean


__all__ = ["Currents", "Flow", "Voltages"]

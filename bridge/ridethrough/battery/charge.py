"""How much charge is left in strings and blocks, in percent of what the label promises (manual M:6972–6981, M:7005).

It is counted: current times time, where a discharge current above the rated one takes more than it gives (Peukert), and
what is charged must make up for that and for the losses. Counting drifts, so that it begins anew where the charge is
known: full after half an hour of float with hardly any current; what the voltage says after hours of rest, as far as
the chemistry lets it. Under load the voltage sets a ceiling: batteries that have lost capacity are empty earlier than
their label says, and their voltage tells.

A block's charge is that of its string and what its voltage is off the mean of the string under load or at rest, once
the part that its impedance takes has been added back.

There is no value where there can be none: of `other` chemistries; without a current sensor; of blocks where there is
one sensor for all strings; during boost charge (more than 1 A, M:6978); before the charge has once been known; after
a gap in the current too long to be bridged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from ridethrough.config.battery import BatteryConfig

from .board import Board, Findings, Phase
from .changes import Changes
from .chemistry import CELLS, Cell, at, cells
from .layout import SYSTEM, Layout, block as block_place, string as string_place
from .saved import JSON, number, numbered

FULL: Final = 1800.0
"""Seconds of float with hardly any current after which a string is full."""
TAIL: Final = 0.02
"""Share of the capacity, in ampere, that is hardly any current."""
REST: Final = 7200.0
"""Seconds of rest after which the voltage says what the charge is."""
NOISE: Final = 0.1
"""A that a sensor may show while nothing flows."""
GAP: Final = 30.0
"""Seconds without a current over which is counted as if it had been there."""
BRIDGED: Final = 3600.0
"""Longer gaps are never bridged; shorter ones if what may have flowed is less than `ERROR`."""
ERROR: Final = 0.02
SAG: Final = 20.0
"""Seconds over which a block's difference from its string is smoothed."""
SINK: Final = 30.0
"""Seconds within which the charge gives way to the ceiling that the voltage sets."""
STEP: Final = 0.1
"""Percent by which a string's charge must change to be told anew."""
BLOCK_STEP: Final = 0.5
"""The same of a block, whose voltage is noisy."""


@dataclass(slots=True)
class _Count:
    """What is counted of one string."""

    charge: float | None = None
    """0–1; None: not known."""
    taken: float = 0.0
    """Ah that have been drawn since it was full."""
    worth: float = 0.0
    """Ah that they have cost."""
    current: float = 0.0
    """A, when it was known last."""
    seen: float | None = None
    """When that was; None: never."""
    floats: float | None = None
    """Since when it floats with hardly any current."""
    rests: float | None = None
    """Since when it rests."""


class Charge:
    """Works out the charge of one battery system."""

    def __init__(
        self,
        config: BatteryConfig,
        layout: Layout,
        saved: Mapping[str, JSON] | None = None,
        away: float | None = None,
    ) -> None:
        """Begin, or go on from what `state()` gave; `away`: seconds that the bridge was not there, if known."""
        saved = {} if saved is None else saved
        self._config = config
        self._layout = layout
        self._cell = CELLS.get(config.block.chemistry) if config.sensors.count != "none" else None
        self._cells = cells(config.block)
        self._capacity = config.block.capacity
        self._boost = config.discharge.charging
        self._changes = Changes()
        self._away = BRIDGED if away is None else away
        self._counts = [_Count() for _ in range(layout.strings)]
        for index, what in numbered(saved, "strings", layout.strings).items():
            charge = number(what, "charge")
            if index and charge is not None:
                count = self._counts[index - 1]
                count.charge = min(1.0, max(0.0, charge))
                count.taken = max(0.0, number(what, "taken") or 0.0)
                count.worth = max(count.taken, number(what, "worth") or 0.0)
                count.current = number(what, "current") or 0.0
        self._offsets: dict[int, float] = {}
        """By block: how far (0–1) it is off its string."""
        for index, what in numbered(saved, "blocks", layout.blocks).items():
            offset = number(what, "off")
            if index and offset is not None:
                self._offsets[index] = min(1.0, max(-1.0, offset))
        self._seen: float | None = None

    def see(self, board: Board, phases: Sequence[Phase], now: float) -> Findings:
        """Count on, about once a second; `phases` are those of the strings, the first one's first.

        Sets `board.charge` and `board.string_charge`, and adds to `board.changed` the blocks whose charge is another.
        """
        cell = self._cell
        if cell is None:
            return self._changes.take()
        passed = 0.0 if self._seen is None else now - self._seen
        if self._seen is None:
            for count in self._counts:
                count.seen = None if count.charge is None else now - self._away
        self._seen = now
        for index, count in enumerate(self._counts, 1):
            self._string(cell, board, index, count, phases[index - 1], now, passed)
        known = [charge for charge in board.string_charge[1:] if charge is not None]
        whole = fmean(known) if known and len(known) == len(self._counts) else None
        self._changes.point(SYSTEM, "battery.charge", None if whole is None else round(whole, 1))
        return self._changes.take()

    def state(self) -> dict[str, JSON]:
        """Return what must survive a restart; worth saving once a minute."""
        return {
            "strings": {
                str(index): {
                    # Coarse, so that nothing need be written while nothing happens.
                    "charge": round(count.charge, 4),
                    "taken": round(count.taken, 3),
                    "worth": round(count.worth, 3),
                    "current": round(count.current),
                }
                for index, count in enumerate(self._counts, 1)
                if count.charge is not None
            },
            "blocks": {
                str(index): {"off": round(offset, 4)}
                for index, offset in sorted(self._offsets.items())
                if abs(offset) >= 0.001
            },
        }

    # One string

    def _string(
        self, cell: Cell, board: Board, index: int, count: _Count, phase: Phase, now: float, passed: float
    ) -> None:
        members = self._layout.members(index)
        mean = _mean(board.voltage, members)
        impedance = _mean(board.impedance, members)
        current = board.current[index]
        if current is not None:
            self._count(cell, count, current, phase, _mean(board.temperature, members), now)
            self._anchor(cell, count, current, phase, mean, members, now)
            if phase is Phase.DISCHARGING and mean is not None and count.charge is not None:
                inner = mean - current * (impedance or 0.0) / 1000.0
                ceiling = at(cell.ceiling, inner / self._cells)
                if count.charge > ceiling:
                    count.charge -= (count.charge - ceiling) * min(1.0, passed / SINK)
        known = count.charge is not None and count.seen is not None and now - count.seen <= GAP
        boost = phase is Phase.CHARGING or count.current > self._boost
        charge = count.charge if known and not boost else None
        shown = board.string_charge[index] = _step(board.string_charge[index], charge, STEP)
        self._changes.point(string_place(index), "string.charge", shown)
        if self._config.sensors.count == "each":
            settled = count.rests is not None and now - count.rests >= REST and bool(cell.believed)
            if mean is not None and current is not None and (phase is Phase.DISCHARGING or settled):
                self._compare(cell, board, members, mean, impedance, current, passed)
            self._blocks(board, members, charge)

    def _count(
        self, cell: Cell, count: _Count, current: float, phase: Phase, temperature: float | None, now: float
    ) -> None:
        """Add what has flowed since the current was known last."""
        if count.seen is not None:
            gap = now - count.seen
            flowed = max(abs(current), abs(count.current)) * gap / 3600.0 / self._capacity
            if gap > GAP:
                # Nobody knows whether it went on floating or resting.
                count.floats = count.rests = None
            if gap > GAP and (gap > BRIDGED or flowed > ERROR):
                # What was full and floats with hardly any current is full, whatever happened between.
                full = count.charge is not None and count.charge >= 0.999 and self._tails(current, phase)
                count.charge = 1.0 if full else None
            elif count.charge is not None:
                mean = (current + count.current) / 2.0
                count.charge += self._flow(cell, count, mean, phase, temperature, gap)
                count.charge = min(1.0, max(0.0, count.charge))
        count.current, count.seen = current, now

    def _flow(
        self, cell: Cell, count: _Count, current: float, phase: Phase, temperature: float | None, seconds: float
    ) -> float:
        """Return the charge (0–1) that a current gives or takes."""
        present = self._capacity * at(cell.warmth, 25.0 if temperature is None else temperature)
        hours = seconds / 3600.0
        if abs(current) < NOISE:
            return 0.0
        if current > 0.0:
            # What was drawn fast has cost more than it gave, and comes back with the same Ah.
            made_up = count.worth / count.taken if count.taken > 0.0 else 1.0
            return current * hours * cell.efficiency * made_up / present
        if phase is Phase.FLOATING:
            # A charger that holds the voltage lets nothing out: that is the sensor's zero.
            return 0.0
        drawn = -current * hours
        cost: float = drawn * max(1.0, -current * cell.hours / present) ** (cell.peukert - 1.0)
        count.taken += drawn
        count.worth += cost
        return -cost / present

    def _anchor(
        self, cell: Cell, count: _Count, current: float, phase: Phase, mean: float | None, members: range, now: float
    ) -> None:
        """Begin anew where the charge is known."""
        if not self._tails(current, phase):
            count.floats = None
        elif count.floats is None:
            count.floats = now
        elif now - count.floats >= FULL:
            count.charge, count.taken, count.worth = 1.0, 0.0, 0.0
            for block in members:
                self._offsets.pop(block, None)
        if phase is not Phase.RESTING or abs(current) >= NOISE or mean is None:
            count.rests = None
        elif count.rests is None:
            count.rests = now
        elif now - count.rests >= REST:
            charge = at(cell.charge, mean / self._cells)
            if any(low <= charge <= high for low, high in cell.believed):
                count.charge = charge

    def _tails(self, current: float, phase: Phase) -> bool:
        """Whether it floats with hardly any current."""
        return phase is Phase.FLOATING and abs(current) <= min(self._boost, max(NOISE, TAIL * self._capacity))

    # Its blocks

    def _compare(
        self,
        cell: Cell,
        board: Board,
        members: range,
        mean: float,
        impedance: float | None,
        current: float,
        passed: float,
    ) -> None:
        """Follow how far the blocks are off the mean of their string."""
        weight = min(1.0, passed / SAG)
        whole = cell.slope * self._cells
        for block in members:
            voltage, own = board.voltage[block], board.impedance[block]
            if voltage is None:
                continue
            off = voltage - mean
            if own is not None and impedance is not None:
                off -= current * (own - impedance) / 1000.0
            before = self._offsets.get(block, 0.0)
            self._offsets[block] = before + (min(1.0, max(-1.0, off / whole)) - before) * weight

    def _blocks(self, board: Board, members: range, charge: float | None) -> None:
        for block in members:
            own = None
            if charge is not None and board.voltage[block] is not None and not board.lost[block]:
                own = min(1.0, max(0.0, charge + self._offsets.get(block, 0.0)))
            before = board.charge[block]
            shown = _step(before, own, BLOCK_STEP)
            if shown != before:
                board.charge[block] = shown
                board.changed.add(block)
                self._changes.point(block_place(block), "module.charge", shown)


def _mean(column: Sequence[float | None], members: range) -> float | None:
    """Return the mean of what is known of a string; None of less than half of it."""
    known = [value for value in column[members.start : members.stop] if value is not None]
    return fmean(known) if known and 2 * len(known) >= len(members) else None


def _step(before: float | None, charge: float | None, step: float) -> float | None:
    """Return the percentage to show: the one of before until it has changed enough, or is the first or the last."""
    if charge is None:
        return None
    percent = round(100.0 * charge, 1)
    ends = percent in (0.0, 100.0)
    return percent if before is None or ends or abs(100.0 * charge - before) >= step else before


__all__ = ["Charge"]

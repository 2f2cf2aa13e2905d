"""Whether a string is cut off: its breaker or its fuse is open, and nothing is protected by it (manual M:7428).

Three things can show it, and nothing else is guessed:

- A contact of the breaker on an input of a box. It is right while its box answers, and what it showed last stands
  while it does not.
- The bridge has tripped the breaker and the box has obeyed; without a contact nothing better is known.
- With a current sensor on each string: nothing flows in this one for some time while much flows in the others, and the
  mean voltage of its blocks is not that of the others', which strings in parallel always share. Both are needed: a
  sensor that shows 0 A is broken far more often than a fuse.

In float hardly any current flows, so that neither an open breaker nor a closed one can be seen by it: what was found
before stands. A string of which nothing is known is not said to be open.
"""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from ridethrough.config.battery import BatteryConfig

from .board import Board, Findings
from .changes import Changes
from .layout import SYSTEM, Layout, string

FLOWING: Final = 3.0
"""A that flow in the other strings on average when something can be told."""
NOTHING: Final = 0.1
"""Share of that below which a current is none."""
APART: Final = 0.01
"""Share by which the mean block voltage must differ from the others'."""
HOLD: Final = 10.0
"""Seconds for which that must be so, either way: strings do not take a load up in the same instant."""


@dataclass(frozen=True, slots=True)
class BoxView:
    """What a box that answers shows."""

    inputs: Mapping[int, bool] = field(default_factory=dict)
    """By number from 1: whether the contact is closed."""
    outputs: Mapping[int, bool] = field(default_factory=dict)
    """Whether the relay is energised."""


type Boxes = Mapping[int, BoxView]
"""By number from 1; boxes that are lost are not in it."""


class Contacts:
    """Contacts of breakers on inputs of boxes."""

    def __init__(self, config: BatteryConfig, layout: Layout) -> None:
        """Find them in the configuration."""
        self._inputs = [
            (contact.breaker, box, number, contact.normally_closed)
            for box, one in enumerate(config.boxes, 1)
            for number, contact in sorted(one.inputs.items())
            if contact.breaker is not None
        ]
        self._strings = range(1, layout.strings + 1)

    @property
    def watched(self) -> frozenset[int]:
        """Strings whose breakers have contacts."""
        numbers = {breaker for breaker, *_ in self._inputs}
        return frozenset(self._strings if 0 in numbers else numbers)

    def opened(self, boxes: Boxes) -> dict[int, bool]:
        """Tell which strings' breakers are open, as far as contacts show it now."""
        found: dict[int, bool] = {}
        for breaker, box, number, normally_closed in self._inputs:
            closed = boxes[box].inputs.get(number) if box in boxes else None
            if closed is None:
                continue
            for index in self._strings if breaker == 0 else (breaker,):
                found[index] = found.get(index, False) or closed is not normally_closed
        return found


class Isolation:
    """Watches one battery system for strings that are cut off."""

    def __init__(
        self,
        config: BatteryConfig,
        layout: Layout,
        raised: AbstractSet[int] = frozenset(),
    ) -> None:
        """Begin with the strings that were open before a restart, but for those that the bridge itself has opened."""
        self._layout = layout
        self._contacts = Contacts(config, layout)
        self._each = config.sensors.count == "each"
        self._changes = Changes()
        self._shown = dict.fromkeys(raised & self._contacts.watched, True)
        """What contacts showed last."""
        self._open = set(raised - self._contacts.watched) if self._each else set[int]()
        """By current and voltage."""
        self._since: dict[int, float] = {}
        """From when on it has been measured that a string is not as in `_open`."""

    def see(self, board: Board, boxes: Boxes, tripped: AbstractSet[int], now: float) -> Findings:
        """Look at all strings; `tripped` are those whose breaker the bridge has opened, as their boxes confirm."""
        shown = self._contacts.opened(boxes)
        self._shown |= shown
        if self._each:
            self._measure(board, now)
        opened = [
            shown.get(index, index in tripped or index in self._open or self._shown.get(index, False))
            for index in range(1, self._layout.strings + 1)
        ]
        for index, one in enumerate(opened, 1):
            self._changes.condition(string(index), "breaker_open", one)
        self._changes.condition(SYSTEM, "breaker_open", any(opened))
        return self._changes.take()

    def _measure(self, board: Board, now: float) -> None:
        voltages = [self._voltage(board, index) for index in range(1, self._layout.strings + 1)]
        for index in range(1, self._layout.strings + 1):
            cut = self._cut(board, voltages, index)
            if cut is None or cut is (index in self._open):
                self._since.pop(index, None)
                continue
            if now - self._since.setdefault(index, now) >= HOLD:
                (self._open.add if cut else self._open.discard)(index)
                del self._since[index]

    def _cut(self, board: Board, voltages: list[float | None], index: int) -> bool | None:
        """Whether a string is cut off by what is measured; None: that cannot be told."""
        current, voltage = board.current[index], voltages[index - 1]
        others = [
            (abs(other), volts)
            for number, (other, volts) in enumerate(zip(board.current[1:], voltages, strict=True), 1)
            if number not in self._open and number != index and other is not None
        ]
        if current is None or not others:
            return None
        flows = fmean(other for other, _ in others)
        if abs(current) >= NOTHING * FLOWING and abs(current) >= NOTHING * flows:
            return False
        known = [volts for _, volts in others if volts is not None]
        if flows < FLOWING or voltage is None or not known:
            return None
        return True if abs(voltage - fmean(known)) >= APART * voltage else None

    def _voltage(self, board: Board, index: int) -> float | None:
        members = self._layout.members(index)
        known = [one for one in board.voltage[members.start : members.stop] if one is not None]
        return fmean(known) if 2 * len(known) >= len(members) and known else None


__all__ = ["BoxView", "Boxes", "Contacts", "Isolation"]

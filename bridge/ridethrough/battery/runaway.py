"""Thermal runaway: a block that is far warmer than the others of its string, for some time (manual M:6655–6776).

A block runs away when it is warmer than the mean of its string by the configured difference and, where that is asked
for, a current flows into the string, both without a break for the configured time. It must be above the median as well,
so that one sensor that shows far too little does not make all others look hot.

A sensor may break in a way that looks like a fire. So a temperature that no block can have, or that has jumped by more
than a block can warm up between two looks, is not believed. It is believed again when it is back among the others, or
when it goes on rising from where it jumped to, as a real fire does and a broken sensor does not: by a little, or, where
modules are read so rarely that a fire comes in jumps, by one jump after the other. Temperatures that are not known
never count; but what has been found is not taken back because its module has burnt: it takes a known
temperature that is well below the limit for as long as it took to be found.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Final

from ridethrough.config.battery import BatteryConfig

from .board import Board, Findings
from .changes import Changes
from .layout import SYSTEM, Layout, string
from .saved import JSON, number, numbered

LEAST: Final = -40.0
MOST: Final = 150.0
"""°C that a module can measure; beyond it, its sensor is broken or missing."""
JUMP: Final = 10.0
"""K by which a temperature may differ from one look to the next, however short the time: while only voltages are read
fast, temperatures come rarely, and so in steps."""
RATE: Final = 0.5
"""K per second by which it may change on top of that, which matters when it was not known for a while."""
RISE: Final = 2.0
"""K by which a temperature that jumped must rise further to be believed."""
CLIMBS: Final = 3
"""Jumps in a row, each of them upwards, of which the last is believed, and those that follow."""
RETURN: Final = 0.8
"""Share of the limit below which a block no longer runs away."""
UNWATCHED: Final = 60.0
"""Seconds after which it is said that a string cannot be watched: modules must first be read after a start."""
GAP: Final = 30.0
"""Seconds without a look after which nobody knows whether what was so has been so all the time."""
LOOK: Final = 1.0
"""Seconds between two passes over all blocks."""


@dataclass(frozen=True, slots=True)
class Runaways:
    """What has been found."""

    running: frozenset[int]
    """Strings of which a block is running away by what is measured at the moment: reason to trip."""
    alarmed: frozenset[int]
    """Strings with the condition `thermal_runaway`, which stands until a temperature is known to be back."""
    blocks: frozenset[int]
    """The blocks that run away or have, in those strings."""
    blind: frozenset[int]
    """Strings that cannot be watched: too few temperatures, or no current where one is asked for."""
    suspects: frozenset[int]
    """Blocks whose temperature is not believed."""
    said: tuple[str, ...] = ()
    """Sentences for the log about what is new."""
    findings: Findings = field(default_factory=Findings)


@dataclass(slots=True)
class _Block:
    """What is remembered of a block."""

    temperature: float
    at: float | None
    """When it was known last; None: before a restart."""
    jumped: float | None = None
    """What it jumped to, while it is not believed."""
    climbs: int = 0
    """Jumps upwards in a row, without a fall between them."""


class Runaway:
    """Watches the temperatures of one battery system."""

    def __init__(self, config: BatteryConfig, layout: Layout, saved: Mapping[str, JSON] | None = None) -> None:
        """Begin, or go on from what `state()` gave: strings found before a restart stay so until they are cool."""
        saved = {} if saved is None else saved
        self._config = config.runaway
        self._current = config.sensors.count != "none"
        self._layout = layout
        self._changes = Changes()
        # A sensor that was not believed before a restart is not believed after it either.
        self._known = {
            block: _Block(jumped, None, jumped)
            for block, what in numbered(saved, "suspects", layout.blocks).items()
            if block and (jumped := number(what, "jumped")) is not None
        }
        self._since: dict[int, float] = {}
        """From when on a block has been too warm while the current flowed."""
        self._cool: dict[int, float] = {}
        """From when on a string has been known to be cool."""
        self._alarmed = set(numbered(saved, "strings", layout.strings)) - {0}
        self._blocks = set(numbered(saved, "blocks", layout.blocks)) - {0}
        self._blind: dict[int, float] = {}
        """From when on a string cannot be watched."""
        self._unwatched: set[int] = set()
        """Those of which it has been said."""
        self._seen: float | None = None
        self._last: Runaways | None = None

    def see(self, board: Board, now: float) -> Runaways:
        """Look at all temperatures, once a second at most; in between the last finding is given again."""
        if self._last is not None and self._seen is not None and now - self._seen < LOOK:
            return Runaways(
                self._last.running, self._last.alarmed, self._last.blocks, self._last.blind, self._last.suspects
            )
        if self._seen is not None and now - self._seen > GAP:
            self._since.clear()
            self._cool.clear()
        self._seen = now
        running: set[int] = set()
        said: list[str] = []
        limit = self._config.temperature_difference
        if limit is None:
            # Nobody watches any more what was found before a person switched it off.
            self._alarmed.clear()
            self._blocks.clear()
        else:
            for index in range(1, self._layout.strings + 1):
                if self._string(index, limit, board, now, said):
                    running.add(index)
        for index in range(1, self._layout.strings + 1):
            self._changes.condition(string(index), "thermal_runaway", index in self._alarmed)
        self._changes.condition(SYSTEM, "thermal_runaway", bool(self._alarmed))
        self._last = Runaways(
            frozenset(running),
            frozenset(self._alarmed),
            frozenset(self._blocks),
            frozenset(self._blind),
            frozenset(index for index, block in self._known.items() if block.jumped is not None),
            tuple(said),
            self._changes.take(),
        )
        return self._last

    def state(self) -> dict[str, JSON]:
        """Return what must survive a restart."""
        return {
            "strings": {str(index): {} for index in sorted(self._alarmed)},
            "blocks": {str(index): {} for index in sorted(self._blocks)},
            "suspects": {
                str(index): {"jumped": block.jumped}
                for index, block in sorted(self._known.items())
                if block.jumped is not None
            },
        }

    def _string(self, index: int, limit: float, board: Board, now: float, said: list[str]) -> bool:
        """Judge a string; whether a block of it is running away now."""
        members = self._layout.members(index)
        warm = self._believed(members, board, limit, now, said)
        sane = len(warm) >= 2 and 2 * len(warm) >= len(members)
        flows = self._flows(index, board)
        if not sane or flows is None:
            since = self._blind.setdefault(index, now)
            if now - since >= UNWATCHED and index not in self._unwatched:
                self._unwatched.add(index)
                lacks = "the current" if sane else "too many temperatures"
                said.append(f"Thermal runaway in string {index} cannot be watched for: {lacks} not known.")
        else:
            self._blind.pop(index, None)
            if index in self._unwatched:
                self._unwatched.discard(index)
                said.append(f"Thermal runaway in string {index} is watched for again.")
        if not sane:
            self._forget(members)
            self._cool.pop(index, None)
            return False
        middle = max(fmean(warm.values()), median(warm.values()))
        for block in members:
            temperature = warm.get(block)
            if temperature is not None and temperature - middle >= limit and flows:
                self._since.setdefault(block, now)
            else:
                self._since.pop(block, None)
        hot = {block for block in members if block in self._since and now - self._since[block] >= self._config.hold}
        if hot:
            self._alarmed.add(index)
            fresh = hot - self._blocks
            self._blocks |= hot
            said.extend(
                f"Thermal runaway: block {block} of string {index} has {warm[block]:.1f} °C, "
                f"{warm[block] - fmean(warm.values()):.1f} K above the mean of its string."
                for block in sorted(fresh)
            )
        self._end(index, warm, middle + RETURN * limit, now)
        return bool(hot)

    def _end(self, index: int, warm: Mapping[int, float], below: float, now: float) -> None:
        """Take an alarm back when every block that caused it is known to be cool again."""
        if index not in self._alarmed:
            return
        members = self._layout.members(index)
        culprits = [block for block in members if block in self._blocks]
        # After a restart it is not known which block it was: then all of them must be known.
        cool = all(block in warm and warm[block] < below for block in culprits or members)
        if not cool:
            self._cool.pop(index, None)
        elif now - self._cool.setdefault(index, now) >= self._config.hold:
            self._alarmed.discard(index)
            self._blocks.difference_update(members)
            del self._cool[index]

    def _believed(self, members: range, board: Board, limit: float, now: float, said: list[str]) -> dict[int, float]:
        """Return the temperatures of a string that can be believed."""
        doubted: list[int] = []
        believed: dict[int, float] = {}
        for block in members:
            temperature = board.temperature[block]
            before = self._known.get(block)
            if temperature is None or board.lost[block]:
                continue
            if not LEAST <= temperature <= MOST:
                if before is None or before.jumped is None:
                    said.append(f"Block {block}: {temperature:.1f} °C cannot be. Its sensor may be broken.")
                # Whatever comes next must come back to the others to be believed.
                self._known[block] = _Block(temperature, now, temperature)
                continue
            if before is None:
                self._known[block] = _Block(temperature, now)
            elif abs(temperature - before.temperature) > JUMP + RATE * (0.0 if before.at is None else now - before.at):
                before.climbs = before.climbs + 1 if temperature > before.temperature else 0
                climbs = before.climbs >= CLIMBS
                if before.jumped is None and not climbs:
                    said.append(
                        f"Block {block}: from {before.temperature:.1f} °C to {temperature:.1f} °C at once. "
                        "That is not believed until it is back or rises further."
                    )
                before.temperature, before.at, before.jumped = temperature, now, None if climbs else temperature
            else:
                if temperature < before.temperature:
                    before.climbs = 0
                before.temperature, before.at = temperature, now
                if before.jumped is not None:
                    doubted.append(block)
            if self._known[block].jumped is None:
                believed[block] = temperature
        self._trust(doubted, believed, limit)
        return believed

    def _trust(self, doubted: list[int], believed: dict[int, float], limit: float) -> None:
        """Believe again what is back among the others, or has risen on after its jump."""
        # All of them: what happens to most of the sensors at once is no fault of one.
        middle = median([*believed.values(), *(self._known[block].temperature for block in doubted)] or [0.0])
        for block in doubted:
            known = self._known[block]
            jumped = known.jumped
            assert jumped is not None
            back = abs(known.temperature - middle) < limit
            rises = jumped >= LEAST and known.temperature >= jumped + RISE
            if back or rises:
                known.jumped, known.climbs = None, 0
                believed[block] = known.temperature

    def _flows(self, index: int, board: Board) -> bool | None:
        """Whether enough current flows into a string; None: it is asked for and not known."""
        if self._config.current is None:
            return True
        current = board.current[index] if self._current else None
        return None if current is None else current >= self._config.current

    def _forget(self, members: range) -> None:
        for block in members:
            self._since.pop(block, None)


__all__ = ["Runaway", "Runaways"]

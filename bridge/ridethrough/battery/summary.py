"""What the values of all blocks come to: of each string, and of the whole system (manual M:6989–7058).

A sum is known only when all that belongs to it is; a mean is that of the blocks that are known.
"""

from ridethrough.config.battery import BatteryConfig

from .board import Board, Column, Findings
from .layout import SYSTEM, Layout, Place, string

type _Known = float | None


class Summary:
    """Sums up the board; says only what is different from what it said last."""

    def __init__(self, config: BatteryConfig, layout: Layout) -> None:
        """Nothing has been said."""
        self._layout = layout
        self._each = config.sensors.count == "each"
        self._sensors = config.sensors.count != "none"
        self._said: dict[tuple[str, int, str], float | int | str | None] = {}

    def see(self, board: Board) -> Findings:
        """Go through the whole board; at most once a second."""
        findings = Findings()
        sums: list[_Known] = []
        for number in range(1, self._layout.strings + 1):
            members = self._layout.members(number)
            volts = [one for one in board.voltage[members.start : members.stop] if one is not None]
            total = round(sum(volts), 3) if len(volts) == len(members) else None
            current = board.current[number]
            place = string(number)
            self._say(findings, place, "string.voltage", total)
            self._say(findings, place, "string.voltage.average", _mean(volts))
            if self._each:
                self._say(findings, place, "string.current", current)
                power = None if total is None or current is None else round(total * current, 1)
                self._say(findings, place, "string.power", power)
            sums.append(total)
        self._system(findings, board, sums)
        return findings

    def _system(self, findings: Findings, board: Board, sums: list[_Known]) -> None:
        # Strings are in parallel: the system's voltage is that of a string, and their currents add up.
        known = [one for one in sums if one is not None]
        self._say(findings, SYSTEM, "battery.voltage", _mean(known, 2))
        if self._sensors:
            currents = [one for one in board.current[1:] if one is not None]
            complete = len(currents) == self._layout.strings
            self._say(findings, SYSTEM, "battery.current", round(sum(currents), 3) if complete else None)
        voltage = self._spread(findings, "module.voltage", board.voltage, 3)
        self._say(findings, SYSTEM, "module.voltage.difference", voltage)
        self._spread(findings, "module.temperature", board.temperature, 1)
        self._say(findings, SYSTEM, "battery.temperature", self._said.get((*SYSTEM, "module.temperature.average")))
        self._spread(findings, "module.impedance", board.impedance, 3)

    def _spread(self, findings: Findings, key: str, column: Column, digits: int) -> _Known:
        """Say the mean, the lowest and the highest of a quantity; return how far these are apart."""
        known = [one for one in column if one is not None]
        low, high = (min(known), max(known)) if known else (None, None)
        self._say(findings, SYSTEM, f"{key}.average", _mean(known, digits))
        self._say(findings, SYSTEM, f"{key}.minimum", low)
        self._say(findings, SYSTEM, f"{key}.maximum", high)
        return None if low is None or high is None else round(high - low, digits)

    def _say(self, findings: Findings, place: Place, key: str, value: float | str | None) -> None:
        name = (place.kind, place.number, key)
        # What has never been known is not mentioned: nobody knows yet whether it ever will be.
        if self._said.get(name) != value:
            self._said[name] = findings.points[name] = value


def _mean(values: list[float], digits: int = 3) -> float | None:
    return round(sum(values) / len(values), digits) if values else None


__all__ = ["Summary"]

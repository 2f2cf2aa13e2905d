"""What is wrong with strings: voltage, difference between blocks, current, deviation between strings, charge."""

from collections.abc import Callable, Sequence
from math import inf

from ridethrough.battery.board import Board, Phase
from ridethrough.battery.layout import Layout
from ridethrough.config.battery import BatteryConfig, Pair

from .blocks import away
from .ledger import Ledger
from .quantity import Limits, Quantity, Watch, band_limits, high_limits, low_limits

KIND = "battery_string"

VOLTAGE = Quantity(
    "string.voltage_low",
    "string.voltage_low_warning",
    "string.voltage_high_warning",
    "string.voltage_high",
    share=0.005,
)
DIFFERENCE = Quantity(high_warning="module.voltage_difference_high", share=0.1)
CURRENT = Quantity(
    "string.current_low",
    "string.current_low_warning",
    "string.current_high_warning",
    "string.current_high",
    margin=0.2,
    share=0.05,
)
DISCHARGE_DEVIATION = Quantity(
    high_warning="string.discharge_deviation_warning",
    high_alarm="string.discharge_deviation",
    margin=0.2,
    share=0.05,
)
CHARGE_DEVIATION = Quantity(
    high_warning="string.charge_deviation_warning",
    high_alarm="string.charge_deviation",
    margin=0.2,
    share=0.05,
)
CHARGE = Quantity(
    "string.charge_low",
    "string.charge_low_warning",
    margin=2.0,
    ceiling=100.0,
    patience=0.0,
)

QUANTITIES = (VOLTAGE, DIFFERENCE, CURRENT, DISCHARGE_DEVIATION, CHARGE_DEVIATION, CHARGE)


class Strings:
    """The judge of all strings: there are few, so that each is looked at each time."""

    def __init__(self, config: BatteryConfig, layout: Layout, ledger: Ledger) -> None:
        """Take the limits of a configuration."""
        limits, count = config.limits, layout.strings
        self._layout = layout
        self._voltage_limits = band_limits(limits.string_voltage)
        self._difference_limits = Limits(
            high_warning=inf if limits.voltage_difference is None else limits.voltage_difference
        )
        self._current_limits = band_limits(limits.current)
        self._charge_limits = low_limits(limits.string_charge)
        self.voltage = Watch(VOLTAGE, KIND, count, self._voltage_limits, ledger)
        self.difference = Watch(DIFFERENCE, KIND, count, self._difference_limits, ledger)
        self.current = Watch(CURRENT, KIND, count, self._current_limits, ledger)
        self.charge = Watch(CHARGE, KIND, count, self._charge_limits, ledger)
        delay = limits.deviation_delay
        self._deviations = (
            Deviation(DISCHARGE_DEVIATION, limits.discharge_deviation, Phase.DISCHARGING, delay, layout, ledger),
            Deviation(CHARGE_DEVIATION, limits.charge_deviation, Phase.CHARGING, delay, layout, ledger),
        )

    @property
    def watches(self) -> tuple[Watch, ...]:
        """All that is watched of a string."""
        return self.voltage, self.difference, self.current, self.charge, *(each.watch for each in self._deviations)

    def judge(self, board: Board, now: float, *, quiet: bool, silent: Callable[[int], bool]) -> None:
        """Judge all strings. `quiet`: low voltages raise nothing; `silent`: whether a string's current sensor is lost."""
        # A string whose voltage drops during a discharge is worth knowing of (manual M:6523); only after it they wait.
        after = quiet and board.phase is not Phase.DISCHARGING
        entry = self._voltage_limits._replace(low_alarm=-inf, low_warning=-inf) if after else None
        for number in range(1, self._layout.strings + 1):
            members = self._layout.members(number)
            blocks = board.voltage[members.start : members.stop]
            gone = None in blocks and any(away(board, member) for member in members)
            if self.voltage.keys:
                self.voltage.judge(number, _sum(blocks), self._voltage_limits, now, silent=gone, entry=entry)
            if self.difference.keys:
                self.difference.judge(number, difference(blocks), self._difference_limits, now, silent=gone)
            if self.current.keys:
                self.current.judge(number, board.current[number], self._current_limits, now, silent=silent(number))
            if self.charge.keys:
                self.charge.judge(number, board.string_charge[number], self._charge_limits, now)
        for each in self._deviations:
            each.judge(board, now, silent)


class Deviation:
    """How far a string's current is from those of the others, in one phase, for longer than a delay (manual M:5678)."""

    def __init__(
        self, quantity: Quantity, pair: Pair | None, phase: Phase, delay: float, layout: Layout, ledger: Ledger
    ) -> None:
        """Judge nothing if there is no pair of limits."""
        self._limits = high_limits(pair)
        self._phase = phase
        self._delay = delay
        self._strings = range(1, layout.strings + 1)
        self._since: dict[tuple[str, int], float] = {}
        """Since when a string has been beyond a limit without a break, by level and number."""
        self.watch = Watch(quantity, KIND, layout.strings, self._limits, ledger)

    def judge(self, board: Board, now: float, silent: Callable[[int], bool]) -> None:
        """Judge all strings; outside its phase no string deviates, and a delay begins anew."""
        if not self.watch.keys:
            return
        phase = board.phase is self._phase
        for number in self._strings:
            value = apart(board.current, number) if phase else 0.0
            entry = Limits(
                high_warning=self._held("warning", number, value, self._limits.high_warning, now),
                high_alarm=self._held("alarm", number, value, self._limits.high_alarm, now),
            )
            self.watch.judge(number, value, self._limits, now, silent=silent(number), entry=entry)

    def _held(self, level: str, number: int, value: float | None, limit: float, now: float) -> float:
        """Give the limit once the value has been beyond it for the delay; until then there is none."""
        if value is None or value <= limit:
            self._since.pop((level, number), None)
            return inf
        return limit if now - self._since.setdefault((level, number), now) >= self._delay else inf


def difference(voltages: Sequence[float | None]) -> float | None:
    """Work out by how much the block furthest from the mean differs from it, V; None while too few are known."""
    known = [value for value in voltages if value is not None]
    if len(known) < 2 or 2 * len(known) < len(voltages):
        return None
    mean = sum(known) / len(known)
    return max(max(known) - mean, mean - min(known))


def apart(currents: Sequence[float | None], number: int) -> float | None:
    """Work out how far a string's current is from the mean of the others', A; None if it or all of them are unknown."""
    own = currents[number]
    others = [value for index, value in enumerate(currents) if index not in (0, number) and value is not None]
    if own is None or not others:
        return None
    return abs(own - sum(others) / len(others))


def _sum(voltages: Sequence[float | None]) -> float | None:
    total = 0.0
    for value in voltages:
        if value is None:
            return None
        total += value
    return total


__all__ = ["QUANTITIES", "Deviation", "Strings", "apart", "difference"]

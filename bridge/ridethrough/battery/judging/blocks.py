"""What is wrong with single blocks: voltage, temperature, impedance, charge."""

from collections.abc import Iterable
from itertools import chain

from ridethrough.battery.board import Board, Column
from ridethrough.battery.layout import Layout
from ridethrough.battery.limits import final_voltage, usual_voltage
from ridethrough.config.battery import Band, BatteryConfig, Pair

from .ledger import Ledger
from .quantity import UNWATCHED, Limits, Quantity, Watch, band_limits, high_limits, low_limits, strictest

KIND = "battery_module"

VOLTAGE = Quantity(
    "module.voltage_low",
    "module.voltage_low_warning",
    "module.voltage_high_warning",
    "module.voltage_high",
    # 70 mV at 13.5 V: several times what ripple and the module's resolution make of a steady voltage.
    share=0.005,
)
TEMPERATURE = Quantity(
    "module.temperature_low",
    "module.temperature_low_warning",
    "module.temperature_high_warning",
    "module.temperature_high",
    # Two steps of a module that measures half degrees (manual M:11447).
    margin=1.0,
)
IMPEDANCE = Quantity(
    "module.impedance_low",
    "module.impedance_low_warning",
    "module.impedance_high_warning",
    "module.impedance_high",
    # About as well as one measurement repeats the one before.
    share=0.02,
)
RISE = Quantity(
    high_warning="module.impedance_risen_warning",
    high_alarm="module.impedance_risen",
    # Percent of the impedance when new.
    margin=2.0,
)
CHARGE = Quantity(
    "module.charge_low",
    "module.charge_low_warning",
    margin=2.0,
    ceiling=100.0,
    # A charge that cannot be told, as in a boost charge (manual M:6981), is never low.
    patience=0.0,
)

QUANTITIES = (VOLTAGE, TEMPERATURE, IMPEDANCE, RISE, CHARGE)


class Blocks:
    """The judge of all blocks. Blocks whose values are within their limits cost next to nothing."""

    def __init__(self, config: BatteryConfig, layout: Layout, ledger: Ledger) -> None:
        """Take the limits of a configuration."""
        limits, count = config.limits, layout.blocks
        self._layout = layout
        self._voltage_limits = band_limits(limits.voltage or usual_voltage(config.block))
        self._deep = _deep(self._voltage_limits, final_voltage(config.block))
        self._temperature_limits = band_limits(limits.temperature)
        self._charge_limits = low_limits(limits.module_charge)
        self._impedance = limits.impedance
        self._static = band_limits(limits.impedance.static)
        self._rise_limits = high_limits(limits.impedance.baseline)
        shape = strictest(
            deviation(self._impedance.dynamic, 1.0), deviation(self._impedance.baseline, 1.0), self._static
        )
        self.voltage = Watch(VOLTAGE, KIND, count, self._voltage_limits, ledger)
        self.temperature = Watch(TEMPERATURE, KIND, count, self._temperature_limits, ledger)
        self.impedance = Watch(IMPEDANCE, KIND, count, shape, ledger)
        self.rise = Watch(RISE, KIND, count, self._rise_limits, ledger)
        self.charge = Watch(CHARGE, KIND, count, self._charge_limits, ledger)
        self._mean: float | None = None
        self._quiet = False

    @property
    def watches(self) -> tuple[Watch, ...]:
        """All that is watched of a block."""
        return self.voltage, self.temperature, self.impedance, self.rise, self.charge

    def judge(self, board: Board, changed: Iterable[int], now: float, *, quiet: bool) -> None:
        """Judge the blocks that have changed. `quiet`: low voltages raise nothing, unless they are far too low."""
        numbers = [number for number in changed if 1 <= number <= self._layout.blocks]
        every = range(1, self._layout.blocks + 1)
        entry = self._deep if quiet else None
        voltages = numbers if quiet == self._quiet else every
        self._quiet = quiet
        self._pass(self.voltage, board.voltage, voltages, self._voltage_limits, board, now, entry)
        self._pass(self.temperature, board.temperature, numbers, self._temperature_limits, board, now)
        self._pass(self.charge, board.charge, numbers, self._charge_limits, board, now)
        if self.impedance.keys:
            self._judge_impedances(board, numbers, every, now)

    def _judge_impedances(self, board: Board, numbers: Iterable[int], every: range, now: float) -> None:
        mean = mean_impedance(board) if self._impedance.dynamic else None
        if mean != self._mean:
            self._mean, numbers = mean, every
        limits = strictest(deviation(self._impedance.dynamic, mean), self._static)
        # As long as there is no mean to compare with, an impedance that no fixed limit objects to may be too high or not.
        blind = self._impedance.dynamic is not None and mean is None
        if self._impedance.baseline is None:
            column = [_beyond(value, limits) for value in board.impedance] if blind else board.impedance
            self._pass(self.impedance, column, numbers, limits, board, now)
            return
        for number in chain(numbers, self.impedance.waiting, self.rise.waiting):
            value, new = board.impedance[number], board.baseline[number]
            own = strictest(limits, deviation(self._impedance.baseline, new))
            told = _beyond(value, own) if blind or own == UNWATCHED else value
            rise = None if value is None or not new else (value / new - 1.0) * 100.0
            silent = away(board, number)
            self.impedance.judge(number, told, own, now, silent=silent)
            self.rise.judge(number, rise, self._rise_limits, now, silent=silent)

    def _pass(
        self,
        watch: Watch,
        column: Column,
        numbers: Iterable[int],
        limits: Limits,
        board: Board,
        now: float,
        entry: Limits | None = None,
    ) -> None:
        if not watch.keys:
            return
        low, high = (entry or limits).inner
        calm = watch.calm
        for number in chain(numbers, watch.waiting):
            value = column[number]
            if calm[number] and value is not None and low <= value <= high:
                continue
            watch.judge(number, value, limits, now, silent=away(board, number), entry=entry)


def away(board: Board, number: int) -> bool:
    """Whether nobody hears of a block: its module is lost, or all links that could tell of it are."""
    known = (board.voltage[number], board.temperature[number], board.impedance[number])
    return board.lost[number] or all(value is None for value in known)


def deviation(pair: Pair | None, middle: float | None) -> Limits:
    """Make limits of the percentages by which a value may differ from another to either side (manual M:6472)."""
    if pair is None or not middle:
        return UNWATCHED
    low_high = []
    for percent in (pair.alarm, pair.warning):
        part = None if percent is None else middle * percent / 100.0
        low_high.append((None, None) if part is None else (middle - part, middle + part))
    (low_alarm, high_alarm), (low_warning, high_warning) = low_high
    return band_limits(Band(low_alarm, low_warning, high_warning, high_alarm))


def mean_impedance(board: Board) -> float | None:
    """Work out the mean of all (manual M:6441), mΩ; None while fewer than half of them are known."""
    known = [value for value in board.impedance if value is not None]
    if not known or 2 * len(known) < board.layout.blocks:
        return None
    return sum(known) / len(known)


def _beyond(value: float | None, limits: Limits) -> float | None:
    """Give a value only if it is beyond its limits."""
    low, high = limits.inner
    return None if value is None or low <= value <= high else value


def _deep(limits: Limits, final: float | None) -> Limits:
    """Make the limits that hold while batteries are being discharged: too deep is too deep (manual M:6412–6424).

    Whoever set the alarm still lower meant it; where no alarm is set, none is raised.
    """
    return limits._replace(
        low_alarm=Limits().low_alarm if final is None else min(limits.low_alarm, final),
        low_warning=Limits().low_warning,
    )


__all__ = ["QUANTITIES", "Blocks", "away", "deviation", "mean_impedance"]

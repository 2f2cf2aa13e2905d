"""When impedances are measured, and what they were when the blocks were new (manual M:5555–5576, M:6462–6490, M:6963).

Impedances can be compared only between blocks that stand at one voltage and are charged alike. So nothing is measured
while discharging or during a boost charge, nor until the voltages have settled after it: what falls due then is done as
soon as that is over, once. After a start the first measurement waits for ten minutes of equalising, and three more within
the hour make it more precise; after an hour they can be compared (M:6967).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
import math

from ridethrough.config.battery import ImpedanceConfig

from .board import Board, Findings, Phase
from .layout import Layout, block as block_place

RUN_IN = (600.0, 1500.0, 2400.0, 3300.0)
"""Seconds after the start of the first measurement, which is available after 10–15 minutes, and of those that refine it
within the next 45 minutes (manual M:6967)."""
COMPARABLE = 3600.0
"""Seconds after the start from which on impedances can be compared."""
SETTLING = 600.0
"""Seconds after a discharge or a boost charge within which nothing is measured."""
FRESH = 600.0
"""Seconds for which a measurement of all blocks makes another one that falls due needless."""
_DAY = timedelta(days=1)
_COMPARABLE_PHASES = (Phase.FLOATING, Phase.RESTING)


def corrected(measured: float | None, offset: float) -> float | None:
    """Add the offset that a reference meter has shown, mΩ (manual M:6484); what is not known or negative is None."""
    if measured is None or measured + offset < 0.0:
        return None
    return measured + offset


class Timetable:
    """Fixed times of the clock on the wall: the first is at a time of day, then every so many hours (manual M:5573).

    Hours are those of that clock, so that 8 and 20 o'clock stay what they are when summer time begins.
    """

    def __init__(self, config: ImpedanceConfig, zone: tzinfo) -> None:
        """Take the time zone of the site."""
        self._first = config.first
        self._every = timedelta(hours=config.every) if config.every > 0.0 else _DAY
        self._zone = zone
        self._next: datetime | None = None

    def due(self, utc: datetime) -> bool:
        """Return whether one or more have passed since this was asked last; the first call only looks at the clock."""
        # Without its zone, so that adding hours moves the hands of the clock.
        local = utc.astimezone(self._zone).replace(tzinfo=None)
        if self._next is None or self._next - local > self._every + _DAY:
            # Just started, or the clock was set back by days.
            self._next = datetime.combine(local.date(), self._first)
            if self._next <= local:
                self._next += _DAY
            return False
        if local < self._next:
            return False
        # The clock may have jumped by years: one measurement, whatever was missed.
        self._next += (math.floor((local - self._next) / self._every) + 1) * self._every
        return True


@dataclass(slots=True)
class Measurement:
    """What to measure now, and what to tell."""

    blocks: tuple[int, ...] = ()
    """In ascending order; empty: nothing now."""
    postponed: bool = False
    """Whether something is due and waits until impedances can be compared again."""


@dataclass(slots=True)
class BaselineChange:
    """What has come of setting or clearing baselines."""

    findings: Findings = field(default_factory=Findings)
    missing: tuple[int, ...] = ()
    """Blocks whose impedance is not known, so that their baseline stays as it was."""


class ImpedanceMeasurements:
    """The measurements of one battery system, and its baselines."""

    def __init__(
        self,
        config: ImpedanceConfig,
        layout: Layout,
        zone: tzinfo,
        saved: Mapping[str, object] | None = None,
        *,
        now: float = 0.0,
    ) -> None:
        """Begin at `now`, monotonic seconds, with the baselines that were remembered."""
        self._timetable = Timetable(config, zone)
        self._all = range(1, layout.blocks + 1)
        self._began = now
        self._run_in = list(RUN_IN)
        self._whole = False
        self._asked: set[int] = set()
        self._disturbed = -math.inf
        self._measured = -math.inf
        self.baselines = _baselines_of((saved or {}).get("baselines"), layout.blocks)
        """mΩ by number of block, of those that have one."""

    def comparable(self, now: float) -> bool:
        """Return whether impedances have become comparable since the start; baselines taken earlier are worth little."""
        return now - self._began >= COMPARABLE

    def request(self, blocks: Iterable[int] | None = None) -> None:
        """Have these blocks measured soon, None: all; with the next decision, or as soon as they can be compared."""
        if blocks is None:
            self._whole, self._measured = True, -math.inf
        else:
            self._asked.update(number for number in blocks if number in self._all)

    def decide(self, board: Board, now: float, utc: datetime, *, reachable: bool = True) -> Measurement:
        """Decide what is measured now; once a second, or less often, is enough.

        `reachable`: whether the bus takes orders; not while modules are being programmed, so that it waits until then.
        """
        if self._timetable.due(utc):
            self._whole = True
        while self._run_in and now - self._began >= self._run_in[0]:
            del self._run_in[0]
            self._whole = True
        if board.phase not in _COMPARABLE_PHASES:
            self._disturbed = now
        if self._whole and now - self._measured < FRESH:
            self._whole = False
        if not self._whole and not self._asked:
            return Measurement()
        if not reachable or now - self._disturbed < SETTLING:
            return Measurement(postponed=True)
        blocks = tuple(self._all) if self._whole else tuple(sorted(self._asked))
        if self._whole:
            self._measured = now
        self._whole = False
        self._asked.clear()
        return Measurement(blocks)

    def set_baseline(self, board: Board, blocks: Iterable[int] | None = None) -> BaselineChange:
        """Take the impedances of these blocks, None: of all, as those when new (manual M:6480)."""
        change = BaselineChange()
        missing = []
        for number in self._all if blocks is None else blocks:
            if number not in self._all:
                continue
            impedance = board.impedance[number]
            if impedance is None or impedance <= 0.0:
                missing.append(number)
                continue
            self._put(board, number, impedance, change.findings)
        change.missing = tuple(missing)
        return change

    def clear_baseline(self, board: Board, blocks: Iterable[int] | None = None) -> BaselineChange:
        """Forget what these blocks, None: all, had when new: after an exchange."""
        change = BaselineChange()
        for number in self._all if blocks is None else blocks:
            if number in self.baselines:
                self._put(board, number, None, change.findings)
        return change

    def show(self, board: Board) -> Findings:
        """Put all baselines on the board, and return them to be told; once after a start."""
        findings = Findings()
        for number, impedance in self.baselines.items():
            self._put(board, number, impedance, findings)
        return findings

    def state(self) -> dict[str, object]:
        """Return what should survive a restart, as JSON has it: the baselines. A start measures anyway."""
        return {"baselines": {str(number): impedance for number, impedance in sorted(self.baselines.items())}}

    def _put(self, board: Board, number: int, impedance: float | None, findings: Findings) -> None:
        if impedance is None:
            del self.baselines[number]
        else:
            self.baselines[number] = impedance
        board.baseline[number] = impedance
        board.changed.add(number)
        findings.points[(*block_place(number), "module.impedance.baseline")] = impedance


def _baselines_of(saved: object, blocks: int) -> dict[int, float]:
    """Return remembered baselines of blocks that exist; what is broken is left out."""
    numbers = {str(number): number for number in range(1, blocks + 1)}
    baselines = {}
    for key, value in saved.items() if isinstance(saved, Mapping) else ():
        if not isinstance(key, str) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
            continue
        number = numbers.get(key)
        if number is not None:
            baselines[number] = float(value)
    return baselines


__all__ = [
    "COMPARABLE",
    "FRESH",
    "RUN_IN",
    "SETTLING",
    "BaselineChange",
    "ImpedanceMeasurements",
    "Measurement",
    "Timetable",
    "corrected",
]

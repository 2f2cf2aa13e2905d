"""The judge: from what is known of all blocks to what is wrong with blocks, strings and the system (manual M:6392–6640).

Low voltages and a discharge (M:6538–6546, part of it in German). The manual says that batteries which have carried the
load to the end may pass the low limits, and that they are below them for a while of the charge that follows, so that an
alarm would be due "independently of the cycle"; alarms of voltage, and of nothing else, are therefore delayed after a
discharge. Taken at its word that leaves the discharge itself, in which every battery passes limits that are meant for
float: so here low voltages of blocks raise nothing while batteries are discharged and for the delay after it. But the
same chapter calls deep discharge, which a UPS cannot see in a single block, the other way to destroy a battery
(M:6412–6424): below the final voltage of its chemistry a block raises the alarm at any time. What was raised before
stays until the voltage is back. Limits of whole strings hold during a discharge as well (M:6523–6526), and wait after it.
"""

from collections.abc import Iterable, Mapping

from ridethrough.config.battery import BatteryConfig

from .alarm import Active
from .board import Board, Findings, Phase
from .judging.blocks import Blocks
from .judging.ledger import Ledger
from .judging.strings import Strings
from .judging.sums import Sums, own
from .layout import Layout, Place

NOTHING: Active = {}
_NONE: frozenset[str] = frozenset()


class Judge:
    """What is wrong with one battery system. Cheap where nothing changes: it may be asked several times a second."""

    def __init__(
        self,
        config: BatteryConfig,
        layout: Layout,
        raised: Iterable[tuple[Place, str]] = (),
        state: Mapping[str, float] | None = None,
    ) -> None:
        """Go on after a restart with what was `raised` and what `state()` said.

        Of `raised` only what the judge itself tells counts, so that all that is known of the devices may be given.
        Conditions whose limits are no longer configured are told to be over with the first findings.
        """
        self._layout = layout
        self._delay = config.limits.alarm_delay
        self._mine = own()
        self._ledger = Ledger(
            (place, key) for place, key in raised if self._exists(place) and key in self._mine[place.kind]
        )
        self._blocks = Blocks(config, layout, self._ledger)
        self._strings = Strings(config, layout, self._ledger)
        self._sums = Sums(config, layout, self._blocks.watches, self._strings.watches)
        self._sums.forget(self._ledger)
        self._left: float | None = None if state is None else state.get("alarm_delay")
        """Seconds that the alarm delay had still to go at the restart."""
        self._phase: Phase | None = None
        self._quiet_until: float | None = None
        self._now = 0.0
        self._others: Active = NOTHING

    def __call__(
        self, board: Board, now: float, others: Active = NOTHING, *, discharges: int | None = None
    ) -> Findings:
        """Judge what has changed until `now` (monotonic seconds); call it at least once a second.

        `board.changed` is not emptied: that is for whoever fills it. `others` is what holds by what
        links and other parts of the battery system say of modules, strings, sensors, boxes and the system; what the judge
        tells itself may be among it and does not count.
        `discharges` is how many there have been, as far as they are counted.
        """
        quiet = self._go_on(board.phase, now)
        self._others = others = {place: keys - self._mine.get(place.kind, _NONE) for place, keys in others.items()}
        dark = board.voltage.count(None) == len(board.voltage)
        self._blocks.judge(board, board.changed, now, quiet=quiet)
        self._strings.judge(board, now, quiet=quiet, silent=lambda number: dark or self._sums.blind(number, others))
        self._sums.sum_up(board, board.changed, self._ledger, others, discharges)
        findings, _ = self._ledger.take()
        return findings

    @property
    def active(self) -> Active:
        """All that holds at the moment, the judge's own and `others`, for the general alarm and the equaliser."""
        active: dict[Place, frozenset[str]] = {place: frozenset(keys) for place, keys in self._ledger.active.items()}
        for place, keys in self._others.items():
            active[place] = active.get(place, frozenset()) | keys
        return active

    @property
    def quiet(self) -> bool:
        """Whether low voltages raise nothing at the moment."""
        return self._phase is Phase.DISCHARGING or self._quiet_until is not None

    def state(self) -> dict[str, float]:
        """Tell what a restart must not forget, beside what is raised."""
        if self._phase is Phase.DISCHARGING:
            return {"alarm_delay": self._delay}
        return {} if self._quiet_until is None else {"alarm_delay": self._quiet_until - self._now}

    def _go_on(self, phase: Phase, now: float) -> bool:
        """Follow the phase; return whether low voltages raise nothing."""
        before, self._phase, self._now = self._phase, phase, now
        if phase is Phase.DISCHARGING:
            self._quiet_until = None
            return True
        if before is None:
            # Batteries that are being charged have been discharged, even if nobody was there to see it or to write it
            # down: at worst low voltages are told one delay late.
            charged = self._delay if phase is Phase.CHARGING else None
            left = charged if self._left is None else min(self._left, self._delay)
            self._quiet_until = None if left is None else now + left
        elif before is Phase.DISCHARGING:
            self._quiet_until = now + self._delay
        if self._quiet_until is not None and now >= self._quiet_until:
            self._quiet_until = None
        return self._quiet_until is not None

    def _exists(self, place: Place) -> bool:
        counts = {
            "battery_system": 0,
            "battery_string": self._layout.strings,
            "battery_module": self._layout.blocks,
            "current_sensor": self._layout.sensors,
        }
        return place.number <= counts.get(place.kind, -1)


__all__ = ["Judge"]

"""When the blocks of a battery system are equalised, and what is told of it (manual M:4717, M:5511, M:7054, M:7106).

Strings are equalised each by itself. A block outside the range stops its own string and not the others, as an alarm does
(M:6945): blocks share the current and the voltage of their string only, the charger handles strings apart (M:5440), and
the manual's own example has three strings at work while the fourth is not (M:7244). Only an error stops all (M:7450).
"""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, field
import math

from ridethrough.battery.board import Board, Findings, Phase
from ridethrough.battery.chemistry import cells
from ridethrough.battery.layout import SYSTEM, Layout, Place, block as block_place, string as string_place
from ridethrough.config.battery import BlockConfig, EqualisingConfig

from .echo import Echo
from .memory import dump, load, number_of
from .notices import KEYS, Notices
from .regulator import Regulator, limit_of
from .working_range import range_of
from .workings import PERIOD, Why, Workings

ON_CHARGE = (Phase.FLOATING, Phase.CHARGING)
"""When there is a current to share out."""
BEGUN, ENDED = 0.1, 0.02
"""Shares of the permitted power at which a block counts as being equalised, and below which it does no more: the last
percents of a block in balance come and go."""
HOT = 50.0
"""°C of a block from which on its module may draw less than it was told, to protect itself; far above every limit."""
REMEMBER = 3600.0
"""Seconds after which what has been learnt is worth writing down again."""
LONGEST_PAUSE = 366 * 86400.0
_DAY = 86400.0


@dataclass(slots=True)
class Decision:
    """What to tell the modules and the site."""

    duties: dict[int, int] = field(default_factory=dict)
    """Percent by number of block: only those that change."""
    findings: Findings = field(default_factory=Findings)
    remember: bool = False
    """Whether `state()` should be written down soon."""


class Equaliser:
    """Equalising of one battery system; `now` is in monotonic seconds, `wall` in seconds of the wall clock."""

    def __init__(
        self,
        config: EqualisingConfig,
        block: BlockConfig,
        layout: Layout,
        saved: Mapping[str, object] | None = None,
        *,
        now: float = 0.0,
        wall: float | None = None,
    ) -> None:
        """Go on with what was remembered, if it is of the same strings; a pause went on while the bridge was away."""
        span = range_of(config, block)
        self._enabled = config.enabled and span is not None
        self._patience = config.give_up_after * _DAY
        self._layout = layout
        limit, count = limit_of(block.capacity), cells(block)
        self._strings = [
            Workings(members, Regulator(len(members), count, limit), span)
            for members in map(layout.members, range(1, layout.strings + 1))
        ]
        self._due = [-math.inf] * layout.strings
        self._echo = Echo(layout.blocks)
        self._notices = Notices()
        self._equalised: set[Place] = set()
        self._paused_until: float | None = None
        self._begun = False
        self._remember = False
        self._remembered = now
        self._restore(saved or {}, now, wall)

    def pause(self, seconds: float, now: float) -> None:
        """Rest for so long from now on; a pause that is under way ends with this one (manual M:7106)."""
        self._paused_until = now + max(0.0, min(seconds, LONGEST_PAUSE))
        self._remember = True

    def resume(self, now: float) -> None:
        """End a pause, and try again where it was given up or where modules did not follow (manual M:7783)."""
        if self._paused_until is not None:
            self._paused_until = now
        for workings in self._strings:
            workings.effect.restart()
        self._echo.restart()
        self._remember = True

    def remaining(self, now: float) -> float:
        """Return the seconds for which equalising is still paused; 0 if it is not."""
        return 0.0 if self._paused_until is None else max(0.0, self._paused_until - now)

    def why(self, string: int) -> Why:
        """Return what the equalising of a string does, or what keeps it from working."""
        return self._strings[string - 1].why

    def end(self) -> dict[int, int]:
        """Return the duties that end all drawing; the next decision begins anew.

        For when nobody will decide any more, or deciding has failed: a link has modules go on until it is told otherwise.
        """
        told = self._echo.told
        ended = {number: 0 for number, duty in enumerate(told) if duty}
        for number in ended:
            told[number] = 0
        for workings in self._strings:
            workings.why = Why.OFF
            workings.regulator.rest()
            self._note(workings)
        return ended

    def state(self, now: float, wall: float) -> dict[str, object]:
        """Return what should survive a restart, as JSON has it."""
        return {"wall": wall, "pause": self.remaining(now), "strings": dump(self._strings)}

    def _restore(self, saved: Mapping[str, object], now: float, wall: float | None) -> None:
        remaining, then = number_of(saved.get("pause")), number_of(saved.get("wall"))
        if remaining:
            # A clock that has gone back since does not make the pause longer.
            away = 0.0 if wall is None or then is None else max(0.0, wall - then)
            if remaining > away:
                self._paused_until = now + min(remaining - away, LONGEST_PAUSE)
        if self._enabled:
            load(self._strings, saved.get("strings"))

    def decide(
        self,
        board: Board,
        stopped: AbstractSet[int],
        now: float,
        *,
        excused: AbstractSet[int] = frozenset(),
        reachable: bool = True,
    ) -> Decision:
        """Decide about all strings; once a second is enough, and at once when an alarm is raised.

        `stopped`: numbers of the strings with an alarm. `excused`: numbers of the modules that say that they are too hot
        to draw what they were told. `reachable`: whether the bus takes orders; not while modules are being programmed.
        """
        decision = Decision(remember=self._remember)
        self._remember = False
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until, decision.remember = None, True
        if not self._begun:
            self._begin(decision)
        lost = True in board.lost
        self._listen(board, now, excused, lost=lost, reachable=reachable)
        for number, workings in enumerate(self._strings, 1):
            start, end = workings.members.start, workings.members.stop
            voltages = board.voltage[start:end]
            if lost:
                gone = board.lost[start:end]
                voltages = [None if away else volts for volts, away in zip(voltages, gone, strict=True)]
            obstacle = workings.look(voltages, now)
            if number in stopped:
                obstacle = Why.ALARM
            if not reachable:
                obstacle = Why.UNREACHABLE
            self._drive(number, self._why(workings, obstacle, board.phase, now), board.phase, now, decision)
            if None in voltages:
                # At once, and not with the next set: nobody knows what such a block is doing.
                self._tell(decision, {start + index: 0 for index, volts in enumerate(voltages) if volts is None})
        self._say(decision.findings, now)
        decision.remember |= now - self._remembered >= REMEMBER
        if decision.remember:
            self._remembered = now
        return decision

    def _begin(self, decision: Decision) -> None:
        """Let every module draw nothing, and say of everything that it is not so: what is so is said afterwards."""
        self._begun = True
        blocks = range(1, self._layout.blocks + 1)
        self._tell(decision, dict.fromkeys(blocks, 0))
        places = [*map(block_place, blocks), *map(string_place, range(1, self._layout.strings + 1)), SYSTEM]
        for key in KEYS:
            self._notices.deny(decision.findings, key, places)
        self._notices.deny(decision.findings, "equalizing_paused", [SYSTEM])

    def _listen(self, board: Board, now: float, excused: AbstractSet[int], *, lost: bool, reachable: bool) -> None:
        """Compare what modules say that they draw with what they were told."""
        if not self._enabled:
            return
        if board.phase is Phase.DISCHARGING or not reachable:
            # Nothing is read then, or hardly anything but voltages (manual M:5511), so what modules said is old.
            self._echo.pass_over()
            return
        duties = board.duty
        if lost:
            duties = [None if away else duty for duty, away in zip(duties, board.lost, strict=True)]
        temperature = board.temperature

        def hot(number: int) -> bool:
            celsius = temperature[number]
            return number in excused or (celsius is not None and celsius >= HOT)

        self._echo.look(duties, hot, now)

    def _why(self, workings: Workings, obstacle: Why | None, phase: Phase, now: float) -> Why:
        """Return what keeps a string from being equalised: the first that holds."""
        if not self._enabled:
            return Why.OFF
        if self.remaining(now) > 0.0:
            return Why.PAUSED
        if self._echo.stopped:
            return Why.ERROR
        if phase not in ON_CHARGE:
            return Why.NOT_ON_CHARGE
        if obstacle is not None:
            return obstacle
        return Why.GIVEN_UP if workings.effect.culprits else Why.WORKING

    def _drive(self, number: int, why: Why, phase: Phase, now: float, decision: Decision) -> None:
        """Give a string's blocks their duties, or none."""
        workings = self._strings[number - 1]
        before, workings.why = workings.why, why
        due = now >= self._due[number - 1]
        if why is Why.WORKING and (due or before is not Why.WORKING):
            duties = workings.regulate(now, self._patience, floating=phase is Phase.FLOATING)
            self._tell(decision, dict(zip(workings.members, duties, strict=True)))
            self._note(workings)
            decision.remember |= bool(workings.effect.culprits)
        elif before is Why.WORKING and why is not Why.WORKING:
            workings.regulator.rest()
            self._tell(decision, dict.fromkeys(workings.members, 0))
            self._note(workings)
        elif due and why is Why.GIVEN_UP:
            decision.remember |= workings.watch(now)
        elif due and phase in ON_CHARGE:
            workings.observe(now)
        target = workings.target if phase in ON_CHARGE else None
        where = string_place(number)
        if due or target is None or self._notices.unknown(where, "string.voltage.target"):
            rounded = None if target is None else round(target, 3)
            self._notices.value(decision.findings, where, "string.voltage.target", rounded)
        if due:
            # Strings take turns, so that not all are worked out in one and the same second.
            turn = PERIOD * (number - 1) / len(self._strings)
            self._due[number - 1] = (math.floor((now - turn) / PERIOD) + 1) * PERIOD + turn

    def _tell(self, decision: Decision, duties: Mapping[int, int]) -> None:
        """Tell modules what they have not been told yet; nobody is told anything while equalising is not enabled."""
        if not self._enabled:
            return
        told = self._echo.told
        for number, duty in duties.items():
            if told[number] != duty:
                told[number] = decision.duties[number] = duty

    def _note(self, workings: Workings) -> None:
        """Note which blocks are being equalised."""
        for number, share in zip(workings.members, workings.regulator.share, strict=True):
            if share >= BEGUN:
                self._equalised.add(block_place(number))
            elif share < ENDED:
                self._equalised.discard(block_place(number))

    def _say(self, findings: Findings, now: float) -> None:
        """Tell of blocks, of their strings, and of the system that has them."""
        strings = enumerate(self._strings, 1)
        equalising = self._equalised | {string_place(n) for n, each in strings if each.why is Why.WORKING}
        given_up: set[Place] = set()
        for number, workings in enumerate(self._strings, 1):
            if workings.effect.culprits:
                start = workings.members.start
                given_up |= {string_place(number), *(block_place(start + i) for i in workings.effect.culprits)}
        error: set[Place] = set()
        for number in self._echo.disobedient:
            error |= {block_place(number), string_place(self._layout.string_of(number))}
        for key, places in zip(KEYS, (equalising, error, given_up), strict=True):
            self._notices.so(findings, key, places | {SYSTEM} if places else places)
        remaining = self.remaining(now)
        self._notices.so(findings, "equalizing_paused", {SYSTEM} if remaining > 0.0 else set())
        # A countdown in whole minutes is one change a minute.
        self._notices.value(findings, SYSTEM, "equalizing.pause.remaining", math.ceil(remaining / 60.0) * 60)


__all__ = ["Decision", "Equaliser"]

"""What the batteries do: float, discharge, charge or rest, as the UPS, the current sensors or the modules show it.

They are believed in that order (manual M:5522–5554, M:5637–5660):

- The UPS is the fastest. It is only asked while its values are good.
- Current sensors see the direction of the current (M:5695–5712). A system discharges when a string does and current
  flows out on the whole: strings that only charge one another are no discharge.
- The modules see a voltage below nominal. That is slow, and a block falls below nominal at rest as well. So most blocks
  of a string must be below it for a minute and go on falling; a voltage that stands still is that of batteries at rest.

A UPS that says one thing while the sensors measure the other for some seconds is put to the vote of the modules: a
voltage that has fallen means discharge, one that has not means none. Without their vote the sensors are believed,
since they measure where the current flows. This is done for the source `auto` only; who names a source is taken at
their word, and only the less trusted ones stand in for it. When nothing can be known the last phase stands, without
`battery.charger.status`: a discharge has not ended because nobody watches it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ridethrough.config.battery import BatteryConfig

from .board import Board, Findings, Phase
from .changes import Changes
from .flow import Currents, Flow, Voltages
from .layout import SYSTEM, Layout, string
from .saved import JSON, flag, number, text

COUNTED: Final = 30.0
"""Seconds from which on a discharge is confirmed and counted (M:6383): longer than a quick battery test, and than it
takes to find out that the UPS is wrong."""
DOUBT: Final = 10.0
"""Seconds for which UPS and sensors must contradict one another before the modules are asked."""
STOPPED: Final = 60.0
"""Seconds for which `discharging_stopped` is shown at least."""


class Source(StrEnum):
    """Who has been believed."""

    UPS = "ups"
    CURRENT = "current"
    MODULES = "modules"
    NONE = "none"
    """Nobody knows."""


class Edge(StrEnum):
    """What has just happened to the system."""

    DISCHARGE_BEGAN = "discharge_began"
    DISCHARGE_COUNTED = "discharge_counted"
    DISCHARGE_ENDED = "discharge_ended"
    CHARGE_BEGAN = "charge_began"
    CHARGE_ENDED = "charge_ended"


@dataclass(frozen=True, slots=True)
class UpsView:
    """Conditions of the UPS as far as they are good: None where they are stale, lost or never told."""

    on_battery: bool | None = None
    discharging: bool | None = None
    """Some tell it apart from `on_battery`, as in a battery test."""
    charging: bool | None = None
    testing: bool | None = None
    """Whether a battery test runs, in which the batteries carry the load or a part of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the batteries do."""

    phase: Phase
    source: Source
    strings: tuple[Phase, ...]
    """Of each string, the first one's first."""
    edges: tuple[Edge, ...] = ()
    voltage_only: bool = False
    """Whether the scan should read voltages as fast as it can (M:5511)."""
    doubt: str | None = None
    """A sentence for the log when a source has just begun to contradict another."""
    findings: Findings = field(default_factory=Findings)


# Seconds for which a phase must be seen before it is believed: by who sees it.
INTO: Mapping[Source, float] = {Source.UPS: 0.0, Source.CURRENT: 2.0, Source.MODULES: 60.0, Source.NONE: 0.0}
OUT_OF: Mapping[Source, float] = {Source.UPS: 2.0, Source.CURRENT: 5.0, Source.MODULES: 30.0, Source.NONE: 0.0}
OTHERS: Mapping[Phase, float] = {Phase.CHARGING: 5.0, Phase.FLOATING: 60.0, Phase.RESTING: 60.0}
"""Between phases other than a discharge: a charging current that comes and goes is one charge."""
ORDER: Mapping[str, tuple[Source, ...]] = {
    "auto": (Source.UPS, Source.CURRENT, Source.MODULES),
    "ups": (Source.UPS, Source.CURRENT, Source.MODULES),
    "current": (Source.CURRENT, Source.MODULES),
    "modules": (Source.MODULES,),
}


class Discharge:
    """Follows the phase of one battery system."""

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
        self._changes = Changes()
        self._currents = Currents(config, layout)
        self._modules = Voltages(config, layout)
        phase = text(saved, "phase")
        self._phase = _Settled(next((known for known in Phase if known.value == phase), Phase.FLOATING))
        self._strings = [_Settled(self._phase.phase) for _ in range(layout.strings)]
        self._count = max(0, int(number(saved, "discharges") or 0))
        self._counted = flag(saved, "counted")
        self._ago = number(saved, "ended")
        if self._ago is not None:
            self._ago = max(0.0, self._ago) + max(0.0, away or 0.0)
        self._lasted = max(0.0, number(saved, "lasted") or 0.0)
        self._began: float | None = None
        self._ended: float | None = None
        self._stopped = False
        self._contradicted: float | None = None
        self._told = False
        self._now: float | None = None

    @property
    def discharges(self) -> int:
        """How many discharges have been confirmed since the counter was reset (M:6383)."""
        return self._count

    @property
    def ended(self) -> float | None:
        """Monotonic time at which the last discharge ended; None while there is one or if there was none.

        Low voltages raise nothing for a while after it (M:6539).
        """
        return self._ended

    def see(self, board: Board, ups: UpsView | None, now: float) -> Verdict:
        """Look at everything; sets `board.phase`. `ups` is None if none is configured. At most some times a second."""
        self._resume(now)
        flow = self._currents.see(board)
        self._modules.see(board, now, discharging=self._phase.phase is Phase.DISCHARGING)
        said = _said(ups)
        source, discharges, doubt = self._judge(said, flow, now)
        before = self._phase.phase
        if discharges is not None:
            wanted = Phase.DISCHARGING if discharges else self._at_rest(flow, None if ups is None else ups.charging)
            self._phase.see(wanted, source, now)
        phase = board.phase = self._phase.phase
        self._modules.remember(quiet=phase is not Phase.DISCHARGING and self._contradicted is None)
        edges = [*_edges(before, phase), *self._clock(before, phase, now)]
        self._each(board, now)
        strings = tuple(settled.phase for settled in self._strings)
        self._say(phase, source, strings)
        return Verdict(
            phase,
            source,
            strings,
            tuple(edges),
            self._config.discharge.optimised_scan and phase is Phase.DISCHARGING,
            doubt,
            self._changes.take(),
        )

    def reset(self) -> Findings:
        """Set the counter to 0; a discharge that is going on counts when it has been long enough (M:6383)."""
        self._count = 0
        self._changes.point(SYSTEM, "battery.discharges", 0)
        return self._changes.take()

    def state(self) -> dict[str, JSON]:
        """Return what must survive a restart; worth saving at each edge and once a minute after a discharge."""
        state: dict[str, JSON] = {
            "phase": self._phase.phase.value,
            "discharges": self._count,
            "counted": self._counted,
            "lasted": self._lasted,
        }
        if self._now is not None:
            if self._began is not None:
                state["lasted"] = self._now - self._began
            # Afterwards nobody asks for it any more, and what does not change need not be written.
            if self._ended is not None and self._now - self._ended <= self._config.limits.alarm_delay:
                state["ended"] = round(self._now - self._ended, 1)
        elif self._ago is not None:
            state["ended"] = self._ago
        return state

    # Time

    def _resume(self, now: float) -> None:
        """Go on from what was saved, at the first look."""
        if self._now is None:
            if self._ago is not None:
                self._ended = now - self._ago
            if self._phase.phase is Phase.DISCHARGING:
                self._began = now - self._lasted
        self._now = now

    def _clock(self, before: Phase, phase: Phase, now: float) -> Iterable[Edge]:
        """Keep the times of discharges and count those that have lasted."""
        discharging = phase is Phase.DISCHARGING
        if discharging and self._began is None:
            self._began, self._ended, self._stopped = self._phase.since, None, False
            self._counted, self._lasted = False, 0.0
        if self._began is not None and not self._counted:
            until = now if discharging else self._phase.since
            if until - self._began >= COUNTED:
                self._counted = True
                self._count += 1
                yield Edge.DISCHARGE_COUNTED
        if before is Phase.DISCHARGING and not discharging:
            self._began, self._ended, self._stopped = None, now, True
            self._lasted = 0.0
        if self._stopped and (self._ended is None or (now - self._ended >= STOPPED and phase is not Phase.RESTING)):
            self._stopped = False

    # Who is believed

    def _judge(self, said: Flow | None, flow: Flow | None, now: float) -> tuple[Source, bool | None, str | None]:
        order = ORDER[self._config.discharge.source]
        views = {Source.UPS: said, Source.CURRENT: flow, Source.MODULES: self._modules.flow}
        source = next((source for source in order if views[source] is not None), Source.NONE)
        view = views.get(source)
        doubt = None
        # A small current while the UPS is on battery is a small load and contradicts nothing.
        opposed = (said is Flow.OUT and flow is Flow.IN) or (said in (Flow.STILL, Flow.IN) and flow is Flow.OUT)
        if self._config.discharge.source == "auto" and opposed:
            if self._contradicted is None:
                self._contradicted = now
            if now - self._contradicted >= DOUBT:
                fallen = self._modules.fallen
                out = flow is Flow.OUT if fallen is None else fallen
                source = Source.UPS if out is (said is Flow.OUT) else Source.CURRENT
                view = Flow.OUT if out else Flow.STILL
                if not self._told:
                    self._told = True
                    doubt = _contradiction(said, source, fallen)
        else:
            self._contradicted, self._told = None, False
        return source, None if view is None else view is Flow.OUT, doubt

    def _at_rest(self, flow: Flow | None, said: bool | None) -> Phase:
        """Tell charging, floating and resting apart: by the current, else by the UPS, then by the voltage.

        Where neither of the first two tells of charging, a voltage below that of float that rises is charged, and goes
        on being charged for as long as it rises.
        """
        charging = said if flow is None else flow is Flow.IN
        if charging is None:
            begun = self._modules.resting or self._phase.phase is Phase.CHARGING
            charging = begun and self._modules.rises
        if charging:
            return Phase.CHARGING
        return Phase.RESTING if self._modules.resting else Phase.FLOATING

    def _each(self, board: Board, now: float) -> None:
        """Follow each string by its own current where it has a sensor, else by the system."""
        for index, settled in enumerate(self._strings):
            flow = self._currents.strings[index]
            small = flow is Flow.STILL and board.phase is Phase.DISCHARGING
            if flow is None or self._config.sensors.count != "each" or (small and self._currents.whole is not Flow.OUT):
                settled.follow(self._phase)
            elif flow is Flow.OUT:
                settled.see(Phase.DISCHARGING, Source.CURRENT, now)
            elif small:
                # Nothing flows though the others discharge: it neither carries the load nor is it charged.
                settled.see(Phase.RESTING, Source.CURRENT, now)
            else:
                settled.see(self._at_rest(flow, None), Source.CURRENT, now)

    # What is said

    def _say(self, phase: Phase, source: Source, strings: tuple[Phase, ...]) -> None:
        self._changes.point(SYSTEM, "battery.discharges", self._count)
        self._changes.condition(SYSTEM, "discharging_stopped", self._stopped)
        for place, what in ((SYSTEM, phase), *((string(index), what) for index, what in enumerate(strings, 1))):
            self._changes.point(place, "battery.charger.status", None if source is Source.NONE else what.value)
            if source is not Source.NONE:
                self._changes.condition(place, "discharging", what is Phase.DISCHARGING)
                self._changes.condition(place, "charging", what is Phase.CHARGING)
                self._changes.condition(place, "float_charging", what is Phase.FLOATING)


class _Settled:
    """A phase that is believed when it has been seen for some time."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.since = 0.0
        """When it was first seen, which is before it was believed."""
        self._wanted = phase
        self._from = 0.0

    def see(self, wanted: Phase, source: Source, now: float) -> None:
        if wanted is self.phase:
            self._wanted = wanted
            return
        # The end of a discharge does not wait for what comes after it to settle.
        ending = self.phase is Phase.DISCHARGING and self._wanted is not Phase.DISCHARGING
        if wanted is not self._wanted and not ending:
            self._from = now
        self._wanted = wanted
        if wanted is Phase.DISCHARGING:
            hold = INTO[source]
        elif self.phase is Phase.DISCHARGING:
            hold = OUT_OF[source]
        else:
            hold = OTHERS[wanted]
        if now - self._from >= hold:
            self.phase, self.since = wanted, self._from

    def follow(self, other: _Settled) -> None:
        self.phase = self._wanted = other.phase
        self.since = self._from = other.since


def _said(ups: UpsView | None) -> Flow | None:
    """Tell what the UPS says of its battery; None if nothing that is good."""
    if ups is None:
        return None
    if ups.on_battery or ups.discharging or ups.testing:
        return Flow.OUT
    if ups.on_battery is None and ups.discharging is None:
        return None
    return Flow.IN if ups.charging else Flow.STILL


def _edges(before: Phase, phase: Phase) -> Iterable[Edge]:
    if before is phase:
        return
    if phase is Phase.DISCHARGING:
        yield Edge.DISCHARGE_BEGAN
    if before is Phase.CHARGING:
        yield Edge.CHARGE_ENDED
    if before is Phase.DISCHARGING:
        yield Edge.DISCHARGE_ENDED
    if phase is Phase.CHARGING:
        yield Edge.CHARGE_BEGAN


def _contradiction(said: Flow | None, source: Source, fallen: bool | None) -> str:
    ups, sensors = (
        ("on battery", "a charging current")
        if said is Flow.OUT
        else ("not on battery", "a current out of the batteries")
    )
    why = {
        None: "",
        True: ", since the voltage of the blocks has fallen",
        False: ", since the voltage of the blocks has not fallen",
    }[fallen]
    believed = "The UPS is believed" if source is Source.UPS else "The sensors are believed"
    return f"The UPS says that it is {ups}, but the sensors measure {sensors}. {believed}{why}."


__all__ = ["COUNTED", "Discharge", "Edge", "Source", "UpsView", "Verdict"]

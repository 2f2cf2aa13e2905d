"""All that decides about one battery system, asked one after the other; what protects comes first.

Each of them is asked by itself: that one fails must keep none of the others from being asked.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
import logging

from ridethrough.config.battery import BatteryConfig

from .alarm import Alarm, Outputs, stopped
from .attempts import Attempts
from .board import Board, Findings, Phase
from .breakers import Breakers
from .bus import Bus, Pace
from .charge import Charge
from .discharge import Discharge, Edge, UpsView, Verdict
from .equaliser import Equaliser
from .impedance import ImpedanceMeasurements
from .intake import Intake
from .isolation import Isolation
from .judge import Judge
from .layout import SYSTEM, Layout, Place
from .memory import Notebook, State
from .runaway import Runaway
from .saved import number as number_of

_LOGGER = logging.getLogger(__name__)

SECOND = 1.0
"""Seconds between two passes over all blocks of what need not be quicker."""
LINES = 5
"""In the log at once: what happens to all blocks together is no news of each."""
MINUTE = 60.0
"""Seconds after which what only goes on is noted again."""


class Cores:
    """What decides about one battery system whose equipment does not judge itself."""

    def __init__(
        self,
        config: BatteryConfig,
        layout: Layout,
        board: Board,
        intake: Intake,
        notebook: Notebook,
        bus: Bus | None,
        *,
        zone: tzinfo,
        now: float,
        utc: datetime,
        raised: list[tuple[Place, str]],
        say: Callable[[Findings], None],
        tell: Callable[[Findings], None],
    ) -> None:
        """Go on from what `notebook` has and what was `raised`.

        `say` posts what the others may go by, `tell` what only the judge has found.
        """
        self._config = config
        self._layout = layout
        self._board = board
        self._intake = intake
        self._notebook = notebook
        self._bus = bus
        self._say = say
        self._tell = tell
        self._name = config.key
        self._attempt = Attempts(config.key)
        self._pace = Pace.NORMAL
        self._noted = now
        self._counted: float | None = None
        self._well = True
        """Whether those who protect and judge have done so."""
        self._phases = (Phase.FLOATING,) * layout.strings
        self._switched: dict[tuple[int, int], bool] = {}
        wall = utc.timestamp()
        self.discharge = notebook.open("discharge", lambda kept, away: Discharge(config, layout, kept, away))
        self.charge = notebook.open("charge", lambda kept, away: Charge(config, layout, kept, away))
        self.runaway = notebook.open("runaway", lambda kept, _: Runaway(config, layout, kept))
        self.breakers = notebook.open("breakers", lambda kept, _: Breakers(config, layout, kept))
        opened = {place.number for place, key in raised if place.kind == "battery_string" and key == "breaker_open"}
        self.isolation = Isolation(config, layout, opened - self.breakers.opened)
        self.judge = notebook.open("judge", lambda kept, away: Judge(config, layout, raised, _since(kept, away)))
        self.alarm = Alarm()
        self.equaliser = notebook.open(
            "equaliser",
            lambda kept, _: Equaliser(config.equalising, config.block, layout, kept, now=now, wall=wall),
        )
        self.impedance = notebook.open(
            "impedance", lambda kept, _: ImpedanceMeasurements(config.impedance, layout, zone, kept, now=now)
        )
        say(self.impedance.show(board))
        if bus is not None:
            self._begin_outputs(bus)
        for warning in self.breakers.warnings:
            _LOGGER.warning("%s: %s", self._name, warning)

    def _begin_outputs(self, bus: Bus) -> None:
        """Energise free outputs that are normally closed, as after every start (manual M:6286).

        The alarm relay drops out when nobody is there to keep it from that, as it does without power (M:6364).
        """
        if self._config.relay is not None:
            bus.fall_back(*self._config.relay, energised=False)
        reserved = {*self._config.breakers, self._config.buzzer, self._config.relay}
        for number, one in enumerate(self._config.boxes, 1):
            for output, contact in one.outputs.items():
                if contact.normally_closed and (number, output) not in reserved:
                    bus.switch(number, output, energised=True)

    def see(self, now: float, utc: datetime) -> None:
        """Look at everything once; several times a second while something changes."""
        watched = self._attempt("the watch over thermal runaways", lambda: self._protect(now))
        self._attempt("the detection of discharges", lambda: self._follow(now))
        self._attempt("the counting of charges", lambda: self._count(now))
        judged = self._attempt("the judge", lambda: self._judge(now))
        self._admit(well=watched and judged)
        self._attempt("the general alarm", lambda: self._sound(now))
        # Without a judge nobody would know of the alarms that must stop it (manual M:6945).
        if not judged or not self._attempt("equalising", lambda: self._equalise(now, utc)):
            self._attempt("the end of equalising", self.rest)
        self._attempt("the measurement of impedances", lambda: self._measure(now, utc))
        if judged:
            # What nobody could judge is judged as soon as somebody can.
            self._board.changed.clear()
        if now - self._noted >= MINUTE:
            self._noted = now
            self.note(now, utc)

    def rest(self) -> None:
        """Let no module draw power any longer: nobody decides about it for now."""
        if self._bus is not None and (duties := self.equaliser.end()):
            self._bus.equalise(duties)

    def note(self, now: float, utc: datetime, *, everything: bool = False) -> None:
        """Note what a restart must not forget; what only goes on, while it does."""
        if everything:
            self._notebook.put("equaliser", self.equaliser.state(now, utc.timestamp()))
        if everything or self._board.phase is Phase.DISCHARGING:
            self._notebook.put("discharge", self.discharge.state())
        self._notebook.put("judge", self.judge.state())
        self._notebook.put("charge", self.charge.state())

    def keep(self, part: str, state: State) -> None:
        """Have it written down at once: a person has asked for it."""
        self._notebook.put(part, state, at_once=True)

    # One after the other

    def _protect(self, now: float) -> None:
        boxes = self._intake.boxes()
        found = self.runaway.see(self._board, now)
        self._log(found.said)
        self._say(found.findings)
        if found.findings.conditions:
            self._notebook.put("runaway", self.runaway.state(), at_once=True)
        if self._bus is None:
            return
        handling = self.breakers.see(found.running, boxes, now, self._withheld(), alarmed=found.alarmed)
        for order in handling.orders:
            self._bus.switch(order.box, order.output, energised=order.energised)
        if handling.urgent:
            self._notebook.put("breakers", self.breakers.state(), at_once=True)
        self._log(handling.said)
        self._say(handling.findings)
        self._say(self.isolation.see(self._board, boxes, handling.open, now))

    def _withheld(self) -> str | None:
        programming = any("programming" in keys for keys in self._intake.others.values())
        return "the programmer has the bus" if programming else None

    def _follow(self, now: float) -> None:
        verdict: Verdict = self.discharge.see(self._board, self._ups(), now)
        if verdict.doubt is not None:
            _LOGGER.warning("%s: %s", self._name, verdict.doubt)
        self._phases = verdict.strings
        self._say(verdict.findings)
        if verdict.edges:
            counted = Edge.DISCHARGE_COUNTED in verdict.edges
            self._notebook.put("discharge", self.discharge.state(), at_once=counted)
        pace = Pace.VOLTAGE if verdict.voltage_only else Pace.NORMAL
        if pace is not self._pace and self._bus is not None:
            self._bus.pace(pace)
        self._pace = pace

    def _count(self, now: float) -> None:
        if self._counted is None or now - self._counted >= SECOND:
            self._counted = now
            self._say(self.charge.see(self._board, self._phases, now))

    def _ups(self) -> UpsView | None:
        if self._config.ups is None:
            return None
        ups = self._intake.ups
        return UpsView(ups("on_battery"), ups("discharging"), ups("charging"), ups("test_in_progress"))

    def _judge(self, now: float) -> None:
        self._tell(self.judge(self._board, now, self._intake.others, discharges=self.discharge.discharges))

    def _admit(self, *, well: bool) -> None:
        """Say that nobody watches as long as that is so: it must not look as if nothing were wrong."""
        if well is not self._well:
            self._well = well
            held = self.judge.active.get(SYSTEM, frozenset())
            keys = ("system_failure", "general_alarm")
            self._tell(Findings(conditions={(*SYSTEM, key): not well or key in held for key in keys}))

    def _sound(self, now: float) -> None:
        held = self.judge.active if self._well else {**self.judge.active, SYSTEM: frozenset({"system_failure"})}
        outputs: Outputs = self.alarm.update(held, now)
        for place, active in ((self._config.buzzer, outputs.buzzer), (self._config.relay, outputs.relay)):
            if place is not None and self._bus is not None and self._switched.get(place) is not active:
                self._switched[place] = active
                # The relay is energised as long as all is well, so that it drops out without power, too (M:6364).
                inverted = place == self._config.buzzer and self.normally_closed(*place)
                self._bus.switch(*place, energised=active is not inverted)

    def normally_closed(self, box: int, output: int) -> bool:
        """Whether an output is to be energised while it is off."""
        contact = self._config.boxes[box - 1].outputs.get(output)
        return contact is not None and contact.normally_closed

    def _equalise(self, now: float, utc: datetime) -> None:
        if self._bus is None:
            return
        alarmed, reachable = stopped(self.judge.active, self._layout), self._withheld() is None
        decision = self.equaliser.decide(self._board, alarmed, now, reachable=reachable)
        if decision.duties:
            self._bus.equalise(decision.duties)
        self._say(decision.findings)
        if decision.remember:
            self._notebook.put("equaliser", self.equaliser.state(now, utc.timestamp()))

    def _measure(self, now: float, utc: datetime) -> None:
        if self._bus is None:
            return
        measurement = self.impedance.decide(self._board, now, utc, reachable=self._withheld() is None)
        if measurement.blocks:
            self._bus.measure(measurement.blocks)

    # How it is done

    def _log(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences[:LINES]:
            _LOGGER.warning("%s: %s", self._name, sentence)
        if len(sentences) > LINES:
            _LOGGER.warning("%s: … and %d more of this kind", self._name, len(sentences) - LINES)


def _since(kept: State, away: float | None) -> dict[str, float] | None:
    """Let the alarm delay have gone on while the bridge was away."""
    left = number_of(kept, "alarm_delay")
    return None if left is None else {"alarm_delay": max(0.0, left - (away or 0.0))}


__all__ = ["Cores"]

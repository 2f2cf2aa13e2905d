"""A simulation: a UPS that lives in (accelerated) time, its face on a line, and a scenario that happens to it."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
import logging
from math import isfinite

import voluptuous as vol

from ridethrough.clock import Clock, SystemClock

from .change import Change, changed_faults, changed_line, parse_change
from .contacts import Contacts
from .dynamics import runtime_left
from .exchange import Exchanges
from .face import Face, Place
from .line import SOUND
from .megatec import megatec
from .modbus import ModbusPeer
from .scenario import STEADY, Moment, Scenario, scenarios
from .snmp import SnmpPeer
from .speed import checked_speed
from .unit import Unit
from .ups import UpsDesign, battery_low, gauges, has_fault, is_alive, is_sounding, mains_supply, press_power

_LOGGER = logging.getLogger(__name__)

type Json = str | float | bool | list[Json] | dict[str, Json] | None

DEVICES: Mapping[str, Face] = {
    "megatec": megatec("Q1"),
    "megatec-old": megatec("D"),
    "snmp": SnmpPeer,
    "modbus": ModbusPeer,
    "contacts": Contacts,
}
"""What a simulated UPS can be asked in."""
_TICK = 0.05
"""Seconds between two looks at the scenario; whoever asks the UPS sees it up to date in any case."""


class Simulation:
    """Everything of one simulated UPS. Its time begins with it."""

    def __init__(
        self,
        design: UpsDesign,
        scenario: Scenario = STEADY,
        *,
        device: str = "megatec",
        place: Place | None = None,
        speed: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        """`device` is a key of `DEVICES`, `place` says where it appears, `speed` simulated seconds per second."""
        self.unit = Unit(design)
        self.peer = DEVICES[device](self.unit, self.catch_up, place or Place())
        self._clock = clock or SystemClock()
        self._looked = self._clock.monotonic()
        self._speed = checked_speed(speed)
        self.paused = False
        self.scenario = self._first = scenario
        self._time = 0.0
        self._moments: Iterator[Moment] = iter(())
        self._next: Moment | None = None
        self.play(scenario)

    @property
    def speed(self) -> float:
        """Simulated seconds per second."""
        return self._speed

    @speed.setter
    def speed(self, factor: float) -> None:
        self.catch_up()
        self._speed = checked_speed(factor)

    @property
    def where(self) -> str | None:
        """Where clients reach it; None while they cannot."""
        return self.peer.where

    @property
    def exchanges(self) -> Exchanges:
        """What went over the line."""
        return self.peer.exchanges

    def open(self) -> None:
        """Let the UPS be reached (`run` does it, too). Raises OSError when a name or an address is taken."""
        self.peer.open()

    def close(self) -> None:
        """Take it away (`run` does it when it ends)."""
        self.peer.close()

    async def run(self) -> None:
        """Answer and play the scenario until cancelled; nothing of it is left then."""
        self.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.peer.run())
                tasks.create_task(self._play())
        finally:
            self.close()

    def play(self, scenario: Scenario) -> None:
        """Begin a scenario with a fresh UPS on a sound line."""
        self._looked = self._clock.monotonic()
        self.scenario, self._time = scenario, 0.0
        self.unit.reset()
        self.peer.faults = SOUND
        self._change(replace(scenario.initial, plugged=scenario.initial.plugged is not False))
        self._moments = scenario.moments()
        self._next = next(self._moments, None)

    def pause(self, *, paused: bool) -> None:
        """Stop the UPS's time, or let it go on; it answers all the while."""
        self.catch_up()
        self.paused = paused

    def catch_up(self) -> None:
        """Let the time pass that has gone by since someone last looked, with what was to happen in it."""
        now = self._clock.monotonic()
        passed = 0.0 if self.paused else (now - self._looked) * self._speed
        self._looked = now
        end = self._time + passed
        while self._next is not None and self._next.at <= end:
            self.unit.advance(max(0.0, self._next.at - self._time))
            self._time = self._next.at
            try:
                self._change(self._next.change)
            except OSError as error:
                _LOGGER.warning("The line stays unplugged, %g s into %s: %s", self._time, self.scenario.name, error)
            self._next = next(self._moments, None)
        self.unit.advance(max(0.0, end - self._time))
        self._time = end

    def apply(self, change: Change) -> None:
        """Change something now."""
        self.catch_up()
        self._change(change)
        self.peer.look()

    def order(self, data: object) -> None:
        """Change what came as JSON. Raises vol.Invalid, and OSError when the name of the line is taken."""
        self.apply(parse_change(data))

    def choose(self, name: str) -> None:
        """Play a scenario of the package, or the one it began with. Raises vol.Invalid when there is none."""
        known = scenarios() | {self._first.name: self._first}
        if name not in known:
            raise vol.Invalid(f"there is no scenario {name!r}; there are {', '.join(known)}", path=["name"])
        self.play(known[name])

    def state(self) -> dict[str, Json]:
        """Tell the truth about the UPS, for `GET /state`; durations in seconds of the simulation."""
        self.catch_up()
        design, state, inputs = self.unit.design, self.unit.state, self.unit.inputs
        return {
            "time": self._time,
            "speed": self._speed,
            "paused": self.paused,
            "scenario": self.scenario.name,
            "design": design.model,
            "topology": str(design.topology),
            "mains": {
                "voltage": inputs.mains_voltage,
                "frequency": inputs.mains_frequency,
                "good": mains_supply(design, inputs) is not None,
            },
            "load": inputs.load,
            "supply": str(state.supply),
            "on_battery": state.on_battery,
            "output_on": state.output_on,
            "off_reason": None if state.off_reason is None else str(state.off_reason),
            "alive": is_alive(design, state, inputs),
            "charge": state.charge,
            "battery_low": battery_low(design, state, inputs),
            "runtime_left": runtime_left(design, state, inputs),
            "temperature": state.temperature,
            "ambient": inputs.ambient,
            "overload": state.output_on and inputs.load > 1.0,
            "fault": has_fault(design, state, inputs),
            "test": None if state.test is None else str(state.test),
            "test_left": state.test_left if isfinite(state.test_left) else None,
            "test_outcome": str(state.outcome),
            "shutdown_in": state.shutdown_in,
            "restore_in": state.restore_in,
            "beeper": state.beeper,
            "sounding": is_sounding(design, state, inputs),
            "gauges": asdict(gauges(design, state, inputs)),
            "faults": {
                "charger": inputs.faults.charger,
                "fan": inputs.faults.fan,
                "capacity": inputs.faults.wear.capacity,
                "resistance": inputs.faults.wear.resistance,
                "stuck": dict(inputs.faults.stuck),
            },
            "line": {**asdict(self.peer.faults), "plugged": self.peer.plugged},
            "path": self.peer.where,
            "exchanges": self.peer.exchanges.count,
            "ignored": self.peer.ignored,
            "lost_bytes": self.peer.lost_bytes,
        }

    async def _play(self) -> None:
        while True:
            await self._clock.sleep(_TICK)
            self.catch_up()
            self.peer.look()

    def _change(self, change: Change) -> None:
        unit = self.unit
        inputs, state, design = unit.inputs, unit.state, unit.design
        volts = inputs.mains_voltage
        if change.mains is not None:
            volts = design.voltage * change.mains if isinstance(change.mains, bool) else change.mains
        unit.inputs = replace(
            inputs,
            mains_voltage=volts,
            mains_frequency=_given(change.frequency, inputs.mains_frequency),
            load=_given(change.load, inputs.load),
            ambient=_given(change.ambient, inputs.ambient),
            faults=changed_faults(inputs.faults, change),
        )
        state = replace(
            state,
            temperature=_given(change.temperature, state.temperature),
            charge=_given(change.charge, state.charge),
            beeper=state.beeper if change.beeper is None else change.beeper,
        )
        if change.power is not None:
            state = press_power(design, state, unit.inputs, on=change.power)
        unit.state = state
        unit.advance(0.0)
        self.peer.faults = changed_line(self.peer.faults, change)
        if change.plugged is not None:
            self.peer.set_plugged(change.plugged)


def _given(wanted: float | None, present: float) -> float:
    return present if wanted is None else wanted

"""The Megatec face of a UPS: what it answers to each request. Facts from the protocol's paper, version 2.7 (1996).

    > Q1       < (231.0 231.0 230.0 030 50.0 27.3 28.1 00001001     voltages, load %, Hz, battery, °C, status bits
    > F        < #230.0 004 24.00 50.0                              rated voltage, current, battery voltage, frequency
    > I        < #Ridethrough     LI-1000    SIM1.0                 maker (15), model (10), version (10)

What is not understood comes back as it was sent. Orders are carried out without an answer.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
import re

from .dynamics import step
from .face import Face, Place
from .peer import SerialPeer
from .unit import Unit
from .ups import (
    BatteryTest,
    OffReason,
    Supply,
    Topology,
    UpsState,
    battery_low,
    cancel_shutdown,
    gauges,
    has_fault,
    is_alive,
    mains_supply,
    shut_down,
    start_test,
    stop_test,
)

_SHORTEST_HOLD_OFF = 10.0
"""Seconds for which an output that was shut down stays off at least."""


class Megatec:
    """Answers for one unit. `status` names the request for the status: Q1, or D on older ones."""

    def __init__(self, unit: Unit, status: str = "Q1") -> None:
        """Serve `unit`."""
        self._unit = unit
        self._rows: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
            (re.compile(re.escape(status)), lambda _: self._status()),
            (re.compile("F"), lambda _: self._ratings()),
            (re.compile("I"), lambda _: self._identity()),
            (re.compile("T"), lambda _: self._do(start_test(unit.state, BatteryTest.QUICK))),
            (re.compile("TL"), lambda _: self._do(start_test(unit.state, BatteryTest.DEEP))),
            (re.compile(r"T(?!00)(\d\d)"), self._timed_test),
            (re.compile("CT"), lambda _: self._do(stop_test(unit.state))),
            (re.compile("Q"), lambda _: self._do(replace(unit.state, beeper=not unit.state.beeper))),
            (re.compile(r"S(\.[2-9]|\d\d)(?:R(\d{4}))?"), self._shutdown),
            (re.compile("C"), lambda _: self._do(cancel_shutdown(unit.design, unit.state))),
        )

    def answer(self, request: bytes) -> bytes:
        """Answer a request, end included; b"" when there is no answer."""
        unit = self._unit
        if not is_alive(unit.design, unit.state, unit.inputs):
            return b""
        text = request.decode("latin-1")
        for pattern, act in self._rows:
            if (match := pattern.fullmatch(text)) is not None:
                answer = act(match)
                return f"{answer}\r".encode("latin-1") if answer else b""
        return request + b"\r"

    def _do(self, state: UpsState) -> str:
        self._unit.state = step(self._unit.design, state, self._unit.inputs, 0.0)
        return ""

    def _status(self) -> str:
        """Answer Q1. The input fault voltage holds the voltage of a glitch until it has been read once."""
        unit = self._unit
        seen = gauges(unit.design, unit.state, unit.inputs)
        glitch = seen.input_voltage if unit.state.glitch is None else unit.state.glitch
        unit.state = replace(unit.state, glitch=None)
        volts = [f"{_within(value, 0.0, 999.9):05.1f}" for value in (seen.input_voltage, glitch, seen.output_voltage)]
        # Online units give volts per cell.
        online = unit.design.topology is Topology.ONLINE
        battery = (
            f"{seen.battery_voltage / unit.design.battery.cells:.2f}" if online else f"{seen.battery_voltage:04.1f}"
        )
        return (
            f"({' '.join(volts)} {_within(seen.load * 100.0, 0.0, 999.0):03.0f} {_within(seen.frequency, 0.0, 99.9):04.1f} "
            f"{battery} {_within(seen.temperature, -9.9, 99.9):04.1f} {_bits(self._status_bits())}"
        )

    def _status_bits(self) -> Iterable[bool]:
        """From bit 7 to bit 0."""
        unit = self._unit
        design, state, inputs = unit.design, unit.state, unit.inputs
        yield mains_supply(design, inputs) is None
        yield battery_low(design, state, inputs)
        yield state.supply in (Supply.BOOST, Supply.TRIM, Supply.BYPASS)
        yield has_fault(design, state, inputs)
        yield design.topology is not Topology.ONLINE
        yield state.test is not None
        yield state.shutdown_in is not None or state.off_reason is OffReason.SHUTDOWN
        yield state.beeper

    def _ratings(self) -> str:
        design = self._unit.design
        volts = design.battery.nominal_voltage
        battery = f"{volts:05.2f}" if volts < 100.0 else f"{volts:05.1f}"
        return f"#{design.voltage:05.1f} {design.rating / design.voltage:03.0f} {battery} {design.frequency:04.1f}"

    def _identity(self) -> str:
        design = self._unit.design
        return f"#{design.manufacturer:<15.15} {design.model:<10.10} {design.firmware:<10.10}"

    def _timed_test(self, match: re.Match[str]) -> str:
        return self._do(start_test(self._unit.state, BatteryTest.TIMED, 60.0 * int(match[1])))

    def _shutdown(self, match: re.Match[str]) -> str:
        """S<n> comes back as soon as it may; S<n>R<m> after m minutes; R0000: not by itself."""
        restore: float | None = _SHORTEST_HOLD_OFF
        if match[2] is not None:
            restore = max(_SHORTEST_HOLD_OFF, 60.0 * int(match[2])) if int(match[2]) else None
        return self._do(shut_down(self._unit.state, 60.0 * float(match[1]), restore))


def megatec(status: str) -> Face:
    """Make the face that is asked for its status by this request."""

    def make(unit: Unit, catch_up: Callable[[], None], place: Place) -> SerialPeer:
        face = Megatec(unit, status)

        def answer(request: bytes) -> bytes:
            catch_up()
            return face.answer(request)

        return SerialPeer(answer, link=place.port, baud=place.baud)

    return make


def _within(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))


def _bits(values: Iterable[bool]) -> str:
    return "".join("1" if value else "0" for value in values)

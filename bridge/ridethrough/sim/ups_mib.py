"""The UPS-MIB (RFC 1628) of a simulated UPS: what each object shows, and what a SET does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from . import battery
from .dynamics import runtime_left, step
from .snmp_message import Oid, Tag, Value
from .unit import Unit
from .ups import (
    BatteryTest,
    OffReason,
    Outcome,
    Supply,
    Topology,
    UpsState,
    battery_low,
    battery_power,
    cancel_shutdown,
    gauges,
    has_fault,
    is_charging,
    mains_supply,
    shut_down,
    start_test,
    stop_test,
)

UPS: Oid = (1, 3, 6, 1, 2, 1, 33)
_OBJECTS = (*UPS, 1)
_ALARMS = (*_OBJECTS, 6, 3)
_TESTS = (*_OBJECTS, 7, 7)
_NO_TEST, _ABORT, _GENERAL, _QUICK, _DEEP = ((*_TESTS, number) for number in range(1, 6))
_STARTS = {_GENERAL: BatteryTest.QUICK, _QUICK: BatteryTest.QUICK, _DEEP: BatteryTest.DEEP}
_SOURCES = {
    Supply.OFF: 2,
    Supply.MAINS: 3,
    Supply.BYPASS: 4,
    Supply.BATTERY: 5,
    Supply.BOOST: 6,
    Supply.TRIM: 7,
}
"""upsOutputSource."""
_SUMMARIES = {Outcome.PASSED: 1, Outcome.FAILED: 3, Outcome.ABORTED: 4, Outcome.NONE: 6}
"""upsTestResultsSummary; 5 while one runs."""
_LONGEST = 2147483648
_HOLD_OFF = 10.0
"""Seconds for which an output that was shut down stays off at least."""


class Refusal(IntEnum):
    """Why a SET is not carried out: error-status of v2c (RFC 3416 §4.2.5)."""

    WRONG_TYPE = 7
    WRONG_VALUE = 10
    INCONSISTENT = 12
    NOT_WRITABLE = 17


class RefusedError(Exception):
    """A SET is refused."""

    def __init__(self, reason: Refusal) -> None:
        """Refuse for this reason."""
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Settings:
    """What the card keeps for itself."""

    name: bytes = b"ridethrough-sim"
    attached: bytes = b""
    test: Oid = _NO_TEST
    lock: int = 0
    shutdown_type: int = 1
    auto_restart: int = 1
    low_minutes: int = 2


@dataclass(slots=True)
class UpsMib:
    """The card in the UPS. It notices what happens when `look` is called."""

    unit: Unit
    settings: Settings = Settings()
    alarms: dict[int, tuple[Oid, float]] = field(default_factory=dict)
    """By upsAlarmId: upsAlarmDescr, and the UPS's second at which it came."""
    bad_lines: int = 0
    _last_alarm: int = 0
    _battery_since: float | None = None
    _test_since: float = 0.0
    _mains_good: bool = True
    _testing: bool = False

    def look(self) -> None:
        """Notice transfers, bad mains and alarms that came or went since the last look."""
        unit, now = self.unit, self.unit.state.elapsed
        if not unit.state.on_battery:
            self._battery_since = None
        elif self._battery_since is None or self._battery_since > now:
            self._battery_since = now
        good = mains_supply(unit.design, unit.inputs) is not None
        self.bad_lines += self._mains_good and not good
        self._mains_good = good
        testing = unit.state.test is not None
        if testing and not self._testing:
            self._test_since = now
        self._testing = testing
        present = alarms(unit)
        self.alarms = {number: alarm for number, alarm in self.alarms.items() if alarm[0] in present}
        known = {name for name, _ in self.alarms.values()}
        for name in present:
            if name not in known:
                self._last_alarm += 1
                self.alarms[self._last_alarm] = name, now

    def objects(self) -> dict[Oid, Value]:
        """Show everything, in the order of the names."""
        self.look()
        unit, settings = self.unit, self.settings
        design, state, inputs = unit.design, unit.state, unit.inputs
        seen = gauges(design, state, inputs)
        volt_amperes = seen.load * design.rating
        minutes = runtime_left(design, state, inputs) / 60.0
        rows: dict[tuple[int, ...], Value] = {
            (1, 1, 0): _text(design.manufacturer),
            (1, 2, 0): _text(design.model),
            (1, 3, 0): _text(design.firmware),
            (1, 4, 0): _text("simulated card"),
            (1, 5, 0): Value(Tag.OCTETS, settings.name),
            (1, 6, 0): Value(Tag.OCTETS, settings.attached),
            (2, 1, 0): _number(3 if battery_low(design, state, inputs) else 2),
            (2, 2, 0): _number(0 if self._battery_since is None else state.elapsed - self._battery_since),
            (2, 3, 0): _number(minutes),
            (2, 4, 0): _number(state.charge * 100),
            (2, 5, 0): _number(seen.battery_voltage * 10),
            (2, 6, 0): _number(_battery_current(unit) * 10),
            (2, 7, 0): _number(seen.temperature),
            (3, 1, 0): Value(Tag.COUNTER, self.bad_lines),
            (3, 2, 0): _number(1),
            (3, 3, 1, 2, 1): _number(seen.frequency * 10),
            (3, 3, 1, 3, 1): _number(seen.input_voltage),
            (4, 1, 0): _number(_SOURCES[state.supply]),
            (4, 2, 0): _number(design.frequency * 10 if state.output_on else 0),
            (4, 3, 0): _number(1),
            (4, 4, 1, 2, 1): _number(seen.output_voltage),
            (4, 4, 1, 3, 1): _number(volt_amperes / seen.output_voltage * 10 if seen.output_voltage else 0),
            (4, 4, 1, 4, 1): _number(seen.load * design.real_power),
            (4, 4, 1, 5, 1): _number(seen.load * 100),
            **self._bypass(),
            **self._alarm_table(),
            **self._tests(),
            (8, 1, 0): _number(settings.shutdown_type),
            (8, 2, 0): _number(-1 if state.shutdown_in is None else state.shutdown_in),
            (8, 3, 0): _number(-1 if state.restore_in is None else state.restore_in),
            (8, 4, 0): _number(-1),
            (8, 5, 0): _number(settings.auto_restart),
            (9, 1, 0): _number(design.voltage),
            (9, 2, 0): _number(design.frequency * 10),
            (9, 3, 0): _number(design.voltage),
            (9, 4, 0): _number(design.frequency * 10),
            (9, 5, 0): _number(design.rating),
            (9, 6, 0): _number(design.real_power),
            (9, 7, 0): _number(settings.low_minutes),
            (9, 8, 0): _number(2 if state.beeper else 1),
            (9, 9, 0): _number(design.transfer_low),
            (9, 10, 0): _number(design.transfer_high),
        }
        return {(*_OBJECTS, *name): value for name, value in rows.items()}

    def set(self, variables: tuple[tuple[Oid, Value], ...]) -> None:
        """Carry out all of these or none. Raises RefusedError, with the place (from 1) of the one that is refused."""
        state, settings = self.unit.state, self.settings
        for index, (name, value) in enumerate(variables, 1):
            try:
                state, settings = self._set(name, value, state, settings)
            except RefusedError as error:
                error.args = (index,)
                raise
        self.settings = settings
        self.unit.state = step(self.unit.design, state, self.unit.inputs, 0.0)
        self.look()

    def _bypass(self) -> Mapping[Oid, Value]:
        unit = self.unit
        if unit.design.topology is not Topology.ONLINE:
            return {(5, 1, 0): _number(0), (5, 2, 0): _number(0)}
        seen = gauges(unit.design, unit.state, unit.inputs)
        return {
            (5, 1, 0): _number(seen.frequency * 10),
            (5, 2, 0): _number(1),
            (5, 3, 1, 2, 1): _number(seen.input_voltage),
        }

    def _alarm_table(self) -> Mapping[Oid, Value]:
        rows: dict[Oid, Value] = {(6, 1, 0): Value(Tag.GAUGE, len(self.alarms))}
        rows |= {(6, 2, 1, 2, number): Value(Tag.OID, name) for number, (name, _) in self.alarms.items()}
        return rows | {
            (6, 2, 1, 3, number): Value(Tag.TICKS, round(since * 100)) for number, (_, since) in self.alarms.items()
        }

    def _tests(self) -> Mapping[Oid, Value]:
        state = self.unit.state
        running = state.test is not None
        return {
            (7, 1, 0): Value(Tag.OID, self.settings.test),
            (7, 2, 0): _number(self.settings.lock),
            (7, 3, 0): _number(5 if running else _SUMMARIES[state.outcome]),
            (7, 4, 0): _text("" if running else str(state.outcome)),
            (7, 5, 0): Value(Tag.TICKS, round(self._test_since * 100)),
            (7, 6, 0): _number(state.elapsed - self._test_since if running else 0),
        }

    def _set(self, name: Oid, value: Value, state: UpsState, settings: Settings) -> tuple[UpsState, Settings]:
        """Give what state and settings become."""
        row = _WRITABLE.get(name[len(_OBJECTS) :]) if name[: len(_OBJECTS)] == _OBJECTS else None
        if row is None:
            raise RefusedError(Refusal.NOT_WRITABLE)
        tag, possible, act = row
        if value.tag is not tag:
            raise RefusedError(Refusal.WRONG_TYPE)
        if not possible(value.content):
            raise RefusedError(Refusal.WRONG_VALUE)
        return act(self.unit, value.content, state, settings)


def alarms(unit: Unit) -> list[Oid]:
    """List the well-known alarms that are present (RFC 1628, upsWellKnownAlarms)."""
    design, state, inputs = unit.design, unit.state, unit.inputs
    present = {
        1: state.outcome is Outcome.FAILED,
        2: state.on_battery,
        3: battery_low(design, state, inputs),
        5: state.temperature >= design.overtemperature,
        6: mains_supply(design, inputs) is None,
        8: state.output_on and inputs.load > 1.0,
        9: state.supply is Supply.BYPASS,
        11: state.off_reason is OffReason.SHUTDOWN,
        13: inputs.faults.charger,
        14: not state.output_on,
        16: inputs.faults.fan,
        18: has_fault(design, state, inputs),
        19: state.outcome is Outcome.FAILED,
        22: state.shutdown_in is not None,
        24: state.test is not None,
    }
    return [(*_ALARMS, number) for number, holds in present.items() if holds]


# What a SET does: each gives the state of the UPS and the settings after it.

type _After = tuple[UpsState, Settings]
type _Content = int | bytes | Oid | None


def _shutdown(unit: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    assert isinstance(content, int)
    if content < 0:
        return cancel_shutdown(unit.design, state), settings
    return shut_down(state, float(content), _HOLD_OFF if settings.auto_restart == 1 else None), settings


def _startup(_: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    assert isinstance(content, int)
    if state.output_on:
        return state, settings
    due = None if content < 0 else float(content)
    return replace(state, off_reason=OffReason.SHUTDOWN, restore_in=due), settings


def _reboot(unit: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    assert isinstance(content, int)
    if content < 0:
        return cancel_shutdown(unit.design, state), settings
    return shut_down(state, 0.0, max(_HOLD_OFF, float(content))), settings


def _test(_: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    assert isinstance(content, tuple)
    if content == _ABORT:
        return stop_test(state), replace(settings, test=content)
    if content == _NO_TEST:
        return state, settings
    started = start_test(state, _STARTS[content])
    if started is state:
        raise RefusedError(Refusal.INCONSISTENT)
    return started, replace(settings, test=content)


def _lock(_: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    """TestAndIncr: only who knows the present value may change it (RFC 2579)."""
    if content != settings.lock:
        raise RefusedError(Refusal.INCONSISTENT)
    return state, replace(settings, lock=(settings.lock + 1) % _LONGEST)


def _beeper(_: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
    return replace(state, beeper=content == 2), settings


def _keep(setting: str) -> Callable[[Unit, _Content, UpsState, Settings], _After]:
    def act(_: Unit, content: _Content, state: UpsState, settings: Settings) -> _After:
        return state, replace(settings, **{setting: content})  # type: ignore[arg-type] # its type has been checked

    return act


def _from(low: int, high: int) -> Callable[[_Content], bool]:
    return lambda content: isinstance(content, int) and low <= content <= high


def _short(content: _Content) -> bool:
    return isinstance(content, bytes) and len(content) <= 63


_WRITABLE: Mapping[
    Oid, tuple[Tag, Callable[[_Content], bool], Callable[[Unit, _Content, UpsState, Settings], _After]]
] = {
    (1, 5, 0): (Tag.OCTETS, _short, _keep("name")),
    (1, 6, 0): (Tag.OCTETS, _short, _keep("attached")),
    (7, 1, 0): (Tag.OID, (_NO_TEST, _ABORT, *_STARTS).__contains__, _test),
    (7, 2, 0): (Tag.INTEGER, _from(0, _LONGEST - 1), _lock),
    (8, 1, 0): (Tag.INTEGER, _from(1, 2), _keep("shutdown_type")),
    (8, 2, 0): (Tag.INTEGER, _from(-1, _LONGEST), _shutdown),
    (8, 3, 0): (Tag.INTEGER, _from(-1, _LONGEST), _startup),
    (8, 4, 0): (Tag.INTEGER, _from(-1, 300), _reboot),
    (8, 5, 0): (Tag.INTEGER, _from(1, 2), _keep("auto_restart")),
    (9, 7, 0): (Tag.INTEGER, _from(0, 999), _keep("low_minutes")),
    (9, 8, 0): (Tag.INTEGER, _from(1, 3), _beeper),
}
"""Objects that can be SET: type, what is possible, and what it does."""


def _battery_current(unit: Unit) -> float:
    """Ampere into the battery, negative out of it."""
    design, state, inputs = unit.design, unit.state, unit.inputs
    if state.on_battery:
        drawn = battery.draw(design.battery, state.charge, battery_power(design, inputs), inputs.faults.wear)
        return 0.0 if drawn is None else -drawn.current
    if is_charging(design, inputs) and state.charge < 1.0:
        return battery.charging_current(design.battery, state.charge)
    return 0.0


def _number(value: float) -> Value:
    return Value(Tag.INTEGER, round(value))


def _text(text: str) -> Value:
    return Value(Tag.OCTETS, text.encode())

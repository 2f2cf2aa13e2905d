"""A physical UPS: what it is built like, what happens around it, what state it is in, what its gauges show."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from math import inf

from . import battery
from .battery import BatteryDesign, Wear


class Topology(StrEnum):
    """How a UPS is built."""

    ONLINE = "online"
    """Double conversion, with a bypass."""
    LINE_INTERACTIVE = "line_interactive"
    """Mains passes through; taps of a transformer boost or trim it."""
    STANDBY = "standby"
    """Mains passes through."""


class Supply(StrEnum):
    """What feeds the output."""

    MAINS = "mains"
    BOOST = "boost"
    TRIM = "trim"
    BATTERY = "battery"
    BYPASS = "bypass"
    OFF = "off"


class OffReason(StrEnum):
    """Why the output is off."""

    SHUTDOWN = "shutdown"
    CUTOFF = "cutoff"
    """The battery was empty."""
    OVERLOAD = "overload"
    SWITCH = "switch"
    """Someone pressed the power button."""


class BatteryTest(StrEnum):
    """A running test."""

    QUICK = "quick"
    """Ten seconds."""
    TIMED = "timed"
    DEEP = "deep"
    """Until the battery is low."""


class Outcome(StrEnum):
    """How the last test ended."""

    NONE = "none"
    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class UpsDesign:
    """What a UPS is built like. Times in seconds, voltages in volts."""

    manufacturer: str
    model: str
    firmware: str
    topology: Topology
    rating: float
    """VA."""
    real_power: float
    """W; a load of 1 draws this much."""
    battery: BatteryDesign
    voltage: float = 230.0
    """Nominal, input and output."""
    frequency: float = 50.0
    frequency_tolerance: float = 0.08
    transfer_low: float = 172.0
    transfer_high: float = 280.0
    boost_below: float = 207.0
    """Line-interactive only."""
    trim_above: float = 253.0
    """Line-interactive only."""
    low_charge: float = 0.2
    """Battery low at this charge (0–1) …"""
    low_cell: float = 1.78
    """… or, while it feeds the load, at this voltage per cell."""
    cutoff_cell: float = 1.75
    efficiency: float = 0.85
    """Of the inverter."""
    own_consumption: float = 10.0
    """W from the battery on top of the load."""
    transfer_back: float = 2.0
    """Mains must have been good for so long before the load returns to it."""
    restart_delay: float = 10.0
    """The same before an output that was off is switched on."""
    overload_limits: tuple[tuple[float, float], ...] = ((1.1, 120.0), (1.25, 60.0), (1.5, 10.0), (inf, 1.0))
    """Up to this load, so many seconds are tolerated."""
    test_resistance: float = 2.0
    """A test fails when the resistance has grown to this multiple of a new battery's."""
    overtemperature: float = 55.0
    """°C from which the UPS reports a fault."""
    heat_load: float = 6.0
    """K above the surroundings at full load."""
    heat_battery: float = 9.0
    """K more while the battery feeds a full load."""
    heat_lag: float = 600.0
    """Time constant of the temperature."""

    def overload_time(self, load: float) -> float:
        """Seconds for which a cold UPS tolerates this load; infinite up to 1."""
        if load <= 1.0:
            return inf
        return next(seconds for limit, seconds in self.overload_limits if load <= limit)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is broken."""

    charger: bool = False
    fan: bool = False
    wear: Wear = battery.NEW
    stuck: tuple[tuple[str, float], ...] = ()
    """Gauges that show the same for ever: name (a field of `Gauges`) and value."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What happens around the UPS."""

    mains_voltage: float = 230.0
    """0 when there is none."""
    mains_frequency: float = 50.0
    load: float = 0.3
    """Share of the real power that is demanded; above 1 is an overload."""
    ambient: float = 25.0
    """°C."""
    faults: Faults = Faults()


@dataclass(frozen=True, slots=True)
class UpsState:
    """Everything that the next moment depends on."""

    charge: float = 1.0
    temperature: float = 25.0
    supply: Supply = Supply.MAINS
    off_reason: OffReason | None = None
    beeper: bool = True
    """Whether it would sound."""
    test: BatteryTest | None = None
    test_left: float = 0.0
    """Seconds; infinite in a deep test."""
    outcome: Outcome = Outcome.NONE
    shutdown_in: float | None = None
    """Seconds until the output goes off as ordered."""
    restore_after: float | None = None
    """Seconds that it is to stay off then; None: until it is switched on."""
    restore_in: float | None = None
    """What is left of them."""
    mains_good_for: float = 3600.0
    stress: float = 0.0
    """Overload suffered: at 1 the UPS gives up."""
    relieved_for: float = 0.0
    """Seconds without an overload."""
    glitch: float | None = None
    """Mains voltage that caused the last transfer to battery, until someone has read it."""
    elapsed: float = 0.0
    energy_out: float = 0.0
    """J taken from the battery's terminals since the start."""
    energy_in: float = 0.0
    """J put into them."""
    energy_served: float = 0.0
    """J that the load has received from the battery."""

    @property
    def on_battery(self) -> bool:
        """Whether the battery feeds the load, test or not."""
        return self.supply is Supply.BATTERY

    @property
    def output_on(self) -> bool:
        """Whether the load has power."""
        return self.supply is not Supply.OFF


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the UPS's own instruments show."""

    input_voltage: float
    output_voltage: float
    frequency: float
    """Of the input, Hz."""
    load: float
    battery_voltage: float
    temperature: float


GAUGES = tuple(field.name for field in fields(Gauges))


def mains_supply(design: UpsDesign, inputs: Inputs) -> Supply | None:
    """How mains would feed the load, or None when it is not good enough."""
    low = design.frequency * (1.0 - design.frequency_tolerance)
    high = design.frequency * (1.0 + design.frequency_tolerance)
    if not low <= inputs.mains_frequency <= high:
        return None
    if not design.transfer_low <= inputs.mains_voltage <= design.transfer_high:
        return None
    if design.topology is Topology.LINE_INTERACTIVE:
        if inputs.mains_voltage < design.boost_below:
            return Supply.BOOST
        if inputs.mains_voltage > design.trim_above:
            return Supply.TRIM
    return Supply.MAINS


def battery_power(design: UpsDesign, inputs: Inputs) -> float:
    """Watts that the battery must give to feed the present load."""
    return inputs.load * design.real_power / design.efficiency + design.own_consumption


def battery_voltage(design: UpsDesign, state: UpsState, inputs: Inputs) -> float:
    """Terminal voltage, V; 0 when the load is more than the battery can give."""
    if state.on_battery:
        drawn = battery.draw(design.battery, state.charge, battery_power(design, inputs), inputs.faults.wear)
        return 0.0 if drawn is None else drawn.voltage
    if is_charging(design, inputs):
        return battery.charging_voltage(design.battery, state.charge, state.temperature)
    return battery.open_voltage(design.battery, state.charge)


def is_charging(design: UpsDesign, inputs: Inputs) -> bool:
    """Whether the charger works, provided the battery does not feed the load."""
    return not inputs.faults.charger and mains_supply(design, inputs) is not None


def is_alive(design: UpsDesign, state: UpsState, inputs: Inputs) -> bool:
    """Whether its electronics have power, so that it can answer at all."""
    return state.output_on or inputs.mains_voltage > 0.5 * design.voltage


def low_charge(design: UpsDesign, inputs: Inputs) -> float:
    """Charge at which the battery is low while it feeds the present load: by its charge or by its voltage."""
    voltage = design.low_cell * design.battery.cells
    by_voltage = battery.charge_at(design.battery, battery_power(design, inputs), voltage, inputs.faults.wear)
    return max(design.low_charge, by_voltage)


def empty_charge(design: UpsDesign, inputs: Inputs) -> float:
    """Charge at which it is cut off under the present load; above 1 when it cannot feed that load at all."""
    voltage = design.cutoff_cell * design.battery.cells
    by_voltage = battery.charge_at(design.battery, battery_power(design, inputs), voltage, inputs.faults.wear)
    return max(0.0, by_voltage)


def battery_low(design: UpsDesign, state: UpsState, inputs: Inputs) -> bool:
    """Whether the battery is low; while it rests, by its charge alone."""
    return state.charge <= (low_charge(design, inputs) if state.on_battery else design.low_charge)


def has_fault(design: UpsDesign, state: UpsState, inputs: Inputs) -> bool:
    """Whether the UPS reports itself as failed: charger, fan, heat, overload or a failed test."""
    return (
        inputs.faults.charger
        or inputs.faults.fan
        or state.temperature >= design.overtemperature
        or state.outcome is Outcome.FAILED
        or state.off_reason is OffReason.OVERLOAD
    )


def is_sounding(design: UpsDesign, state: UpsState, inputs: Inputs) -> bool:
    """Whether the beeper can be heard: on battery (but not in a test), overloaded or failed, unless it is muted."""
    overloaded = state.output_on and inputs.load > 1.0
    outage = state.on_battery and state.test is None
    reason = outage or overloaded or has_fault(design, state, inputs)
    return state.beeper and is_alive(design, state, inputs) and reason


def output_voltage(design: UpsDesign, state: UpsState, inputs: Inputs) -> float:
    """Voltage at the output, V."""
    match state.supply:
        case Supply.OFF:
            return 0.0
        case Supply.BATTERY:
            return design.voltage
        case Supply.BOOST:
            return inputs.mains_voltage * 1.15
        case Supply.TRIM:
            return inputs.mains_voltage * 0.87
        case Supply.MAINS if design.topology is Topology.ONLINE:
            return design.voltage
        case _:
            return inputs.mains_voltage


def gauges(design: UpsDesign, state: UpsState, inputs: Inputs) -> Gauges:
    """Read the instruments, stuck ones included."""
    true = Gauges(
        input_voltage=inputs.mains_voltage,
        output_voltage=output_voltage(design, state, inputs),
        frequency=inputs.mains_frequency if inputs.mains_voltage > 0.0 else 0.0,
        load=inputs.load if state.output_on else 0.0,
        battery_voltage=battery_voltage(design, state, inputs),
        temperature=state.temperature,
    )
    return replace(true, **dict(inputs.faults.stuck))


# What can be asked of it. Each returns the state after the request; a refused one changes nothing.


def start_test(state: UpsState, test: BatteryTest, seconds: float = 10.0) -> UpsState:
    """Begin a battery test; refused unless mains feeds the load and no test runs."""
    if state.supply not in (Supply.MAINS, Supply.BOOST, Supply.TRIM) or state.test is not None:
        return state
    left = inf if test is BatteryTest.DEEP else seconds
    return replace(state, supply=Supply.BATTERY, test=test, test_left=left)


def stop_test(state: UpsState) -> UpsState:
    """End a test early."""
    if state.test is None:
        return state
    return replace(state, test=None, test_left=0.0, outcome=Outcome.ABORTED)


def shut_down(state: UpsState, delay: float, restore: float | None) -> UpsState:
    """Order the output off after `delay` seconds, and on again `restore` seconds later; None: not by itself."""
    if not state.output_on:
        return state
    return replace(state, shutdown_in=delay, restore_after=restore)


def cancel_shutdown(design: UpsDesign, state: UpsState) -> UpsState:
    """Take a shutdown back; an output that is already off comes on after the shortest hold-off."""
    if state.off_reason is OffReason.SHUTDOWN:
        return replace(state, restore_in=min(design.restart_delay, state.restore_in or design.restart_delay))
    return replace(state, shutdown_in=None, restore_after=None)


def press_power(design: UpsDesign, state: UpsState, inputs: Inputs, *, on: bool) -> UpsState:
    """Press the button on the front."""
    if on is state.output_on:
        return state
    if not on:
        return replace(
            state, supply=Supply.OFF, off_reason=OffReason.SWITCH, shutdown_in=None, test=None, test_left=0.0
        )
    supply = mains_supply(design, inputs) or Supply.BATTERY
    return replace(state, supply=supply, off_reason=None, restore_in=None, restore_after=None, stress=0.0)

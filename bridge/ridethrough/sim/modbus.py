"""The Modbus face of a UPS: a card that serves its default register map over TCP, for reading only.

mbpoll -m tcp -a 1 -0 -r 97 -c 54 127.0.0.1

Registers from the manual of such a card (M:8229-8313), by hand: 97-150, and 50000-50079 for sensors and contacts, of
which the simulated UPS has none.
"""

from collections.abc import Callable, Mapping, Sequence

from .dynamics import runtime_left
from .face import Place
from .modbus_server import ModbusServer
from .unit import Unit
from .ups import OffReason, Outcome, Supply, battery_low, gauges, has_fault, is_alive, mains_supply

_PRESENT = (range(97, 151), range(50000, 50080))
_OVERLOAD = 1.0


def registers(unit: Unit, power_failures: int) -> Mapping[int, int]:
    """Give the registers that are not zero now. The only phase is the first one."""
    design, state, inputs = unit.design, unit.state, unit.inputs
    seen = gauges(design, state, inputs)
    shutting_down = state.shutdown_in is not None or state.off_reason is OffReason.SHUTDOWN
    low, overload = battery_low(design, state, inputs), state.output_on and inputs.load > _OVERLOAD
    bypass, hot = state.supply is Supply.BYPASS, state.temperature >= design.overtemperature
    fault, testing = has_fault(design, state, inputs), state.test is not None
    status = {
        0x0001: bypass,
        0x0002: shutting_down,
        0x0004: state.output_on,
        0x0008: state.on_battery,
        0x0010: low,
        0x0020: hot,
        0x0040: testing,
        0x0100: overload,
        0x2000: fault,
    }
    alarms = {
        116: state.on_battery,
        117: low,
        119: hot,
        120: mains_supply(design, inputs) is None,
        122: overload,
        123: bypass,
        125: state.off_reason is OffReason.SHUTDOWN,
        127: inputs.faults.charger,
        128: not state.output_on,
        130: inputs.faults.fan,
        132: fault,
        133: state.outcome is Outcome.FAILED,
        136: state.shutdown_in is not None,
        138: testing,
    }
    measured = {
        97: seen.output_voltage,
        100: seen.load * 100.0,
        103: state.charge * 100.0,
        104: seen.input_voltage,
        107: seen.temperature,
        108: min(runtime_left(design, state, inputs) / 60.0, 32767.0),
        110: seen.battery_voltage,
        111: seen.frequency,
        114: power_failures,
    }
    return {
        109: sum(bit for bit, is_set in status.items() if is_set),
        **{address: int(active) for address, active in alarms.items()},
        **{address: round(value) & 0xFFFF for address, value in measured.items()},
    }


class ModbusPeer(ModbusServer):
    """The card of a UPS."""

    def __init__(self, unit: Unit, catch_up: Callable[[], None], place: Place, seed: int = 1) -> None:
        """Answer for `unit` at the place's address, a free port of the loopback if there is none.

        `catch_up` is called before each answer.
        """
        super().__init__(place, seed)
        self._unit = unit
        self._catch_up = catch_up
        self._power_failures = 0
        self._failed = False

    def look(self) -> None:
        """Count the power failures."""
        failed = mains_supply(self._unit.design, self._unit.inputs) is None
        self._power_failures += failed and not self._failed
        self._failed = failed

    def prepare(self) -> bool:
        """Let time pass; a UPS without power says nothing."""
        self._catch_up()
        self.look()
        return is_alive(self._unit.design, self._unit.state, self._unit.inputs)

    def registers(self, span: range) -> Sequence[int] | None:
        """Give the registers as they are now."""
        if not any(span[0] in present and span[-1] in present for present in _PRESENT):
            return None
        now = registers(self._unit, self._power_failures)
        return [now.get(register, 0) for register in span]

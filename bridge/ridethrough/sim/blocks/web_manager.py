"""A maker's web manager for batteries: its registers (manual M:11154–11559) filled from the physics, served over TCP.

Addresses are computed here from the manual's text, not read from the bridge's own map, so that the two can disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ridethrough.sim.face import Place
from ridethrough.sim.modbus_server import ModbusServer

from .installation import CONTACTS, Installation
from .plant import Plant

UNSUPPORTED, ABSENT = -1, -9999
"""Either means that a register is not supported (M:11444): of this module or string at all, or for a value it lacks."""
_SYSTEM, _FIRST_TEN, _MODULES, _STRINGS, _MODULES_ABOVE = 1000, 1010, 1060, 2710, 2740
_INPUTS, _OUTPUTS, _INFORMATION, _CHARGE = 3650, 3666, 4001, 4004
_STRIDE = 5
_LOWER_STRINGS, _LOWER_MODULES = 10, 330
_MOST_STRINGS, _MOST_MODULES, _MOST_BOXES = 16, 512, 4
_PRESENT = (range(1000, 1006), range(1010, 3682), range(4001, 4516))
_LATEST = 1.0
"""Seconds for which values are kept; the modules are not read more often."""

# Address 1000 (M:11460).
_RUNNING, _CONNECTED, _MODULE_LOST, _DISCHARGING, _CHARGING = 0x01, 0x02, 0x04, 0x08, 0x10
_STOPPED, _FLOAT, _EQUALISING = 0x20, 0x40, 0x80
_VOLTAGE_RANGE, _TEMPERATURE_RANGE, _IMPEDANCE_RANGE, _POLLING = 0x200, 0x400, 0x800, 0x8000
# Address 1001 (M:11478).
_GENERAL, _DIFFERENCE, _BREAKER_OPEN, _RUNAWAY, _SENSOR_LOST = 0x01, 0x02, 0x04, 0x08, 0x8000
# Address 1002 and each module's (M:11496, M:11538).
_ALARM, _LOST, _VOLTAGE_HIGH, _VOLTAGE_LOW, _HOT, _COLD, _IMPEDANCE_HIGH, _IMPEDANCE_LOW = (
    1 << bit for bit in range(8)
)
_VOLTAGE_WARN_HIGH, _VOLTAGE_WARN_LOW, _WARM, _COOL, _IMPEDANCE_WARN, _IMPEDANCE_WARN_LOW, _REVISION = (
    1 << bit for bit in range(9, 16)
)
_ALARMS = _LOST | _VOLTAGE_HIGH | _VOLTAGE_LOW | _HOT | _COLD | _IMPEDANCE_HIGH | _IMPEDANCE_LOW | _REVISION
# Address 1005 (M:11542).
_SENSOR_CONNECTION, _BOX_LOST = 0x0400, 0x0800
_CHARGE_LOW, _CHARGE_WARN = 0x1000, 0x2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What somebody has set at the web manager; voltages as shares of the float voltage."""

    voltage: tuple[float, float, float, float] = (0.8, 0.88, 1.06, 1.09)
    """Low alarm, low warning, high warning, high alarm."""
    temperature: tuple[float, float, float, float] = (5.0, 10.0, 32.0, 36.0)
    """°C, as the manual has it (M:6560)."""
    impedance: tuple[float, float] = (0.25, 0.5)
    """Warning and alarm: share by which a block may be above the mean, and below it (M:6440)."""
    difference: float = 0.06
    """Share of the float voltage by which a block may differ from its string."""
    runaway: float = 20.0
    """K by which a block may be warmer than the mean of its string."""
    charge: tuple[float, float] = (0.5, 0.3)
    """Warning and alarm."""


def temperature_code(celsius: float) -> int:
    """Encode half degrees, 128 for 25 °C (ref:1, M:11447)."""
    return min(max(round(2.0 * (celsius - 25.0)) + 128, 0), 255)


def string_address(number: int) -> int:
    """Tell where the registers of a string begin, by its number from 1."""
    if number <= _LOWER_STRINGS:
        return _FIRST_TEN + _STRIDE * (number - 1)
    return _STRINGS + _STRIDE * (number - _LOWER_STRINGS - 1)


def module_address(number: int) -> int:
    """Tell where the registers of a module begin, by its number from 1."""
    if number <= _LOWER_MODULES:
        return _MODULES + _STRIDE * (number - 1)
    return _MODULES_ABOVE + _STRIDE * (number - _LOWER_MODULES - 1)


class WebManager(ModbusServer):
    """The box itself: it reads its modules, judges and equalises by itself, and tells whoever asks."""

    def __init__(
        self,
        installation: Installation,
        catch_up: Callable[[], None],
        place: Place,
        *,
        limits: Limits = Limits(),  # frozen
        serial: int = 14_123,
        firmware: int = 216,
        seed: int = 1,
    ) -> None:
        """Look after `installation`; `catch_up` lets the time pass before an answer."""
        super().__init__(place, seed)
        self._room = installation
        self._catch_up = catch_up
        self._limits = limits
        self._serial, self._firmware = serial, firmware
        self._words: dict[int, int] = {}
        self._read_at = float("-inf")
        self._discharged = False

    def prepare(self) -> bool:
        """Read the modules again when what is known is old."""
        self._catch_up()
        if not self._words or self._room.plant.time - self._read_at >= _LATEST:
            self.scan()
        return True

    def registers(self, span: range) -> Sequence[int] | None:
        """Give registers; those in between that are reserved are 0."""
        if not any(span[0] in present and span[-1] in present for present in _PRESENT):
            return None
        return [self._words.get(register, 0) & 0xFFFF for register in span]

    def scan(self) -> None:
        """Read all modules, judge them, and fill the registers."""
        plant, words = self._room.plant, self._words
        self._read_at = plant.time
        flags = [self._string(number) for number in range(1, plant.strings + 1)]
        for number in range(plant.strings + 1, _MOST_STRINGS + 1):
            words |= dict.fromkeys(_string_registers(number), ABSENT)
        for number in range(plant.blocks + 1, _MOST_MODULES + 1):
            begin = module_address(number)
            words |= {begin: ABSENT, begin + 1: ABSENT, begin + 2: ABSENT, begin + 3: 0, begin + 4: ABSENT}
            words[_CHARGE + number - 1] = UNSUPPORTED
        self._boxes()
        modules = 0
        for each in flags:
            modules |= each
        words[_SYSTEM + 2] = modules
        words[_SYSTEM + 3], words[_SYSTEM + 4] = plant.strings, plant.blocks
        words[_SYSTEM], words[_SYSTEM + 1] = self._state(modules), self._state2(modules)
        words[_SYSTEM + 5] = self._alarms2()
        words[_INFORMATION], words[_INFORMATION + 1], words[_INFORMATION + 2] = self._serial, 0, self._firmware

    def _string(self, number: int) -> int:
        """Fill in a string and its modules; all flags of its modules."""
        plant, words = self._room.plant, self._words
        string, begin = plant.columns[number - 1], string_address(number)
        reading = plant.string(number)
        sensed = number <= self._room.sensors and number not in self._room.lost_sensors | self._room.broken_sensors
        words[begin] = round(reading.current * 100.0) if sensed else UNSUPPORTED
        words[begin + 3] = round(reading.ripple * 100.0) if sensed else UNSUPPORTED
        if number <= _LOWER_STRINGS:
            words[begin + 1] = round(reading.voltage * 10.0)
            words[begin + 2] = round(reading.voltage / len(string) * 1000.0)
        else:
            words[begin + 1] = words[begin + 2] = 0
        mean = reading.voltage / len(string)
        ohms = [string.impedance(index) for index in range(len(string))]
        usual = sorted(ohms)[len(ohms) // 2]
        flags = 0
        for index in range(len(string)):
            block = (number - 1) * len(string) + index + 1
            flags |= self._module(block, string.voltage[index] - mean, ohms[index] / usual - 1.0)
        return flags

    def _module(self, block: int, above: float, impeded: float) -> int:
        """Fill in a module, and set its duty; its flags."""
        plant, module, words = self._room.plant, self._room.module(block), self._words
        string, index = plant.at(block)
        begin = module_address(block)
        if module.lost:
            words |= dict.fromkeys((begin, begin + 1, begin + 2, begin + 4), UNSUPPORTED)
            words[begin + 3] = _ALARM | _LOST
            words[_CHARGE + block - 1] = UNSUPPORTED
            return words[begin + 3]
        flags = self._judge(plant, string.voltage[index], string.temperature[index], impeded)
        first = self._room.modules[0].identity
        if module.identity.hardware != first.hardware or not module.identity.calibrated:
            flags |= _REVISION
        if flags & _ALARMS:
            flags |= _ALARM
        # It takes a little from the blocks that stand above the others, while all are charged.
        duty = 0 if not plant.mains or flags & _ALARMS else min(max(round(above * 100.0), 0), 100)
        module.order_duty(duty, plant.time)
        words[begin] = UNSUPPORTED if module.sensor_broken else temperature_code(string.temperature[index])
        words[begin + 1] = UNSUPPORTED if module.fuse_blown else max(round(string.voltage[index] * 1000.0), 0)
        words[begin + 2] = min(round(string.impedance(index) * 1e5), 32767)
        words[begin + 3] = flags
        words[begin + 4] = duty
        words[_CHARGE + block - 1] = max(round(string.charge[index] * 100.0), 0)
        return flags

    def _judge(self, plant: Plant, volts: float, celsius: float, impeded: float) -> int:
        share = volts / plant.design.float_voltage
        low, lower, higher, high = self._limits.voltage
        cold, cool, warm, hot = self._limits.temperature
        more, most = self._limits.impedance
        tests = (
            (share > high, _VOLTAGE_HIGH),
            (share < low, _VOLTAGE_LOW),
            (higher < share <= high, _VOLTAGE_WARN_HIGH),
            (low <= share < lower, _VOLTAGE_WARN_LOW),
            (celsius > hot, _HOT),
            (celsius < cold, _COLD),
            (warm < celsius <= hot, _WARM),
            (cold <= celsius < cool, _COOL),
            (impeded > most, _IMPEDANCE_HIGH),
            (impeded < -most, _IMPEDANCE_LOW),
            (more < impeded <= most, _IMPEDANCE_WARN),
            (-most <= impeded < -more, _IMPEDANCE_WARN_LOW),
        )
        return sum(bit for true, bit in tests if true)

    def _boxes(self) -> None:
        for number in range(_MOST_BOXES):
            box = self._room.boxes[number] if number < len(self._room.boxes) else None
            for contact in range(CONTACTS):
                place = CONTACTS * number + contact
                there = box is not None and not box.lost
                self._words[_INPUTS + place] = box.inputs >> contact & 1 if box and there else UNSUPPORTED
                self._words[_OUTPUTS + place] = box.outputs >> contact & 1 if box and there else UNSUPPORTED

    def _state(self, modules: int) -> int:
        plant = self._room.plant
        current = sum(string.current for string in plant.columns)
        discharging = current < -0.05 * plant.design.capacity
        charging = current > 0.05 * plant.design.capacity
        stopped = self._discharged and not discharging and not charging and not plant.mains
        self._discharged = discharging or (self._discharged and not plant.mains)
        tests = (
            (True, _RUNNING | _CONNECTED | _POLLING),
            (modules & _LOST, _MODULE_LOST),
            (discharging, _DISCHARGING),
            (charging, _CHARGING),
            (stopped, _STOPPED),
            (plant.mains and not charging and not discharging, _FLOAT),
            (any(module.duty for module in self._room.modules), _EQUALISING),
            (modules & (_VOLTAGE_HIGH | _VOLTAGE_LOW), _VOLTAGE_RANGE),
            (modules & (_HOT | _COLD), _TEMPERATURE_RANGE),
            (modules & (_IMPEDANCE_HIGH | _IMPEDANCE_LOW), _IMPEDANCE_RANGE),
        )
        return sum(bit for true, bit in tests if true)

    def _state2(self, modules: int) -> int:
        plant, limits = self._room.plant, self._limits
        far = limits.difference * plant.design.float_voltage
        different = away = False
        for string in plant.columns:
            mean, warmth = sum(string.voltage) / len(string), sum(string.temperature) / len(string)
            different |= any(abs(volts - mean) > far for volts in string.voltage)
            away |= max(string.temperature) - warmth > limits.runaway
        sensors = bool(self._room.lost_sensors | self._room.broken_sensors)
        tests = (
            (modules & _ALARM or away, _GENERAL),
            (different, _DIFFERENCE),
            (not all(plant.closed), _BREAKER_OPEN),
            (away, _RUNAWAY),
            (sensors, _SENSOR_LOST),
        )
        return sum(bit for true, bit in tests if true)

    def _alarms2(self) -> int:
        warning, alarm = self._limits.charge
        least = min(min(string.charge) for string in self._room.plant.columns)
        tests = (
            (self._room.lost_sensors, _SENSOR_CONNECTION),
            (any(box.lost for box in self._room.boxes), _BOX_LOST),
            (least < alarm, _CHARGE_LOW),
            (alarm <= least < warning, _CHARGE_WARN),
        )
        return sum(bit for true, bit in tests if true)


def _string_registers(number: int) -> range:
    begin = string_address(number)
    return range(begin, begin + 4) if number <= _LOWER_STRINGS else range(begin, begin + 4, 3)

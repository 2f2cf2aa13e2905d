"""What follows from single conditions: those of strings and of the system, the state of each module, and counts.

A string has what any of its blocks has, the system what any string has, as far as the catalogue knows it of them.
What the link says of modules, sensors and boxes is summed up here as well; what other parts of the battery system say
(breakers, thermal runaway, equalising) they say of strings and of the system themselves.
"""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from functools import cache

from ridethrough.battery.alarm import GENERAL, Active, of_severity
from ridethrough.battery.board import Board
from ridethrough.battery.layout import SYSTEM, Layout, Place, block, box, sensor, string
from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.config.battery import BatteryConfig

from . import blocks as of_blocks, strings as of_strings
from .ledger import Ledger
from .quantity import Watch

LOST = "module.lost"
SILENT = "communications_lost"
"""What a link says of a sensor, a box or the whole bus that does not answer."""

FROM_MODULES = (LOST, "module.duplicate", "module.incompatible", "module.fuse_blown")
"""What a link says of modules."""

OUT_OF_RANGE = {
    "module.voltage_out_of_range": ("module.voltage_high", "module.voltage_low"),
    "module.temperature_out_of_range": ("module.temperature_high", "module.temperature_low"),
    "module.impedance_out_of_range": ("module.impedance_high", "module.impedance_low"),
    "module.impedance_out_of_range_warning": ("module.impedance_high_warning", "module.impedance_low_warning"),
    "string.current_out_of_range": ("string.current_high", "string.current_low"),
}
"""Bits of the maker's status word (manual M:11471–11493) that say less than the conditions that they sum up."""

OF_SENSORS = {
    "sensor.current_high": "string.current_high",
    "sensor.current_low": "string.current_low",
    "sensor.current_high_warning": "string.current_high_warning",
    "sensor.current_low_warning": "string.current_low_warning",
}
"""The same limits once more for the sensor that measures (manual M:11546)."""

SUMS = frozenset({"general_alarm", *OUT_OF_RANGE, *OF_SENSORS})
"""What is not counted among the alarms that are present, for it is there already."""

OF_SYSTEM = frozenset(
    {
        "monitoring",
        "modules_connected",
        "system_failure",
        "current_sensor_lost",
        "sensor_lost",
        "io_box_lost",
        "discharges_exceeded",
    }
)
"""What is said of the system beside what its strings and modules have."""


@cache
def own() -> Mapping[str, frozenset[str]]:
    """Give all that the judge may ever tell, by kind; the rest comes from links and other parts of the battery system."""
    of_block = frozenset(key for quantity in of_blocks.QUANTITIES for key in quantity.keys if key)
    of_string = frozenset(key for quantity in of_strings.QUANTITIES for key in quantity.keys if key)
    sums = of_block | of_string | SUMS | OF_SYSTEM | set(FROM_MODULES)
    return {
        "battery_system": _known("battery_system") & sums,
        "battery_string": _known("battery_string") & sums,
        "battery_module": of_block | {"general_alarm"},
        "current_sensor": frozenset(OF_SENSORS),
    }


def _known(kind: str) -> frozenset[str]:
    return frozenset(each.key for each in load_catalogue().conditions if kind in each.kinds)


class Sums:
    """What is told of strings and of the system, and of each module as a whole."""

    def __init__(
        self, config: BatteryConfig, layout: Layout, blocks: Iterable[Watch], strings: Iterable[Watch]
    ) -> None:
        """Sum up what is watched."""
        self._layout = layout
        self._sensors = config.sensors.count
        self._discharges = config.limits.discharges
        self._blocks = tuple((key, watch) for watch in blocks for _, key in watch.keys)
        self._strings = tuple((key, watch) for watch in strings for _, key in watch.keys)
        watched = {key for key, _ in (*self._blocks, *self._strings)}
        self._ranges = {key: parts for key, parts in OUT_OF_RANGE.items() if watched & set(parts)}
        self._of_sensors = {
            key: part for key, part in OF_SENSORS.items() if part in watched and self._sensors != "none"
        }
        self._known = {kind: _known(kind) for kind in ("battery_system", "battery_string")}
        self._alarms = of_severity(Severity.ALARM) - SUMS
        self._warnings = of_severity(Severity.WARNING)
        self._members = tuple(layout.members(number) for number in range(1, layout.strings + 1))
        self._places = tuple(block(number) for number in range(layout.blocks + 1))
        self._string_of = (0, *(layout.string_of(number) for number in range(1, layout.blocks + 1)))
        self._kept = frozenset(key for key, _ in self._blocks) | set(FROM_MODULES) | GENERAL
        """What of a block concerns its string."""
        self._own = frozenset(key for key, _ in self._strings)
        self._seen = bytearray(layout.blocks + 1)
        """By number: whether anything has ever been heard of a module, if only that it does not answer."""
        self._states: dict[int, str] = {}
        self._alarmed: set[int] = set()
        self._warned: set[int] = set()
        self._others: frozenset[Place] = frozenset()
        sensors = (sensor(number) for number in range(1, layout.sensors + 1))
        self._alone = (SYSTEM, *sensors, *(box(number) for number in range(1, layout.boxes + 1)))
        """Places that are no part of a string."""
        self._counts: dict[str, int] = {}
        self._summed: object = None
        """What strings, sensors and the system were last told from."""

    def forget(self, ledger: Ledger) -> None:
        """End what was raised before a restart and is no longer watched, at strings, sensors and the system."""
        watched = {key for key, _ in (*self._blocks, *self._strings)}
        watched |= {
            "monitoring",
            "modules_connected",
            "general_alarm",
            "system_failure",
            *FROM_MODULES,
            *self._ranges,
            *self._of_sensors,
        }
        watched |= {"current_sensor_lost", "sensor_lost"} if self._sensors != "none" else set()
        watched |= {"io_box_lost"} if self._layout.boxes else set()
        watched |= {"discharges_exceeded"} if self._discharges is not None else set()
        for place, keys in list(ledger.active.items()):
            if place.kind != "battery_module":
                for key in keys - watched:
                    ledger.tell(place, key, holds=False)

    def blind(self, number: int, others: Active) -> bool:
        """Whether the current sensor of a string is known to be lost."""
        return SILENT in others.get(sensor(number if self._sensors == "each" else 1), frozenset())

    def sum_up(
        self, board: Board, changed: Iterable[int], ledger: Ledger, others: Active, discharges: int | None
    ) -> None:
        """Tell all sums; whatever has not changed is no finding."""
        blocks = {number for number in changed if 1 <= number <= self._layout.blocks}
        blocks |= {place.number for place in ledger.touched if place.kind == "battery_module"}
        told = frozenset(place for place in others if place.kind == "battery_module")
        blocks |= {place.number for place in self._others | told if 1 <= place.number <= self._layout.blocks}
        self._others = told
        for number in blocks:
            self._judge_module(number, board, ledger, others)
        held = self._strings_hold(board, ledger, others)
        summed = (
            held,
            sum(self._seen) + sum(watch.reach for _, watch in (*self._blocks, *self._strings)),
            [value is None for value in board.current],
            [frozenset(others.get(place, ())) for place in self._alone],
            discharges,
        )
        if summed != self._summed:
            self._summed = summed
            for number, keys in enumerate(held, start=1):
                self._tell_string(number, keys, ledger, others)
            self._tell_sensors(ledger, held)
            self._tell_system(ledger, others, held, discharges)
        self._count(ledger, others)

    def _judge_module(self, number: int, board: Board, ledger: Ledger, others: Active) -> None:
        place = self._places[number]
        own, told = ledger.at(place), others.get(place, frozenset())
        lost = board.lost[number] or LOST in told
        if not self._seen[number]:
            values = (board.voltage[number], board.temperature[number], board.impedance[number])
            if not lost and not told and all(value is None for value in values):
                return
            self._seen[number] = True
        ledger.tell(place, "general_alarm", lost or not GENERAL.isdisjoint(own) or not GENERAL.isdisjoint(told))
        alarmed = lost or not self._alarms.isdisjoint(own) or not self._alarms.isdisjoint(told)
        warned = not self._warnings.isdisjoint(own) or not self._warnings.isdisjoint(told)
        _put(self._alarmed, number, belongs=alarmed)
        _put(self._warned, number, belongs=warned)
        state = "lost" if lost else "alarm" if alarmed else "warning" if warned else "normal"
        if self._states.get(number) != state:
            self._states[number] = state
            ledger.findings.points[*place, "module.state"] = state

    def _strings_hold(self, board: Board, ledger: Ledger, others: Active) -> list[set[str]]:
        """Gather what holds in each string or at any of its blocks."""
        held: list[set[str]] = [set() for _ in self._members]
        for active in (ledger.active, others):
            for (kind, number), keys in active.items():
                if kind == "battery_module" and 1 <= number <= self._layout.blocks:
                    held[self._string_of[number] - 1] |= keys & self._kept
        for number, gathered in enumerate(held, start=1):
            gathered |= ledger.at(string(number)) & self._own
            gathered |= others.get(string(number), frozenset())
        if any(board.lost):
            for number, lost in enumerate(board.lost):
                if lost:
                    held[self._string_of[number] - 1].add(LOST)
        return held

    def _tell_string(self, number: int, keys: AbstractSet[str], ledger: Ledger, others: Active) -> None:
        place, members, known = string(number), self._members[number - 1], self._known["battery_string"]
        for key, watch in self._blocks:
            if key in known and (key in keys or watch.begun(members)):
                ledger.tell(place, key, key in keys)
        for key, parts in (*self._ranges.items(), *((key, (part,)) for key, part in self._of_sensors.items())):
            if key in known:
                told = any(ledger.told(place, part) for part in parts)
                _follow(ledger, place, key, known=told, holds=not keys.isdisjoint(parts))
        if not any(self._seen[members.start : members.stop]):
            return
        for key in FROM_MODULES:
            if key in known:
                ledger.tell(place, key, key in keys)
        if self._sensors != "none":
            ledger.tell(place, "current_sensor_lost", self.blind(number, others))
        ledger.tell(place, "general_alarm", not GENERAL.isdisjoint(keys))

    def _tell_sensors(self, ledger: Ledger, held: Sequence[AbstractSet[str]]) -> None:
        strings = range(1, self._layout.strings + 1)
        for number in range(1, self._layout.sensors + 1):
            measured = [number] if self._sensors == "each" else strings
            for key, part in self._of_sensors.items():
                known = any(ledger.told(string(each), part) for each in measured if each in strings)
                holds = any(part in held[each - 1] for each in measured if each in strings)
                _follow(ledger, sensor(number), key, known=known, holds=holds)

    def _tell_system(
        self, ledger: Ledger, others: Active, held: Sequence[AbstractSet[str]], discharges: int | None
    ) -> None:
        known, told = self._known["battery_system"], others.get(SYSTEM, frozenset())
        every: set[str] = set().union(*held)
        begun = {key for key, watch in (*self._blocks, *self._strings) if watch.reach}
        for key, _ in (*self._blocks, *self._strings):
            if key in known and (key in begun or key in every):
                ledger.tell(SYSTEM, key, key in every)
        for key, parts in self._ranges.items():
            if key in known and begun & set(parts):
                ledger.tell(SYSTEM, key, not every.isdisjoint(parts))
        for key, part in self._of_sensors.items():
            if part in begun:
                ledger.tell(SYSTEM, key, part in every)
        if any(self._seen):
            for key in FROM_MODULES:
                ledger.tell(SYSTEM, key, key in every)
        if any(self._seen) or SILENT in told:
            failure = SILENT in told or LOST in every or "module.duplicate" in every
            ledger.tell(SYSTEM, "system_failure", failure)
            # Once every module has answered or is known not to, it has begun; then all should be connected (M:6923–6929).
            running = sum(self._seen) == self._layout.blocks and SILENT not in told
            ledger.tell(SYSTEM, "monitoring", running)
            ledger.tell(SYSTEM, "modules_connected", running and LOST not in every)
            general = failure or not GENERAL.isdisjoint(every) or not GENERAL.isdisjoint(told)
            ledger.tell(SYSTEM, "general_alarm", general)
        if self._sensors != "none":
            away = any(self.blind(number, others) for number in range(1, self._layout.strings + 1))
            ledger.tell(SYSTEM, "current_sensor_lost", away)
            ledger.tell(SYSTEM, "sensor_lost", away)
        if self._layout.boxes:
            boxes = range(1, self._layout.boxes + 1)
            ledger.tell(SYSTEM, "io_box_lost", any(SILENT in others.get(box(number), frozenset()) for number in boxes))
        if self._discharges is not None and discharges is not None:
            ledger.tell(SYSTEM, "discharges_exceeded", discharges >= self._discharges)

    def _count(self, ledger: Ledger, others: Active) -> None:
        if not any(self._seen):
            return
        present = (ledger.at(SYSTEM) | others.get(SYSTEM, frozenset())) & self._alarms
        counts = {
            "module.alarms.present": len(self._alarmed),
            "module.warnings.present": len(self._warned),
            "alarms.present": len(present),
        }
        for key, count in counts.items():
            if self._counts.get(key) != count:
                ledger.findings.points[*SYSTEM, key] = count
        self._counts = counts


def _follow(ledger: Ledger, place: Place, key: str, *, known: bool, holds: bool) -> None:
    """Tell a condition that is no more than others: as they stand, if they are known, and over if they are."""
    if known:
        ledger.tell(place, key, holds)
        return
    if not holds:
        ledger.end(place, key)
    ledger.lose(place, key)


def _put(numbers: set[int], number: int, *, belongs: bool) -> None:
    if belongs:
        numbers.add(number)
    else:
        numbers.discard(number)


__all__ = ["FROM_MODULES", "OF_SENSORS", "OUT_OF_RANGE", "SUMS", "Sums", "own"]

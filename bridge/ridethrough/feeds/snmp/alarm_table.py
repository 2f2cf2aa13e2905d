"""Which alarms are present, as `upsAlarmTable` (RFC 1628 §3.6) and `bacsAlarmTable` (M:12161) list them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ridethrough.catalogue import Severity
from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Dependents, Need, Part, Subject
from ridethrough.maps.objects import AlarmRow, load_alarms, under
from ridethrough.site import Change, ConditionState, DeviceId, Quality

UPS_MIB = "1.3.6.1.2.1.33"
NORMAL = frozenset({"statusCharging", "statusDischarging"})
"""States among the well-known alarms that are none, as their names say.

Would charging count, `upsAlarmsPresent` of many a healthy UPS were never 0, by which managers tell that it is.
"""
BATTERIES = "battery_system"
_BATTERY_PARTS = frozenset({"battery_string", "battery_module"})
"""Whose conditions are alarms of their battery system: its table has no place for which string or module it is."""
UNSAID = frozenset({"alarmSensorComLost", "alarmVuesWindalarm"})
"""Alarms that name a cause which the condition they are read as, `environment_alarm`, does not tell."""
_BESIDES: Mapping[str, str] = {"upsAlarmThresholdAlarm": "environment_alarm"}
"""What else an alarm stands for. An alarm of the environment without a cause has none of its own; that a limit has been
passed is the least that it says, and it must not be kept from managers."""


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """A row of the table: an alarm that is present."""

    index: int
    """`upsAlarmId`: counted from 1 on and never used again."""
    oid: str
    """`upsAlarmDescr`: which of the well-known alarms it is."""
    at: float
    """When it came, in seconds of the monotonic clock; what was there before the table, when the table was made."""
    told: bool = True
    """Whether managers are told of it by traps."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """A row came or went."""

    entry: AlarmEntry
    added: bool


class AlarmTable:
    """The alarms of one subject. A change of the site costs what it is about, however many alarms there could be.

    Of a battery system an alarm is one row, whether the system says so, one of its strings or modules, or all of them.
    Only what is severe is told by traps there: a warning is not (M:6940), nor is a discharge, of which the UPS tells.

    A row comes when its condition is known to hold. It goes when the condition is over, or its device is no more. While
    it is not known whether the condition still holds, the row stays (DESIGN §4.2): `upsAlarmCommunicationsLost`, which
    comes then, says that nothing here is newer than that, and an alarm that is taken away would say that all is well.
    """

    def __init__(
        self, context: FeedContext, subject: Subject, changed: Callable[[AlarmChange], None], kind: str = "ups"
    ) -> None:
        """Begin with the alarms that are there; `changed` is not told of these. `kind` is ups or battery_system."""
        self._clock = context.clock
        self._site = context.site
        self._subject = subject
        self._changed = changed
        self._needs = dict(_served(kind))
        self._besides = {
            row: Need(None, _BESIDES[row.name], True)
            for row, need in self._needs.items()
            if row.name in _BESIDES and need.part is None
        }
        self._of_parts: dict[str, AlarmRow] = {}
        """What strings and modules can raise, by the condition."""
        self._silent: frozenset[AlarmRow] = frozenset()
        if kind == BATTERIES:
            self._of_parts = {need.key: row for row, need in self._needs.items()}
            self._silent = frozenset(row for row in self._needs if not _severe(context, row))
        self._raised: dict[AlarmRow, set[DeviceId]] = {row: set() for row in self._needs}
        """The strings and modules that have raised an alarm which is not known to be over."""
        self._dependents = Dependents(context.directory, subject, {row: self._all(row) for row in self._needs})
        self._last = 0
        self._entries: dict[int, AlarmEntry] = {}
        self._present: dict[str, AlarmEntry] = {}
        self.entries: Mapping[int, AlarmEntry] = MappingProxyType(self._entries)
        """The rows by their index, in its order."""
        self._ask(context.site.devices)
        for row in self._needs:
            self._look(row)

    def follow(self, change: Change) -> None:
        """Take over what has changed; `changed` is told of each row, in the order of the well-known alarms."""
        rows = dict.fromkeys(self._dependents.touched(change))
        rows |= self._ask(change.devices)
        for device_id, key in change.conditions:
            if (found := self._of_parts.get(key)) is not None and self._is_part(device_id):
                self._note(found, device_id)
                rows[found] = None
        for row in rows:
            if (changed := self._look(row)) is not None:
                self._changed(changed)

    def _look(self, row: AlarmRow) -> AlarmChange | None:
        """Bring the row of one alarm up to date."""
        states = [self._subject.state(need) for need in self._all(row)]
        entry = self._present.get(row.oid)
        if entry is None and (self._raised[row] or any(map(_holds, states))):
            self._last += 1
            entry = AlarmEntry(self._last, row.oid, self._clock.monotonic(), row not in self._silent)
            self._entries[entry.index] = self._present[row.oid] = entry
            return AlarmChange(entry, added=True)
        if (
            entry is not None
            and not self._raised[row]
            and not any(state is not None and state.active for state in states)
        ):
            del self._entries[entry.index], self._present[row.oid]
            return AlarmChange(entry, added=False)
        return None

    def _all(self, row: AlarmRow) -> tuple[Need, ...]:
        """Give what an alarm of the device itself depends on."""
        need, other = self._needs[row], self._besides.get(row)
        return (need,) if other is None else (need, other)

    def _ask(self, devices: Iterable[DeviceId]) -> Mapping[AlarmRow, None]:
        """Look at all that strings and modules say which have come or gone; gives the alarms that it may be about."""
        found: dict[AlarmRow, None] = {}
        for device_id in devices if self._of_parts else ():
            rows = dict.fromkeys(row for row, raised in self._raised.items() if device_id in raised)
            if self._is_part(device_id):
                told = self._site.conditions(device_id)
                rows |= dict.fromkeys(self._of_parts[key] for key in told if key in self._of_parts)
            for row in rows:
                self._note(row, device_id)
            found |= rows
        return found

    def _is_part(self, device_id: DeviceId) -> bool:
        device = self._site.devices.get(device_id)
        return device is not None and device.kind in _BATTERY_PARTS and device.key.startswith(f"{self._subject.key}/")

    def _note(self, row: AlarmRow, device_id: DeviceId) -> None:
        """Note whether a string or a module raises an alarm."""
        state = self._site.conditions(device_id).get(self._needs[row].key) if self._is_part(device_id) else None
        if _holds(state):
            self._raised[row].add(device_id)
        elif state is None or not state.active:
            self._raised[row].discard(device_id)


def _holds(state: ConditionState | None) -> bool:
    return state is not None and state.active and state.quality is Quality.GOOD


def _severe(context: FeedContext, row: AlarmRow) -> bool:
    assert row.condition is not None
    condition = context.site.catalogue.condition(BATTERIES, row.condition)
    return condition is not None and condition.severity is Severity.ALARM


def _served(kind: str) -> Iterator[tuple[AlarmRow, Need]]:
    """Give the alarms that can be present and what each depends on: of two for one condition the first (RFC 1628's)."""
    seen = set()
    for row in load_alarms(kind).values():
        if not under(row.oid, UPS_MIB) or row.condition is None or row.name in NORMAL | UNSAID:
            continue
        need = Need(None if row.child is None else Part(row.child.kind, row.child.number), row.condition, True)
        if need not in seen:
            seen.add(need)
            yield row, need


__all__ = ["BATTERIES", "UPS_MIB", "AlarmChange", "AlarmEntry", "AlarmTable"]

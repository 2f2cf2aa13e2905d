"""Which alarms are present, as `upsAlarmTable` lists them (RFC 1628 §3.6): the conditions of a UPS and of its parts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Dependents, Need, Part, Subject
from ridethrough.maps.objects import AlarmRow, load_alarms, under
from ridethrough.site import Change, Quality

UPS_MIB = "1.3.6.1.2.1.33"
NORMAL = frozenset({"statusCharging", "statusDischarging"})
"""States among the well-known alarms that are none, as their names say.

Would charging count, `upsAlarmsPresent` of many a healthy UPS were never 0, by which managers tell that it is.
"""
UNSAID = frozenset({"alarmSensorComLost", "alarmVuesWindalarm"})
"""Alarms that name a cause which the condition they are read as, `environment_alarm`, does not tell."""


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """A row of the table: an alarm that is present."""

    index: int
    """`upsAlarmId`: counted from 1 on and never used again."""
    oid: str
    """`upsAlarmDescr`: which of the well-known alarms it is."""
    at: float
    """When it came, in seconds of the monotonic clock; what was there before the table, when the table was made."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """A row came or went."""

    entry: AlarmEntry
    added: bool


class AlarmTable:
    """The alarms of one subject. A change of the site costs what it is about, however many alarms there could be.

    A row comes when its condition is known to hold. It goes when the condition is over, or its device is no more. While
    it is not known whether the condition still holds, the row stays (DESIGN §4.2): `upsAlarmCommunicationsLost`, which
    comes then, says that nothing here is newer than that, and an alarm that is taken away would say that all is well.
    """

    def __init__(self, context: FeedContext, subject: Subject, changed: Callable[[AlarmChange], None]) -> None:
        """Begin with the alarms that are there; `changed` is not told of these."""
        self._clock = context.clock
        self._subject = subject
        self._changed = changed
        self._needs = dict(_served())
        self._dependents = Dependents(context.directory, subject, {row: (need,) for row, need in self._needs.items()})
        self._last = 0
        self._entries: dict[int, AlarmEntry] = {}
        self._present: dict[str, AlarmEntry] = {}
        self.entries: Mapping[int, AlarmEntry] = MappingProxyType(self._entries)
        """The rows by their index, in its order."""
        for row in self._needs:
            self._look(row)

    def follow(self, change: Change) -> None:
        """Take over what has changed; `changed` is told of each row, in the order of the well-known alarms."""
        for row in self._dependents.touched(change):
            if (changed := self._look(row)) is not None:
                self._changed(changed)

    def _look(self, row: AlarmRow) -> AlarmChange | None:
        """Bring the row of one alarm up to date."""
        state = self._subject.state(self._needs[row])
        entry = self._present.get(row.oid)
        if entry is None and state is not None and state.active and state.quality is Quality.GOOD:
            self._last += 1
            entry = AlarmEntry(self._last, row.oid, self._clock.monotonic())
            self._entries[entry.index] = self._present[row.oid] = entry
            return AlarmChange(entry, added=True)
        if entry is not None and (state is None or not state.active):
            del self._entries[entry.index], self._present[row.oid]
            return AlarmChange(entry, added=False)
        return None


def _served() -> Iterator[tuple[AlarmRow, Need]]:
    """Give the alarms that can be present and what each depends on: of two for one condition the first (RFC 1628's)."""
    seen = set()
    for row in load_alarms().values():
        if not under(row.oid, UPS_MIB) or row.condition is None or row.name in NORMAL | UNSAID:
            continue
        need = Need(None if row.child is None else Part(row.child.kind, row.child.number), row.condition, True)
        if need not in seen:
            seen.add(need)
            yield row, need


__all__ = ["UPS_MIB", "AlarmChange", "AlarmEntry", "AlarmTable"]

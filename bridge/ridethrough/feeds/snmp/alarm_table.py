"""The table of alarms that are present."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Dependents, Need, Part, Subject
from ridethrough.maps.objects import AlarmRow, load_alarms
from ridethrough.site import Change


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """A row of the table."""

    index: int
    oid: str
    at: float
    """Monotonic seconds when it was added."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """A row came or went."""

    entry: AlarmEntry
    added: bool


class AlarmTable:
    """Follows the conditions of one device."""

    def __init__(self, context: FeedContext, subject: Subject, changed: Callable[[AlarmChange], None]) -> None:
        """Begin with what is present now."""
        self._context = context
        self._subject = subject
        self._changed = changed
        self._next = 1
        self._present: dict[str, AlarmEntry] = {}
        rows = [row for row in load_alarms().values() if row.condition]
        self._dependents = Dependents(context.directory, subject, {row: [self._need(row)] for row in rows})
        for row in rows:
            self._look(row)

    @property
    def entries(self) -> Mapping[int, AlarmEntry]:
        """The rows by their index."""
        return {entry.index: entry for entry in self._present.values()}

    def follow(self, change: Change) -> None:
        """Take note of a change of the site."""
        for row in self._dependents.touched(change):
            self._look(row)

    def _need(self, row: AlarmRow) -> Need:
        part = None if row.child is None else Part(row.child.kind, row.child.number)
        return Need(part, row.condition or "", condition=True)

    def _look(self, row: AlarmRow) -> None:
        active = self._subject.holds(self._need(row))
        if active and row.oid not in self._present:
            entry = AlarmEntry(self._next, row.oid, self._context.clock.monotonic())
            self._next += 1
            self._present[row.oid] = entry
            self._changed(AlarmChange(entry, True))
        elif not active and row.oid in self._present:
            self._changed(AlarmChange(self._present.pop(row.oid), False))

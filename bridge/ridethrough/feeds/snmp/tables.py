"""Tables whose rows are devices below the one that is shown: modules, strings, blocks. Rows come and go with them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import re

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Part, Subject
from ridethrough.maps.objects import ObjectRow
from ridethrough.maps.phases import wordings
from ridethrough.site import Change, Device, DeviceId

from .ber import Oid
from .orders import oid_of

_HIGHEST = 2**31 - 1
"""The greatest index of a row."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
"""An index, as devices are called by it; modules of a UPS may be counted from 0 on (upsModuleId)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and what its name begins with."""

    row: ObjectRow
    oid: Oid

    def __hash__(self) -> int:
        """Tell by the name: no two columns have the same."""
        return hash(self.oid)


@dataclass(frozen=True, slots=True)
class Member:
    """One value of one row."""

    column: Column
    part: Part

    @property
    def row(self) -> ObjectRow:
        """The column's object."""
        return self.column.row

    @property
    def number(self) -> int:
        """The index of its row."""
        return int(self.part.number)

    @property
    def oid(self) -> Oid:
        """The instance."""
        return (*self.column.oid, self.number)


class Tables:
    """Knows the rows that there are. Cost: proportional to the change."""

    def __init__(self, context: FeedContext, subject: Subject, rows: Iterable[ObjectRow]) -> None:
        """Serve the columns among these objects."""
        self._subject = subject
        self._columns: dict[str, list[Column]] = {}
        self._wanted: dict[str, dict[tuple[str, bool], list[Column]]] = {}
        catalogue = context.site.catalogue
        for row in rows:
            if row.index != "row" or row.child is None:
                continue
            kind, column = row.child.kind, Column(row, oid_of(row.oid))
            self._columns.setdefault(kind, []).append(column)
            wanted = self._wanted.setdefault(kind, {})
            bits = [bit.condition for bit in row.bits]
            names = [] if row.key is None else wordings(kind, row.key, catalogue) or (row.key,)
            for key in [(one, False) for one in names] + [(one, True) for one in (*row.conditions, *bits)]:
                wanted.setdefault(key, []).append(column)
        self._parts: dict[DeviceId, Part] = {}
        for device in context.site.devices.values():
            self._enter(device)

    def members(self) -> Iterator[Member]:
        """Give every value that there may be."""
        for part in self._parts.values():
            yield from self._of(part)

    def follow(self, change: Change) -> tuple[list[Member], list[Oid]]:
        """Give the values to be looked at again, and the instances that are no longer there."""
        found: dict[Member, None] = {}
        gone: list[Oid] = []
        for device_id, device in change.devices.items():
            old = self._parts.pop(device_id, None)
            if device is not None:
                self._enter(device)
            new = self._parts.get(device_id)
            if old is not None and old != new:
                gone += [member.oid for member in self._of(old)]
            if new is not None:
                found |= dict.fromkeys(self._of(new))
        for changed, condition in ((change.points, False), (change.conditions, True)):
            for device_id, key in changed:
                part = self._parts.get(device_id)
                if part is not None:
                    for column in self._wanted[part.kind].get((key, condition), ()):
                        found[Member(column, part)] = None
        return list(found), gone

    def _of(self, part: Part) -> Iterator[Member]:
        return (Member(column, part) for column in self._columns[part.kind])

    def _enter(self, device: Device) -> None:
        head, _, tail = device.key.rpartition("/")
        if head != self._subject.key or not tail.startswith(f"{device.kind}-") or device.kind not in self._columns:
            return
        number = tail.removeprefix(f"{device.kind}-")
        if _NUMBER.fullmatch(number) is not None and int(number) <= _HIGHEST:
            self._parts[device.id] = Part(device.kind, number)


__all__ = ["Column", "Member", "Tables"]

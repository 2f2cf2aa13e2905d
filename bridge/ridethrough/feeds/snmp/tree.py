"""What the agent shows of one device: the objects of its MIBs as instances, kept up to date with the site."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
import time

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Dependents, Need, Part, Subject
from ridethrough.maps.objects import Mib, ObjectRow, load_orders
from ridethrough.site import Change, Reading

from .alarm_table import AlarmChange, AlarmTable
from .ber import Oid, integer, name
from .encoding import encoded, number, text, ticks
from .instances import Encoded, Instances
from .lines import MOST, Lines, Side, part_of, sides
from .orders import NO_TEST, Orders, oid_of, ways
from .reading import Reading as Answers
from .tables import Member, Tables

AT_ONCE = 64
"""Objects that are looked at as soon as the site changes; more of them wait for their turn."""
TURN = 0.002
"""Seconds of the loop's time that are spent on those in one go."""
_INSTEAD: Mapping[str, tuple[str, ...]] = {"sensor.value": ("sensor.temperature", "sensor.humidity")}
"""What else the value of an object may be: the map calls whatever a sensor measures its value."""
_TIMERS = frozenset({"ups.timer.shutdown", "ups.timer.start", "ups.timer.reboot"})
_COUNTING = ("shutdown_pending", "shutdown_imminent")
"""Conditions while which it cannot be said that no timer runs."""
_IDENTITY: Mapping[str, str] = {
    "ups.mfr": "manufacturer",
    "ups.model": "model",
    "ups.firmware": "firmware",
    "ups.serial": "serial",
    "ups.name": "name",
}
"""What the configuration or the link knows of a device even while the device itself says nothing."""
_OF_THE_AGENT = frozenset({"upsIdentAgentSoftwareVersion", "upsTestId", "upsTestSpinLock"})
_ALARM_ID, _ALARM_TIME = 2, 3
"""Columns of a table of alarms (RFC 1628 §3.6)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One instance that there may be."""

    row: ObjectRow
    oid: Oid
    part: Part | None
    line: int = 0
    side: Side | None = None

    @property
    def needs(self) -> Iterable[Need]:
        """What it depends on."""
        row = self.row
        if self.side is not None and row.line_key is not None:
            yield self.own
        if row.key is not None:
            for key in (row.key, *_INSTEAD.get(row.key, ())):
                yield Need(self.part, key)
        for key in row.conditions:
            yield Need(self.part, key, condition=True)
        if row.key in _TIMERS:
            for key in _COUNTING:
                yield Need(self.part, key, condition=True)

    @property
    def own(self) -> Need:
        """The point of its own line."""
        assert self.row.line_key is not None
        return Need(self.part, self.row.line_key.replace("{line}", f"L{self.line}"))


class Tree:
    """The instances of one device."""

    def __init__(
        self,
        context: FeedContext,
        key: str,
        mibs: Iterable[Mib],
        common: Mapping[Oid, Encoded],
        uptime: Callable[[], float],
    ) -> None:
        """Show the device of this key; `common` is what every tree has beside it."""
        self._context = context
        self._uptime = uptime
        self.subject = Subject(context.directory, key)
        self.instances = Instances()
        for oid, value in common.items():
            self.instances.put(oid, value)
        self._mibs = tuple(mibs)
        rows = [row for mib in self._mibs for row in mib.rows]
        self.objects = _prefixes(rows, self._mibs) | frozenset(
            oid[:length] for oid in common for length in (len(oid) - 1,)
        )
        self.answers = Answers(self.instances, lambda: self.objects)
        self._lines = Lines(self.subject)
        self._sides = sides(rows)
        self._cells = {cell.oid: cell for cell in self._fixed(rows)}
        self.orders = Orders(
            ways(load_orders(), self._mibs, context.site.catalogue),
            {oid: cell.row for oid, cell in self._cells.items()},
        )
        needs: dict[Cell | Side, list[Need]] = {side: [side.count] for side in self._sides.values()}
        needs |= {cell: list(cell.needs) for cell in self._cells.values()}
        self._dependents = Dependents(context.directory, self.subject, needs)
        self._tables = Tables(context, self.subject, rows)
        self._waiting: dict[Cell | Member, None] = {}
        self._worked: asyncio.Handle | None = None
        self._complete = asyncio.Event()
        self._ready = False
        self.alarms = AlarmTable(context, self.subject, self._alarm_changed)
        for side in self._sides.values():
            self._lines.look(side)
        for entry in self.alarms.entries.values():
            self._alarm_changed(AlarmChange(entry, added=True))
        self._count_alarms()
        self._queue((*self._cells.values(), *self._tables.members()))

    @property
    def ready(self) -> bool:
        """Whether everything has been looked at that there was in the beginning."""
        return self._ready

    async def complete(self) -> None:
        """Wait until everything that is waiting has been looked at once."""
        await self._complete.wait()

    def close(self) -> None:
        """Do nothing any more."""
        if self._worked is not None:
            self._worked.cancel()

    def follow(self, change: Change) -> None:
        """Take note of a change of the site. Its cost is in proportion to what has changed of this device."""
        found: list[Cell | Member] = []
        for touched in self._dependents.touched(change):
            if isinstance(touched, Cell):
                found.append(touched)
            elif self._lines.look(touched):
                found += self._beside(touched)
        changed, gone = self._tables.follow(change)
        for oid in gone:
            self.instances.drop(oid)
        found += changed
        if any(device is None or device.key == self.subject.key for device in change.devices.values()):
            if self.subject.device is None:
                self._lines.forget()
            self._count_alarms()
        self.alarms.follow(change)
        if len(found) + len(self._waiting) > AT_ONCE:
            self._queue(found)
            return
        for one in found:
            self._look(one)

    def refresh(self, oids: Iterable[Oid]) -> None:
        """Look again at objects that somebody has set."""
        for oid in oids:
            if oid in self._cells:
                self._look(self._cells[oid])

    # How it is done

    def _fixed(self, rows: Iterable[ObjectRow]) -> Iterable[Cell]:
        """Give the cells whose instances are known beforehand."""
        for row in rows:
            oid, part = oid_of(row.oid), part_of(row)
            if row.index == "line":
                side = self._sides.get(row.table)
                for line in range(1, MOST + 1):
                    yield Cell(row, (*oid, line), part, line, side)
            elif row.index != "row":
                yield Cell(row, (*oid, *oid_of(row.index)), part)

    def _queue(self, found: Iterable[Cell | Member]) -> None:
        self._waiting |= dict.fromkeys(found)
        self._complete.clear()
        if self._worked is None:
            self._worked = asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        """Look at what is waiting, but leave the loop to others now and then."""
        self._worked = None
        until = time.perf_counter() + TURN
        while self._waiting:
            one = next(iter(self._waiting))
            del self._waiting[one]
            self._look(one)
            if time.perf_counter() > until and self._waiting:
                self._worked = asyncio.get_running_loop().call_soon(self._work)
                return
        self._ready = True
        self._complete.set()

    def _look(self, one: Cell | Member) -> None:
        """Have the instance say what is known now."""
        value = self._member(one) if isinstance(one, Member) else self._cell(one)
        if value is None:
            self.instances.drop(one.oid)
        else:
            self.instances.put(one.oid, value)

    def _member(self, one: Member) -> bytes | None:
        row = one.row
        if row.key is None and not row.conditions:
            # The index of a table, where it can be read.
            there = self.subject.part(one.part) is not None and row.name.endswith(("Index", "Id"))
            return number(one.number) if there else None
        return self._encoded(row, one.part, None if row.key is None else self._reading(one.part, row.key))

    def _cell(self, cell: Cell) -> bytes | None:
        row = cell.row
        if row.key is not None and row.key.endswith(".phases") and row.index == "0":
            return self._counted(cell)
        if cell.line:
            return self._line(cell)
        if row.name in _OF_THE_AGENT:
            return self._agents(cell)
        if row.key in _IDENTITY:
            return self._identity(cell)
        if row.key == "alarms.present":
            return None  # `_count_alarms` says it
        set_to = self.orders.setting(cell.oid)
        if set_to is not None and self._offered(cell):
            return number(set_to) if isinstance(set_to, int) else name(set_to)
        found = self._encoded(row, cell.part, None if row.key is None else self._reading(cell.part, row.key))
        if found is not None and not (row.key in _TIMERS and self._negative(cell)):
            return found
        if not self._offered(cell):
            return found
        beforehand = self.orders.beforehand(cell.oid)
        if isinstance(beforehand, int):
            return number(beforehand)
        return self._no_timer(cell)

    def _line(self, cell: Cell) -> bytes | None:
        row, side = cell.row, cell.side
        reading: Reading | None = None
        if side is None:
            return None
        if row.line_key is not None:
            reading = self.subject.reading(cell.own)
            if (reading is None or not reading.good) and cell.line == 1 and self._lines.count(side) <= 1 and row.key:
                alone = self._reading(cell.part, row.key)
                reading = alone if alone is not None else reading
            if self._lines.seen(side, cell.line, reading):
                self._queue(one for one in self._beside(side) if one is not cell)
        elif row.key is not None:
            # What is one value for all lines, as the frequency is.
            reading = self._reading(cell.part, row.key)
        return self._encoded(row, cell.part, reading) if cell.line <= self._lines.count(side) else None

    def _counted(self, cell: Cell) -> bytes | None:
        """Say how many lines there are: a fact of the machine, also when it cannot be reached."""
        device = self.subject.part(cell.part)
        assert cell.row.key is not None
        if device is None or self._context.site.catalogue.point(device.kind, cell.row.key) is None:
            return None
        return number(self._lines.count(Side(cell.part, cell.row.key.removesuffix(".phases"))))

    def _beside(self, side: Side) -> list[Cell]:
        """Give the cells that the number of lines of a side is of importance for."""
        return [
            cell
            for cell in self._cells.values()
            if cell.side == side or (cell.row.key == side.count.key and cell.part == side.part)
        ]

    def _reading(self, part: Part | None, key: str) -> Reading | None:
        found = self.subject.reading(Need(part, key))
        for other in _INSTEAD.get(key, ()):
            if found is not None and found.good:
                break
            found = self.subject.reading(Need(part, other)) or found
        return found

    def _encoded(self, row: ObjectRow, part: Part | None, reading: Reading | None) -> bytes | None:
        held: dict[str, bool | None] = {}
        for key in row.conditions:
            need = Need(part, key, condition=True)
            if self.subject.state(need) is not None:
                held[key] = self.subject.holds(need)
        value = reading.value if reading is not None and reading.good else None
        return encoded(row, value, held, self._uptime(), self._context.clock.utc())

    # Objects that are not simply a point

    def _identity(self, cell: Cell) -> bytes | None:
        """Say what the configuration or the link knows of the device where the device itself says nothing (now)."""
        device = self.subject.device
        assert cell.row.key is not None
        value = self.subject.value(Need(None, cell.row.key))
        if value is None and device is not None:
            value = getattr(device, _IDENTITY[cell.row.key])
        return None if value is None else text(str(value), 31 if cell.row.key == "ups.mfr" else 63)

    def _agents(self, cell: Cell) -> bytes | None:
        """Say what is of the agent itself: its version, the test that was last begun by it, and the lock of tests."""
        device = self.subject.device
        if device is None or device.kind != "ups":
            return None
        if cell.oid in self.orders.locks:
            return integer(self.orders.locks[cell.oid].value)
        if cell.row.syntax == "oid":
            set_to = self.orders.setting(cell.oid)
            return name(set_to if isinstance(set_to, tuple) else NO_TEST)
        return text(f"Ridethrough {self._context.version}")

    def _offered(self, cell: Cell) -> bool:
        """Whether the device knows a command that this object has a part in."""
        uses = self.orders.using(cell.oid)
        return any(
            (device := self.subject.part(way.part)) is not None and way.command in device.commands for way in uses
        )

    def _negative(self, cell: Cell) -> bool:
        assert cell.row.key is not None
        value = self.subject.value(Need(cell.part, cell.row.key))
        return isinstance(value, int | float) and value < 0

    def _no_timer(self, cell: Cell) -> bytes | None:
        """Say that nothing counts down (-1, RFC 1628 §3.8), unless something does and it is not known how long."""
        if cell.row.key not in _TIMERS:
            return None
        counting = [self.subject.holds(Need(None, key, condition=True)) for key in _COUNTING]
        return None if True in counting else number(-1)

    # The tables of alarms

    def _alarm_changed(self, change: AlarmChange) -> None:
        entry = change.entry
        for mib in self._mibs:
            if mib.alarms is None or not f"{entry.oid}.".startswith(f"{mib.base}."):
                continue
            table = oid_of(mib.alarms)[:-1]
            for column in (_ALARM_ID, _ALARM_TIME):
                oid = (*table, column, entry.index)
                if not change.added:
                    self.instances.drop(oid)
                elif column == _ALARM_ID:
                    self.instances.put(oid, name(oid_of(entry.oid)))
                else:
                    age = self._context.clock.monotonic() - entry.at
                    self.instances.put(oid, ticks(self._uptime() - age))
        if hasattr(self, "alarms"):
            self._count_alarms()

    def _count_alarms(self) -> None:
        for mib in self._mibs:
            if mib.alarm_count is not None:
                oid = oid_of(mib.alarm_count)
                if self.subject.device is None:
                    self.instances.drop(oid)
                    continue
                present = [one for one in self.alarms.entries.values() if f"{one.oid}.".startswith(f"{mib.base}.")]
                row = self._cells[oid].row
                counted = encoded(row, len(present), {}, 0.0, self._context.clock.utc())
                assert counted is not None
                self.instances.put(oid, counted)


def _prefixes(rows: Iterable[ObjectRow], mibs: Iterable[Mib]) -> frozenset[Oid]:
    """Give the names of the objects, also of those in the tables of alarms."""
    tables = [oid_of(mib.alarms)[:-1] for mib in mibs if mib.alarms is not None]
    return frozenset(oid_of(row.oid) for row in rows) | {
        (*table, column) for table in tables for column in (_ALARM_ID, _ALARM_TIME)
    }


__all__ = ["AT_ONCE", "TURN", "Cell", "Tree"]

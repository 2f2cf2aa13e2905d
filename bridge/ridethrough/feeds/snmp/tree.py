"""The objects of one device's MIBs as instances, kept up to date with the site."""

import asyncio
from collections.abc import Callable, Iterable
import time

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Dependents, Need, Subject
from ridethrough.maps.objects import Mib, ObjectRow, load_orders, under
from ridethrough.site import Change

from .alarm_table import AlarmChange, AlarmEntry, AlarmTable
from .ber import Oid, Tag, name
from .cells import Cell, Values
from .encoding import number, ticks
from .instances import Instances
from .lines import MOST, Lines, Side, part_of, sides
from .orders import Orders, oid_of, ways
from .tables import Member, Tables

AT_ONCE = 64
"""Objects that are looked at as soon as the site changes; more of them wait for their turn."""
TURN = 0.002
"""Seconds of the loop's time that are spent on those in one go."""
ALARM_ID, ALARM_TIME = 2, 3
"""Columns of a table of alarms (RFC 1628 §3.6)."""


class Tree:
    """What there is of one device among the instances that somebody sees."""

    def __init__(
        self,
        context: FeedContext,
        key: str,
        mibs: Iterable[Mib],
        instances: Instances,
        uptime: Callable[[], float],
    ) -> None:
        """Show the device of this key among `instances`, and nobody else what lies below the bases of its MIBs."""
        self._context = context
        self._uptime = uptime
        self._mibs = tuple(mibs)
        self.subject = Subject(context.directory, key)
        self._instances = instances
        rows = [row for mib in self._mibs for row in mib.rows]
        self._lines = Lines(self.subject)
        self._sides = sides(rows)
        counts = {mib.alarm_count for mib in self._listed}
        self._cells = {cell.oid: cell for cell in self._fixed(rows) if f"{cell.row.oid}.0" not in counts}
        self.orders = Orders(
            ways(load_orders(), self._mibs, context.site.catalogue),
            {oid: cell.row for oid, cell in self._cells.items()},
        )
        self._values = Values(context, self.subject, self._lines, self.orders, uptime, self._more_lines)
        needs: dict[Cell | Side, list[Need]] = {side: [side.count] for side in self._sides.values()}
        needs |= {cell: list(cell.needs) for cell in self._cells.values()}
        self._dependents = Dependents(context.directory, self.subject, needs)
        self._tables = Tables(context, self.subject, rows)
        self._waiting: dict[Cell | Member, None] = {}
        self._working: asyncio.Handle | None = None
        self._complete = asyncio.Event()
        self._shown: dict[int, AlarmEntry] = {}
        self.told: Callable[[AlarmChange], None] | None = None
        """Who else hears of alarms that come and go."""
        self.alarms = AlarmTable(context, self.subject, self._alarm_changed, self._mibs[0].kind)
        for entry in self.alarms.entries.values():
            self._show_alarm(entry)
        self._count_alarms()
        for side in self._sides.values():
            self._lines.look(side)
        self._queue((*self._cells.values(), *self._tables.members()))

    @property
    def _listed(self) -> list[Mib]:
        """The MIBs with a table of alarms that is kept here."""
        return [mib for mib in self._mibs if mib.alarms is not None]

    @property
    def ready(self) -> bool:
        """Whether everything has been looked at that there was in the beginning."""
        return self._complete.is_set()

    async def complete(self) -> None:
        """Wait until it is ready."""
        await self._complete.wait()

    def close(self) -> None:
        """Do nothing any more, and show nothing."""
        if self._working is not None:
            self._working.cancel()
        self._complete.set()
        for mib in self._mibs:
            self._instances.drop_below(oid_of(mib.base))

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
            self._instances.drop(oid)
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

    def last_test(self) -> tuple[str, int]:
        """Return what upsTestId and upsTestSpinLock have."""
        return self.orders.last_test()

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
                yield Cell(row, (*oid, *oid_of(row.index)), part, side=self._counted(row))

    def _counted(self, row: ObjectRow) -> Side | None:
        """Find the side whose lines an object counts that is no point: that of the table beside it."""
        if row.key is not None or not row.name.endswith("NumLines"):
            return None
        return next(side for table, side in self._sides.items() if under(table, row.table))

    def _queue(self, found: Iterable[Cell | Member]) -> None:
        self._waiting |= dict.fromkeys(found)
        if self._working is None:
            self._working = asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        """Look at what is waiting, but leave the loop to others now and then."""
        self._working = None
        until = time.perf_counter() + TURN
        while self._waiting:
            one = next(iter(self._waiting))
            del self._waiting[one]
            self._look(one)
            if time.perf_counter() > until and self._waiting:
                self._working = asyncio.get_running_loop().call_soon(self._work)
                return
        self._complete.set()

    def _look(self, one: Cell | Member) -> None:
        """Have the instance say what is known now."""
        value = self._values.member(one) if isinstance(one, Member) else self._values.cell(one)
        if value is None:
            self._instances.drop(one.oid)
        else:
            self._instances.put(one.oid, value)

    def _more_lines(self, side: Side) -> None:
        self._queue(self._beside(side))

    def _beside(self, side: Side) -> list[Cell]:
        """Give the cells that the number of lines of a side is of importance for."""
        return [
            cell
            for cell in self._cells.values()
            if cell.side == side or (cell.row.key == side.count.key and cell.part == side.part)
        ]

    # The tables of alarms

    def _alarm_changed(self, change: AlarmChange) -> None:
        if change.added:
            self._show_alarm(change.entry)
        elif self._shown.pop(change.entry.index, None) is not None:
            for table in self._tables_of(change.entry):
                for column in (ALARM_ID, ALARM_TIME):
                    self._instances.drop((*table, column, change.entry.index))
        self._count_alarms()
        if self.told is not None:
            self.told(change)

    def _show_alarm(self, entry: AlarmEntry) -> None:
        self._shown[entry.index] = entry
        then = self._uptime() - (self._context.clock.monotonic() - entry.at)
        for table in self._tables_of(entry):
            self._instances.put((*table, ALARM_ID, entry.index), name(oid_of(entry.oid)))
            self._instances.put((*table, ALARM_TIME, entry.index), ticks(then))

    def _tables_of(self, entry: AlarmEntry) -> list[Oid]:
        return [oid_of(mib.alarms)[:-1] for mib in self._mibs if mib.alarms is not None and under(entry.oid, mib.base)]

    def _count_alarms(self) -> None:
        """Say how many alarms there are: that is known even of a device that cannot be reached."""
        for mib in self._listed:
            if mib.alarm_count is None:
                continue
            oid = oid_of(mib.alarm_count)
            if self.subject.device is None:
                self._instances.drop(oid)
            else:
                present = sum(under(entry.oid, mib.base) for entry in self._shown.values())
                self._instances.put(oid, number(present, Tag.GAUGE))


__all__ = ["ALARM_ID", "ALARM_TIME", "AT_ONCE", "TURN", "Tree"]

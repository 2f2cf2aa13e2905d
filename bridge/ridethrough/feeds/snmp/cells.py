"""What one instance says: from what the site knows of a device to an encoded value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Need, Part, Subject
from ridethrough.maps.objects import ObjectRow
from ridethrough.site import Reading

from .ber import Oid, integer, name
from .encoding import encoded, flags, number, text
from .lines import Lines, Side
from .orders import NO_TEST, Orders
from .tables import Member

_INSTEAD: Mapping[str, tuple[str, ...]] = {"sensor.value": ("sensor.temperature", "sensor.humidity")}
"""What else the value of an object may be: the map calls whatever a sensor measures its value."""
_INDEXES = ("Index", "ModuleId")
"""What the columns that number the rows of a table are called at the end."""
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
_CELSIUS = "bacsTemperatureUnit"
"""Degrees Celsius are what every temperature of the site is in, and so of the agent."""
_OF_THE_AGENT = frozenset({"upsIdentAgentSoftwareVersion", "upsTestId", "upsTestSpinLock"})


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One instance that there may be of an object, known beforehand."""

    row: ObjectRow
    oid: Oid
    part: Part | None
    line: int = 0
    """The phase, from 1; 0 for none."""
    side: Side | None = None
    """Whose line it is about, or whose lines it counts."""

    @property
    def needs(self) -> Iterable[Need]:
        """What it depends on."""
        row = self.row
        if self.side is not None and row.line_key is not None:
            yield self.own
        if row.key is not None:
            for key in (row.key, *_INSTEAD.get(row.key, ())):
                yield Need(self.part, key)
        for key in (*row.conditions, *bits_of(row)):
            yield Need(self.part, key, condition=True)
        if row.name == _CELSIUS:
            # Any point will do: what is looked at again is whether there is such a device.
            yield Need(self.part, "battery.voltage")
        if row.key in _TIMERS:
            for key in _COUNTING:
                yield Need(self.part, key, condition=True)

    @property
    def own(self) -> Need:
        """The point of its own line."""
        assert self.row.line_key is not None
        return Need(self.part, self.row.line_key.replace("{line}", f"L{self.line}"))


def bits_of(row: ObjectRow) -> Mapping[str, int]:
    """Give the conditions that the bits of a status word stand for."""
    return {bit.condition: bit.mask for bit in row.bits}


class Values:
    """Works out what the instances of one device say."""

    def __init__(
        self,
        context: FeedContext,
        subject: Subject,
        lines: Lines,
        orders: Orders,
        uptime: Callable[[], float],
        more_lines: Callable[[Side], None],
    ) -> None:
        """`more_lines` hears of a side that turns out to have more lines than was known."""
        self._context = context
        self._subject = subject
        self._lines = lines
        self._orders = orders
        self._uptime = uptime
        self._more_lines = more_lines

    def member(self, one: Member) -> bytes | None:
        """Return what a row of a table says in one column, None for nothing."""
        row = one.row
        if row.name.endswith(_INDEXES):
            # The index of a table, where it can be read.
            return None if self._subject.part(one.part) is None else number(one.number)
        return self._encoded(row, one.part, None if row.key is None else self._reading(one.part, row.key))

    def cell(self, cell: Cell) -> bytes | None:
        """Return what an instance says, None for nothing."""
        row = cell.row
        if row.index == "0" and row.key is not None and row.key.endswith(".phases"):
            return self._count(cell)
        if cell.line:
            return self._line(cell)
        if cell.side is not None:
            # Nobody has to have such lines: that none has been seen is no reason to say that there are none.
            lines = 0 if self._subject.part(cell.part) is None else self._lines.count(cell.side)
            return number(lines) if lines else None
        if row.name == _CELSIUS:
            return None if self._subject.device is None else number(0)
        if row.name in _OF_THE_AGENT:
            return self._of_the_agent(cell)
        if row.key in _IDENTITY:
            return self._identity(cell)
        offered = self._offered(cell)
        set_to = self._orders.setting(cell.oid)
        if set_to is not None and offered:
            return number(set_to) if isinstance(set_to, int) else name(set_to)
        found = self._encoded(row, cell.part, None if row.key is None else self._reading(cell.part, row.key))
        if row.key in _TIMERS and (found is None or self._negative(cell)):
            return self._no_timer(found, offered=offered)
        if found is None and offered and isinstance(beforehand := self._orders.beforehand(cell.oid), int):
            return number(beforehand)
        return found

    def _line(self, cell: Cell) -> bytes | None:
        row, side = cell.row, cell.side
        if side is None:
            return None
        reading: Reading | None = None
        if row.line_key is not None:
            reading = self._subject.reading(cell.own)
            if cell.line == 1 and self._lines.count(side) <= 1 and row.key and (reading is None or not reading.good):
                reading = self._reading(cell.part, row.key) or reading
            if self._lines.seen(side, cell.line, reading):
                self._more_lines(side)
        elif row.key is not None:
            # What is one value for all lines, as the frequency is.
            reading = self._reading(cell.part, row.key)
        return self._encoded(row, cell.part, reading) if cell.line <= self._lines.count(side) else None

    def _count(self, cell: Cell) -> bytes | None:
        """Say how many lines there are: a fact of the machine, also when it cannot be reached."""
        device = self._subject.part(cell.part)
        assert cell.row.key is not None
        if device is None or self._context.site.catalogue.point(device.kind, cell.row.key) is None:
            return None
        return number(self._lines.count(Side(cell.part, cell.row.key.removesuffix(".phases"))))

    def _reading(self, part: Part | None, key: str) -> Reading | None:
        found = self._subject.reading(Need(part, key))
        for other in _INSTEAD.get(key, ()):
            if found is not None and found.good:
                break
            found = self._subject.reading(Need(part, other)) or found
        return found

    def _encoded(self, row: ObjectRow, part: Part | None, reading: Reading | None) -> bytes | None:
        held: dict[str, bool | None] = {}
        masks = bits_of(row)
        for key in (*row.conditions, *masks):
            need = Need(part, key, condition=True)
            if self._subject.state(need) is not None:
                held[key] = self._subject.holds(need)
        value = reading.value if reading is not None and reading.good else None
        if masks:
            word = flags(held, masks)
            return None if word is None else number(word)
        if value is None and not held:
            return None
        return encoded(row, value, held, self._uptime(), self._context.clock.utc())

    # Objects that are not simply a point

    def _identity(self, cell: Cell) -> bytes | None:
        device = self._subject.device
        assert cell.row.key is not None
        value = self._subject.value(Need(None, cell.row.key))
        if value is None and device is not None:
            value = getattr(device, _IDENTITY[cell.row.key])
        return None if value is None else text(str(value), cell.row.name)

    def _of_the_agent(self, cell: Cell) -> bytes | None:
        """Say what is of the agent itself: its version, the test that was last begun by it, and the lock of tests."""
        device = self._subject.device
        if device is None or device.kind != "ups":
            return None
        if cell.oid in self._orders.locks:
            return integer(self._orders.locks[cell.oid].value)
        if cell.row.syntax == "oid":
            set_to = self._orders.setting(cell.oid)
            return name(set_to if isinstance(set_to, tuple) else NO_TEST)
        return text(f"Ridethrough {self._context.version}", cell.row.name)

    def _offered(self, cell: Cell) -> bool:
        """Whether the device knows a command that this object has a part in."""
        return any(
            (device := self._subject.part(way.part)) is not None and way.command in device.commands
            for way in self._orders.using(cell.oid)
        )

    def _negative(self, cell: Cell) -> bool:
        assert cell.row.key is not None
        value = self._subject.value(Need(cell.part, cell.row.key))
        return isinstance(value, int | float) and value < 0

    def _no_timer(self, found: bytes | None, *, offered: bool) -> bytes | None:
        """Say that nothing counts down (-1, RFC 1628 §3.8): if the UPS says so, or nothing speaks against it."""
        if found is None:
            counting = any(self._subject.holds(Need(None, key, condition=True)) for key in _COUNTING)
            if counting or not offered:
                return None
        return number(-1)


__all__ = ["Cell", "Values", "bits_of"]

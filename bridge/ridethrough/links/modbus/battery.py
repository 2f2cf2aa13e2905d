"""One connection to what watches batteries: its state often, its blocks as far as it has them, the rest rarely.

It reads any map of a battery system: the maker's of BACS (manual M:11154) and those that people write of cell monitors.
How many strings and blocks there are the device says itself, where its map has that; nothing is asked of the others.
"""

import asyncio
from collections.abc import Iterable, Mapping
import logging

from ridethrough.battery.layout import Layout
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import Identity, LinkError, RawValue, Report
from ridethrough.maps.registers import Device, Register
from ridethrough.site import Value

from .decode import Raw
from .meaning import Meaning, Raws, by_device, listed, told, understand
from .options import ModbusOptions
from .plan import spans
from .survey import Functions, Survey
from .unit import Unit

_LOGGER = logging.getLogger(__name__)

BLOCKS = 10.0
"""Seconds from one reading of all blocks to the next; the maker's own screen has them about as fresh (manual M:7001)."""
REST = 2.0
"""How many times as long as a reading took the next may begin at the earliest: a slow device has other things to do."""
DETAILS = 60.0
"""Seconds between two readings of what hardly moves."""
RETRY = 3600.0
"""Seconds after which registers that were refused are asked for again."""
PAUSE = 1.0
"""Seconds to wait when nothing has been read."""
AT_ONCE = 16
"""Blocks that are reported together; between two such lots others have their turn."""

_COUNTS = {"battery_module": "battery.modules", "battery_string": "battery.strings"}
"""The kind of device, and the point of the system that says how many there are."""
_RARE = frozenset({"module.charge", "module.impedance.baseline"})
_RESERVED = "<RESERVED>"
"""What the maker calls registers that are not to be used (M:11179)."""
_NO_FLAGS = frozenset({0xFFFF, 0xD8F1})
"""-1 and -9999, which also a word of flags may have that is not supported (M:11443); no flags can look like this: both
have values that are too high and too low at once."""
_POSSIBLE: Mapping[str, tuple[float, float]] = {
    "module.temperature": (-40.0, 125.0),
    "module.voltage": (-1.0, 100.0),
}
"""What a block can have; a number beyond it means something else."""


class BatterySession:
    """One connection to a unit."""

    def __init__(
        self,
        unit: Unit,
        options: ModbusOptions,
        report: Report,
        clock: Clock,
        layout: Layout | None,
        reported: set[Register],
    ) -> None:
        """Nothing is asked until `run`.

        `layout` is what the configuration says of the blocks, `reported` are the registers whose refusal has been told
        of, which outlives the connection.
        """
        self._unit = unit
        self._options = options
        self._report = report
        self._clock = clock
        self._layout = layout
        self._reported = reported
        self._catalogue = load_catalogue()
        self._functions = Functions(options.reading.function)
        self._most: dict[str, int] = {}
        """The highest number of each kind in the map."""
        for row in options.profile.registers:
            if row.device is not None and row.device.number.isdigit():
                number = int(row.device.number)
                self._most[row.device.kind] = max(number, self._most.get(row.device.kind, 0))
        self._counted = [
            row for row in options.profile.registers if row.device is None and row.point in _COUNTS.values()
        ]
        self._counts: dict[str, int] = {}
        """How many devices there are of each kind, as far as that is told."""
        self._awaited = {_counted_by(row) for row in self._counted}
        """Kinds of devices of which it is still to be heard how many there are."""
        self._state: Survey
        self._blocks: Survey
        self._details: Survey
        self._arrange()
        self._raws: dict[Register, Raw | None] = {}
        self._children: dict[Device, Report] = {}
        self._boxes: set[Device] = set()
        self._lost: set[Device | None] = set()
        """Modules that the device says it has lost."""
        self._known: dict[Device | None, tuple[list[Raw | None], Meaning]] = {}
        """What each device said last, so that what has not changed need not be understood again."""
        self._senseless: set[Register] = set()
        self._rearranged = False
        """Whether it has turned out only now what there is to be read."""
        self._discharging = False
        self._polled = 0.0
        self._introduced = False

    async def run(self) -> None:
        """Read for ever. Raises LinkError when the unit is lost, or is not what the link says."""
        blocks_due = details_due = 0.0
        retry_due = self._clock.monotonic() + RETRY
        while True:
            began, discharging = self._clock.monotonic(), self._discharging
            if not await self._poll():
                await self._clock.sleep(PAUSE)
                continue
            if self._discharging and not discharging:
                blocks_due = began
            if self._rearranged:
                self._rearranged = False
                blocks_due = details_due = began
            if began >= blocks_due and self._blocks.groups:
                if not await self._read_blocks() and not self._state.groups:
                    await self._clock.sleep(PAUSE)
                    continue
                took = self._clock.monotonic() - began
                blocks_due = began + max(self._options.poll if self._discharging else BLOCKS, REST * took)
            if began >= details_due:
                await self._read_details()
                details_due = began + DETAILS
            if began >= retry_due:
                retry_due = began + RETRY
                for survey in (self._state, self._blocks, self._details):
                    survey.retry()
            await self._clock.sleep(max(0.0, began + self._options.poll - self._clock.monotonic()))

    def raw(self) -> tuple[RawValue, ...]:
        """Give the registers that have been read, by address, under their printed names."""
        return tuple(
            listed(row, self._raws[row], self._kind(row.device), row.point, self._catalogue)
            for row in sorted(self._raws, key=lambda row: row.address)
            if row.point is not None or not told(row)
        )

    # What is read

    def _arrange(self) -> None:
        """Divide the rows of what there is among the lanes."""
        state: list[Register] = []
        blocks: list[Register] = []
        details: list[Register] = []
        for row in self._options.profile.registers:
            if not self._is_there(row.device) or row.name == _RESERVED:
                continue
            rare = not told(row) or row.point in _RARE
            module = row.device is not None and row.device.kind == "battery_module"
            (details if rare else blocks if module else state).append(row)
        reading = self._options.reading
        self._state, self._blocks, self._details = (
            Survey(self._unit, rows, self._functions, reading) for rows in (state, blocks, details)
        )

    def _is_there(self, device: Device | None) -> bool:
        """Whether something may be asked of a device: as counted, else as configured, else as the map has it."""
        if device is None or device.kind not in _COUNTS:
            return True
        count = self._counts.get(device.kind)
        if count is None:
            if device.kind in self._awaited:
                return False
            if self._layout is None:
                return True
            count = self._layout.blocks if device.kind == "battery_module" else self._layout.strings
        return int(device.number) <= count

    async def _poll(self) -> bool:
        """Read the state and report it; False if nothing could be read."""
        if not self._state.groups and not self._state.refused:
            return True
        raws = self._settled(await self._state.read())
        self._note_refusals(self._state)
        if not raws:
            if not self._state.groups:
                raise LinkError(self._strange(f"it refuses {spans(self._state.refused)}"))
            return False
        self._polled = self._clock.monotonic()
        if self._count(raws):
            # Now it is known which strings there are.
            raws = {**raws, **self._settled(await self._state.read())}
        self._raws |= raws
        devices = by_device(raws)
        meaning = self._understand(None, devices.get(None, {}))
        if not self._introduced and self._state.settled:
            self._check(raws)
            self._introduced = True
            self._identify()
        self._discharging = meaning.conditions.get("discharging", False)
        with self._report.together():
            self._report.status(meaning.points, meaning.conditions)
            for device, rows in devices.items():
                if device is not None and self._shown(device, devices):
                    part = self._understand(device, rows)
                    self._child(device).status(part.points, part.conditions)
        return True

    async def _read_blocks(self) -> bool:
        """Read the blocks; False if nothing could be read."""
        raws = self._settled(await self._blocks.read(self._between))
        self._note_refusals(self._blocks)
        self._raws |= raws
        if raws and not self._state.groups:
            self._report.status({}, {})
            if not self._introduced:
                self._introduced = True
                self._identify()
        await self._tell(by_device(raws), rare=False)
        return bool(raws)

    async def _read_details(self) -> None:
        raws = self._settled(await self._details.read(self._between))
        self._note_refusals(self._details)
        self._raws |= raws
        await self._tell(
            {device: rows for device, rows in by_device(raws).items() if device is not None and any(map(told, rows))},
            rare=True,
        )

    async def _between(self) -> None:
        """Have the state not wait for all blocks to be read."""
        if self._clock.monotonic() - self._polled >= self._options.poll:
            await self._poll()

    async def _tell(self, devices: Mapping[Device | None, Raws], *, rare: bool) -> None:
        """Report child devices, some at a time."""
        parts = [(device, rows) for device, rows in devices.items() if device is not None]
        for first in range(0, len(parts), AT_ONCE):
            with self._report.together():
                for device, rows in parts[first : first + AT_ONCE]:
                    if device not in self._children and not self._is_said(device, rows):
                        continue
                    if rare:
                        points = {} if device in self._lost else self._understand_rare(device, rows)
                        self._child(device).details({**points, **self._place(device)})
                    else:
                        meaning = self._understand(device, rows)
                        self._child(device).status(meaning.points, meaning.conditions)
            await asyncio.sleep(0)

    def _is_said(self, device: Device, rows: Raws) -> bool:
        """Whether the device itself says that there is this one: by its count, or by any value."""
        return device.kind in self._counts or any(raw is not None for raw in rows.values())

    # What it says

    def _understand_rare(self, device: Device, rows: Raws) -> Mapping[str, Value | None]:
        return understand(device.kind, rows, None, self._catalogue).points

    def _settled(self, raws: Raws) -> dict[Register, Raw | None]:
        """Take words of flags that are not supported, and impedances that were never measured, for what they are."""
        found = dict(raws)
        for row, raw in raws.items():
            if (row.bits and raw in _NO_FLAGS) or (row.point == "module.impedance" and raw == 0):
                found[row] = None
        return found

    def _understand(self, device: Device | None, raws: Raws) -> Meaning:
        values = list(raws.values())
        known = self._known.get(device)
        if known is not None and known[0] == values:
            return known[1]
        meaning = understand(self._kind(device), raws, None, self._catalogue)
        for key, value in list(meaning.points.items()):
            low, high = _POSSIBLE.get(key, (0.0, 0.0))
            if key in _POSSIBLE and isinstance(value, int | float) and not low <= value <= high:
                meaning.senseless[meaning.rows[key]] = f"{value:g} is not between {low:g} and {high:g}"
                del meaning.points[key]
        news = meaning.senseless.keys() - self._senseless
        if news:
            self._report.count("malformed", len(news))
        self._senseless = (self._senseless - raws.keys()) | meaning.senseless.keys()
        self._lost.discard(device)
        if device is not None and meaning.conditions.get("module.lost", False):
            self._lost.add(device)
            # What the device still shows of a module that does not answer it is old, or was never so.
            meaning.points.clear()
        self._known[device] = (values, meaning)
        return meaning

    def _count(self, raws: Raws) -> bool:
        """Learn how many blocks and strings there are; True if that is news.

        Raises LinkError when there cannot be so many.
        """
        counts, awaited = dict(self._counts), set(self._awaited)
        for row in self._counted:
            kind, raw = _counted_by(row), raws.get(row)
            if row not in raws and row not in self._state.refused:
                continue
            awaited.discard(kind)
            if not isinstance(raw, int) or raw in _NO_FLAGS:
                counts.pop(kind, None)
                continue
            most = self._most.get(kind, 0)
            if raw > most:
                raise LinkError(self._strange(f"{row.name} is {raw}, and there can be {most} at most"))
            counts[kind] = raw
        if (counts, awaited) == (self._counts, self._awaited):
            return False
        self._awaited = awaited
        if self._counts and counts:
            _LOGGER.info("%s has %s now", self._options.where, _counted(counts))
        self._counts = counts
        self._forget([device for device in self._children if not self._is_there(device)])
        self._arrange()
        self._rearranged = True
        return True

    def _forget(self, devices: Iterable[Device]) -> None:
        """Let go of what is no longer counted: its values are old, and nothing is the matter with it."""
        for device in devices:
            report = self._children.pop(device)
            _, meaning = self._known.pop(device, ([], Meaning()))
            report.status({}, dict.fromkeys(meaning.conditions, False))
            rows = [row for row in self._raws if row.device == device]
            report.dropped([row.point for row in rows if row.point is not None])
            for row in rows:
                del self._raws[row]

    def _shown(self, device: Device, devices: Mapping[Device | None, Raws]) -> bool:
        """Whether a device is there: registers of four boxes may stand for none.

        Where some boxes are marked as not supported, the others are there; else only those that are configured, or
        that have said something.
        """
        if device.kind != "io_box" or device in self._boxes:
            return True
        values = devices[device].values()
        marked = any(
            raw is None
            for other, rows in devices.items()
            if other is not None and other.kind == "io_box"
            for raw in rows.values()
        )
        configured = self._layout is not None and int(device.number) <= self._layout.boxes
        there = any(values) or configured or (marked and any(raw is not None for raw in values))
        if there:
            self._boxes.add(device)
        return there

    def _place(self, device: Device) -> Mapping[str, Value | None]:
        """Say where a block stands: as configured, else evenly divided among the strings."""
        if device.kind != "battery_module":
            return {}
        layout, block = self._divided(), int(device.number)
        if layout is None or not 1 <= block <= layout.blocks:
            return {}
        return {"module.string": layout.string_of(block), "module.position": layout.position(block)}

    def _divided(self) -> Layout | None:
        modules, strings = (self._counts.get(kind, 0) for kind in ("battery_module", "battery_string"))
        if self._layout is not None and self._layout.blocks and modules in (0, self._layout.blocks):
            return self._layout
        return Layout.of([modules // strings] * strings) if strings and modules and modules % strings == 0 else None

    def _check(self, raws: Raws) -> None:
        """See on the first reading that the device speaks this map at all. Raises LinkError."""
        if self._counted and not any(raws.values()):
            raise LinkError(self._strange(f"{spans(raws)} are zero throughout"))

    def _strange(self, what: str) -> str:
        return (
            f"{self._options.where} answers, but not by the map {self._options.profile.name} ({what}); "
            "see whether it is the right device, and whether its addresses are shifted (shift=1)."
        )

    def _identify(self) -> None:
        profile = self._options.profile
        self._report.identified(Identity(manufacturer=profile.makes or None, model=profile.title))

    def _note_refusals(self, survey: Survey) -> None:
        """Count and log each register once."""
        news = set(survey.refused) - self._reported
        if news:
            self._reported |= news
            self._report.count("refused", len(news))
            _LOGGER.info("%s refuses %s; these registers are left out", self._options.where, spans(news))

    def _child(self, device: Device) -> Report:
        report = self._children.get(device)
        if report is None:
            name = f"{self._catalogue.kind(device.kind)} {device.number}"
            report = self._children[device] = self._report.child(device.kind, device.number, name)
        return report

    def _kind(self, device: Device | None) -> str:
        return self._options.profile.kind if device is None else device.kind


def _counted_by(row: Register) -> str:
    """Name the kind of device that a register counts."""
    return next(kind for kind, point in _COUNTS.items() if point == row.point)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind.removeprefix('battery_')}s" for kind, number in counts.items())


__all__ = ["AT_ONCE", "BLOCKS", "DETAILS", "BatterySession"]

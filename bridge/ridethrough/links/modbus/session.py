"""One connection to a device: reads its registers in three lanes and reports what they mean."""

from collections.abc import Iterable, Iterator
import logging

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import Identity, LinkError, RawValue, Report
from ridethrough.maps.registers import Device, Register

from .decode import Raw, is_mains
from .meaning import Meaning, Raws, by_device, has_phases, key_of, listed, phases_of, told, understand
from .options import ModbusOptions
from .plan import Group, grouped, spans
from .survey import Functions, Survey
from .unit import Unit

_LOGGER = logging.getLogger(__name__)

CHILDREN = 2.0
"""Seconds at least between two readings of modules, sensors and contacts."""
DETAILS = 300.0
"""The same for ratings, texts, and what has no point."""
RETRY = 3600.0
"""Seconds after which registers that were refused are asked for again."""
PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds to wait when nothing has been read: at first, and at most after doubling."""
ENOUGH = 8
"""Registers from which on it can be told that all of them are zero, or that they make no sense."""

_SLOW = frozenset({"text", "timestamp"})


class Session:
    """One connection to a unit."""

    def __init__(
        self,
        unit: Unit,
        options: ModbusOptions,
        report: Report,
        clock: Clock,
        children: set[Device],
        reported: set[Register],
    ) -> None:
        """Nothing is asked until `run`.

        `children` are the child devices that are known to be there, `reported` the registers whose refusal has been
        told of; both outlive the connection.
        """
        self._unit = unit
        self._options = options
        self._report = report
        self._clock = clock
        self._children = children
        self._reported = reported
        self._catalogue = load_catalogue()
        self._functions = Functions(options.reading.function)
        self._status: Survey
        self._parts: Survey
        self._details: Survey
        self._survey()
        self._tried_both = False
        self._raws: dict[Register, Raw | None] = {}
        self._phases: dict[Device | None, int] = {}
        self._sources: dict[tuple[Device | None, str | None], Register] = {}
        """Device and point of the map to the register that gives it, where there are several."""
        self._senseless: set[Register] = set()
        self._polled = 0.0
        self._introduced = False
        self._idle = 0

    async def run(self) -> None:
        """Read for ever. Raises LinkError when the unit is lost, or is not what the link says."""
        parts_due = details_due = 0.0
        retry_due = self._clock.monotonic() + RETRY
        while True:
            began = self._clock.monotonic()
            if not await self._poll():
                continue
            if began >= parts_due:
                parts_due = began + max(CHILDREN, self._options.poll)
                await self._read_parts()
            if began >= details_due:
                details_due = began + DETAILS
                await self._read_details()
            if began >= retry_due:
                retry_due = began + RETRY
                for survey in (self._status, self._parts, self._details):
                    survey.retry()
            await self._clock.sleep(max(0.0, began + self._options.poll - self._clock.monotonic()))

    def raw(self) -> tuple[RawValue, ...]:
        """Give the registers that have been read, by address, under their printed names.

        Left out are those that are nothing but a condition, those of child devices that are not there, and those whose
        point another register gives.
        """
        return tuple(
            self._raw_value(row, self._raws[row])
            for row in sorted(self._raws, key=lambda row: row.address)
            if (row.point is not None or not told(row))
            and (row.device is None or row.device in self._children)
            and self._sources.get((row.device, row.point), row) is row
        )

    # The lanes

    def _survey(self) -> None:
        """Divide the rows among the lanes. Rows without a point go along where a group spans them anyway."""
        status: list[Register] = []
        parts: list[Register] = []
        details: list[Register] = []
        for row in self._options.profile.registers:
            lane = details if self._slow(row) else status if row.device is None else parts
            lane.append(row)
        reading = self._options.reading
        groups = grouped([*status, *parts], self._functions.choose, reading.gap, reading.longest)
        for row in [row for row in details if not told(row)]:
            if any(_spans(group, row) for group in groups):
                details.remove(row)
                (status if row.device is None else parts).append(row)
        self._status, self._parts, self._details = (
            Survey(self._unit, rows, self._functions, reading) for rows in (status, parts, details)
        )

    def _slow(self, row: Register) -> bool:
        if not told(row):
            return True
        point = None if row.point is None else self._catalogue.point(self._kind(row.device), row.point)
        said = row.condition is not None or bool(row.bits)
        return point is not None and not said and (point.fixed or point.quantity.name in _SLOW)

    async def _poll(self) -> bool:
        """Read the status and report it; False if nothing could be read."""
        raws = await self._status.read()
        if not raws:
            if not self._status.groups:
                self._other_function()
            else:
                await self._clock.sleep(min(LONGEST_PAUSE, PAUSE * 2**self._idle))
                self._idle = min(self._idle + 1, 8)
            return False
        self._idle = 0
        self._polled = self._clock.monotonic()
        self._take(raws)
        self._note_refusals(self._status)
        meaning = self._understand(None, raws)
        if not self._introduced:
            if not self._status.settled and not any(raws.values()):
                return False  # the rest may say more
            self._check(raws, meaning)
            self._introduced = self._status.settled
        # The runner tells whether the device is lost; that the device has lost its UPS comes to the same.
        if meaning.conditions.pop("communications_lost", False):
            raise LinkError(f"{self._options.where} answers, but says that it has lost its UPS.")
        self._report.status(meaning.points, meaning.conditions)
        return True

    async def _read_parts(self) -> None:
        raws = await self._parts.read(self._between)
        self._take(raws)
        self._note_refusals(self._parts)
        for device, rows in by_device(raws).items():
            if device is not None and (device in self._children or any(raw for row, raw in rows.items() if told(row))):
                self._children.add(device)
                meaning = self._understand(device, rows)
                self._child(device).status(meaning.points, meaning.conditions)

    async def _read_details(self) -> None:
        raws = await self._details.read(self._between)
        self._take(raws)
        self._note_refusals(self._details)
        for device, rows in by_device(raws).items():
            meaning = self._understand(device, rows)
            if device is None:
                self._report.details(meaning.points, meaning.conditions)
            elif device in self._children:
                self._child(device).details(meaning.points, meaning.conditions)
        self._identify()

    async def _between(self) -> None:
        """Have the status not wait for everything else to be read."""
        if self._clock.monotonic() - self._polled >= max(self._options.poll, CHILDREN):
            await self._poll()

    # What it reports

    def _take(self, raws: Raws) -> None:
        self._raws |= raws

    def _understand(self, device: Device | None, raws: Raws) -> Meaning:
        meaning = understand(self._kind(device), raws, self._phases_of(device), self._catalogue)
        self._sources |= {(device, row.point): row for row in meaning.rows.values()}
        news = meaning.senseless.keys() - self._senseless
        if news:
            self._report.count("malformed", len(news))
        self._senseless = (self._senseless - raws.keys()) | meaning.senseless.keys()
        return meaning

    def _phases_of(self, device: Device | None) -> int | None:
        """Find out how many phases a device has, and keep to it; only a phase that comes alive says otherwise."""
        if self._options.phases is not None:
            return self._options.phases
        settled = self._phases.get(device)
        if settled == 3:
            return settled
        rows = {row: raw for row, raw in self._raws.items() if row.device == device}
        phases = phases_of(rows)
        if phases is None or phases == settled:
            return settled
        if settled is not None:
            self._drop(device, [row for row in rows if has_phases([row])])
        self._phases[device] = phases
        return phases

    def _check(self, raws: Raws, meaning: Meaning) -> None:
        """See on the first reading that the device speaks this map at all. Raises LinkError."""
        options = self._options
        if sum(row.point is not None for row in raws) >= ENOUGH and not any(raws.values()):
            raise LinkError(
                f"{options.where} answers, but with zero in each of the {len(raws)} registers that the map "
                f"{options.profile.name} has there; name its map with profile=, or see whether its UPS is connected."
            )
        frequencies = [value for value in self._frequencies(meaning) if value]
        if frequencies and not any(map(is_mains, frequencies)):
            raise LinkError(
                f"{options.where} answers, but by the map {options.profile.name} its frequency would be "
                f"{frequencies[0]:g} Hz; name its map with profile=."
            )
        measured = len(meaning.senseless) + sum(isinstance(value, float) for value in meaning.points.values())
        if measured >= ENOUGH and 2 * len(meaning.senseless) >= measured:
            examples = ", ".join(f"{row.name}: {why}" for row, why in list(meaning.senseless.items())[:3])
            raise LinkError(
                f"{options.where} answers, but its registers make no sense as the map {options.profile.name} "
                f"({examples}); name its map with profile=."
            )

    def _frequencies(self, meaning: Meaning) -> Iterator[float]:
        for key, value in meaning.points.items():
            point = self._catalogue.point(self._kind(None), key)
            if point is not None and point.quantity.name == "frequency" and isinstance(value, float | int):
                yield float(value)

    def _child(self, device: Device) -> Report:
        name = self._catalogue.kind(device.kind)
        return self._report.child(device.kind, device.number, f"{name} {device.number}")

    def _identify(self) -> None:
        texts: dict[str, str] = {
            row.point: raw
            for row, raw in self._raws.items()
            if row.point is not None and row.device is None and isinstance(raw, str)
        }

        def said(*keys: str) -> str | None:
            return next((texts[key] for key in keys if key in texts), None)

        self._report.identified(
            Identity(
                manufacturer=said("device.mfr", "ups.mfr"),
                model=said("device.model", "ups.model"),
                serial=said("device.serial", "ups.serial"),
                firmware=said("ups.firmware", "ups.firmware.aux"),
            )
        )

    # What is refused

    def _other_function(self) -> None:
        """Try the other function when every register is refused with the first. Raises LinkError when both are."""
        options = self._options
        rows = self._status.refused
        used = next(filter(None, map(self._functions.choose, rows)), None)
        if used is not None and not self._unit.answered:
            self._functions.refuse(used)
            if any(self._functions.choose(row) is not None for row in rows):
                self._survey()
                return
        raise LinkError(
            f"{options.where} answers, but has none of the registers of the map {options.profile.name} "
            f"({spans(rows)}); name its map with profile=, or see whether its addresses are shifted (shift=1)."
        )

    def _note_refusals(self, survey: Survey) -> None:
        """Count and log each register once, and let its point go."""
        refused = set(survey.refused)
        for device, rows in by_device(dict.fromkeys(refused & self._raws.keys())).items():
            self._drop(device, rows)
        news = refused - self._reported
        if news:
            self._reported |= news
            self._report.count("refused", len(news))
            _LOGGER.info("%s refuses %s; these registers are left out", self._options.where, spans(news))

    def _drop(self, device: Device | None, rows: Iterable[Register]) -> None:
        rows = list(rows)
        kind, phases = self._kind(device), self._phases.get(device, self._options.phases)
        keys = [key for row in rows if (key := key_of(kind, row, phases, self._catalogue)) is not None]
        report = self._report if device is None else self._child(device) if device in self._children else None
        if report is not None and keys:
            report.dropped(keys)
        for row in rows:
            self._raws.pop(row, None)

    # Small things

    def _kind(self, device: Device | None) -> str:
        return self._options.profile.kind if device is None else device.kind

    def _raw_value(self, row: Register, raw: Raw | None) -> RawValue:
        kind = self._kind(row.device)
        phases = self._options.phases or self._phases.get(row.device)
        key = key_of(kind, row, phases, self._catalogue)
        return listed(row, raw, kind, key, self._catalogue)


def _spans(group: Group, row: Register) -> bool:
    same = group.function in row.functions
    return same and group.address <= row.address and row.end <= group.address + group.count


__all__ = ["CHILDREN", "DETAILS", "RETRY", "Session"]

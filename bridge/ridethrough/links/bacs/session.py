"""One connection to a web manager's SNMP agent: its state often, its blocks as often as it takes them, the rest rarely.

The tables of modules and strings may be counted from 0 or from 1: the first row is number 1 either way. Against Modbus the
same manager has hundredths of volts for thousandths, and tenths of degrees for its code of half degrees (M:11447); it may
be set to Fahrenheit (bacsTemperatureUnit, M:12128).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
import logging

from ridethrough.battery.layout import Layout
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import Identity, LinkError, RawValue, Report
from ridethrough.links.snmp.agent import Agent, GarbledError, SilentError
from ridethrough.links.snmp.inventory import Instance, take_inventory
from ridethrough.links.snmp.options import SnmpOptions
from ridethrough.links.snmp.values import Raw, clean, number_of, shown
from ridethrough.maps.objects import ObjectRow, load_alarms, load_mibs
from ridethrough.maps.registers import load_profile
from ridethrough.site import Alert, CommandError, CommandResult, Value

_LOGGER = logging.getLogger(__name__)

BLOCKS = 10.0
"""Seconds from one reading of all blocks to the next; such an agent answers some hundred requests for that."""
DETAILS = 60.0
"""Seconds between two readings of settings, impedances and names."""
REDISCOVERY = 900.0
"""Seconds between two looks at how many blocks there are."""
UNANSWERED = 3
"""Polls without an answer after which the agent counts as lost."""
AT_ONCE = 16
"""Devices that are reported together; between two such lots others have their turn."""

_FAHRENHEIT = 1
_WRAP = 1 << 32
"""A status word of more than 31 bits comes as a negative Integer32."""
_POSSIBLE: Mapping[str, tuple[float, float]] = {
    "module.temperature": (-40.0, 125.0),
    "module.voltage": (-1.0, 100.0),
}
"""What a block can have; a number beyond it means something else."""

type Owner = tuple[str, str] | None
"""Kind and number of a child, None for the system itself."""


class BacsSession:
    """Polls one agent until it is lost."""

    def __init__(
        self,
        agent: Agent,
        options: SnmpOptions,
        clock: Clock,
        report: Report,
        layout: Layout | None,
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        """`layout` is what the configuration says; `wait` sleeps for some seconds, or until a trap has come."""
        self._agent = agent
        self._options = options
        self._clock = clock
        self._report = report
        self._layout = layout
        self._wait = wait
        self._catalogue = load_catalogue()
        self._mib = next(mib for mib in load_mibs() if mib.name == "bacs")
        self._state: list[Instance] = []
        self._blocks: list[Instance] = []
        self._details: list[Instance] = []
        self._raw: dict[str, Raw] = {}
        self._children: dict[tuple[str, str], Report] = {}
        self._divided = layout
        """Which string each block is in, as far as that can be told."""
        self._fahrenheit = False
        self._discharging = False
        self._alarms_before = True
        self.over = False

    async def run(self) -> None:
        """Poll for ever. Raises LinkError."""
        await self._discover()
        blocks_due = details_due = 0.0
        rediscover = self._clock.monotonic() + REDISCOVERY
        unanswered = 0
        while True:
            began, discharging = self._clock.monotonic(), self._discharging
            try:
                if began >= rediscover:
                    rediscover = began + REDISCOVERY
                    await self._discover()
                await self._poll()
                if self._discharging and not discharging:
                    blocks_due = began
                if began >= blocks_due:
                    await self._read(self._blocks, fast=True)
                    took = self._clock.monotonic() - began
                    blocks_due = began + max(self._options.poll if self._discharging else BLOCKS, 2 * took)
                if began >= details_due:
                    await self._read_unit()
                    await self._read(self._details, fast=False)
                    details_due = began + DETAILS
                unanswered = 0
            except (SilentError, GarbledError) as error:
                unanswered += 1
                self._report.count("timeouts" if isinstance(error, SilentError) else "malformed")
                if unanswered >= UNANSWERED:
                    raise LinkError(
                        f"{self._options} has stopped answering ({unanswered} polls without an answer)."
                    ) from error
            await self._wait(max(0.0, began + self._options.poll - self._clock.monotonic()))

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None) -> CommandResult:
        """Refuse: nothing is written to a web manager."""
        raise CommandError("unknown_command", "A BACS web manager is only read.")

    async def history(self) -> tuple[Alert, ...]:
        """Refuse: its log is fetched from its own page (manual M:6835)."""
        raise CommandError("unknown_command", "A BACS web manager tells its log on its own page only.")

    def raw(self) -> tuple[RawValue, ...]:
        """Give every object that was read, under the name its MIB has for it."""
        found = []
        for one in (*self._state, *self._blocks, *self._details):
            raw = self._raw.get(one.oid)
            child = one.child
            value = self._value(one.row, raw)
            point = None if one.row.key is None else self._catalogue.point(_kind(one), one.row.key)
            found.append(
                RawValue(
                    name=one.name,
                    text=shown(raw),
                    unit=one.row.unit if point is None else point.unit,
                    key=None if point is None else one.row.key,
                    child=None if child is None else (child.kind, child.number),
                    value=value,
                )
            )
        return tuple(found)

    # What is read

    async def _discover(self) -> None:
        """Find out what it has. Raises LinkError when that is no battery monitoring."""
        inventory = await take_inventory(self._agent, [self._mib])
        if not inventory.instances:
            raise LinkError(
                f"{self._options} answers SNMP, but has no battery monitoring below {self._mib.base}; "
                "is it a BACS web manager, and may this community or user see that?"
            )
        gone = {owner for one in (*self._state, *self._blocks) if (owner := _owner(one)) is not None}
        self._state, self._blocks, self._details = [], [], []
        for one in inventory.instances:
            module = one.row.child is not None and one.row.child.kind == "battery_module"
            (self._details if not one.row.fast else self._blocks if module else self._state).append(one)
        blocks = len({owner for one in self._blocks if (owner := _owner(one)) is not None})
        strings = sum(one.row.name == "bacsStringTotalVolt" for one in self._state)
        self._divided = self._layout
        if self._layout is None or self._layout.blocks != blocks:
            even = strings > 0 and blocks % strings == 0
            self._divided = Layout.of([blocks // strings] * strings) if even else None
        self._forget(gone - {owner for one in inventory.instances if (owner := _owner(one)) is not None})
        profile = load_profile("bacs")
        self._report.identified(Identity(manufacturer=profile.makes, model=profile.title))
        await self._read_unit()

    def _forget(self, owners: Iterable[tuple[str, str]]) -> None:
        """Let go of what is no longer there: its values are old, and nothing is the matter with it."""
        for owner in owners:
            report = self._children.pop(owner, None)
            if report is not None:
                rows = [row for row in self._mib.rows if row.child is not None and row.child.kind == owner[0]]
                report.status({}, {bit.condition: False for row in rows for bit in row.bits})
                report.dropped([row.key for row in rows if row.key is not None])

    async def _read_unit(self) -> None:
        """Learn in which unit its temperatures are."""
        row = next(row for row in self._mib.rows if row.name == "bacsTemperatureUnit")
        answered = await self._agent.get([f"{row.oid}.0"])
        raw = number_of(answered.get(f"{row.oid}.0"))
        self._fahrenheit = raw == _FAHRENHEIT

    async def _poll(self) -> None:
        before = self._agent.asked
        if not await self._read(self._state, fast=True):
            raise SilentError(f"{self._options} answers, but no longer tells anything of the batteries.")
        self._report.count("answers", self._agent.asked - before)

    async def _alarms(self) -> Mapping[str, bool]:
        """Read which alarms are present, unless the agent says that there are none and were none."""
        if self._mib.alarms is None or self._mib.alarm_count is None:
            return {}
        present = number_of(self._raw.get(self._mib.alarm_count))
        if present is None or (present == 0 and not self._alarms_before):
            return {}
        here: set[str] = set()
        if present:
            here = {str(raw).strip(".") for _, raw in await self._agent.walk(self._mib.alarms) if raw is not None}
        self._alarms_before = bool(present)
        known = load_alarms("battery_system")
        return {row.condition: oid in here for oid, row in known.items() if row.condition is not None}

    async def _read(self, instances: Sequence[Instance], *, fast: bool) -> bool:
        """Read some objects and report them; False if none of them answers."""
        if not instances:
            return True
        answered = await self._agent.get([one.oid for one in instances])
        if not answered:
            return False
        points: dict[Owner, dict[str, Value | None]] = {}
        conditions: dict[Owner, dict[str, bool]] = {}
        for position, one in enumerate(instances):
            if position % 512 == 511:
                await asyncio.sleep(0)
            raw = self._raw[one.oid] = answered.get(one.oid)
            owner = _owner(one)
            told = conditions.setdefault(owner, {})
            of = points.setdefault(owner, {})
            if one.row.key is not None:
                of[one.row.key] = self._value(one.row, raw)
            for condition, active in self._said(one.row, raw).items():
                told[condition] = active or told.get(condition, False)
        if None in points and fast:
            for condition, active in (await self._alarms()).items():
                conditions[None][condition] = active or conditions[None].get(condition, False)
            self._discharging = conditions[None].get("discharging", False)
        await self._tell(points, conditions, fast=fast)
        return True

    async def _tell(
        self,
        points: Mapping[Owner, dict[str, Value | None]],
        conditions: Mapping[Owner, Mapping[str, bool]],
        *,
        fast: bool,
    ) -> None:
        # The system goes first: its report says that the connection is good.
        owners = sorted(points, key=lambda owner: owner is not None)
        for first in range(0, len(owners), AT_ONCE):
            with self._report.together():
                for owner in owners[first : first + AT_ONCE]:
                    of, told = points[owner], conditions[owner]
                    if told.get("module.lost", False) and owner is not None:
                        # What the manager still shows of a module that does not answer it is old.
                        of = {}
                    if not fast and owner is not None and owner[0] == "battery_module":
                        of |= self._place(int(owner[1]))
                    report = self._report if owner is None else self._child(owner)
                    (report.status if fast else report.details)(of, told)
            await asyncio.sleep(0)

    # What it says

    def _value(self, row: ObjectRow, raw: Raw) -> Value | None:
        """Read an object; None when it is not known, or cannot be so."""
        if row.key is None or row.bits or raw is None:
            return None
        point = self._catalogue.point("battery_system" if row.child is None else row.child.kind, row.key)
        if point is None:
            return None
        value: Value | None = clean(raw) if row.syntax == "text" else None
        if row.syntax != "text" and (found := number_of(raw)) is not None and found not in row.absent:
            if row.values:
                value = row.values.get(int(found))
            else:
                number = round(found * row.scale, 6)
                if "emperature" in row.name and self._fahrenheit:
                    number = round((number - 32) / 1.8, 2)
                low, high = _POSSIBLE.get(row.key, (number, number))
                impedance = row.key == "module.impedance" and number <= 0
                value = number if low <= number <= high and not impedance else None
        if value is None:
            return None
        try:
            return point.coerce(value)
        except ValueError:
            return None

    def _said(self, row: ObjectRow, raw: Raw) -> Mapping[str, bool]:
        number = number_of(raw)
        if number is None or number in (-1, -9999):
            return {}
        word = int(number) % _WRAP if number < 0 else int(number)
        told = {bit.condition: bool(word & bit.mask) for bit in row.bits}
        return told | {key: number in values for key, values in row.conditions.items()}

    def _place(self, block: int) -> Mapping[str, Value | None]:
        """Say where a block stands: as configured, else evenly divided among the strings."""
        layout = self._divided
        if layout is None or not 1 <= block <= layout.blocks:
            return {}
        return {"module.string": layout.string_of(block), "module.position": layout.position(block)}

    def _child(self, owner: tuple[str, str]) -> Report:
        report = self._children.get(owner)
        if report is None:
            kind, number = owner
            report = self._children[owner] = self._report.child(kind, number, f"{self._catalogue.kind(kind)} {number}")
        return report


def _owner(one: Instance) -> Owner:
    child = one.child
    return None if child is None else (child.kind, child.number)


def _kind(one: Instance) -> str:
    return "battery_system" if one.row.child is None else one.row.child.kind


__all__ = ["BLOCKS", "BacsSession"]

"""Connects to a device once and shows everything that it says."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
import json
import re

from ridethrough.catalogue import Catalogue, load_catalogue
from ridethrough.clock import Clock
from ridethrough.site import Value

from .base import Conditions, Credentials, Identity, Link, LinkError, Points, RawValue
from .context import LinkContext
from .schemes import open_link

PATIENCE = 20.0
"""Seconds within which a device must have been read once; a slow serial line needs ten to be understood."""


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One value that a device has said."""

    device: str
    """Empty for the device itself, else a child of it, e.g. `outlet-2`."""
    key: str
    """The device's own name of it where its protocol has names, else the point's key."""
    value: Value | None
    unit: str
    quality: str
    """`good`; `unsupported` if the device has no value; `malformed` if the text is no value of its point;
    `not catalogued` if the catalogue does not know it: then it is shown here and nowhere else."""
    name: str
    """What people call it; empty where it is not catalogued."""
    text: str | None = None
    """The value in the device's own words, where its protocol has words."""
    point: str | None = None
    """The point's key; None where the catalogue does not know it."""


@dataclass(frozen=True, slots=True)
class ProbeCondition:
    """One condition that is known to be so or not so."""

    device: str
    key: str
    active: bool
    severity: str
    name: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Everything that a device has said when it was read once."""

    url: str
    identity: Identity
    rows: tuple[ProbeRow, ...]
    """Sorted by device and key."""
    conditions: tuple[ProbeCondition, ...]
    commands: tuple[tuple[str, str], ...]
    """Device and command, sorted."""
    counters: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True
    """False when the device did not get to the end of what it says in time."""


async def probe(url: str, credentials: Credentials, context: LinkContext, *, timeout: float = PATIENCE) -> ProbeResult:
    """Read a device once, by the URL of its link.

    Raises ValueError when the URL is wrong, LinkError or OSError when the device cannot be reached or understood
    within `timeout` seconds; each with a sentence.
    """
    return await probe_link(open_link(url, credentials, context), url, context.clock, timeout=timeout)


async def probe_link(link: Link, url: str, clock: Clock, *, timeout: float = PATIENCE) -> ProbeResult:
    """Read a device once through a link that is not running; see `probe`."""
    sheet = Sheet(link.kind)
    running = asyncio.ensure_future(link.run(sheet))
    # What a link reads besides its status it has read when the status comes for the second time.
    reading = asyncio.ensure_future(sheet.second_status.wait())
    late = asyncio.ensure_future(clock.sleep(timeout))
    tasks = (running, reading, late)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not sheet.statuses:
            if running.done():
                running.result()
            raise LinkError(f"{url} has not told its status within {timeout:g} s; {_trouble(sheet.counters)}")
        raw = link.raw()
        complete = reading.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _result(url, sheet, raw, load_catalogue(), complete=complete)


class Sheet:
    """Keeps everything that a link reports of one device; implements `Report`."""

    def __init__(self, kind: str = "ups", device: str = "", parent: Sheet | None = None) -> None:
        """`device` is empty for the root, else e.g. `outlet-2`."""
        self.kind = kind
        self.device = device
        self.name = ""
        self.identity = Identity()
        self.points: dict[str, Value | None] = {}
        self.conditions: dict[str, bool] = {}
        self.counters: dict[str, int] = {} if parent is None else parent.counters
        self.children: dict[tuple[str, str], Sheet] = {}
        self.statuses = 0
        self.second_status = asyncio.Event()

    def identified(self, identity: Identity) -> None:
        """See `Report`."""
        self.identity = identity

    def status(self, points: Points, conditions: Conditions | None = None) -> None:
        """See `Report`."""
        self.details(points, conditions)
        self.statuses += 1
        if self.statuses > 1:
            self.second_status.set()

    def details(self, points: Points, conditions: Conditions | None = None) -> None:
        """See `Report`."""
        self.points.update(points)
        self.conditions.update(conditions or {})

    def dropped(self, keys: list[str]) -> None:
        """See `Report`."""
        for key in keys:
            self.points.pop(key, None)

    def count(self, counter: str, amount: int = 1) -> None:
        """See `Report`."""
        self.counters[counter] = self.counters.get(counter, 0) + amount

    def child(self, kind: str, number: str, name: str) -> Sheet:
        """See `Report`."""
        sheet = self.children.setdefault((kind, number), Sheet(kind, f"{kind}-{number}", self))
        sheet.name = name
        return sheet

    def together(self) -> AbstractContextManager[None]:
        """See `Report`."""
        return nullcontext()

    def all(self) -> Iterator[Sheet]:
        """Give this sheet and those of the children."""
        yield self
        yield from self.children.values()


def _result(url: str, sheet: Sheet, raw: tuple[RawValue, ...], catalogue: Catalogue, *, complete: bool) -> ProbeResult:
    rows = [_raw_row(value, sheet, catalogue) for value in raw]
    shown = {(row.device, value.key) for row, value in zip(rows, raw, strict=True)}
    rows += [
        _point_row(part, key, value, catalogue)
        for part in sheet.all()
        for key, value in part.points.items()
        if (part.device, key) not in shown
    ]
    conditions = [
        ProbeCondition(part.device, key, active, str(row.severity), row.name)
        for part in sheet.all()
        for key, active in part.conditions.items()
        if (row := catalogue.condition(part.kind, key)) is not None
    ]
    return ProbeResult(
        url=url,
        identity=sheet.identity,
        rows=tuple(sorted(rows, key=lambda row: (_natural(row.device), _natural(row.key)))),
        conditions=tuple(sorted(conditions, key=lambda row: (_natural(row.device), row.key))),
        commands=tuple((part.device, key) for part in sheet.all() for key in sorted(part.identity.commands)),
        counters=dict(sheet.counters),
        complete=complete,
    )


def _raw_row(raw: RawValue, sheet: Sheet, catalogue: Catalogue) -> ProbeRow:
    part = sheet if raw.child is None else sheet.children.get(raw.child, sheet)
    if raw.key is None and raw.meaning:
        return ProbeRow(part.device, raw.name, raw.text, raw.unit, "good", raw.meaning, raw.text)
    if raw.key is None:
        told = raw.text if raw.value is None else raw.value
        return ProbeRow(part.device, raw.name, told, raw.unit, "not catalogued", "", raw.text)
    value = part.points.get(raw.key)
    # A link that posts None knows what the text means: that there is no value.
    unsupported = raw.key in part.points or not raw.text.strip()
    quality = "good" if value is not None else "unsupported" if unsupported else "malformed"
    name = _name(catalogue, part.kind, raw.key)
    return ProbeRow(part.device, raw.name, value, raw.unit, quality, name, raw.text, raw.key)


def _point_row(part: Sheet, key: str, value: Value | None, catalogue: Catalogue) -> ProbeRow:
    point = catalogue.point(part.kind, key)
    quality = "not catalogued" if point is None else "unsupported" if value is None else "good"
    unit = "" if point is None else point.unit
    known = None if point is None else key
    return ProbeRow(part.device, key, value, unit, quality, _name(catalogue, part.kind, key), point=known)


def _name(catalogue: Catalogue, kind: str, key: str) -> str:
    point = catalogue.point(kind, key)
    if point is None:
        return ""
    name = point.name
    for placeholder, text in (point.key.match(key) or {}).items():
        name = name.replace(f"{{{placeholder}}}", text)
    return name


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort outlet.10 after outlet.9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text, flags=re.ASCII)]


# Showing it


def render_table(result: ProbeResult) -> str:
    """Lay a result out for a person to read. Control characters that a device may send are shown as ?."""
    identity = result.identity
    lines = [" ".join(filter(None, (identity.manufacturer, identity.model))) or "A device that does not say what it is"]
    if identity.serial:
        lines.append(f"serial number {identity.serial}")
    if identity.firmware:
        lines.append(f"firmware {identity.firmware}")
    heading = ("name", "value", "unit", "quality", "what it is")
    cells = [(row.key, _text(row), row.unit, row.quality, row.name) for row in result.rows]
    lines += ["", *_columns([heading, *cells])]
    if result.conditions:
        heading = ("condition", "", "severity", "device", "what it is")
        cells = [
            (row.key, "yes" if row.active else "no", row.severity, row.device, row.name) for row in result.conditions
        ]
        lines += ["", *_columns([heading, *cells])]
    commands = [f"{device} {command}".strip() for device, command in result.commands]
    lines += ["", "commands: " + (", ".join(commands) or "none"), _counted(result.counters)]
    if not result.complete:
        lines.append("The device did not get to the end of what it says; there may be more.")
    return "\n".join(_printable(line).rstrip() for line in lines)


def to_json(result: ProbeResult) -> str:
    """Write a result as JSON, indented."""
    identity = {key: value for key, value in asdict(result.identity).items() if key != "commands"}
    commands = [{"device": device, "command": command} for device, command in result.commands]
    return json.dumps(asdict(result) | {"identity": identity, "commands": commands}, indent=2, ensure_ascii=False)


def _text(row: ProbeRow) -> str:
    # What the device counts in tenths is a point in whole units: then its own words do not go with the unit.
    if row.text is not None and (row.value is None or not isinstance(row.value, float) or _same(row.text, row.value)):
        return row.text
    match row.value:
        case None:
            return ""
        case bool():
            return "yes" if row.value else "no"
        case _:
            return str(row.value)


def _same(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return True


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Align everything but the last cell; a very long one does not push the others away."""
    widths = [min(40, max(map(len, column))) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)


def _trouble(counters: Mapping[str, int]) -> str:
    """Say what to look at, by what has been counted."""
    if counters.get("malformed") and not counters.get("answers"):
        return f"what comes back cannot be understood: is it the right protocol, speed and parity? {_counted(counters)}"
    return _counted(counters)


def _counted(counters: Mapping[str, int]) -> str:
    return "counted: " + (", ".join(f"{name} {number}" for name, number in sorted(counters.items())) or "nothing")


__all__ = ["ProbeCondition", "ProbeResult", "ProbeRow", "probe", "probe_link", "render_table", "to_json"]

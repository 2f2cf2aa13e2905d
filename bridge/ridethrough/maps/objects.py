"""SNMP objects as tables: what the MIBs of UPSes call things, and which point or condition each object is.

The files lie in `snmp/`: `mibs.toml` lists the MIBs and who has them, one CSV per MIB its objects.
"""

from collections.abc import Iterator, Mapping
import csv
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
import re
import tomllib

from .registers import Bit, load_bits

PLACEHOLDER = "{n}"
"""Stands in a row for every number of its `repeat` column."""
_PHASE = re.compile(r"L([1-3])(?::([\d.]+))?")
"""An index that says which phase an object is about, and which instance is meant: `L2`, `L2:1`."""
_ALARMS = {"ups": "alarms.csv", "battery_system": "battery_alarms.csv"}
NEVER = frozenset({2147483647, -2147483648, 4294967295, 65535, 4294967294, 2147483646})
"""What agents say for a number that they have not got, whatever the object."""


class MapError(ValueError):
    """A map's file contradicts itself or the catalogue; the message names the file and the row."""


@dataclass(frozen=True, slots=True)
class Child:
    """The device below the UPS that an object belongs to."""

    kind: str
    number: str
    """`{row}` stands for the row of its table."""
    name: str
    always: bool = False
    """Whether it is there when its objects are; others must have something but zeros to be there."""


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object of a MIB."""

    mib: str
    oid: str
    """Without its instance."""
    name: str
    """As the MIB calls it."""
    index: str
    """`0` for a scalar, `line` or `row` for the column of a table, else the one instance that is meant."""
    line: int | None
    """The phase of an object that has one of its own for each phase."""
    syntax: str
    """`int`, `text`, `oid`, `stamp` for a sysUpTime of the past, or `fahrenheit` for a temperature in degrees F."""
    scale: float
    """What the number is multiplied by to come to the unit of the point."""
    unit: str
    """As the MIB words it."""
    writable: bool
    fast: bool
    """Read with every poll; otherwise rarely."""
    rank: int
    """Of two objects that are the same point the one with the lower rank is believed."""
    key: str | None
    """The point, None for one that is only shown raw."""
    line_key: str | None
    """The point where there are several phases; `{line}` stands for L1 to L3. None: line 1 speaks for all."""
    child: Child | None
    values: Mapping[int, str]
    """The words of an enumeration."""
    conditions: Mapping[str, frozenset[int]]
    """Conditions, and the values with which they hold."""
    absent: frozenset[int]
    """Numbers that mean: not known."""
    source: str
    bits: tuple[Bit, ...] = ()
    """What the bits of a status word say."""

    @property
    def table(self) -> str:
        """The entry that a column belongs to: its OID without the last number."""
        return self.oid.rpartition(".")[0]

    @property
    def columnar(self) -> bool:
        """Whether it has a value per row of a table."""
        return self.index in {"line", "row"}


@dataclass(frozen=True, slots=True)
class Mib:
    """A set of objects and the agents that have it."""

    name: str
    title: str
    base: str
    agents: tuple[str, ...]
    """What the sysObjectIDs of agents that may have it begin with; `*` for all."""
    descr: re.Pattern[str] | None
    """Found in the sysDescr of other agents that may have it."""
    rows: tuple[ObjectRow, ...]
    alarms: str | None
    """The column of the alarm table that names each alarm, None if there is no such table."""
    alarm_count: str | None
    """The scalar that counts the alarms, with its instance."""
    kind: str = "ups"
    """The catalogue's kind of the device that the objects without a child are about."""
    read: bool = True
    """Whether agents are asked for it; otherwise it is only served."""

    def fits(self, agent: str, descr: str) -> bool:
        """Tell whether an agent with this sysObjectID and sysDescr may have it."""
        known = any(prefix == "*" or under(agent, prefix) for prefix in self.agents)
        return known or (self.descr is not None and self.descr.search(descr) is not None)


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm as a table of present alarms names it."""

    oid: str
    name: str
    child: Child | None
    condition: str | None
    """None for what tells of an event and not of a state."""


@dataclass(frozen=True, slots=True)
class QuirkRow:
    """How an agent departs from its MIB."""

    agent: str
    """What its sysObjectID begins with, `*` for all."""
    descr: re.Pattern[str] | None
    """Found in its sysDescr; None for any."""
    objects: re.Pattern[str]
    """The names of the objects."""
    low: float
    high: float
    """The bounds of the number as it is sent, both included."""
    action: str
    """`scale`, `absent`, `idle` (zero under load is not measured), or of the agent itself: `bulk`, `most`."""
    value: str
    note: str

    def fits(self, agent: str, descr: str) -> bool:
        """Tell whether it is about an agent with this sysObjectID and sysDescr."""
        known = self.agent == "*" or under(agent, self.agent)
        return known and (self.descr is None or self.descr.search(descr) is not None)


@dataclass(frozen=True, slots=True)
class OrderRow:
    """How a command is given: what is written, in this order, and how it shows that it was done."""

    command: str
    mib: str
    kind: str
    """The kind of device that is told."""
    number: str | None
    """The child that is told, None for the UPS itself or a child whose number is in the objects."""
    writes: tuple[tuple[str, str], ...]
    """OIDs with instance, and a number, an OID or an argument: `{delay}`, `{delay*100}`, `{number+12}`."""
    shown: tuple[str, str] | None
    """An object with its instance, and the numbers of which one shows that it was done: `1:4|6`."""
    guard: str | None
    """The test-and-increment lock that is written first."""
    source: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """Where an agent keeps its own log of alerts, and in which columns."""

    mib: str
    count: str
    """The scalar that counts the entries, with its instance."""
    entry: str
    """What the columns lie below."""
    at: str
    edge: str
    raised: int
    cleared: int
    """What the edge column says of an alert that began, and of one that is over."""
    alarm: str
    """The column with the number or the OID of the alarm."""
    text: str
    source: str


def under(oid: str, prefix: str) -> bool:
    """Tell whether an OID is another or lies below it."""
    return oid == prefix or oid.startswith(prefix + ".")


@cache
def load_mibs() -> tuple[Mib, ...]:
    """Read every MIB that the link knows, the one to be asked for first at the top. Raises MapError."""
    return tuple(_mib(table) for table in tomllib.loads(_text("mibs.toml"))["mib"])


@cache
def load_alarms(kind: str = "ups") -> Mapping[str, AlarmRow]:
    """Read the well-known alarms of a `ups` or a `battery_system` by their OIDs."""
    return {
        row["oid"]: AlarmRow(row["oid"], row["name"], _child(row["child"]), row["condition"] or None)
        for row in _rows(_ALARMS[kind])
    }


@cache
def load_quirks() -> tuple[QuirkRow, ...]:
    """Read the quirks; of several that fit, the first decides."""
    return tuple(
        QuirkRow(
            row["agent"],
            re.compile(row["descr"], re.IGNORECASE) if row["descr"] else None,
            re.compile(row["objects"] or "(?!)"),
            float(row["low"] or "-inf"),
            float(row["high"] or "inf"),
            row["action"],
            row["value"],
            row["note"],
        )
        for row in _rows("quirks.csv")
    )


@cache
def load_orders() -> tuple[OrderRow, ...]:
    """Read how commands are given."""
    bases = {mib.name: mib.base for mib in load_mibs()}
    return tuple(expanded for row in _rows("commands.csv") for expanded in _orders(row, bases[row["mib"]]))


@cache
def load_logs() -> Mapping[str, LogRow]:
    """Read where agents keep their own logs, by the name of the MIB."""
    bases = {mib.name: mib.base for mib in load_mibs()}
    return {row["mib"]: _log(row, bases[row["mib"]]) for row in _rows("logs.csv")}


@cache
def makers() -> Mapping[str, str]:
    """Give the makers of cards by the beginning of their sysObjectID."""
    return {row["agent"]: row["maker"] for row in _rows("makers.csv")}


def _mib(table: Mapping[str, object]) -> Mib:
    name, base, file = str(table["name"]), str(table["base"]), str(table["file"])
    agents = table["agents"]
    assert isinstance(agents, list)
    rank = table.get("rank", 10)
    assert isinstance(rank, int)
    rows = tuple(row for cells in _rows(file) for row in _expand(cells, name, base, rank, file))
    alarms, count = table.get("alarms"), table.get("alarm_count")
    return Mib(
        name,
        str(table["title"]),
        base,
        tuple(str(agent) for agent in agents),
        re.compile(str(table["descr"]), re.IGNORECASE) if "descr" in table else None,
        rows,
        None if alarms is None else f"{base}.{alarms}",
        None if count is None else f"{base}.{count}",
        str(table.get("kind", "ups")),
        bool(table.get("read", True)),
    )


def _expand(cells: Mapping[str, str], mib: str, base: str, rank: int, file: str) -> Iterator[ObjectRow]:
    """Make one row, or one for each number of `repeat`, such as `1-8`."""
    for number in _numbers(cells["repeat"]):
        filled = {column: cell.replace(PLACEHOLDER, number) for column, cell in cells.items()}
        try:
            yield _object(filled, mib, base, rank)
        except (KeyError, ValueError) as error:
            raise MapError(f"{file}: {cells['oid']} {cells['name']}: {error}") from error


def _numbers(repeat: str) -> Iterator[str]:
    first, _, last = repeat.partition("-")
    return (str(number) for number in range(int(first), int(last) + 1)) if repeat else iter(("",))


def _object(cells: Mapping[str, str], mib: str, base: str, rank: int) -> ObjectRow:
    absent = frozenset(int(text) for text in cells["absent"].split() if text != "none")
    phase = _PHASE.fullmatch(cells["index"])
    return ObjectRow(
        mib=mib,
        oid=f"{base}.{cells['oid']}",
        name=cells["name"],
        index=(cells["index"] if phase is None else phase[2]) or "0",
        line=None if phase is None else int(phase[1]),
        syntax=cells["syntax"] or "int",
        scale=float(cells["scale"] or 1),
        unit=cells["unit"],
        writable=cells["access"] == "rw",
        fast=cells["lane"] == "fast",
        rank=int(cells["rank"] or rank),
        key=cells["key"] or None,
        line_key=cells["line_key"] or None,
        child=_child(cells["child"]),
        values={int(number): word for number, _, word in (pair.partition("=") for pair in cells["values"].split())},
        conditions={
            name: frozenset(int(number) for number in numbers.split("|"))
            for name, _, numbers in (pair.partition("=") for pair in cells["conditions"].split())
        },
        absent=absent if "none" in cells["absent"].split() else absent | NEVER,
        source=cells["source"],
        bits=tuple(_bits(cells.get("bits", ""))),
    )


def _bits(text: str) -> Iterator[Bit]:
    """`bacs_state bacs_state2:16`: tables of bits, each with the place of its lowest bit."""
    for word in text.split():
        table, _, place = word.partition(":")
        for bit in load_bits()[table]:
            yield replace(bit, mask=bit.mask << int(place or "0"))


def _child(text: str) -> Child | None:
    """`sensor:1:Sensor 1`, with a `!` behind the number of one that is always there."""
    if not text:
        return None
    kind, number, name = text.split(":", 2)
    return Child(kind, number.rstrip("!"), name, always=number.endswith("!"))


def _orders(row: Mapping[str, str], base: str) -> Iterator[OrderRow]:
    for number in _numbers(row["repeat"]):
        filled = {column: cell.replace(PLACEHOLDER, number) for column, cell in row.items()}
        shown, _, wanted = filled["shown"].partition("=")
        yield OrderRow(
            command=filled["command"],
            mib=filled["mib"],
            kind=filled["kind"],
            number=filled["number"] or None,
            writes=tuple(
                (f"{base}.{oid}", value) for oid, _, value in (pair.partition("=") for pair in filled["writes"].split())
            ),
            shown=(f"{base}.{shown}", wanted) if shown else None,
            guard=f"{base}.{filled['guard']}" if filled["guard"] else None,
            source=filled["source"],
        )


def _log(row: Mapping[str, str], base: str) -> LogRow:
    return LogRow(
        mib=row["mib"],
        count=f"{base}.{row['count']}.0",
        entry=f"{base}.{row['entry']}",
        at=row["at"],
        edge=row["edge"],
        raised=int(row["raised"]),
        cleared=int(row["cleared"]),
        alarm=row["alarm"],
        text=row["text"],
        source=row["source"],
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("snmp", name).read_text(encoding="utf-8")


def _rows(name: str) -> Iterator[dict[str, str]]:
    """Give the rows of a CSV file; cells at the end of a row that are empty may be left out."""
    lines = (line for line in _text(name).splitlines() if line.strip() and not line.startswith("#"))
    for row in csv.DictReader(lines, strict=True, skipinitialspace=True, restval=""):
        if None in row:
            raise MapError(f"{name}: a row has more cells than the heading: {row}")
        yield {column: (cell or "").strip() for column, cell in row.items()}


__all__ = [
    "NEVER",
    "AlarmRow",
    "Child",
    "LogRow",
    "MapError",
    "Mib",
    "ObjectRow",
    "OrderRow",
    "QuirkRow",
    "load_alarms",
    "load_logs",
    "load_mibs",
    "load_orders",
    "load_quirks",
    "makers",
    "under",
]

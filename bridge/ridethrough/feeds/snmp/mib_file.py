"""MIB modules that describe what the agent serves, made from the same tables as the agent (SMIv2: RFC 2578 to 2580).

`mib_frame.csv` has what these tables lack: nodes, tables with their indexes, notifications, and the standard's types.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
import re
import textwrap
from types import MappingProxyType

from ridethrough.catalogue import load_catalogue
from ridethrough.maps.objects import AlarmRow, Mib, ObjectRow, load_alarms, load_mibs, under

from .alarm_table import BATTERIES, UPS_MIB

UPDATED = "202611210000Z"
"""When the modules last changed; a module that says the same as before must not claim to be newer."""
_SYNTAXES = {
    "int": "Integer32",
    "text": "DisplayString (SIZE (0..63))",
    "oid": "OBJECT IDENTIFIER",
    "stamp": "TimeStamp",
    "fahrenheit": "Integer32",
}
"""What the maps' types are in a MIB, where the frame says nothing else."""
_IMPORTS = {
    "SNMPv2-SMI": (
        "MODULE-IDENTITY",
        "OBJECT-IDENTITY",
        "OBJECT-TYPE",
        "NOTIFICATION-TYPE",
        "Counter32",
        "Gauge32",
        "Integer32",
        "mib-2",
    ),
    "SNMPv2-TC": ("AutonomousType", "DisplayString", "TestAndIncr", "TimeInterval", "TimeStamp"),
}
_LINE = 72
"""Characters of a line of a description."""
BASE = ("SNMPv2-SMI.txt", "SNMPv2-TC.txt", "SNMPv2-CONF.txt")
"""Modules on which all others are built, in a short form of our own: Debian's net-snmp comes without them. They must
not take the place of the originals where somebody has these."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module that is made."""

    name: str
    identity: str
    """What its MODULE-IDENTITY is called."""
    oid: str
    parent: str
    """What the identity lies below."""
    imports: Mapping[str, tuple[str, ...]]
    mibs: tuple[str, ...]
    """Maps with its objects; without them there is no module."""
    under: tuple[str, ...]
    """Where it describes what there is."""
    text: str


MODULES = (
    Module(
        "RIDETHROUGH-UPS-MIB",
        "upsMIB",
        UPS_MIB,
        "mib-2",
        {},
        ("rfc1628", "extension", "modules"),
        (f"{UPS_MIB}.1", f"{UPS_MIB}.2", f"{UPS_MIB}.6"),
        "A UPS as Ridethrough serves it: the objects of RFC 1628 under their own names, and what network cards of the "
        "CS121 and CS141 have beyond it: sensors, contacts, transfer switches, modules and further alarms. It takes "
        "the place of UPS-MIB.",
    ),
    Module(
        "RIDETHROUGH-BACS-MIB",
        "bacs2",
        f"{UPS_MIB}.5",
        "upsMIB",
        {"RIDETHROUGH-UPS-MIB": ("upsMIB",)},
        ("bacs",),
        (f"{UPS_MIB}.5",),
        "A battery system as Ridethrough serves it: its strings and modules one by one, and its alarms. Of its traps there "
        "are only those for alarms; a warning is in bacsAlarmTable, but is not told.",
    ),
)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A row of the frame."""

    oid: str
    name: str
    kind: str
    syntax: str
    text: str


@dataclass(frozen=True, slots=True)
class _Definition:
    """Something that a module defines."""

    oid: str
    name: str
    kind: str
    syntax: str = ""
    units: str = ""
    writable: bool = False
    text: str = ""

    @property
    def place(self) -> tuple[int, ...]:
        """Where it comes in the order of OIDs."""
        return tuple(int(part) for part in self.oid.split("."))


@cache
def mib_files() -> Mapping[str, str]:
    """Make all files: their texts by their names. It is the same each time."""
    mibs = {mib.name: mib for mib in load_mibs()}
    alarms = (*load_alarms().values(), *load_alarms(BATTERIES).values())
    made = {
        f"{module.name}.txt": module_text(module, [mibs[name] for name in module.mibs], alarms)
        for module in MODULES
        if all(name in mibs for name in module.mibs)
    }
    folder = resources.files(__package__).joinpath("mibs")
    return MappingProxyType(made | {name: folder.joinpath(name).read_text(encoding="ascii") for name in BASE})


def module_text(module: Module, mibs: Sequence[Mib], alarms: Iterable[AlarmRow]) -> str:
    """Make the text of a module with the objects of these maps and, of the alarms, those that are its own."""
    frame = [row for row in _frame() if any(under(row.oid, prefix) for prefix in module.under)]
    served = {row.oid for mib in mibs for row in mib.rows}
    # An index that can be read is an object like any other, with the syntax of the frame.
    special = {row.oid: row for row in frame if row.kind == "as" or row.oid in served}
    definitions = [
        _Definition(row.oid, row.name, row.kind, row.syntax, text=row.text) for row in frame if row.oid not in special
    ]
    definitions += [_object(row, special.get(row.oid)) for mib in mibs for row in mib.rows]
    definitions += [
        _Definition(alarm.oid, alarm.name, "identity", text=_of_alarm(alarm))
        for alarm in alarms
        if any(under(alarm.oid, prefix) for prefix in module.under)
    ]
    definitions.sort(key=lambda one: one.place)
    names = {one.oid: one.name for one in definitions} | {module.oid: module.identity}
    parts = [_heading(module, definitions)]
    parts += [_definition(one, names, definitions) for one in definitions]
    return "\n\n".join([*parts, "END"]) + "\n"


@cache
def _frame() -> tuple[_Frame, ...]:
    text = resources.files(__package__).joinpath("mib_frame.csv").read_text(encoding="ascii")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    found = []
    for row in csv.DictReader(lines, strict=True, restval=""):
        first, _, last = row["repeat"].partition("-")
        for number in range(int(first), int(last) + 1) if first else ("",):
            filled = {column: cell.replace("{n}", str(number)) for column, cell in row.items()}
            oid = f"{UPS_MIB}.{filled['oid']}"
            found.append(_Frame(oid, filled["name"], filled["kind"], filled["syntax"], filled["text"]))
    return tuple(found)


# What things are


def _object(row: ObjectRow, special: _Frame | None) -> _Definition:
    syntax = special.syntax if special is not None else ""
    return _Definition(
        row.oid,
        row.name,
        "object",
        syntax or (_enumeration(row.values) if row.values else _SYNTAXES[row.syntax]),
        row.unit,
        row.writable,
        (special.text if special is not None else "") or _of_object(row),
    )


def _enumeration(values: Mapping[int, str]) -> str:
    labels = (f"{_label(word)}({number})" for number, word in sorted(values.items()))
    return f"INTEGER {{ {', '.join(labels)} }}"


def _label(word: str) -> str:
    """Word an option as SMIv2 wants it: letters and digits, beginning with a small letter."""
    first, *rest = re.split(r"[^A-Za-z0-9]+", word)
    return first[:1].lower() + first[1:] + "".join(part.capitalize() for part in rest)


def _of_object(row: ObjectRow) -> str:
    """Describe an object by the point that it is."""
    if row.key is None:
        return f"{row.name}."
    catalogue = load_catalogue()
    kind = _subject(row.oid) if row.child is None else row.child.kind
    point = catalogue.point(kind, row.key)
    name = row.key if point is None else point.name.format(**(point.key.match(row.key) or {}))
    whose = "" if row.child is None else f" of {_plain(row.child.name)}"
    phase = ", one phase" if row.columnar and row.line_key is not None else ""
    return f"{name}{whose}{phase}: the point {row.key}."


def _of_alarm(alarm: AlarmRow) -> str:
    whose = "" if alarm.child is None else f" of {_plain(alarm.child.name)}"
    if alarm.condition is None:
        return f"An event{whose} that is not a state; it is never present."
    kind = _subject(alarm.oid) if alarm.child is None else alarm.child.kind
    condition = load_catalogue().condition(kind, alarm.condition)
    found = None if condition is None else condition.template.match(alarm.condition)
    name = alarm.condition if condition is None else condition.name.format(**(found or {}))
    return f"{name}{whose}: the condition {alarm.condition}."


def _subject(oid: str) -> str:
    """Tell what kind of device it is about that a map does not name."""
    return next(mib.kind for mib in load_mibs() if under(oid, mib.base))


def _plain(name: str) -> str:
    """Name a part of any number, where a map has a place for it."""
    return name.replace(" {row}", "")


# How they are written


def _heading(module: Module, definitions: Sequence[_Definition]) -> str:
    used = " ".join(f"{one.kind} {one.syntax}" for one in definitions)
    kinds = {"OBJECT-IDENTITY": "identity", "NOTIFICATION-TYPE": "trap"}

    def wanted(symbol: str) -> bool:
        if symbol in ("MODULE-IDENTITY", "OBJECT-TYPE", module.parent):
            return True
        if symbol in kinds:
            return any(one.kind == kinds[symbol] for one in definitions)
        return re.search(rf"\b{symbol}\b", used) is not None

    imports = "".join(
        f"\n    {', '.join(names)}\n        FROM {source}"
        for source, symbols in (*_IMPORTS.items(), *module.imports.items())
        if (names := [symbol for symbol in symbols if wanted(symbol)])
    )
    identity = (
        f"{module.identity} MODULE-IDENTITY",
        f'    LAST-UPDATED "{UPDATED}"',
        '    ORGANIZATION "Ridethrough"',
        '    CONTACT-INFO "The project Ridethrough"',
        "    DESCRIPTION",
        _quoted(module.text),
        f'    REVISION "{UPDATED}"',
        "    DESCRIPTION",
        _quoted("As Ridethrough serves it."),
        f"    ::= {{ {module.parent} {module.oid.rpartition('.')[2]} }}",
    )
    return f"{module.name} DEFINITIONS ::= BEGIN\n\nIMPORTS{imports};\n\n" + "\n".join(identity)


def _definition(one: _Definition, names: Mapping[str, str], definitions: Sequence[_Definition]) -> str:
    above, _, last = one.oid.rpartition(".")
    place = f"::= {{ {names[above]} {last} }}"
    match one.kind:
        case "node":
            return f"{one.name} OBJECT IDENTIFIER {place}"
        case "identity":
            return _macro(one, "OBJECT-IDENTITY", (), place)
        case "trap":
            objects = f"OBJECTS {{ {', '.join(one.syntax.split())} }}"
            return _macro(one, "NOTIFICATION-TYPE", (objects,), place)
        case "table":
            row = names[f"{one.oid}.1"]
            clauses = f"SYNTAX SEQUENCE OF {_type(row)}", "MAX-ACCESS not-accessible"
            return _macro(one, "OBJECT-TYPE", clauses, place)
        case "entry":
            clauses = f"SYNTAX {_type(one.name)}", "MAX-ACCESS not-accessible"
            return (
                _macro(one, "OBJECT-TYPE", clauses, f"INDEX {{ {one.syntax} }}\n    {place}")
                + "\n\n"
                + _row_type(one, definitions)
            )
    access = "read-write" if one.writable else "read-only"
    if one.kind == "index":
        told = any(trap.kind == "trap" and one.name in trap.syntax.split() for trap in definitions)
        access = "accessible-for-notify" if told else "not-accessible"
    units = (f'UNITS "{one.units}"',) if one.units else ()
    return _macro(one, "OBJECT-TYPE", (f"SYNTAX {one.syntax}", *units, f"MAX-ACCESS {access}"), place)


def _macro(one: _Definition, macro: str, clauses: Iterable[str], end: str) -> str:
    lines = (f"    {clause}\n" for clause in (*clauses, "STATUS current"))
    return f"{one.name} {macro}\n{''.join(lines)}    DESCRIPTION\n{_quoted(one.text)}\n    {end}"


def _row_type(entry: _Definition, definitions: Iterable[_Definition]) -> str:
    columns = [
        f"    {one.name} {_base_type(one.syntax)}" for one in definitions if one.oid.rpartition(".")[0] == entry.oid
    ]
    return f"{_type(entry.name)} ::= SEQUENCE {{\n" + ",\n".join(columns) + "\n}"


def _base_type(syntax: str) -> str:
    """Leave out what a type is narrowed to."""
    return re.sub(r"\s*[({].*", "", syntax)


def _type(name: str) -> str:
    return name[0].upper() + name[1:]


def _quoted(text: str) -> str:
    lines: Iterator[str] = iter(textwrap.wrap(text.replace('"', "'"), _LINE))
    return '        "' + "\n        ".join(lines) + '"'


__all__ = ["BASE", "MODULES", "Module", "mib_files", "module_text"]

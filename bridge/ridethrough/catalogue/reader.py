"""Reads the catalogue's files: TOML for quantities, CSV for the tables."""

from collections.abc import Iterator
import csv
from functools import cache
from importlib import resources
import tomllib

from .model import (
    TEXT,
    Argument,
    Catalogue,
    CatalogueError,
    Category,
    CommandType,
    ConditionType,
    Point,
    Quantity,
    Role,
    Severity,
    SwitchType,
    Template,
)

PLACEHOLDERS = {
    # Phases, neutral and phase pairs as NUT names them.
    "line": ("L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"),
    "branch": ("bypass", "servicebypass", "inverter"),
    "number": tuple(str(number) for number in range(65)),
    "contact": tuple(str(number) for number in range(1, 17)),
    "name": (),
}


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue that comes with the bridge. Raises CatalogueError if its files contradict one another."""
    quantities = {name: Quantity(name=name, **row) for name, row in tomllib.loads(_text("quantities.toml")).items()}
    return Catalogue(
        kinds={row["kind"]: row["name"] for row in _rows("kinds.csv")},
        points=tuple(_point(row, quantities) for row in _rows("points.csv")),
        conditions=tuple(_condition(row) for row in _rows("conditions.csv")),
        commands=tuple(_command(row) for row in _rows("commands.csv")),
        switches=tuple(_switch(row) for row in _rows("switches.csv")),
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = (line for line in _text(name).splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
    for row in reader:
        if None in row or None in row.values():
            raise CatalogueError(f"{name}: a row has more or fewer cells than the heading: {row}")
        yield {column: cell.strip() for column, cell in row.items()}


def _kinds(row: dict[str, str]) -> frozenset[str]:
    return frozenset(row["kinds"].split())


def _point(row: dict[str, str], quantities: dict[str, Quantity]) -> Point:
    if row["quantity"] not in quantities:
        raise CatalogueError(f"points.csv: {row['key']} has an unknown quantity {row['quantity']!r}")
    options = [option.partition("=") for option in row["options"].split()]
    return Point(
        key=Template(row["key"], PLACEHOLDERS),
        kinds=_kinds(row),
        quantity=quantities[row["quantity"]],
        name=row["name"],
        category=Category(row["category"]),
        enabled=row["enabled"] == "yes",
        fixed=row["fixed"] == "yes",
        options=tuple(name for name, _, _ in options),
        aliases={alias: name for name, _, aliases in options for alias in aliases.split("|") if alias},
        icon=row["icon"] or None,
        source=row["source"],
    )


def _condition(row: dict[str, str]) -> ConditionType:
    return ConditionType(
        key=row["key"],
        kinds=_kinds(row),
        severity=Severity(row["severity"]),
        name=row["name"],
        template=Template(row["key"], PLACEHOLDERS),
        category=Category(row["category"]),
        enabled=row["enabled"] == "yes",
        device_class=row["device_class"] or None,
        icon=row["icon"] or None,
        upsman_bit=int(row["upsman_bit"] or "0", 16),
        rfc1628_alarm=int(row["rfc1628_alarm"] or "0"),
        source=row["source"],
    )


def _command(row: dict[str, str]) -> CommandType:
    return CommandType(
        key=row["key"],
        kinds=_kinds(row),
        group=row["group"],
        role=Role(row["role"]),
        name=row["name"],
        arguments=tuple(_argument(text) for text in row["arguments"].split()),
        category=Category(row["category"]),
        enabled=row["enabled"] == "yes",
        icon=row["icon"] or None,
        source=row["source"],
    )


def _switch(row: dict[str, str]) -> SwitchType:
    return SwitchType(
        key=row["key"],
        kinds=_kinds(row),
        on=row["on"],
        off=row["off"],
        condition=row["condition"],
        name=row["name"],
        category=Category(row["category"]),
        enabled=row["enabled"] == "yes",
        icon=row["icon"] or None,
    )


def _argument(text: str) -> Argument:
    """`delay:s:0:600:30` is an argument in seconds from 0 to 600, 30 if not given; without the last it must be.

    `reason:text:0:200:` is a text of up to 200 characters, empty if not given.
    """
    name, unit, minimum, maximum, *given = text.split(":")
    default: float | str | None = None
    if given:
        default = given[0] if unit == TEXT else float(given[0])
    return Argument(name, unit, float(minimum), float(maximum), default)

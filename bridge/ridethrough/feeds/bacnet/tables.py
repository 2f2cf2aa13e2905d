"""The tables of this feed: how units are said in BACnet, and what may be written."""

from collections.abc import Iterator, Mapping
import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ridethrough.catalogue import Quantity, Template
from ridethrough.catalogue.reader import PLACEHOLDERS


@dataclass(frozen=True, slots=True)
class Unit:
    """How a quantity is said in BACnet."""

    bacnet: str
    """Of BACnetEngineeringUnits, e.g. `degrees-celsius`."""
    scale: float


@dataclass(frozen=True, slots=True)
class CommandRow:
    """Something that may be written."""

    key: Template
    kinds: frozenset[str]
    commandable: bool
    """Whether it has a priority array."""
    name: str
    on: str
    """The command that active gives."""
    on_arguments: Mapping[str, str]
    off: str
    """The command that inactive gives, empty for none."""
    off_arguments: Mapping[str, str]
    state: Template
    """The point or the condition that tells how things stand; empty for none."""

    @property
    def repeated(self) -> bool:
        """Whether there is one for each point of a template."""
        return not self.state.plain


@cache
def load_units() -> Mapping[tuple[str, str], Unit]:
    """Read how units are said: by unit and quantity, the quantity empty where it does not matter."""
    return {(row["unit"], row["quantity"]): Unit(row["bacnet"], float(row["scale"])) for row in _rows("units.csv")}


def unit_of(quantity: Quantity) -> Unit:
    """Tell how a quantity is said. Raises KeyError for one that the table lacks."""
    units = load_units()
    return units.get((quantity.unit, quantity.name)) or units[quantity.unit, ""]


@cache
def load_commands() -> tuple[CommandRow, ...]:
    """Read what may be written."""
    return tuple(
        CommandRow(
            key=Template(row["key"], PLACEHOLDERS),
            kinds=frozenset(row["kinds"].split()),
            commandable=row["object"] == "binary-output",
            name=row["name"],
            on=row["on"],
            on_arguments=_arguments(row["on_arguments"]),
            off=row["off"],
            off_arguments=_arguments(row["off_arguments"]),
            state=Template(row["state"], PLACEHOLDERS),
        )
        for row in _rows("commands.csv")
    )


def _arguments(cell: str) -> Mapping[str, str]:
    return dict(word.split("=", 1) for word in cell.split())


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return csv.DictReader(lines, strict=True)


__all__ = ["CommandRow", "Unit", "load_commands", "load_units", "unit_of"]

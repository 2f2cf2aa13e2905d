"""How a point of the catalogue is called and written as a variable of NUT. Pure; what differs stands in variables.csv."""

from collections.abc import Mapping
import csv
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
import math
import re

from ridethrough.catalogue import Point
from ridethrough.site import Reading, Source, Value

from .wire import is_name

MORE_DECIMALS = 3
"""How many decimals beyond those of its quantity a measured value may have: as many as a device has ever sent."""
_FLAG = {True: "yes", False: "no"}
_HIDDEN = "-"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table."""

    point: re.Pattern[str]
    variable: str
    words: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Naming:
    """What a point comes to in NUT."""

    variable: str
    words: Mapping[str, str] = field(default_factory=dict, hash=False)
    """NUT's words for some of its values."""


def _rules() -> tuple[Rule, ...]:
    text = resources.files(__package__).joinpath("variables.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Rule(
            re.compile(row["point"]),
            row["variable"],
            dict(pair.split("=") for pair in row["words"].split()),
        )
        for row in csv.DictReader(lines, strict=True)
    )


RULES = _rules()


@lru_cache(maxsize=4096)
def naming(key: str) -> Naming | None:
    """Find what NUT calls a point; None for one that NUT's clients do not see."""
    variable, words = key, dict[str, str]()
    for rule in RULES:
        found = rule.point.fullmatch(key)
        if found is None:
            continue
        if rule.variable == _HIDDEN:
            return None
        variable = found.expand(rule.variable) if rule.variable else variable
        words |= rule.words
    return Naming(variable, words) if is_name(variable) else None


def written(point: Point, reading: Reading, words: Mapping[str, str]) -> str:
    """Write a good value as NUT's drivers do: `230.0`, `100`, `yes`, `warning-low`."""
    value = reading.value
    assert value is not None
    if isinstance(value, bool):
        text = _FLAG[value]
    elif isinstance(value, float):
        text = decimal(value, point.quantity.precision or 0, exact=reading.source is not Source.MEASURED)
    elif point.options:
        return words.get(str(value)) or str(value).replace("_", "-")
    else:
        text = str(value)
    return words.get(text, text)


def decimal(value: float, places: int, *, exact: bool) -> str:
    """Write a number with so many decimals; one that was measured keeps some more if it has them.

    What is worked out has any number of decimals, and none of them means anything.
    """
    if not math.isfinite(value):
        return ""
    text = f"{value:.{places if exact else places + MORE_DECIMALS}f}"
    head, _, tail = text.partition(".")
    tail = tail[:places] + tail[places:].rstrip("0")
    text = f"{head}.{tail}" if tail else head
    return text.removeprefix("-") if not text.strip("-0.") else text


def is_number(value: Value) -> bool:
    """Tell whether NUT calls this a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = ["RULES", "Naming", "decimal", "is_number", "naming", "written"]

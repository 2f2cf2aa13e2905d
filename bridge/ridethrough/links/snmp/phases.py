"""How many phases a UPS has at its input, its output and its bypass, and what its values are then called. Pure."""

from collections.abc import Iterable, Mapping

from ridethrough.maps.objects import ObjectRow
from ridethrough.site import Value

from .inventory import Instance
from .values import Reading

COUNTS = ("input.phases", "output.phases", "input.bypass.phases")
"""Points that say how many lines there are; the words before `phases` are those of the lines' points."""

type Readings = Mapping[str, Reading]
"""What was read, by OID with instance."""


def side(row: ObjectRow) -> str:
    """Tell which part of which device a line belongs to: `input`, `output`, `input.bypass`, `transfer_switch/output`."""
    if row.line_key is None:
        return ""
    return _of(row) + row.line_key.partition(".{line}")[0]


class Phases:
    """Remembers how many lines each side has had: a phase that fails is still a phase."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._most: dict[tuple[str, str], int] = {}

    def count(self, instances: Iterable[Instance], readings: Readings) -> None:
        """Look at what was read. Cards of one-phase UPSes often list three lines, two of them with nothing but zeros."""
        rows: dict[tuple[str, str], set[int]] = {}
        live: dict[tuple[str, str], set[int]] = {}
        told: dict[tuple[str, str], int] = {}
        fixed: set[tuple[str, str]] = set()
        for instance in instances:
            reading = readings.get(instance.oid)
            if reading is None or reading.value is None:
                continue
            if instance.row.key in COUNTS and reading.number:
                part = _of(instance.row) + instance.row.key.removesuffix(".phases")
                told.setdefault((instance.row.mib, part), int(reading.number))
            if instance.line is not None and side(instance.row):
                place = (instance.row.mib, side(instance.row))
                rows.setdefault(place, set()).add(instance.line)
                if instance.row.line is not None:
                    fixed.add(place)
                if reading.number:
                    live.setdefault(place, set()).add(instance.line)
        for place, lines in rows.items():
            alive = live.get(place, set())
            # Without voltage anywhere nothing can be told, unless nothing has been told before; and every card has the
            # objects that are there once for each phase, whatever its UPS.
            if not alive and (place in self._most or place in fixed):
                continue
            number = max(alive or lines)
            said = told.get(place) or next((said for (_, part), said in told.items() if part == place[1]), None)
            self._most[place] = max(min(number, said or number), self._most.get(place, 1))

    def key(self, instance: Instance) -> str | None:
        """Tell which point an instance is; None for a line that the UPS has not got."""
        row = instance.row
        if instance.line is None:
            return row.key
        if row.line_key is None:
            return row.key if instance.line == 1 else None
        lines = self._most.get((row.mib, side(row)), 1)
        if lines == 1:
            return row.key if instance.line == 1 else None
        return row.line_key.replace("{line}", f"L{instance.line}") if instance.line <= lines else None

    def number(self, part: str) -> int | None:
        """Tell how many lines a side has, None if it has none that are known."""
        return max((count for (_, known), count in self._most.items() if known == part), default=None)


def totals(points: Mapping[str, Value | None]) -> dict[str, Value]:
    """Add up what several lines say: real and apparent power, and the load as the mean of theirs."""
    found: dict[str, Value] = {}
    for key, line_key, mean in TOTALS:
        values = [points.get(line_key.format(line=line)) for line in ("L1", "L2", "L3")]
        numbers = [value for value in values if isinstance(value, int | float)]
        present = [line for line in ("L1", "L2", "L3") if line_key.format(line=line) in points]
        if points.get(key) is None and len(present) > 1 and len(numbers) == len(present):
            total = sum(numbers)
            found[key] = round(total / len(numbers), 1) if mean else total
    return found


TOTALS = (
    # The point, those of the lines, and whether it is their mean.
    ("ups.realpower", "output.{line}.realpower", False),
    ("ups.power", "output.{line}.power", False),
    ("ups.load", "output.{line}.power.percent", True),
    ("input.realpower", "input.{line}.realpower", False),
)


def _of(row: ObjectRow) -> str:
    return "" if row.child is None else f"{row.child.kind}/"


__all__ = ["COUNTS", "Phases", "side", "totals"]

"""CATALOGUE.md: the tables for people to read."""

from collections.abc import Iterable, Iterator

from ridethrough.catalogue import Argument, Catalogue, Category, CommandType, Point

from .locale import Locale

INTRODUCTION = """\
# What a device may have

Made by `scripts/generate` from the tables beside this file; change those. Keys follow Network UPS Tools' names.
`{line}` is a phase, the neutral or a pair of them (`L1`, `N`, `L1-L2`), `{number}` and `{contact}` are numbers,
`{name}` is any text. *Shown*: first are what a person looks at first, the others are diagnostic or for
configuration; *hidden* ones appear in Home Assistant only when switched on there.
"""


def document(catalogue: Catalogue, german: Locale) -> str:
    """Write all tables, by kind of device."""
    return "\n".join([INTRODUCTION, *_sections(catalogue, german)])


def _sections(catalogue: Catalogue, german: Locale) -> Iterator[str]:
    for kind, name in catalogue.kinds.items():
        yield f"## {name} (`{kind}`)\n"
        points = [point for point in catalogue.points if kind in point.kinds]
        if points:
            yield "### Points\n"
            yield _table(
                ("key", "name", "deutsch", "unit or values", "shown", "source"),
                (
                    (f"`{point.key.text}`", point.name, german.points[point.key.text], _values(point))
                    + (_shown(point.category, point.enabled), point.source)
                    for point in points
                ),
            )
        conditions = [row for row in catalogue.conditions if kind in row.kinds]
        if conditions:
            yield "### Conditions\n"
            yield _table(
                ("key", "name", "deutsch", "severity", "UPSMAN", "RFC 1628", "shown", "source"),
                (
                    (f"`{row.key}`", row.name, german.conditions[row.key], str(row.severity))
                    + (f"0x{row.upsman_bit:04x}" if row.upsman_bit else "", str(row.rfc1628_alarm or ""))
                    + (_shown(row.category, row.enabled), row.source)
                    for row in conditions
                ),
            )
        commands = catalogue.commands_of(kind)
        if commands:
            yield "### Commands\n"
            yield _table(
                ("key", "name", "deutsch", "arguments", "granted by", "role", "shown", "source"),
                (
                    (f"`{row.key}`", row.name, german.commands[row.key], _arguments(row), row.group, str(row.role))
                    + (_shown(row.category, row.enabled), row.source)
                    for row in commands
                ),
            )
        switches = [row for row in catalogue.switches if kind in row.kinds]
        if switches:
            yield "### Switches\n"
            yield _table(
                ("key", "name", "deutsch", "on", "off", "is on when", "shown"),
                (
                    (f"`{row.key}`", row.name, german.switches[row.key], f"`{row.on}`", f"`{row.off}`")
                    + (f"`{row.condition}`", _shown(row.category, row.enabled))
                    for row in switches
                ),
            )


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _shown(category: Category, enabled: bool) -> str:
    place = "first" if category is Category.PRIMARY else str(category)
    return place if enabled else f"{place}, hidden"


def _values(point: Point) -> str:
    if point.options:
        return ", ".join(point.options)
    return point.unit or {"bool": "yes or no", "text": "text", "time": "instant"}.get(point.quantity.type, "number")


def _arguments(row: CommandType) -> str:
    def one(argument: Argument) -> str:
        span = f"{argument.name} {argument.minimum:g}–{argument.maximum:g} {argument.unit}".rstrip()
        return span if argument.default is None else f"{span} ({argument.default:g})"

    return ", ".join(map(one, row.arguments))

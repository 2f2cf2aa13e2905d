"""CATALOGUE.md: the tables for people to read."""

from collections.abc import Iterator, Sequence

from ridethrough.catalogue import Argument, Catalogue, Category, CommandType, ConditionType, Point, SwitchType

from .locale import Locale

INTRODUCTION = """\
# What a device may have

Made by `scripts/generate` from the tables beside this file; change those. Keys follow Network UPS Tools' names.
`{line}` is a phase, the neutral or a pair of them (`L1`, `N`, `L1-L2`), `{branch}` a bypass or the inverter (`bypass`,
`servicebypass`, `inverter`), `{number}` and `{contact}` are numbers, `{name}` is any text. *Shown*: first are what a person looks at first, the others are diagnostic or for
configuration; *hidden* ones appear in Home Assistant only when switched on there.
"""


def document(catalogue: Catalogue, german: Locale) -> str:
    """Write all tables, by kind of device."""
    return "\n".join([INTRODUCTION, *_sections(catalogue, german)])


def _sections(catalogue: Catalogue, german: Locale) -> Iterator[str]:
    for kind, name in catalogue.kinds.items():
        yield f"## {name} (`{kind}`)\n"
        for title, heading, rows in (
            (
                "Points",
                ("key", "name", "deutsch", "unit or values", "shown", "source"),
                [_point(row, german) for row in catalogue.points if kind in row.kinds],
            ),
            (
                "Conditions",
                ("key", "name", "deutsch", "severity", "UPSMAN", "RFC 1628", "shown", "source"),
                [_condition(row, german) for row in catalogue.conditions if kind in row.kinds],
            ),
            (
                "Commands",
                ("key", "name", "deutsch", "arguments", "granted by", "role", "shown", "source"),
                [_command(row, german) for row in catalogue.commands_of(kind)],
            ),
            (
                "Switches",
                ("key", "name", "deutsch", "on", "off", "is on when", "shown"),
                [_switch(row, german) for row in catalogue.switches if kind in row.kinds],
            ),
        ):
            if rows:
                yield f"### {title}\n"
                yield "".join(_line(cells) for cells in (heading, ["---"] * len(heading), *rows))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _point(row: Point, german: Locale) -> Sequence[str]:
    key = row.key.text
    return [f"`{key}`", row.name, german.points[key], _values(row), _shown(row.category, row.enabled), row.source]


def _condition(row: ConditionType, german: Locale) -> Sequence[str]:
    return [
        f"`{row.key}`",
        row.name,
        german.conditions[row.key],
        str(row.severity),
        f"0x{row.upsman_bit:04x}" if row.upsman_bit else "",
        str(row.rfc1628_alarm or ""),
        _shown(row.category, row.enabled),
        row.source,
    ]


def _command(row: CommandType, german: Locale) -> Sequence[str]:
    return [
        f"`{row.key}`",
        row.name,
        german.commands[row.key],
        ", ".join(_argument(argument) for argument in row.arguments),
        row.group,
        str(row.role),
        _shown(row.category, row.enabled),
        row.source,
    ]


def _switch(row: SwitchType, german: Locale) -> Sequence[str]:
    return [
        f"`{row.key}`",
        row.name,
        german.switches[row.key],
        f"`{row.on}`",
        f"`{row.off}`",
        f"`{row.condition}`",
        _shown(row.category, row.enabled),
    ]


def _shown(category: Category, enabled: bool) -> str:
    place = "first" if category is Category.PRIMARY else str(category)
    return place if enabled else f"{place}, hidden"


def _values(point: Point) -> str:
    if point.options:
        return ", ".join(point.options)
    return point.unit or {"bool": "yes or no", "text": "text", "time": "instant"}.get(point.quantity.type, "number")


def _argument(argument: Argument) -> str:
    span = f"{argument.name} {argument.minimum:g}–{argument.maximum:g} {argument.unit}".rstrip()
    if argument.default is None:
        return span
    return f"{span} ({argument.default:g})" if isinstance(argument.default, float) else f"{span} (may be left out)"

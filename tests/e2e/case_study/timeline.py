"""What has happened next to what was planned, as a table that people can read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
import re
from typing import TYPE_CHECKING

from .forecast import Planned
from .rig import Rig

if TYPE_CHECKING:
    from .story import Told

_LINE = re.compile(r"(?P<at>\S+Z) \w+ (?P<text>.*)")
_COMMAND = re.compile(r"Command accepted: (?P<verb>\w+) from (?P<rest>.*)")
_MATCH = {
    "tell": ("message", "Power has failed"),
    "notice": ("message", "shut down in 3 minutes"),
    "unimportant": ("shutdown", ""),
    "important": ("shutdown", ""),
    "low": ("shutdown", ""),
    "core": ("shutdown", ""),
    "database": ("execute", ""),
}
"""By what an agent's log shows that it has got what was planned: the verb, and a part of the text."""
EARLY = 300.0
"""Seconds before its time at which something counts as what was planned and not as something earlier."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that an agent has accepted, at a second of the story."""

    second: float
    verb: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One planned thing and what came of it; times are seconds after power has failed for the first time."""

    planned: Planned
    actual: dict[str, float]
    """When each computer got it; those are missing that did not."""

    @property
    def lateness(self) -> float | None:
        """Seconds by which the last computer got it after its time, and the first one its magic packet."""
        if not self.actual:
            return None
        # Stages start one after the other: the first computer is what the charge is for.
        which = min if self.planned.key == "restart" else max
        return which(self.actual.values()) - self.planned.second

    @property
    def missing(self) -> list[str]:
        """Who did not get it."""
        return [key for key in self.planned.agents if key not in self.actual]


def accepted(rig: Rig, key: str) -> list[Accepted]:
    """Read from an agent's own log what it has accepted."""
    found = []
    log = rig.computers[key].log
    for text in log.read_text().splitlines() if log.exists() else ():
        line = _LINE.fullmatch(text)
        command = line and _COMMAND.fullmatch(line["text"])
        if line and command:
            second = rig.pace.second(datetime.fromisoformat(line["at"]))
            found.append(Accepted(second, command["verb"], command["rest"]))
    return found


def lines(rig: Rig, planned: Sequence[Planned], began: float) -> list[Line]:
    """Find for everything planned what came of it."""
    logs = {key: accepted(rig, key) for key in rig.computers}
    found = []
    for one in planned:
        actual: dict[str, float] = {}
        for key in one.agents:
            if one.key == "restart":
                times = [mark.second for mark in rig.marks if mark.what == "magic packet" and mark.who == key]
            else:
                verb, text = _MATCH[one.key]
                times = [entry.second for entry in logs[key] if entry.verb == verb and text in entry.text]
            after = [second - began for second in times if second - began > one.second - EARLY]
            if after:
                actual[key] = after[0]
        found.append(Line(one, actual))
    return found


def clock(seconds: float) -> str:
    """Write seconds as minutes and seconds: 8:03."""
    sign = "-" if seconds < -0.5 else ""
    whole = round(abs(seconds))
    return f"{sign}{whole // 60}:{whole % 60:02d}"


def markdown(told: Told) -> str:
    """Write the story down: the plan next to what happened, what went wrong, and how everybody is in the end."""
    name = "a plan" if told.way == "plan" else "jobs"
    out = [
        f"# The case study by {name}{', with everything going wrong' if told.hard else ''}",
        "",
        "Minutes and seconds after power failed for the first time.",
        "",
        *_table(
            ("planned", "actual", "late by", "what", "rule", "computers", "not reached"),
            (
                (
                    clock(line.planned.second),
                    "-" if not line.actual else clock(min(line.actual.values())),
                    "-" if line.lateness is None else f"{line.lateness:.0f} s",
                    line.planned.what,
                    line.planned.when,
                    f"{len(line.actual)} of {len(line.planned.agents)}",
                    ", ".join(line.missing),
                )
                for line in told.lines
            ),
        ),
        "",
        "## On the way",
        "",
    ]
    out += _table(
        ("at", "what", "who"),
        (
            (clock(mark.second - told.began), mark.what, mark.who)
            for mark in told.marks
            if mark.what.startswith(("mains", "bridge", "unreachable", "switched", "power"))
        ),
    )
    out += ["", "## Each computer", ""]
    out += _table(
        ("computer", "off at", "woken at", "on at", "in the end"),
        (
            (
                key,
                *(
                    ", ".join(clock(second) for second in bursts(told.seconds(what, key)))
                    for what in ("off", "magic packet", "on")
                ),
                ("on" if key in told.up else "off") + (", unreachable" if key in told.unreachable else ""),
            )
            for key in told.computers
        ),
    )
    return "\n".join([*out, ""])


def bursts(seconds: Iterable[float]) -> list[float]:
    """Count the packets of one order, which come at once, as one."""
    found: list[float] = []
    for second in sorted(seconds):
        if not found or second - found[-1] > 15.0:
            found.append(second)
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table whose columns are as wide as they must be, for eyes as well as for Markdown."""
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    written = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [written[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *written[1:]]


__all__ = ["Accepted", "Line", "accepted", "bursts", "clock", "lines", "markdown"]

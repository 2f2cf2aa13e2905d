"""The log of alerts that an agent keeps itself, read when somebody asks for it."""

from collections.abc import Iterable, Sequence

from ridethrough.maps.objects import LogRow, Mib, load_alarms, load_logs
from ridethrough.site import Alert, CommandError

from .agent import Agent
from .values import Raw, clean, number_of


async def read_log(agent: Agent, mibs: Sequence[Mib]) -> tuple[Alert, ...]:
    """Read the log, oldest first; empty if nothing has happened yet.

    Raises CommandError (unknown_command) when none of the MIBs that the agent has keeps one, LinkError when it falls
    silent.
    """
    logs = load_logs()
    for row in (logs[mib.name] for mib in mibs if mib.name in logs):
        entries = alerts(row, await agent.walk(row.entry))
        if entries or row.count in await agent.get([row.count]):
            return entries
    raise CommandError("unknown_command", "The card keeps no log of its own that could be read.")


def alerts(row: LogRow, walked: Iterable[tuple[str, Raw]]) -> tuple[Alert, ...]:
    """Make alerts of what lies below the entry of a log, by the numbers that they have there."""
    entries: dict[int, dict[str, Raw]] = {}
    for oid, value in walked:
        column, _, index = oid[len(row.entry) + 1 :].partition(".")
        if index.isascii() and index.isdigit():
            entries.setdefault(int(index), {})[column] = value
    return tuple(_alert(row, number, cells) for number, cells in sorted(entries.items()))


def _alert(row: LogRow, number: int, cells: dict[str, Raw]) -> Alert:
    edges = {row.raised: "raised", row.cleared: "cleared"}
    edge = number_of(cells.get(row.edge))
    return Alert(
        number=number,
        at=clean(cells.get(row.at)) or "",
        edge="" if edge is None else edges.get(int(edge), ""),
        text=clean(cells.get(row.text)) or _named(cells.get(row.alarm)),
    )


def _named(alarm: Raw) -> str:
    """Name an alarm that the log has no words for: as its MIB does, else by its number."""
    if alarm is None:
        return ""
    known = load_alarms().get(str(alarm).strip("."))
    return f"alarm {alarm if isinstance(alarm, int | str) else clean(alarm)}" if known is None else known.name


__all__ = ["alerts", "read_log"]

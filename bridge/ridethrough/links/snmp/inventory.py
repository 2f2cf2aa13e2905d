"""What an agent has: the MIBs that answer, and every instance of their objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ridethrough.maps.objects import Child, Mib, ObjectRow, under

from .agent import Agent
from .values import Raw


@dataclass(frozen=True, slots=True)
class Instance:
    """One value that an agent has."""

    row: ObjectRow
    oid: str
    """With the instance; that of a scalar may lack its `.0`."""
    line: int | None = None
    """The phase, from 1."""
    number: str | None = None
    """The row of a table."""

    @property
    def name(self) -> str:
        """As the MIB writes it: `upsInputVoltage.1`."""
        return f"{self.row.name}{self.oid[len(self.row.oid) :]}"

    @property
    def child(self) -> Child | None:
        """The child device that has it."""
        child = self.row.child
        if child is None or self.number is None:
            return child
        number, name = (text.replace("{row}", self.number) for text in (child.number, child.name))
        return Child(child.kind, number, name, child.always)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that was found on an agent."""

    mibs: tuple[Mib, ...]
    instances: tuple[Instance, ...]
    """Those that are believed first at the beginning."""

    @property
    def oids(self) -> frozenset[str]:
        """The OIDs of all instances, as the MIBs have them: with `.0`."""
        return frozenset(_regular(instance) for instance in self.instances)


async def take_inventory(agent: Agent, mibs: Sequence[Mib], *, thoroughly: bool = True) -> Inventory:
    """Ask an agent for every object of these MIBs. Raises LinkError when it falls silent.

    An agent that cannot say what comes next may still have what it is asked for: so it is, if `thoroughly`.
    """
    there = [mib for mib in mibs if await agent.begins(mib.base)]
    return await _take(agent, there or (mibs if thoroughly else ()))


async def _take(agent: Agent, mibs: Sequence[Mib]) -> Inventory:
    there: list[Mib] = []
    instances: list[Instance] = []
    for mib in mibs:
        found = await _scalars(agent, mib)
        for table in dict.fromkeys(row.table for row in mib.rows if row.columnar):
            columns = [row for row in mib.rows if row.columnar and row.table == table]
            found += _columns(columns, await agent.walk(table))
        if found:
            there.append(mib)
            instances += found
    return Inventory(tuple(there), tuple(sorted(instances, key=lambda instance: instance.row.rank)))


async def _scalars(agent: Agent, mib: Mib) -> list[Instance]:
    """Find the scalars, by the instance that they should have, else by none (CS121)."""
    rows = [row for row in mib.rows if not row.columnar]
    by_oid = {f"{row.oid}.{row.index}": row for row in rows}
    answered = await agent.get(list(by_oid)) if by_oid else {}
    found = [Instance(row, oid, row.line) for oid, row in by_oid.items() if answered.get(oid) is not None]
    if not found:
        answered = await agent.get([row.oid for row in rows])
        found = [Instance(row, row.oid, row.line) for row in rows if answered.get(row.oid) is not None]
    return found


def _columns(rows: Iterable[ObjectRow], walked: Sequence[tuple[str, Raw]]) -> list[Instance]:
    """Match what a walk has found to the columns of a table; its rows may be counted from 0 or from 1."""
    found: list[Instance] = []
    by_oid = {row.oid: row for row in rows}
    for row in by_oid.values():
        suffixes = {oid: oid[len(row.oid) + 1 :] for oid, value in walked if under(oid, row.oid) and value is not None}
        numbers = {oid: _row(suffix) for oid, suffix in suffixes.items() if suffix}
        first = 0 if 0 in numbers.values() else 1
        for oid, number in numbers.items():
            line = number - first + 1
            if row.index == "line" and line <= 3:
                found.append(Instance(row, oid, line=line))
            elif row.index == "row":
                found.append(Instance(row, oid, number=str(line)))
    return found


def _row(suffix: str) -> int:
    """Find the row in an instance: the last number, unless there are several and that is 0 (`1.0`)."""
    parts = suffix.split(".")
    return int(parts[-2] if len(parts) > 1 and parts[-1] == "0" else parts[-1])


def _regular(instance: Instance) -> str:
    return f"{instance.oid}.{instance.row.index}" if instance.oid == instance.row.oid else instance.oid


def candidates(mibs: Sequence[Mib], agent: str, descr: str, wanted: str | None) -> tuple[Mib, ...]:
    """Choose the MIBs that an agent with this sysObjectID and sysDescr may have, or the one that is wanted."""
    if wanted is not None:
        return tuple(mib for mib in mibs if mib.name == wanted)
    return tuple(mib for mib in mibs if mib.fits(agent, descr))


def oid_map(instances: Iterable[Instance]) -> Mapping[str, str]:
    """Give, for each regular OID, the one that this agent has it under."""
    return {_regular(instance): instance.oid for instance in instances}


__all__ = ["Instance", "Inventory", "candidates", "oid_map", "take_inventory"]

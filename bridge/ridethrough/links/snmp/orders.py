"""What a command of the catalogue takes on this agent: objects to write, and what shows that it was done. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
import re

from ridethrough.maps.objects import Mib, OrderRow
from ridethrough.site import CommandError, Value

from .writing import Write, Written

_ARGUMENT = re.compile(r"\{(\w+)(?:([*+])(\d+))?\}")

REFUSED: Mapping[str, str] = {
    # What an agent answers a SET with, and what that means.
    "noAccess": "{agent} does not let {who} write {name}; the card must grant it write access.",
    "authorizationError": "{agent} does not let {who} write {name}; the card must grant it write access.",
    "noSuchName": "{agent} does not let {name} be written: it has not got it, or {who} may only read.",
    "readOnly": "{agent} does not let {name} be written: it is read-only there, or {who} may only read.",
    "notWritable": "{agent} does not let {name} be written: it is read-only there, or {who} may only read.",
    "badValue": "{agent} does not accept {value} for {name}.",
    "wrongType": "{agent} does not accept {value} for {name}.",
    "wrongLength": "{agent} does not accept {value} for {name}.",
    "wrongEncoding": "{agent} does not accept {value} for {name}.",
    "wrongValue": "{agent} does not accept {value} for {name}.",
    "inconsistentValue": "{agent} does not accept {value} for {name} at the moment.",
    "resourceUnavailable": "{agent} cannot do it at the moment (it said {status}).",
    "genErr": "{agent} did not do it (it said {status}).",
}


class RefusedError(CommandError):
    """The agent has said no, or nothing."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to write, and what to look at afterwards."""

    writes: tuple[Write, ...]
    shown: tuple[str, str] | None
    """An object and its numbers: `1:4|6`."""
    guard: str | None


class Orders:
    """The commands that one agent can be given."""

    def __init__(self, rows: Iterable[OrderRow], mibs: Iterable[Mib], oids: Mapping[str, str]) -> None:
        """`oids` are the instances the agent has, by the OIDs that they should have."""
        self._oids = oids
        known = {mib.name for mib in mibs}
        self._rows = [row for row in rows if row.mib in known and self._possible(row)]

    def offered(self, kind: str, number: str | None) -> frozenset[str]:
        """Name the commands of the UPS (`number` None) or of a child."""
        return frozenset(row.command for row in self._rows if row.kind == kind and row.number == number)

    def order(self, command: str, arguments: Mapping[str, Value], number: str | None, now: datetime) -> Order:
        """Work out what to write; `number` is that of the child that is told. Raises CommandError if there is no way.

        `now` is the local time, for clocks.

        Children of different kinds may have the same number; no two of them know the same command.
        """
        for row in self._rows:
            if row.command == command and row.number == number:
                return self._filled(row, arguments, now)
        raise CommandError("unknown_command", f"This card has no object to give {command} with.")

    def _possible(self, row: OrderRow) -> bool:
        return all(oid in self._oids or self._matches(oid) for oid, _ in row.writes)

    def _matches(self, oid: str) -> bool:
        """Tell whether the agent has an object that an OID with an argument in it may mean."""
        if "{" not in oid:
            return False
        pattern = _pattern(oid)
        return any(pattern.fullmatch(known) for known in self._oids)

    def _filled(self, row: OrderRow, arguments: Mapping[str, Value], now: datetime) -> Order:
        writes = []
        for oid, value in row.writes:
            text = now.strftime(value) if value.startswith("@") else _fill(value, arguments)
            regular = _fill(oid, arguments)
            if regular not in self._oids:
                raise CommandError("bad_argument", f"This card has no object {regular} for {row.command}.")
            writes.append(Write(self._oids[regular], text if "." in text or text.startswith("@") else int(text)))
        shown = None
        if row.shown is not None:
            oid, wanted = (_fill(part, arguments) for part in row.shown)
            shown = (self._oids[oid], wanted) if oid in self._oids else None
        guard = None if row.guard is None else self._oids.get(row.guard)
        return Order(tuple(writes), shown, guard)


def holds(number: float, wanted: str) -> bool:
    """Tell whether a number is one of `1:4|6`."""
    for part in wanted.split("|"):
        low, _, high = part.partition(":")
        if float(low) <= number <= float(high or low):
            return True
    return False


def refusal(written: Written, order: Order, agent: str, who: str, names: Mapping[str, str]) -> RefusedError:
    """Make an error of the bridge of what a SET was answered with."""
    if written.status == "silent":
        return RefusedError(
            "no_answer", f"{agent} does not answer when {who} writes; agents are silent where that is not permitted."
        )
    wrong = order.writes[written.at - 1] if 0 < written.at <= len(order.writes) else order.writes[-1]
    name = names.get(wrong.oid, wrong.oid)
    sentence = REFUSED.get(written.status, REFUSED["genErr"])
    code = "bad_argument" if "does not accept" in sentence else "refused"
    return RefusedError(
        code, sentence.format(agent=agent, who=who, name=name, value=wrong.value, status=written.status)
    )


def _fill(text: str, arguments: Mapping[str, Value]) -> str:
    """Put arguments into `{delay*100}`. Raises CommandError for one that is missing."""

    def value(match: re.Match[str]) -> str:
        name, sign, operand = match.groups()
        if name not in arguments:
            raise CommandError("bad_argument", f"The command needs {name}.")
        number = float(arguments[name])
        if sign == "*":
            number *= int(operand)
        elif sign == "+":
            number += int(operand)
        return f"{number:.0f}"

    return _ARGUMENT.sub(value, text)


@cache
def _pattern(oid: str) -> re.Pattern[str]:
    return re.compile(r"\d+".join(re.escape(part) for part in _ARGUMENT.sub("\0", oid).split("\0")))


__all__ = ["Order", "Orders", "RefusedError", "holds", "refusal"]

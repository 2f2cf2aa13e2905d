"""Finds out which registers of its map a device has, and reads those in as few requests as it allows."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable

from ridethrough.links.answer import MalformedError, NoAnswerError
from ridethrough.maps.registers import Register

from .decode import Raw, raw_of
from .options import Reading
from .plan import Group, grouped
from .protocol import RefusalError
from .unit import POSTPONED, Unit

STRIKES = 2
"""Times that a device may leave a group of registers unanswered which it has never answered, while it answers others;
then it is taken for one that is silent where others would refuse."""

_ILLEGAL_FUNCTION = 1


class Functions:
    """Which function reads a register: what the link says, else what the map says, unless the device refuses it."""

    def __init__(self, preferred: int | None) -> None:
        """`preferred` is 3 or 4; None leaves it to the map."""
        self._preferred = preferred
        self._refused: set[int] = set()
        self._proven: set[int] = set()

    def choose(self, row: Register) -> int | None:
        """Choose for a register; None when the device refuses every function it could be read with."""
        preferred = () if self._preferred is None or row.is_bit else (self._preferred,)
        return next((function for function in (*preferred, *row.functions) if function not in self._refused), None)

    def refused(self, function: int) -> bool:
        """Whether the device refuses it."""
        return function in self._refused

    def prove(self, function: int) -> None:
        """Note that the device knows it."""
        self._proven.add(function)

    def refuse(self, function: int) -> bool:
        """Use it no more; False if the device has been known to know it."""
        if function in self._proven:
            return False
        self._refused.add(function)
        return True


class Survey:
    """Some registers of a unit, in groups that it answers."""

    def __init__(self, unit: Unit, rows: Iterable[Register], functions: Functions, reading: Reading) -> None:
        """Nothing is asked until `read`."""
        self._unit = unit
        self._functions = functions
        self._reading = reading
        rows = tuple(rows)
        self.groups = self._grouped(rows, reading.gap)
        """What is asked for; empty when the device refuses all of it."""
        self.refused: list[Register] = [row for row in rows if functions.choose(row) is None]
        """What it has refused."""
        self._joined = False
        self._proven: set[Group] = set()
        self._strikes: Counter[Group] = Counter()

    async def read(self, between: Callable[[], Awaitable[None]] | None = None) -> dict[Register, Raw | None]:
        """Read every group once; `between` two of them something more urgent may be done.

        A group that is refused is taken apart until only what the device does not have is left out. Raises LinkError
        when the unit is lost.
        """
        waiting, kept = deque(self._known(self.groups)), []
        refused = len(self.refused)
        found: dict[Register, Raw | None] = {}
        try:
            while waiting:
                group = waiting[0]
                try:
                    words = await self._unit.read(group.function, group.address, group.count)
                except RefusalError as refusal:
                    parts = self._after_refusal(group, refusal.code)
                except (NoAnswerError, MalformedError) as error:
                    parts = await self._after_silence(group, error)
                else:
                    parts = None
                    self._proven.add(group)
                    self._functions.prove(group.function)
                    self._strikes.pop(group, None)
                    found |= {row: raw_of(row, group.words(row, words)) for row in group.rows}
                waiting.popleft()
                if parts is None:
                    kept.append(group)
                else:
                    waiting.extendleft(reversed(parts))
                if between is not None and waiting:
                    await between()
        finally:
            self.groups = kept + list(waiting)
        if len(self.refused) > refused and self.settled and not self._joined:
            self._join()
        return found

    @property
    def settled(self) -> bool:
        """Whether everything that is asked for has been answered."""
        return self._proven.issuperset(self.groups)

    def retry(self) -> None:
        """Ask for what was refused again: a device learns new registers with its firmware."""
        self.groups += self._grouped(self.refused, 0)
        self.refused = []

    def _known(self, groups: Iterable[Group]) -> list[Group]:
        """Have groups read by another function where theirs has turned out to be refused."""
        known: list[Group] = []
        for group in groups:
            if self._functions.refused(group.function):
                known += self._other_function(group)
            else:
                known.append(group)
        return known

    def _join(self) -> None:
        """Put together again what was taken apart to find the few registers that are missing.

        Once only: a device that refuses long requests has what is joined taken apart for good.
        """
        self._joined = True
        self.groups = self._grouped([row for group in self.groups for row in group.rows], 0)
        self._proven = set(self.groups)

    def _other_function(self, group: Group) -> list[Group]:
        self.refused += [row for row in group.rows if self._functions.choose(row) is None]
        return self._grouped(group.rows, self._reading.gap)

    def _grouped(self, rows: Iterable[Register], gap: int) -> list[Group]:
        return grouped(rows, self._functions.choose, gap, self._reading.longest)

    def _after_refusal(self, group: Group, code: int) -> list[Group] | None:
        """Say what to ask instead; None to ask the same next time."""
        if code in POSTPONED:
            return self._struck(group)
        if code == _ILLEGAL_FUNCTION and self._functions.refuse(group.function):
            return self._other_function(group)
        return self._taken_apart(group)

    async def _after_silence(self, group: Group, error: NoAnswerError | MalformedError) -> list[Group] | None:
        if isinstance(error, NoAnswerError) and not self._unit.answered and group.count > 1:
            # Some devices are silent where others would refuse: one register that every map has tells.
            row = next((row for row in group.rows if row.bits), group.rows[0])
            try:
                await self._unit.read(group.function, row.address, row.count)
            except RefusalError, NoAnswerError, MalformedError:
                return None
            return self._taken_apart(group)
        return self._struck(group) if isinstance(error, NoAnswerError) else None

    def _struck(self, group: Group) -> list[Group] | None:
        if group in self._proven or not self._unit.answered:
            return None
        self._strikes[group] += 1
        return self._taken_apart(group) if self._strikes[group] >= STRIKES else None

    def _taken_apart(self, group: Group) -> list[Group]:
        self._strikes.pop(group, None)
        self._proven.discard(group)
        parts = list(group.split())
        if not parts:
            self.refused += group.rows
        return parts


__all__ = ["STRIKES", "Functions", "Survey"]

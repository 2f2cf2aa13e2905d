"""Numbers that are given once and for ever: instances, rows and units by which other systems know our things."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from ridethrough.tasks import unbroken

from .database import Database
from .tables import NUMBERS


class Numbers:
    """In each scope, such as `bacnet.analog_input`, every name has a number of its own, counted from 1.

    A number that has been given is never given to another name, whatever comes and goes: a building management system
    has it in its plans.
    """

    def __init__(self, database: Database) -> None:
        """Use the store's database."""
        self._database = database
        self._known: dict[str, dict[str, int]] = {}

    @unbroken
    async def assign(self, scope: str, names: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of all these names; new ones get the next, in their order. Raises StoreError.

        They are on the disk when this returns.
        """
        names = list(dict.fromkeys(names))
        known = self._known.get(scope)
        if known is None:
            known = self._known[scope] = await self._load(scope)
        if any(name not in known for name in names):
            async with self._database.write() as connection:
                # Anew and within the transaction: another call may have given some meanwhile.
                query = select(NUMBERS.c.name, NUMBERS.c.number).where(NUMBERS.c.scope == scope)
                known = {row.name: row.number for row in await connection.execute(query)}
                after = max(known.values(), default=0)
                fresh = [name for name in names if name not in known]
                given = {name: after + place for place, name in enumerate(fresh, 1)}
                rows = [{"scope": scope, "name": name, "number": number} for name, number in given.items()]
                if rows:
                    await connection.execute(insert(NUMBERS), rows)
            self._known[scope] = known | given
            known = self._known[scope]
        return {name: known[name] for name in names}

    async def _load(self, scope: str) -> dict[str, int]:
        async with self._database.read() as connection:
            query = select(NUMBERS.c.name, NUMBERS.c.number).where(NUMBERS.c.scope == scope)
            return {row.name: row.number for row in await connection.execute(query)}


__all__ = ["Numbers"]

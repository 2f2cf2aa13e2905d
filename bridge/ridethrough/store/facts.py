"""Single facts to remember, such as how often the SNMP engine has started."""

from collections.abc import Mapping

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from ridethrough.tasks import unbroken

from .database import Database
from .tables import FACTS


class Facts:
    """One text for each key."""

    def __init__(self, database: Database) -> None:
        """Use the store's database."""
        self._database = database

    @unbroken
    async def get(self, key: str) -> str | None:
        """Return what is remembered, None for nothing. Raises StoreError."""
        async with self._database.read() as connection:
            return (await connection.execute(select(FACTS.c.value).where(FACTS.c.key == key))).scalar()

    @unbroken
    async def put(self, key: str, value: str) -> None:
        """Remember this in the place of what was there; it is on the disk when this returns. Raises StoreError."""
        statement = insert(FACTS).values(key=key, value=value)
        async with self._database.write() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    @unbroken
    async def under(self, prefix: str) -> Mapping[str, str]:
        """Return all that is remembered under keys that begin with `prefix`. Raises StoreError."""
        query = select(FACTS.c.key, FACTS.c.value).where(FACTS.c.key.startswith(prefix, autoescape=True))
        async with self._database.read() as connection:
            return {row.key: row.value for row in await connection.execute(query)}

    @unbroken
    async def change(self, values: Mapping[str, str | None]) -> None:
        """Remember all of these, or forget what is None, in one transaction. Raises StoreError."""
        rows = [{"key": key, "value": value} for key, value in values.items() if value is not None]
        gone = [key for key, value in values.items() if value is None]
        statement = insert(FACTS)
        statement = statement.on_conflict_do_update(index_elements=["key"], set_={"value": statement.excluded.value})
        async with self._database.write() as connection:
            # Many at once take one statement, not one each.
            if rows:
                await connection.execute(statement, rows)
            if gone:
                await connection.execute(
                    delete(FACTS).where(FACTS.c.key == bindparam("gone")), [{"gone": key} for key in gone]
                )


__all__ = ["Facts"]

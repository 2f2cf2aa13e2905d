"""Commands that have been given and of whose end the journal does not know yet; durable before they are carried out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ridethrough.events.event import Event, JournalError

from .database import Database, StoreError, unbroken
from .journal import event_of, row_of
from .tables import PENDING


class Pending:
    """Implements `events.pending.Pending` in the store's database."""

    def __init__(self, database: Database) -> None:
        """Use the store's database."""
        self._database = database

    @unbroken
    async def note(self, event: Event) -> int:
        """Note a command, durably, and return the number to forget it by. Raises JournalError."""
        row = {name: value for name, value in row_of(event).items() if name != "seq"}
        async with self._writing() as connection:
            result = await connection.execute(insert(PENDING).values(row).returning(PENDING.c.seq))
            return int(result.scalar_one())

    @unbroken
    async def forget(self, number: int) -> None:
        """Forget a command whose end the journal knows. Raises JournalError."""
        async with self._writing() as connection:
            await connection.execute(delete(PENDING).where(PENDING.c.seq == number))

    @unbroken
    async def unfinished(self) -> list[Event]:
        """Return what is noted, oldest first; `seq` is the number to forget it by. Raises JournalError."""
        try:
            async with self._database.read() as connection:
                return [event_of(row) for row in await connection.execute(select(PENDING).order_by(PENDING.c.seq))]
        except StoreError as error:
            raise JournalError(str(error)) from error

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.write() as connection:
                yield connection
        except StoreError as error:
            raise JournalError(str(error)) from error


__all__ = ["Pending"]

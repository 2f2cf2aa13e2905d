"""Commands that have been given and of whose end the journal does not know yet; durable before they are carried out."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from ridethrough.events.event import Event, JournalError
from ridethrough.tasks import unbroken

from .database import Database, StoreError
from .journal import event_of, row_of
from .tables import PENDING

MOST_AT_ONCE = 100
"""Notes and deletions in one transaction: those who wait for one go on in one turn of the event loop."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Something to be written with what else waits."""

    written: asyncio.Future[int]
    row: Mapping[str, Any] | None = None
    """A note to be taken."""
    number: int = 0
    """A note to be forgotten."""


class Pending:
    """Implements `events.pending.Pending` in the store's database.

    What is asked for while a transaction is under way goes together into the next one: a thousand computers that are
    to be shut down in one moment wait for a few transactions and not for two thousand.
    """

    def __init__(self, database: Database) -> None:
        """Use the store's database."""
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    @unbroken
    async def note(self, event: Event) -> int:
        """Note a command, durably, and return the number to forget it by. Raises JournalError."""
        row = {name: value for name, value in row_of(event).items() if name != "seq"}
        return await self._written(_Waiting(asyncio.get_running_loop().create_future(), row=row))

    @unbroken
    async def forget(self, number: int) -> None:
        """Forget a command whose end the journal knows. Raises JournalError."""
        await self._written(_Waiting(asyncio.get_running_loop().create_future(), number=number))

    @unbroken
    async def unfinished(self) -> list[Event]:
        """Return what is noted, oldest first; `seq` is the number to forget it by. Raises JournalError."""
        try:
            async with self._database.read() as connection:
                return [event_of(row) for row in await connection.execute(select(PENDING).order_by(PENDING.c.seq))]
        except StoreError as error:
            raise JournalError(str(error)) from error

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._writer is not None:
            await asyncio.wait((self._writer,))

    async def _written(self, waiting: _Waiting) -> int:
        """Have something written, and wait for that."""
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await waiting.written

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                try:
                    numbers = await self._commit(batch)
                except StoreError as error:
                    for one in batch:
                        if not one.written.done():
                            one.written.set_exception(JournalError(str(error)))
                    continue
                for one, number in zip(batch, numbers, strict=True):
                    if not one.written.done():
                        one.written.set_result(number)
        finally:
            self._writer = None

    async def _commit(self, batch: list[_Waiting]) -> list[int]:
        """Write all of it in one transaction; returns the number of each."""
        gone = [one.number for one in batch if one.row is None]
        async with self._database.write() as connection:
            following = int((await connection.execute(select(func.max(PENDING.c.seq)))).scalar() or 0) + 1
            rows: list[dict[str, Any]] = []
            numbers = []
            for one in batch:
                if one.row is not None:
                    rows.append({**one.row, "seq": following + len(rows)})
                numbers.append(one.number if one.row is None else int(rows[-1]["seq"]))
            if rows:
                await connection.execute(insert(PENDING), rows)
            if gone:
                await connection.execute(delete(PENDING).where(PENDING.c.seq.in_(gone)))
        return numbers


__all__ = ["Pending"]

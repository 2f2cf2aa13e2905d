"""Steps of jobs and plans, and what those who make them remember: durable before anything is done."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import itertools
import logging
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ridethrough.events.event import JournalError
from ridethrough.events.notation import NotationError, action_json, action_of, occasion_json, occasion_of, read, write
from ridethrough.events.steps import Step, StepState
from ridethrough.tasks import unbroken

from .database import Database, StoreError, instant, stamp
from .tables import FACTS, MEMORY, STEPS

_LOGGER = logging.getLogger(__name__)

KEEP = 10_000
"""Ended steps kept: some 10 MB."""
CHUNK = 100
"""Rows that are made, or asked for, in one go, so that the event loop is never held for long."""
SEEN = "steps.seen"
_OPEN = (StepState.DUE.value, StepState.STARTED.value)


@dataclass(slots=True, eq=False)
class _Mark:
    """A step that is begun or has ended, to be written together with others."""

    key: str
    state: StepState
    message: str = ""
    attempts: int = 0
    written: bool = False
    error: JournalError | None = None


class Steps:
    """Implements `events.steps.Steps` in the store's database."""

    def __init__(self, database: Database, keep: int = KEEP) -> None:
        """Keep at least the last `keep` steps that have ended, and at most a tenth more."""
        self._database = database
        self._keep = keep
        self._slack = max(1, keep // 10)
        self._since_pruning = self._slack
        self._marks: list[_Mark] = []
        self._turn = asyncio.Lock()

    @unbroken
    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Write all of it as one transaction; return those of the steps that are new. Raises JournalError."""
        rows: list[dict[str, object]] = []
        for step in steps:
            rows.append(_row(step))
            if len(rows) % CHUNK == 0:
                await asyncio.sleep(0)
        known: set[str] = set()
        async with self._writing() as connection:
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                query = select(STEPS.c.key).where(STEPS.c.key.in_([row["key"] for row in chunk]))
                found = set((await connection.execute(query)).scalars())
                known |= found
                fresh = [row for row in chunk if row["key"] not in found]
                if fresh:
                    await connection.execute(insert(STEPS).on_conflict_do_nothing(), fresh)
            await _remember(connection, memory)
            if seen is not None:
                statement = insert(FACTS).values(key=SEEN, value=str(seen))
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=["key"], set_={"value": str(seen)})
                )
            self._since_pruning += len(rows)
            if self._since_pruning >= self._slack:
                await self._prune(connection)
                self._since_pruning = 0
        return [step for step in steps if step.key not in known]

    @unbroken
    async def begin(self, key: str) -> int:
        """Note that a step is begun now, and return how often it has been. Raises JournalError."""
        return (await self._mark(_Mark(key, StepState.STARTED))).attempts

    @unbroken
    async def end(self, key: str, state: StepState, message: str) -> None:
        """Note how a step has ended. Raises JournalError."""
        await self._mark(_Mark(key, state, message))

    @unbroken
    async def unfinished(self) -> Sequence[Step]:
        """Return the steps that are due or begun, in their order. Raises JournalError."""
        query = select(STEPS).where(STEPS.c.state.in_(_OPEN)).order_by(STEPS.c.number)
        async with self._reading() as connection:
            return _steps((await connection.execute(query)).all())

    @unbroken
    async def of(self, origin: str, limit: int = 100) -> Sequence[Step]:
        """Return the last steps whose origin is, or begins with, `origin`, newest first. Raises JournalError."""
        query = (
            select(STEPS)
            .where(STEPS.c.origin.startswith(origin, autoescape=True))
            .order_by(STEPS.c.number.desc())
            .limit(max(0, limit))
        )
        async with self._reading() as connection:
            return _steps((await connection.execute(query)).all())

    @unbroken
    async def recall(self, prefix: str) -> Mapping[str, str]:
        """Return what is remembered under keys that begin with `prefix`. Raises JournalError."""
        query = select(MEMORY.c.key, MEMORY.c.value).where(MEMORY.c.key.startswith(prefix, autoescape=True))
        async with self._reading() as connection:
            return {row.key: row.value for row in await connection.execute(query)}

    @unbroken
    async def seen(self) -> int | None:
        """Return the number of the last event that was taken into account. Raises JournalError."""
        async with self._reading() as connection:
            found = (await connection.execute(select(FACTS.c.value).where(FACTS.c.key == SEEN))).scalar()
        return None if found is None else int(found)

    async def _mark(self, mark: _Mark) -> _Mark:
        """Write a mark, with all that wait at the moment: a thousand steps begun at once are one transaction."""
        self._marks.append(mark)
        async with self._turn:
            if not mark.written and mark.error is None:
                marks, self._marks = self._marks, []
                try:
                    await self._write(marks)
                except JournalError as error:
                    for one in marks:
                        one.error = error
        if mark.error is not None:
            raise mark.error
        return mark

    async def _write(self, marks: Sequence[_Mark]) -> None:
        attempts: dict[str, int] = {}
        begin = update(STEPS).where(STEPS.c.key == bindparam("of"))
        begin = begin.values(state=StepState.STARTED.value, attempts=STEPS.c.attempts + 1)
        end = update(STEPS).where(STEPS.c.key == bindparam("of"))
        end = end.values(state=bindparam("how"), message=bindparam("said"))
        async with self._writing() as connection:
            for some in itertools.batched([mark.key for mark in marks if mark.state is StepState.STARTED], CHUNK):
                await connection.execute(begin, [{"of": key} for key in some])
                query = select(STEPS.c.key, STEPS.c.attempts).where(STEPS.c.key.in_(some))
                attempts |= {row.key: row.attempts for row in await connection.execute(query)}
            for ended in itertools.batched([mark for mark in marks if mark.state is not StepState.STARTED], CHUNK):
                rows = [{"of": mark.key, "how": mark.state.value, "said": _text(mark.message)} for mark in ended]
                await connection.execute(end, rows)
        for mark in marks:
            mark.attempts = attempts.get(mark.key, 1)
            mark.written = True

    async def _prune(self, connection: AsyncConnection) -> None:
        ended = STEPS.c.state.not_in(_OPEN)
        oldest = select(STEPS.c.number).where(ended).order_by(STEPS.c.number.desc()).offset(self._keep).limit(1)
        last = (await connection.execute(oldest)).scalar()
        if last is not None:
            await connection.execute(delete(STEPS).where(ended, STEPS.c.number <= last))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.read() as connection:
                yield connection
        except StoreError as error:
            raise JournalError(str(error)) from error

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.write() as connection:
                yield connection
        except StoreError as error:
            raise JournalError(str(error)) from error


async def _remember(connection: AsyncConnection, memory: Mapping[str, str | None]) -> None:
    kept = [{"key": key, "value": value} for key, value in memory.items() if value is not None]
    gone = [{"of": key} for key, value in memory.items() if value is None]
    if kept:
        statement = insert(MEMORY)
        fresh = {"value": statement.excluded.value}
        await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=fresh), kept)
    if gone:
        await connection.execute(delete(MEMORY).where(MEMORY.c.key == bindparam("of")), gone)


def _row(step: Step) -> dict[str, object]:
    return {
        "key": _text(step.key),
        "origin": step.occasion.origin,
        "action": write(action_json(step.action)),
        "occasion": write(occasion_json(step.occasion)),
        "at": stamp(step.at),
        "state": step.state.value,
        "attempts": step.attempts,
        "message": _text(step.message),
    }


def _steps(rows: Sequence[Row[Any]]) -> Sequence[Step]:
    steps = []
    for row in rows:
        try:
            steps.append(
                Step(
                    key=row.key,
                    action=read(row.action, action_of),
                    occasion=read(row.occasion, occasion_of),
                    at=instant(row.at),
                    state=StepState(row.state),
                    attempts=row.attempts,
                    message=row.message,
                )
            )
        except (NotationError, ValueError) as error:
            _LOGGER.error("The step %s cannot be read, and is left as it is: %s", row.key, error)
    return steps


def _text(text: str) -> str:
    """Return what can be written."""
    return text.encode("utf-8", "replace").decode()


__all__ = ["Steps"]

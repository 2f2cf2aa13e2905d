"""The event journal: numbered without gaps, durable when `append` returns, bounded."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
import math
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ridethrough.catalogue import Severity
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.site import DeviceId, Value
from ridethrough.tasks import unbroken

from .database import Database, StoreError, instant, stamp
from .tables import EVENTS, RAISED

KEEP = 100_000
"""Events kept by default: some 20 MB, and years of an ordinary UPS."""
_LARGEST = 2**63 - 1


class Journal:
    """Implements `events.event.Journal` in the store's database."""

    def __init__(self, database: Database, keep: int = KEEP) -> None:
        """Keep at least the last `keep` events (1 or more) and at most a tenth more."""
        if keep < 1:
            raise ValueError("At least one event must be kept.")
        self._database = database
        self._keep = keep
        self._slack = max(1, keep // 10)
        self._lock = asyncio.Lock()
        self._appends: set[asyncio.Task[list[Event]]] = set()

    async def append(self, events: Sequence[Event]) -> list[Event]:
        """Write events as one transaction and return them with their numbers.

        A caller that is cancelled meanwhile does not undo it: the write ends, one way or the other, by itself.
        Raises JournalError when nothing has been written.
        """
        if not events:
            return []
        task = asyncio.create_task(self._append(list(events)))
        self._appends.add(task)
        task.add_done_callback(self._appends.discard)
        return await asyncio.shield(task)

    @unbroken
    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        """Return events with a higher number than `seq`, oldest first. Pruned ones are gone."""
        query = select(EVENTS).where(EVENTS.c.seq > min(seq, _LARGEST)).order_by(EVENTS.c.seq).limit(max(0, limit))
        async with self._reading() as connection:
            return [event_of(row) for row in await connection.execute(query)]

    @unbroken
    async def last(self) -> int:
        """Return the highest number so far, 0 if there is none."""
        async with self._reading() as connection:
            return await _last(connection)

    @unbroken
    async def first(self) -> int:
        """Return the number of the oldest event that is still kept, 0 if there is none."""
        async with self._reading() as connection:
            return int((await connection.execute(select(func.min(EVENTS.c.seq)))).scalar() or 0)

    @unbroken
    async def raised(self) -> list[Event]:
        """Return, for every condition whose last edge is `raised`, that event; pruning does not touch them."""
        query = select(RAISED).order_by(RAISED.c.seq)
        async with self._reading() as connection:
            return [
                Event(
                    at=instant(row.at),
                    kind=EventKind.CONDITION,
                    device=DeviceId(row.device) if row.device else None,
                    key=row.key,
                    edge=EdgeKind.RAISED,
                    severity=Severity(row.severity),
                    details=_read(row.details),
                    seq=row.seq,
                )
                for row in await connection.execute(query)
            ]

    @unbroken
    async def devices(self) -> frozenset[DeviceId]:
        """Return the devices of which there are events: those that have been connected at some time."""
        query = select(EVENTS.c.device).distinct().where(EVENTS.c.device.is_not(None))
        async with self._reading() as connection:
            return frozenset(DeviceId(row.device) for row in await connection.execute(query))

    async def close(self) -> None:
        """Wait for writes that are under way."""
        await asyncio.gather(*self._appends, return_exceptions=True)

    async def _append(self, events: list[Event]) -> list[Event]:
        async with self._lock:
            try:
                async with self._database.write() as connection:
                    following = await _last(connection) + 1
                    numbered = [replace(event, seq=following + index) for index, event in enumerate(events)]
                    await connection.execute(insert(EVENTS), [row_of(event) for event in numbered])
                    await _note_raised(connection, numbered)
                    await self._prune(connection, numbered[-1].seq)
            except StoreError as error:
                raise JournalError(str(error)) from error
        return numbered

    async def _prune(self, connection: AsyncConnection, last: int) -> None:
        first = int((await connection.execute(select(func.min(EVENTS.c.seq)))).scalar_one())
        if last - first + 1 > self._keep + self._slack:
            await connection.execute(delete(EVENTS).where(EVENTS.c.seq <= last - self._keep))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.read() as connection:
                yield connection
        except StoreError as error:
            raise JournalError(str(error)) from error


async def _last(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.max(EVENTS.c.seq)))).scalar() or 0)


async def _note_raised(connection: AsyncConnection, events: Sequence[Event]) -> None:
    final = {(event.device or "", event.key): event for event in events if event.kind is EventKind.CONDITION}
    gone = [
        {"gone_device": device, "gone_key": key}
        for (device, key), event in final.items()
        if event.edge is not EdgeKind.RAISED
    ]
    rows = [
        {"device": device, "key": key}
        | {name: value for name, value in row_of(event).items() if name in ("seq", "at", "severity", "details")}
        for (device, key), event in final.items()
        if event.edge is EdgeKind.RAISED
    ]
    # A thousand computers that go down at once take two statements, not a thousand.
    if gone:
        query = delete(RAISED).where(RAISED.c.device == bindparam("gone_device"), RAISED.c.key == bindparam("gone_key"))
        await connection.execute(query, gone)
    if rows:
        statement = insert(RAISED)
        news = {name: statement.excluded[name] for name in ("seq", "at", "severity", "details")}
        await connection.execute(statement.on_conflict_do_update(index_elements=["device", "key"], set_=news), rows)


def row_of(event: Event) -> dict[str, object]:
    """Write an event as a row of a table of events."""
    return {
        "seq": event.seq,
        "at": stamp(event.at),
        "kind": str(event.kind),
        "device": event.device,
        "key": _writable(event.key),
        "edge": str(event.edge),
        "severity": str(event.severity),
        "details": orjson.dumps({_writable(name): _writable(value) for name, value in event.details.items()}).decode(),
    }


def _writable[T: Value](value: T) -> T | str:
    """Return what JSON can hold: devices send odd things, and one of them must not stop the journal."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) > _LARGEST):
        return str(value)
    return value


def _read(details: str) -> Mapping[str, Value]:
    found: dict[str, Value] = orjson.loads(details)
    return found


def event_of(row: Row[Any]) -> Event:
    """Read an event from such a row."""
    return Event(
        at=instant(row.at),
        kind=EventKind(row.kind),
        device=None if row.device is None else DeviceId(row.device),
        key=row.key,
        edge=EdgeKind(row.edge),
        severity=Severity(row.severity),
        details=_read(row.details),
        seq=row.seq,
    )

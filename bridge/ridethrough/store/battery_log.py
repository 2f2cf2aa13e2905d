"""The battery log: what every block was like, for years in a bounded place (manual M:6777).

It has a database of its own, so that the journal never waits for it: an SQLite file, or PostgreSQL where the configuration
names one. Samples are put together in memory and written by and by. What has been written is small at first and is joined
later to parts of some hours, which is where their size goes.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
import logging
import os
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ridethrough.battery.records import Entry, RecordsError
from ridethrough.clock import Clock
from ridethrough.site import DeviceId
from ridethrough.tasks import unbroken

from .battery_blocks import LONGEST, BlocksError, Sample, decoded, encoded, entries, joined, packed, stamp
from .database import StoreError

_LOGGER = logging.getLogger(__name__)

FLUSH = 5.0
"""Seconds between two writes: what a kill loses at most."""
WAITING = 4000
"""Samples of strings that may wait for being written; with 16 strings every second, four minutes."""
JOIN = 16
"""Small parts of a string that are joined to one."""
WHOLE = 240
"""Samples from which on a part stays as it is: twelve hours in float operation."""
PAGE = 4
"""Parts that a reader has in memory at once."""
MEGABYTE = 1_000_000
ROW = 120
"""Bytes that a part takes beside its data, about; for databases that cannot say what they use."""
SHED = 8
"""Parts that are dropped at once when the log is full."""
PATIENCE = 5.0
"""Seconds to wait for another that writes."""
_POSTGRESQL = "postgresql+asyncpg"

METADATA = MetaData()
PARTS = Table(
    "battery_parts",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("system", Text, nullable=False),
    Column("string", Integer, nullable=False),
    Column("first", Integer, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("begin", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("open", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("battery_parts_of_string", "system", "string", "begin"),
    Index("battery_parts_by_age", "end"),
)
"""Samples of one string, packed (`battery_blocks`). Times in milliseconds since 1970 (UTC); `open` is 1 as long as they may
still be joined with others."""

type _Key = tuple[str, int]
"""A system's id and the number of a string."""


@dataclass(slots=True)
class _Open:
    """The parts of a string that may still be joined."""

    shape: tuple[int, int]
    begin: int
    ids: list[int] = field(default_factory=list)
    count: int = 0
    end: int = 0


class BatteryLogError(StoreError, RecordsError):
    """The battery log cannot be used; the message says why and what to do about it."""


class BatteryLog:
    """Samples of all battery systems.

    async with BatteryLog.open(config.data / "battery.db", clock, size=500.0) as log:
        supervisor.start("The battery log", log.run)
        log.write(system, clock.utc(), samples_of(board))
    """

    def __init__(self, engine: AsyncEngine, name: str, clock: Clock, size: float) -> None:
        """Use `open`."""
        self._engine = engine
        self._faults = _faults(engine)
        self._name = name
        self._clock = clock
        self.size = size
        """MB after which the oldest is dropped."""
        self._waiting: deque[tuple[DeviceId, int, Sample]] = deque()
        self._parts: dict[_Key, _Open] = {}
        self._turn = asyncio.Lock()
        self._failing = False
        self.lost = 0
        """Samples that could not be kept because writing failed for too long."""

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Path | str, clock: Clock, *, size: float = 500.0) -> AsyncIterator[BatteryLog]:
        """Open a file, or the database of a URL, e.g. `postgresql+asyncpg://user@host/ridethrough`.

        What waits is written at the end. Raises BatteryLogError when it cannot be used.
        """
        log = cls(_engine(target), _named(target), clock, size)
        try:
            await log._prepare()
            try:
                yield log
            finally:
                await log.flush()
        finally:
            await log._engine.dispose()

    @property
    def waiting(self) -> int:
        """How many samples of strings are not written yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Write by and by, for ever."""
        while True:
            await self._clock.sleep(FLUSH)
            await self.flush()

    def write(self, system: DeviceId, at: datetime, samples: Sequence[Sample]) -> None:
        """Take what the strings of a system are like; it is written soon. Never waits and never fails."""
        when = stamp(at)
        self._waiting.extend((system, when, sample) for sample in samples if sample.voltage)
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self.lost += 1

    @unbroken
    async def flush(self) -> bool:
        """Write what waits; False if that is not possible now: it waits on. Logs once when it fails and when it works."""
        async with self._turn:
            batch = list(self._waiting)
            if not batch:
                return True
            before = self.lost
            known = {key: replace(part, ids=list(part.ids)) for key, part in self._parts.items()}
            try:
                async with self._engine.begin() as connection:
                    for key, some in _by_string(batch).items():
                        await self._append(connection, key, some)
                    await self._shed(connection)
            except self._faults as error:
                self._parts = known
                if not self._failing:
                    _LOGGER.warning("The battery log %s cannot be written: %s", self._name, _reason(error))
                self._failing = True
                return False
            # Some of the batch may have been given up meanwhile for want of room.
            for _ in range(max(0, len(batch) - (self.lost - before))):
                self._waiting.popleft()
            if self._failing:
                _LOGGER.info("The battery log %s is written again; %d samples are missing", self._name, self.lost)
            self._failing = False
            return True

    async def read(
        self,
        system: DeviceId,
        *,
        string: int | None = None,
        module: int | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[list[Entry]]:
        """Read what there is of a block, or of a string with its blocks, in pages by time, oldest first.

        With neither it is all strings, one after the other. What is written meanwhile is not part of it. Raises
        StoreError.
        """
        await self.flush()
        since = 0 if begin is None else stamp(begin)
        until = stamp(self._clock.utc()) if end is None else stamp(end)
        for number in await self._strings(system, string, module):
            cursor = (-1, -1)
            while True:
                rows, last = await self._page(system, number, module, since, until, cursor)
                for row in rows:
                    yield await asyncio.to_thread(_entries, row.data, row.begin, number, module, since, until)
                if last:
                    break
                cursor = (rows[-1].begin, rows[-1].id)

    async def drop(self, system: DeviceId, *, before: datetime | None = None) -> int:
        """Forget a system, or what was before; returns how many parts have gone. Raises BatteryLogError."""
        which = PARTS.c.system == system
        if before is not None:
            which = and_(which, PARTS.c.end < stamp(before))
        async with self._turn, self._transaction() as connection:
            gone = (await connection.execute(delete(PARTS).where(which))).rowcount
            await self._learn(connection)
        if before is None:
            self._waiting = deque(one for one in self._waiting if one[0] != system)
        return gone

    async def used(self) -> int:
        """Tell how many bytes it takes, without what is free in its file. Raises BatteryLogError."""
        async with self._transaction() as connection:
            return await self._used(connection)

    # Writing

    async def _append(self, connection: AsyncConnection, key: _Key, samples: list[tuple[int, Sample]]) -> None:
        """Write samples of one string, which may have changed its shape in between, or gone back in time."""
        run: list[tuple[int, Sample]] = []
        for at, sample in samples:
            if run and (run[-1][1].shape != sample.shape or not run[-1][0] <= at <= run[0][0] + LONGEST):
                await self._add(connection, key, run)
                run = []
            run.append((at, sample))
        await self._add(connection, key, run)

    async def _add(self, connection: AsyncConnection, key: _Key, run: list[tuple[int, Sample]]) -> None:
        shape, begin, end = run[0][1].shape, run[0][0], run[-1][0]
        part = self._parts.get(key)
        if part is not None and (part.shape != shape or begin < part.end or end - part.begin > LONGEST):
            # Other blocks, or a clock that was set: what comes now is not joined with what was before.
            await connection.execute(PARTS.update().where(PARTS.c.id.in_(part.ids)).values(open=0))
            part = None
        if part is None:
            part = self._parts[key] = _Open(shape, begin)
        data = await asyncio.to_thread(_packed, run)
        part.ids.append(await self._insert(connection, key, shape, begin, end, len(run), data))
        part.count += len(run)
        part.end = end
        if part.count >= WHOLE or len(part.ids) >= JOIN:
            await self._join(connection, key, part)

    async def _join(self, connection: AsyncConnection, key: _Key, part: _Open) -> None:
        rows = (
            await connection.execute(
                select(PARTS.c.data, PARTS.c.begin).where(PARTS.c.id.in_(part.ids)).order_by(PARTS.c.begin, PARTS.c.id)
            )
        ).all()
        whole = part.count >= WHOLE
        try:
            data, begin = await asyncio.to_thread(_joined, [(row.data, row.begin) for row in rows])
        except BlocksError as error:
            # What cannot be read must not keep the rest from being written.
            _LOGGER.warning("%s It is left as it is", error)
            await connection.execute(PARTS.update().where(PARTS.c.id.in_(part.ids)).values(open=0))
            del self._parts[key]
            return
        await connection.execute(delete(PARTS).where(PARTS.c.id.in_(part.ids)))
        number = await self._insert(connection, key, part.shape, begin, part.end, part.count, data, open_=not whole)
        if whole:
            del self._parts[key]
        else:
            part.ids = [number]

    async def _insert(
        self,
        connection: AsyncConnection,
        key: _Key,
        shape: tuple[int, int],
        begin: int,
        end: int,
        count: int,
        data: bytes,
        *,
        open_: bool = True,
    ) -> int:
        system, string = key
        values = {"system": system, "string": string, "first": shape[0], "blocks": shape[1], "begin": begin, "end": end}
        values |= {"samples": count, "open": int(open_), "data": data}
        (number,) = (await connection.execute(insert(PARTS).values(values))).inserted_primary_key or (0,)
        return int(number)

    async def _shed(self, connection: AsyncConnection) -> None:
        """Drop the oldest until there is room."""
        limit = self.size * MEGABYTE
        while await self._used(connection) > limit:
            oldest = select(PARTS.c.id).order_by(PARTS.c.end, PARTS.c.id).limit(SHED)
            found = list((await connection.execute(oldest)).scalars())
            if not found:
                return
            await connection.execute(delete(PARTS).where(PARTS.c.id.in_(found)))
            for key, part in list(self._parts.items()):
                if set(part.ids) & set(found):
                    del self._parts[key]
                    left = [number for number in part.ids if number not in found]
                    await connection.execute(PARTS.update().where(PARTS.c.id.in_(left)).values(open=0))

    async def _used(self, connection: AsyncConnection) -> int:
        if self._engine.dialect.name == "sqlite":
            pages, free, size = [
                int((await connection.execute(text(f"PRAGMA {name}"))).scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            ]
            return (pages - free) * size
        query = select(func.coalesce(func.sum(func.length(PARTS.c.data) + ROW), 0))
        return int((await connection.execute(query)).scalar_one())

    # Reading

    async def _strings(self, system: DeviceId, string: int | None, module: int | None) -> list[int]:
        if string is not None:
            return [string]
        query = select(PARTS.c.string).distinct().where(PARTS.c.system == system).order_by(PARTS.c.string)
        if module is not None:
            query = query.where(PARTS.c.first <= module, module < PARTS.c.first + PARTS.c.blocks)
        async with self._transaction() as connection:
            return list((await connection.execute(query)).scalars())

    async def _page(
        self, system: DeviceId, string: int, module: int | None, since: int, until: int, cursor: tuple[int, int]
    ) -> tuple[Sequence[Any], bool]:
        """Return some parts after `cursor`, and whether these are the last.

        Those that stay as they are come first; the few that may still be joined are read at one moment at the end, so
        that nothing is missed and nothing comes twice, whatever is written meanwhile.
        """
        query = select(PARTS.c.id, PARTS.c.begin, PARTS.c.data).order_by(PARTS.c.begin, PARTS.c.id)
        query = query.where(
            PARTS.c.system == system, PARTS.c.string == string, PARTS.c.end >= since, PARTS.c.begin <= until
        )
        if module is not None:
            query = query.where(PARTS.c.first <= module, module < PARTS.c.first + PARTS.c.blocks)
        begin, number = cursor
        after = or_(PARTS.c.begin > begin, and_(PARTS.c.begin == begin, PARTS.c.id > number))
        async with self._transaction() as connection:
            closed = query.where(PARTS.c.open == 0, after).limit(PAGE)
            rows = (await connection.execute(closed)).all()
            if len(rows) == PAGE:
                return rows, False
            last = (await connection.execute(query.where(PARTS.c.open == 1))).all()
            return [*rows, *last], True

    # The database

    async def _prepare(self) -> None:
        async with self._transaction() as connection:
            await connection.run_sync(METADATA.create_all)
            await self._learn(connection)

    async def _learn(self, connection: AsyncConnection) -> None:
        """Find the parts that may still be joined."""
        self._parts = {}
        columns = (
            PARTS.c.id,
            PARTS.c.system,
            PARTS.c.string,
            PARTS.c.first,
            PARTS.c.blocks,
            PARTS.c.samples,
            PARTS.c.begin,
            PARTS.c.end,
        )
        query = select(*columns).where(PARTS.c.open == 1).order_by(PARTS.c.begin, PARTS.c.id)
        for row in await connection.execute(query):
            part = self._parts.setdefault((row.system, row.string), _Open((row.first, row.blocks), row.begin))
            part.ids.append(row.id)
            part.count += row.samples
            part.end = max(part.end, row.end)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except self._faults as error:
            raise BatteryLogError(f"The battery log {self._name}: {_reason(error)}") from error


def _engine(target: Path | str) -> AsyncEngine:
    """Make the engine of a file or a URL. Raises BatteryLogError."""
    if isinstance(target, str):
        try:
            url = make_url(target)
            if url.drivername == "postgresql":
                url = url.set(drivername=_POSTGRESQL)
            return create_async_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True)
        except ImportError as error:
            raise BatteryLogError(
                f"The battery log {_named(target)} needs the Python package asyncpg; install it into the environment of "
                "the bridge (pip install 'ridethrough[postgresql]')."
            ) from error
        except (ArgumentError, NoSuchModuleError, TypeError, ValueError) as error:
            # What is wrong is not quoted: the password could be in it.
            raise BatteryLogError(
                "The database of the battery log cannot be used; write it as postgresql://user:password@host/database, "
                "with special characters of the password as %40."
            ) from error
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        target.chmod(0o600)
    except OSError as error:
        raise BatteryLogError(f"The battery log {target} cannot be written: {error.strerror or error}.") from error
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(target)),
        connect_args={"timeout": PATIENCE},
        pool_size=2,
        max_overflow=2,
    )
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _faults(engine: AsyncEngine) -> tuple[type[Exception], ...]:
    """Return what may be raised when it cannot be used; what asyncpg says while connecting comes as it is."""
    driver = getattr(engine.dialect.loaded_dbapi, "asyncpg", None)
    return SQLAlchemyError, OSError, *(() if driver is None else (driver.PostgresError, driver.InterfaceError))


def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Have a commit outlive the process; one that a power failure undoes may be lost, for it costs the disk less."""
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "journal_size_limit=8000000"):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _named(target: Path | str) -> str:
    """Write where it is, without a password."""
    return str(target) if isinstance(target, Path) else target.rpartition("@")[2].partition("?")[0]


def _reason(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    words = str(cause)
    if "not a database" in words or "malformed" in words:
        return f"{words}; move it away to begin with an empty one."
    return f"{words}; free some space." if "full" in words else words


def _by_string(batch: Sequence[tuple[DeviceId, int, Sample]]) -> dict[_Key, list[tuple[int, Sample]]]:
    found: dict[_Key, list[tuple[int, Sample]]] = {}
    for system, at, sample in batch:
        found.setdefault((system, sample.string), []).append((at, sample))
    return found


def _packed(run: Sequence[tuple[int, Sample]]) -> bytes:
    return encoded(packed(run))


def _joined(parts: Sequence[tuple[bytes, int]]) -> tuple[bytes, int]:
    return encoded(joined([decoded(data, begin) for data, begin in parts])), parts[0][1]


def _entries(data: bytes, at: int, string: int, module: int | None, begin: int, end: int) -> list[Entry]:
    try:
        return entries(decoded(data, at), string, module, begin, end)
    except BlocksError as error:
        _LOGGER.warning("%s It is left out", error)
        return []


__all__ = ["BatteryLog", "BatteryLogError"]

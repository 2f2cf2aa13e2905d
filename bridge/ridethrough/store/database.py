"""One SQLite file: opening it safely, its transactions, and errors that say what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import logging
import os
from pathlib import Path
import tempfile
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from .tables import MIGRATIONS, VERSION

_LOGGER = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ROOM = 128 * 1024
"""Bytes that must be free before several connections are tried again."""
PATIENCE = 5.0
"""Seconds to wait for another process (`ridethrough token`) that is writing."""


class StoreError(Exception):
    """The store cannot be used; the message says why and what to do about it."""


def stamp(at: datetime) -> int:
    """Turn an instant into microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into an instant in UTC, exactly."""
    return _EPOCH + microseconds * _MICROSECOND


class StoreFull(StoreError):
    """The disk is full, or failing."""


class Database:
    """The connections to one file. Reads run side by side; a write waits for the one before it.

    Where the disk has not even room for the small file by which several connections share the database, a single
    connection does without it: everything can be read, writing fails, and once there is room all is as usual.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; `open` opens it."""
        self.path = path
        self._engine: AsyncEngine | None = None
        self._cramped = False
        self._turn = asyncio.Lock()
        """Of the transactions, while there is a single connection."""

    async def open(self) -> None:
        """Open the file, private to its owner, and bring its schema up to date.

        A new folder gets mode 0700, the file 0600 in any case. Raises StoreError when the file cannot be written, is
        damaged, or was made by a newer version.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.path.chmod(0o600)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(
                f"The store {self.path} cannot be written: {reason}. Choose another folder (data:) or its owner."
            ) from error
        self._engine = self._make_engine()
        try:
            try:
                await self._check()
            except StoreFull as error:
                await self._engine.dispose()
                self._cramped = True
                self._engine = self._make_engine()
                await self._check()
                _LOGGER.warning("%s What happens is kept in memory until there is room.", error)
            await self._migrate()
        except BaseException:
            await self.close()
            raise

    def _make_engine(self) -> AsyncEngine:
        size, overflow = (1, 0) if self._cramped else (3, 5)
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(self.path)),
            connect_args={"timeout": PATIENCE},
            pool_size=size,
            max_overflow=overflow,
        )
        event.listen(engine.sync_engine, "connect", _prepare_alone if self._cramped else _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    async def close(self) -> None:
        """Close every connection; what was committed stays."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the file. Raises StoreError."""
        async with self._transaction(write=False) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that is on the disk when it ends, or undone when it fails. Raises StoreError."""
        async with self._transaction(write=True) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        if not self._cramped:
            async with self._begun(write=write) as connection:
                yield connection
            return
        async with self._turn:
            if write:
                await self._stretch()
            async with self._begun(write=write) as connection:
                yield connection

    async def _stretch(self) -> None:
        """Go back to several connections if the disk has room for them by now."""
        if self._engine is None or not self._cramped or not await asyncio.to_thread(_has_room, self.path.parent):
            return
        await self._engine.dispose()
        self._cramped = False
        self._engine = self._make_engine()
        try:
            async with self._begun(write=True):
                pass
        except StoreFull:
            await self._engine.dispose()
            self._cramped = True
            self._engine = self._make_engine()
        else:
            _LOGGER.info("The disk of the store %s has room again", self.path)

    @asynccontextmanager
    async def _begun(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise StoreError(f"The store {self.path} is closed.")
        try:
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(ridethrough_write=write)
                async with connection.begin():
                    yield connection
        except (SQLAlchemyError, OSError) as error:
            reason = _reason(error)
            kind = StoreFull if "full" in reason else StoreError
            raise kind(f"The store {self.path}: {reason}") from error

    async def _check(self) -> None:
        async with self.read() as connection:
            found = (await connection.execute(text("PRAGMA quick_check(1)"))).scalar_one()
        if found != "ok":
            raise StoreError(f"The store {self.path} is damaged ({found}); {_MOVE_AWAY}")

    async def _migrate(self) -> None:
        async with self.write() as connection:
            tables = (await connection.execute(text("SELECT name FROM sqlite_schema WHERE name = 'facts'"))).all()
            version = 0
            if tables:
                query = text("SELECT value FROM facts WHERE key = 'schema_version'")
                found = (await connection.execute(query)).scalar()
                if found is None or not found.isascii() or not found.isdigit():
                    raise StoreError(f"The store {self.path} is damaged (no schema version); {_MOVE_AWAY}")
                version = int(found)
            if version > VERSION:
                raise StoreError(
                    f"The store {self.path} has version {version}; this bridge knows {VERSION} at most. "
                    "Install the newer bridge again, or choose another folder (data:)."
                )
            if version == VERSION:
                return
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    await connection.execute(text(statement))
            await connection.execute(
                text("INSERT OR REPLACE INTO facts VALUES ('schema_version', :version)"), {"version": str(VERSION)}
            )


_MOVE_AWAY = "move it away, and its -wal and -shm beside it, to begin with an empty one."


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = str(cause)
    if "not a database" in words or "malformed" in words:
        return f"{words}; {_MOVE_AWAY}"
    if "disk I/O error" in words:
        return f"{words}; is the disk full, or failing?"
    if "full" in words:
        return f"{words}; free some space."
    return words


def _has_room(folder: Path) -> bool:
    """Whether the files that SQLite keeps beside a database would find room."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError:
        return False
    return True


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Make a fresh connection durable: a commit has reached the disk when it returns."""
    # SQLAlchemy begins transactions itself (see `_begin`), not the sqlite3 module behind its back.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _prepare_alone(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    """Make a connection that shares the database with nobody: it needs no room on the disk for reading it."""
    cursor = connection.cursor()
    try:
        # It must be said before the write-ahead log is used for the first time (SQLite, WAL, §8).
        cursor.execute("PRAGMA locking_mode=EXCLUSIVE")
    finally:
        cursor.close()
    _prepare(connection, entry)


def _begin(connection: Any) -> None:
    """Take the write lock at the start, so that what a transaction has read is still so when it writes."""
    write = connection.get_execution_options().get("ridethrough_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

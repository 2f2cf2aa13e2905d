"""The store as a file: private, durable, and clear about what is wrong with it."""

import asyncio
from pathlib import Path
import sqlite3
import stat
import sys
from uuid import UUID

import pytest
from sqlalchemy import create_engine, inspect

from ridethrough.store import Store, StoreError
from ridethrough.store.database import Database, _reason
from ridethrough.store.tables import METADATA, MIGRATIONS, VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database in a folder that does not exist yet."""
    return tmp_path / "deep" / "data" / "ridethrough.db"


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of a folder (`.`) and of the files in it."""
    return {".": stat.S_IMODE(folder.stat().st_mode)} | {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()
    }


async def test_new_store_is_private_to_its_owner(path: Path) -> None:
    async with Store.open(path) as store:
        await store.journal.last()
        found = modes(path.parent)
    assert found.pop(".") == 0o700
    assert set(found) == {"ridethrough.db", "ridethrough.db-wal", "ridethrough.db-shm"}
    assert set(found.values()) == {0o600}


def publish(path: Path) -> None:
    """Let everyone read a file."""
    path.chmod(0o644)


async def test_store_that_others_could_read_is_made_private(path: Path) -> None:
    async with Store.open(path):
        pass
    publish(path)
    async with Store.open(path):
        assert modes(path.parent)["ridethrough.db"] == 0o600


async def test_commits_reach_the_disk_before_they_return(path: Path) -> None:
    database = Database(path)
    await database.open()
    async with database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
    await database.close()


async def test_failed_transaction_leaves_nothing_behind(path: Path) -> None:
    database = Database(path)
    await database.open()

    async def fail_in_the_middle() -> None:
        async with database.write() as connection:
            await connection.exec_driver_sql("INSERT INTO facts VALUES ('half', 'done')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_in_the_middle()
    async with database.read() as connection:
        assert (await connection.exec_driver_sql("SELECT 1 FROM facts WHERE key = 'half'")).first() is None
    await database.close()


async def test_closed_store_says_so(path: Path) -> None:
    async with Store.open(path) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.tokens.list()


@pytest.mark.parametrize("below", ["file/data.db", "file", "\0"])
async def test_store_that_cannot_be_made_says_what_to_do(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").mkdir() if below == "file" else (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Choose another folder"):
        async with Store.open(tmp_path / below):
            pass


@pytest.fixture
def no_database(path: Path) -> Path:
    """Put something else where the database should be."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is not a database at all" * 100)
    return path


async def test_file_that_is_no_database_is_left_alone_and_told(no_database: Path) -> None:
    path = no_database
    with pytest.raises(StoreError, match="move it away"):
        async with Store.open(path):
            pass
    assert await asyncio.to_thread(path.read_bytes) == b"this is not a database at all" * 100


def spoil(path: Path) -> None:
    """Overwrite the database's second and third page."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 8192)


async def test_damaged_database_is_told(path: Path) -> None:
    async with Store.open(path):
        pass
    await asyncio.to_thread(spoil, path)
    with pytest.raises(StoreError, match="move it away"):
        async with Store.open(path):
            pass


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE facts SET value = '9999' WHERE key = 'schema_version'", "newer bridge"),
        ("UPDATE facts SET value = 'x' WHERE key = 'schema_version'", "damaged"),
        ("DELETE FROM facts WHERE key = 'schema_version'", "damaged"),
        ("UPDATE facts SET value = 'x' WHERE key = 'bridge_id'", "damaged"),
    ],
)
async def test_store_of_another_kind_is_refused_untouched(path: Path, statement: str, words: str) -> None:
    async with Store.open(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreError, match=words):
        async with Store.open(path):
            pass


def test_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    def columns(url: str) -> dict[str, set[tuple[str, str, bool]]]:
        engine = create_engine(url)
        found = {
            table: {(c["name"], str(c["type"]), c["nullable"]) for c in inspect(engine).get_columns(table)}
            for table in inspect(engine).get_table_names()
        }
        engine.dispose()
        return found

    migrated, declared = tmp_path / "migrated.db", tmp_path / "declared.db"
    connection = sqlite3.connect(migrated)
    for statements in MIGRATIONS:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    engine = create_engine(f"sqlite:///{declared}")
    METADATA.create_all(engine)
    engine.dispose()
    assert columns(f"sqlite:///{migrated}") == columns(f"sqlite:///{declared}")


async def test_older_store_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store.open(path) as store:
        before = store.identities.bridge_id
    step = ("CREATE TABLE later (a TEXT)",)
    monkeypatch.setattr("ridethrough.store.database.MIGRATIONS", (*MIGRATIONS, step))
    monkeypatch.setattr("ridethrough.store.database.VERSION", VERSION + 1)
    for _ in range(2):
        async with Store.open(path) as store:
            assert store.identities.bridge_id == before
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM facts WHERE key = 'schema_version'").fetchone() == (
            str(VERSION + 1),
        )
        connection.execute("SELECT * FROM later")
    connection.close()


# Identities


async def test_identity_of_a_device_is_the_same_after_a_restart(path: Path) -> None:
    async with Store.open(path) as store:
        bridge, ups, outlet = (
            store.identities.bridge_id,
            store.identities.mint("ups-1"),
            store.identities.mint("ups-1/outlet-1"),
        )
    async with Store.open(path) as store:
        assert store.identities.bridge_id == bridge
        assert store.identities.mint("ups-1/outlet-1") == outlet
        assert store.identities.mint("ups-1") == ups
    assert len({bridge, ups, outlet}) == 3
    for identity in (bridge, ups, outlet):
        assert str(UUID(identity)) == identity


async def test_two_bridges_give_the_same_key_different_identities(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "a.db") as one, Store.open(tmp_path / "b.db") as other:
        assert one.identities.bridge_id != other.identities.bridge_id
        assert one.identities.mint("ups-1") != other.identities.mint("ups-1")


async def test_two_processes_opening_a_new_store_at_once_agree_on_who_it_is(path: Path) -> None:
    first, second = Store.open(path), Store.open(path)
    await asyncio.gather(first.__aenter__(), second.__aenter__())
    assert first.identities.bridge_id == second.identities.bridge_id
    await asyncio.gather(first.__aexit__(None, None, None), second.__aexit__(None, None, None))


async def test_what_was_published_survives_kill_9(path: Path) -> None:
    program = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from ridethrough.catalogue import Severity
from ridethrough.events.event import EdgeKind, Event, EventKind
from ridethrough.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        ups = store.identities.mint("ups-1")
        event = Event(datetime.now(UTC), EventKind.CONDITION, ups, "on_battery", EdgeKind.RAISED, Severity.WARNING)
        while True:
            (numbered,) = await store.journal.append([event])
            print(ups, numbered.seq, flush=True)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(5)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    whole = [line for line in (*lines, *rest.splitlines(keepends=True)) if line.endswith(b"\n")]
    published = [line.decode().split() for line in whole]
    async with Store.open(path) as store:
        assert {identity for identity, _ in published} == {store.identities.mint("ups-1")}
        last = int(published[-1][1])
        assert await store.journal.last() in (last, last + 1)
        assert [event.seq for event in await store.journal.after(0)] == list(range(1, await store.journal.last() + 1))
        (raised,) = await store.journal.raised()
        assert raised.seq == await store.journal.last()


def test_a_disk_that_cannot_take_the_store_is_not_just_an_io_error() -> None:
    # What SQLite says when a full disk has no room for the files beside the store.
    assert _reason(OSError("disk I/O error")) == "disk I/O error; is the disk full, or failing?"

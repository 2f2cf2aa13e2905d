"""A store on a disk that is full when the bridge starts: a real one, as small as a disk can be."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
import sqlite3
import subprocess
import sys

import pytest

from ridethrough.catalogue import Role, Severity
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.store import Store, StoreError
from tests.disks import filled, small_disk

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EVENT = Event(NOW, EventKind.CONDITION, None, "on_battery", EdgeKind.RAISED, Severity.WARNING)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def size(path: Path, beside: str = "") -> int:
    return Path(f"{path}{beside}").stat().st_size


async def test_everything_is_known_and_nothing_written_until_there_is_room(disk: Path) -> None:
    path = disk / "ridethrough.db"
    async with Store.open(path) as store:
        bridge, secret = store.identities.bridge_id, await store.tokens.create("ha", Role.ADMIN)
        await store.journal.append([EVENT])
    with filled(disk):
        async with Store.open(path) as store:
            assert store.identities.bridge_id == bridge
            found = await asyncio.gather(*(store.tokens.verify(secret) for _ in range(8)))
            assert {info.name for info in found if info is not None} == {"ha"}
            assert [event.key for event in await store.journal.raised()] == ["on_battery"]
            with pytest.raises(JournalError, match="full"):
                await store.journal.append([EVENT])
            assert await store.journal.last() == 1
            (disk / "filler").unlink()
            assert [event.seq for event in await store.journal.append([EVENT])] == [2]
            # Others can use the store again, too.
            async with Store.open(path) as other:
                assert await other.journal.last() == 2
            assert list(await asyncio.gather(store.journal.last(), store.journal.first())) == [2, 1]


async def test_what_a_killed_bridge_wrote_last_is_known_on_a_full_disk(disk: Path) -> None:
    path = disk / "ridethrough.db"
    program = f"""
import asyncio, os, signal
from pathlib import Path
from tests.bridge.store.test_full_disk import EVENT
from ridethrough.store import Store
async def main():
    async with Store.open(Path({str(path)!r})) as store:
        await store.journal.append([EVENT])
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    (disk / "ridethrough.db-shm").unlink()  # as after a power failure
    assert size(path, "-wal") > 0
    with filled(disk):
        async with Store.open(path) as store:
            assert [event.key for event in await store.journal.raised()] == ["on_battery"]


async def test_a_little_room_is_not_taken_for_enough(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = disk / "ridethrough.db"
    async with Store.open(path):
        pass
    with filled(disk):
        async with Store.open(path) as store:
            monkeypatch.setattr("ridethrough.store.database.ROOM", 0)
            with pytest.raises(JournalError, match="full"):
                await store.journal.append([EVENT])
            assert await store.journal.last() == 0


async def test_a_new_store_cannot_begin_on_a_full_disk(disk: Path) -> None:
    with filled(disk), pytest.raises(StoreError, match="full"):
        async with Store.open(disk / "ridethrough.db"):
            pass


async def test_damage_is_not_taken_for_a_full_disk(disk: Path) -> None:
    path = disk / "ridethrough.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE facts (key, value)")
    connection.close()
    with filled(disk), pytest.raises(StoreError, match="damaged|full"):
        async with Store.open(path):
            pass
    assert size(path) > 0

"""The journal: numbers without gaps, batches whole or not at all, bounded, and right about what is raised."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlite3

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from ridethrough.catalogue import Severity
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.site import DeviceId, Value
from ridethrough.store import Journal, Store
from ridethrough.store.database import Database

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
UPS = DeviceId("ups")


def edge(key: str, kind: EdgeKind = EdgeKind.RAISED, device: DeviceId | None = UPS) -> Event:
    return Event(AT, EventKind.CONDITION, device, key, kind, Severity.WARNING)


SYSTEM = Event(AT, EventKind.SYSTEM, None, "started", EdgeKind.OCCURRED, Severity.INFO)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open an empty database."""
    database = Database(tmp_path / "test.db")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def journal(database: Database) -> Journal:
    """Open an empty journal."""
    return Journal(database)


async def test_empty_journal_knows_nothing(journal: Journal) -> None:
    assert (await journal.last(), await journal.first(), await journal.after(0), await journal.raised()) == (
        0,
        0,
        [],
        [],
    )
    assert await journal.append([]) == []
    assert await journal.last() == 0


async def test_events_are_numbered_from_one_and_come_back_as_they_were(journal: Journal) -> None:
    details: dict[str, Value] = {"text": "ü \ud800", "number": 1.5, "count": 3, "yes": True}
    event = replace(edge("on_battery"), details=details, at=AT + timedelta(microseconds=1))
    written = await journal.append([event, SYSTEM])
    assert [one.seq for one in written] == [1, 2]
    read = await journal.after(0)
    assert read == [replace(written[0], details=details | {"text": "ü ?"}), written[1]]
    assert await journal.after(1) == [written[1]]
    assert await journal.after(0, limit=1) == [read[0]]
    assert await journal.after(2**70) == []
    assert await journal.after(0, limit=-1) == []


async def test_odd_details_of_a_device_do_not_stop_the_journal(journal: Journal) -> None:
    odd: dict[str, Value] = {"nan": float("nan"), "huge": 10**30, "inf": float("-inf"), "\udc80": "\udcff"}
    await journal.append([replace(SYSTEM, details=odd)])
    (event,) = await journal.after(0)
    assert event.details == {"nan": "nan", "huge": str(10**30), "inf": "-inf", "?": "?"}


async def test_concurrent_appends_leave_no_gap_and_mix_no_batches(journal: Journal) -> None:
    batches = [[edge(f"c{batch}") for _ in range(5)] for batch in range(20)]
    written = await asyncio.gather(*(journal.append(batch) for batch in batches))
    for events in written:
        numbers = [event.seq for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert [event.seq for event in await journal.after(0)] == list(range(1, 101))


async def test_two_processes_share_one_row_of_numbers(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "a.db") as one, Store.open(tmp_path / "a.db") as other:
        await asyncio.gather(*(store.journal.append([SYSTEM]) for store in (one, other) * 10))
        assert [event.seq for event in await one.journal.after(0)] == list(range(1, 21))


async def test_cancelled_caller_does_not_tear_a_write_apart(journal: Journal) -> None:
    task = asyncio.create_task(journal.append([SYSTEM, SYSTEM]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.close()
    assert await journal.last() == 2
    assert [event.seq for event in await journal.append([SYSTEM])] == [3]


async def test_full_disk_writes_all_of_a_batch_or_none(database: Database, journal: Journal) -> None:
    await journal.append([SYSTEM])
    async with database.read() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
    big = replace(SYSTEM, details={"text": "x" * 20_000})
    async with database.write() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(JournalError, match="free some space"):
        await journal.append([SYSTEM, big, SYSTEM])
    assert await journal.last() == 1
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert [event.seq for event in await journal.append([SYSTEM, big])] == [2, 3]


async def test_journal_that_another_process_holds_is_told(
    database: Database, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ridethrough.store.database.PATIENCE", 0.05)
    impatient = Database(database.path)
    await impatient.open()
    connection = sqlite3.connect(database.path)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        await Journal(impatient).append([SYSTEM])
    connection.rollback()
    connection.close()
    assert len(await Journal(impatient).append([SYSTEM])) == 1
    await impatient.close()


async def test_closed_database_is_told(database: Database, journal: Journal) -> None:
    await database.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.last()
    with pytest.raises(JournalError, match="closed"):
        await journal.append([SYSTEM])


async def test_raised_are_the_conditions_whose_last_edge_is_raised(journal: Journal) -> None:
    other = DeviceId("other")
    await journal.append([edge("a"), edge("b"), edge("a", EdgeKind.CLEARED), edge("a", device=other), SYSTEM])
    assert [(event.device, event.key, event.seq) for event in await journal.raised()] == [
        (UPS, "b", 2),
        (other, "a", 4),
    ]
    await journal.append([edge("b", EdgeKind.CLEARED), edge("b"), edge("c", device=None)])
    raised = await journal.raised()
    assert [(event.device, event.key, event.seq) for event in raised] == [
        (other, "a", 4),
        (UPS, "b", 7),
        (None, "c", 8),
    ]
    assert raised == [event for event in await journal.after(0) if event.seq in (4, 7, 8)]


async def test_devices_are_those_that_something_happened_to(journal: Journal) -> None:
    assert await journal.devices() == frozenset()
    await journal.append([edge("a"), edge("a", device=DeviceId("other")), edge("c", device=None)])
    assert await journal.devices() == {UPS, "other"}


async def test_journal_is_bounded_and_what_is_raised_outlives_it(database: Database) -> None:
    journal = Journal(database, keep=20)
    await journal.append([edge("on_battery")])
    for _ in range(10):
        await journal.append([SYSTEM] * 7)
    last = await journal.last()
    assert last == 71
    kept = await journal.after(0)
    assert 20 <= len(kept) <= 22
    assert [event.seq for event in kept] == list(range(await journal.first(), last + 1))
    (raised,) = await journal.raised()
    assert (raised.key, raised.seq, raised.at) == ("on_battery", 1, AT)


async def test_batch_larger_than_the_bound_keeps_the_newest(database: Database) -> None:
    journal = Journal(database, keep=1)
    await journal.append([edge(f"c{number}") for number in range(50)])
    assert [event.seq for event in await journal.after(0)] == [50]
    assert len(await journal.raised()) == 50


def test_journal_must_keep_something(database: Database) -> None:
    with pytest.raises(ValueError, match="At least one"):
        Journal(database, keep=0)


_EDGES = st.tuples(st.sampled_from("abc"), st.sampled_from([EdgeKind.RAISED, EdgeKind.CLEARED]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(_EDGES, max_size=6), max_size=6))
def test_raised_agrees_with_a_full_reading_of_the_journal(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, EdgeKind]]]
) -> None:
    async def check() -> None:
        async with Store.open(tmp_path_factory.mktemp("journal") / "a.db", keep=2) as store:
            last: dict[str, EdgeKind] = {}
            count = 0
            for batch in batches:
                written = await store.journal.append([edge(key, kind) for key, kind in batch])
                last.update(batch)
                assert [event.seq for event in written] == list(range(count + 1, count + len(batch) + 1))
                count += len(batch)
            raised = {event.key for event in await store.journal.raised()}
            assert raised == {key for key, kind in last.items() if kind is EdgeKind.RAISED}

    asyncio.run(check())

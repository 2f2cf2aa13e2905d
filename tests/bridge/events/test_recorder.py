"""The recorder: the journal first, then the listeners; nothing lost, nothing twice, whatever happens to the disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
import sqlite3

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.clock import ManualClock, SystemClock
from ridethrough.events.event import EdgeKind, Event, EventKind, Journal, JournalError
from ridethrough.events.recorder import Recorder, RecorderFull
from ridethrough.site import Device, DeviceId, Site
from ridethrough.store import Store
from ridethrough.tasks import Backoff

BRIDGE, UPS, OUTLET = DeviceId("bridge"), DeviceId("ups"), DeviceId("outlet")
QUICK = Backoff(first=0.005, cap=0.01)
COMMAND = Event(ManualClock().utc(), EventKind.COMMAND, UPS, "beeper.mute", EdgeKind.OCCURRED, Severity.INFO)


def new_site() -> Site:
    site = Site(load_catalogue(), SystemClock())
    site.put(Device(BRIDGE, "bridge", "bridge", "Bridge"))
    site.put(Device(UPS, "ups-1", "ups", "UPS", parent=BRIDGE))
    return site


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[asyncio.Queue[Event]]:
    """Run a recorder; yields what it publishes."""
    heard: asyncio.Queue[Event] = asyncio.Queue()
    end = recorder.subscribe(heard.put_nowait)
    task = asyncio.create_task(recorder.run())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await recorder.close()
        end()
        end()


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """Open a store that is impatient with whoever else writes."""
    monkeypatch.setattr("ridethrough.store.database.PATIENCE", 0.02)
    async with Store.open(tmp_path / "test.db") as store:
        yield store


@pytest.fixture
def site() -> Site:
    return new_site()


def summary(events: Sequence[Event]) -> list[tuple[int, str, str]]:
    return [(event.seq, event.key, str(event.edge)) for event in events]


async def until(site: Site, holds: Callable[[], bool]) -> None:
    """Wait for a change of the site after which something holds."""
    changed = asyncio.Event()
    end = site.observe(lambda change: changed.set())
    while not holds():
        changed.clear()
        await asyncio.wait_for(changed.wait(), 5)
    end()


def journal_failed(site: Site) -> bool:
    state = site.conditions(BRIDGE).get("journal_failed")
    return state is not None and state.active


class Blocked:
    """Keeps the database from being written, as a full disk does, until it is told to stop."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def test_edges_become_numbered_events_that_are_in_the_journal_when_published(site: Site, store: Store) -> None:
    async with recording(Recorder(site, store.journal, SystemClock())) as heard:
        lane = site.lane(UPS, 5)
        with site.transaction():
            lane.post(conditions={"on_battery": True, "battery_low": True})
            lane.post(conditions={"battery_low": False})
        events = [await heard.get() for _ in range(3)]
        assert summary(events) == [
            (1, "on_battery", "raised"),
            (2, "battery_low", "raised"),
            (3, "battery_low", "cleared"),
        ]
        assert await store.journal.after(0) == events
        assert [event.severity for event in events] == [Severity.WARNING, Severity.ALARM, Severity.ALARM]
        assert {event.device for event in events} == {UPS}


async def test_what_arrives_during_a_write_is_written_together_and_in_order(site: Site, store: Store) -> None:
    async with recording(Recorder(site, store.journal, SystemClock())) as heard:
        lane = site.lane(UPS, 5)
        for number in range(300):
            lane.post(conditions={"on_battery": number % 2 == 0})
            if number % 50 == 0:
                await asyncio.sleep(0)
        events = [await heard.get() for _ in range(300)]
        assert [event.seq for event in events] == list(range(1, 301))
        assert [event.edge for event in events[:2]] == [EdgeKind.RAISED, EdgeKind.CLEARED]


async def test_recorded_command_comes_back_numbered(site: Site, store: Store) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    async with recording(recorder) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": True})
        event = await recorder.record(COMMAND)
        assert (event.seq, event.key) == (2, "beeper.mute")
        assert summary([await heard.get(), await heard.get()])[1] == (2, "beeper.mute", "occurred")
    with pytest.raises(JournalError, match="ending"):
        await recorder.record(COMMAND)


async def test_failing_subscriber_keeps_no_one_else_from_hearing(
    site: Site, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    unheard: list[Event] = []
    ends: list[Callable[[], None]] = []

    def fail(event: Event) -> None:
        ends[0]()
        raise ZeroDivisionError

    recorder.subscribe(fail)
    ends.append(recorder.subscribe(unheard.append))
    async with recording(recorder) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": True})
        assert (await heard.get()).seq == 1
    assert unheard == []
    assert "A subscriber to events failed" in caplog.text


async def test_journal_that_cannot_be_written_is_said_and_loses_nothing(
    site: Site, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(site, store.journal, SystemClock(), backoff=QUICK)
    async with recording(recorder) as heard:
        lane = site.lane(UPS, 5)
        await recorder.record(COMMAND)
        blocked = Blocked(tmp_path / "test.db")
        lane.post(conditions={"on_battery": True})
        await until(site, lambda: journal_failed(site))
        lane.post(conditions={"battery_low": True})
        assert heard.qsize() == 1
        blocked.end()
        await until(site, lambda: not journal_failed(site))
        events = [await heard.get() for _ in range(5)]
    assert summary(events) == [
        (1, "beeper.mute", "occurred"),
        (2, "on_battery", "raised"),
        (3, "journal_failed", "raised"),
        (4, "battery_low", "raised"),
        (5, "journal_failed", "cleared"),
    ]
    assert caplog.text.count("The journal cannot be written") == 1
    assert [event.key for event in await store.journal.raised()] == ["on_battery", "battery_low"]


async def test_full_disk_is_survived(site: Site, store: Store) -> None:
    database = store._database
    recorder = Recorder(site, store.journal, SystemClock(), backoff=QUICK)

    async def limit(pages: int) -> None:
        async with database.read() as connection:
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    async with database.read() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
    await limit(pages)
    async with recording(recorder) as heard:
        lane = site.lane(UPS, 5)
        for number in range(200):
            lane.post(conditions={"on_battery": number % 2 == 0})
        await until(site, lambda: journal_failed(site))
        await limit(1_000_000)
        events = [await heard.get() for _ in range(202)]
    assert [event.seq for event in events] == list(range(1, 203))
    assert await store.journal.after(0) == events


class Broken:
    """A journal that fails as no one has foreseen, for a while."""

    def __init__(self, journal: Journal, failures: int) -> None:
        self._journal = journal
        self.failures = failures

    async def append(self, events: Sequence[Event]) -> list[Event]:
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError("odd")
        return await self._journal.append(events)

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        return await self._journal.after(seq, limit)

    async def last(self) -> int:
        return await self._journal.last()

    async def raised(self) -> list[Event]:
        return await self._journal.raised()


async def test_unforeseen_failure_of_the_journal_is_survived_too(
    site: Site, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with recording(Recorder(site, Broken(store.journal, 2), SystemClock(), backoff=QUICK)) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": True})
        events = [await heard.get() for _ in range(3)]
    assert [event.key for event in events] == ["on_battery", "journal_failed", "journal_failed"]
    assert "nobody foresaw" in caplog.text


async def test_bridge_without_a_device_of_its_own_still_records(store: Store) -> None:
    site = Site(load_catalogue(), SystemClock())
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    async with recording(Recorder(site, Broken(store.journal, 1), SystemClock(), backoff=QUICK)) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": True})
        assert (await heard.get()).seq == 1


async def test_device_that_was_removed_meanwhile_still_has_its_event(site: Site, store: Store) -> None:
    site.observe(lambda change: site.remove(UPS) if change.edges else None)
    async with recording(Recorder(site, store.journal, SystemClock())) as heard:
        site.lane(UPS, 5).post(conditions={"battery_low": True})
        assert (await heard.get()).severity is Severity.WARNING


async def test_recorder_that_is_cancelled_in_a_write_neither_loses_nor_doubles(site: Site, store: Store) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    lane = site.lane(UPS, 5)
    heard: list[int] = []
    recorder.subscribe(lambda event: heard.append(event.seq))
    for number in range(20):
        lane.post(conditions={"on_battery": number % 2 == 0})
        task = asyncio.create_task(recorder.run())
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await recorder.close()
    lane.post(conditions={"overload": True})
    assert heard == list(range(1, len(heard) + 1))
    alternating = [event.edge for event in await store.journal.after(0) if event.key == "on_battery"]
    assert alternating == [EdgeKind.RAISED, EdgeKind.CLEARED] * 10
    assert recorder.waiting == 0


async def test_end_of_the_bridge_writes_what_waits(site: Site, store: Store) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    for number in range(1200):
        site.lane(UPS, 5).post(conditions={"on_battery": number % 2 == 0})
    await recorder.close()
    assert await store.journal.last() == 1200


async def test_end_of_the_bridge_says_what_could_not_be_written(
    site: Site, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    site.lane(UPS, 5).post(conditions={"on_battery": True})
    command = asyncio.create_task(recorder.record(COMMAND))
    await asyncio.sleep(0)
    blocked = Blocked(tmp_path / "test.db")
    await recorder.close()
    blocked.end()
    with pytest.raises(JournalError, match="ended"):
        await command
    # The bridge's own condition is not observed any more, so exactly these two.
    assert "2 events could not be written" in caplog.text


async def test_cancelled_command_is_written_all_the_same(site: Site, store: Store) -> None:
    recorder = Recorder(site, store.journal, SystemClock())
    command = asyncio.create_task(recorder.record(COMMAND))
    await asyncio.sleep(0)
    command.cancel()
    async with recording(recorder) as heard:
        assert (await heard.get()).key == "beeper.mute"


# At the bound


async def test_flapping_against_a_full_disk_is_thinned_and_ends_as_it_should(site: Site, store: Store) -> None:
    recorder = Recorder(site, store.journal, SystemClock(), capacity=100)
    lane = site.lane(UPS, 5)
    lane.post(conditions={"overload": True})
    posted = 1
    while posted < 10_000 or recorder.waiting < 100 or posted % 2:
        lane.post(conditions={"on_battery": posted % 2 == 1})
        posted += 1
    assert recorder.waiting <= 151
    with pytest.raises(RecorderFull):
        await recorder.record(COMMAND)
    waiting = recorder.waiting
    async with recording(recorder) as heard:
        events = [await heard.get() for _ in range(waiting + 1)]
    assert events[-1].key == "events_lost"
    assert events[-1].details == {"count": posted - waiting}
    assert events[0].key == "overload"
    edges = [event.edge for event in events if event.key == "on_battery"]
    assert edges == [EdgeKind.RAISED, EdgeKind.CLEARED] * (len(edges) // 2) + [EdgeKind.RAISED]
    assert {event.key for event in await store.journal.raised()} == {"overload", "on_battery"}
    assert recorder.waiting == 0


_KEYS = ["on_battery", "battery_low", "overload", "input_bad"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_KEYS), st.booleans()), max_size=80))
def test_thinned_edges_still_alternate_and_end_in_the_state_of_the_site(posts: list[tuple[str, bool]]) -> None:
    site = new_site()
    recorder = Recorder(site, Broken(None, 0), SystemClock(), capacity=8)  # type: ignore[arg-type]  # never written
    lane = site.lane(UPS, None)
    for key, active in posts:
        lane.post(conditions={key: active})
    assert recorder.waiting <= 8 + 4 + len(_KEYS)
    for key in _KEYS:
        edges = [entry.event.edge for entry in recorder._waiting if entry.event.key == key]
        assert all(one is not other for one, other in pairwise(edges))
        state = site.conditions(UPS).get(key)
        if edges:
            assert state is not None
            assert (edges[-1] is EdgeKind.RAISED) is state.active
        else:
            assert state is None or not state.active


# After kill -9


async def crash_with(store: Store, *edges: tuple[DeviceId, str]) -> None:
    """Leave a journal in which these are raised."""
    at = ManualClock().utc()
    kinds = (EventKind.CONDITION, EdgeKind.RAISED, Severity.WARNING)
    await store.journal.append([Event(at, kinds[0], device, key, kinds[1], kinds[2]) for device, key in edges])


async def test_outage_that_goes_on_is_not_raised_again(site: Site, store: Store) -> None:
    await crash_with(store, (UPS, "on_battery"))
    recorder = Recorder(site, store.journal, SystemClock())
    await recorder.restore()
    assert site.conditions(UPS)["on_battery"].since == ManualClock().utc()
    async with recording(recorder) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": True, "battery_low": True})
        assert summary([await heard.get()]) == [(2, "battery_low", "raised")]
    assert await store.journal.last() == 2


async def test_outage_that_ended_meanwhile_is_cleared(site: Site, store: Store) -> None:
    await crash_with(store, (UPS, "on_battery"))
    recorder = Recorder(site, store.journal, SystemClock())
    await recorder.restore()
    async with recording(recorder) as heard:
        site.lane(UPS, 5).post(conditions={"on_battery": False})
        assert summary([await heard.get()]) == [(2, "on_battery", "cleared")]
    assert await store.journal.raised() == []


async def test_condition_of_an_outlet_is_restored_when_its_link_finds_it(site: Site, store: Store) -> None:
    await crash_with(store, (OUTLET, "outlet_on"), (DeviceId("gone"), "on_battery"))
    recorder = Recorder(site, store.journal, SystemClock())
    await recorder.restore()
    async with recording(recorder) as heard:
        site.put(Device(OUTLET, "ups-1/outlet-1", "outlet", "Outlet 1", parent=UPS))
        lane = site.lane(OUTLET, 5)
        lane.post(conditions={"outlet_on": True})
        lane.post(conditions={"outlet_on": False})
        assert summary([await heard.get()]) == [(3, "outlet_on", "cleared")]


async def test_failed_journal_that_recovered_over_a_restart_is_cleared(site: Site, store: Store) -> None:
    await crash_with(store, (BRIDGE, "journal_failed"))
    recorder = Recorder(site, store.journal, SystemClock())
    await recorder.restore()
    async with recording(recorder) as heard:
        assert summary([await heard.get()]) == [(2, "journal_failed", "cleared")]


async def test_event_without_a_device_is_not_restored(site: Site, store: Store) -> None:
    event = Event(ManualClock().utc(), EventKind.CONDITION, None, "x", EdgeKind.RAISED, Severity.INFO)
    await store.journal.append([event])
    revision = site.revision
    await Recorder(site, store.journal, SystemClock()).restore()
    assert site.revision == revision

"""Commands under way: durable before they are carried out, and told of by the next bridge."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
import signal
import sys

import pytest
from sqlalchemy import event

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.events import EdgeKind, Event, EventKind, JournalError, Recorder, tell_unfinished
from ridethrough.site import DeviceId, Site
from ridethrough.store import Store, StoreError

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
UPS = DeviceId("ups")
COMMAND = Event(
    AT, EventKind.COMMAND, UPS, "load.off", EdgeKind.OCCURRED, Severity.INFO, {"actor": "somebody", "argument.x": 5}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ridethrough.db"


async def test_notes_are_kept_until_they_are_forgotten(path: Path) -> None:
    async with Store.open(path) as store:
        first, second = await store.pending.note(COMMAND), await store.pending.note(COMMAND)
        assert first != second
        await store.pending.forget(first)
    async with Store.open(path) as store:
        (noted,) = await store.pending.unfinished()
    assert noted.seq == second
    assert (noted.at, noted.device, noted.key, noted.details) == (AT, UPS, "load.off", COMMAND.details)


async def test_closed_store_says_so(path: Path) -> None:
    async with Store.open(path) as store:
        pass
    with pytest.raises(JournalError):
        await store.pending.note(COMMAND)
    with pytest.raises(JournalError):
        await store.pending.forget(1)
    with pytest.raises(JournalError):
        await store.pending.unfinished()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.bridge.store.test_pending import COMMAND
from ridethrough.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        await store.pending.note(COMMAND)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_bridge_that_was_killed_during_a_command_tells_of_it_once(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(path))
    assert await process.wait() == -signal.SIGKILL
    clock = ManualClock(datetime(2026, 1, 1, 13, 0, tzinfo=UTC))
    for _ in range(2):
        async with Store.open(path) as store:
            recorder = Recorder(Site(load_catalogue(), clock), store.journal, clock)
            running = asyncio.create_task(recorder.run())
            await tell_unfinished(store.pending, recorder, clock)
            running.cancel()
            await asyncio.wait({running})
            await recorder.close()
            events = await store.journal.after(0)
    (told,) = events
    assert (told.kind, told.device, told.key, told.seq) == (EventKind.COMMAND, UPS, "load.off", 1)
    assert told.at == clock.utc()
    assert told.severity is Severity.WARNING
    assert told.details["outcome"] == "no_answer"
    assert (told.details["actor"], told.details["argument.x"]) == ("somebody", 5)
    assert "given at 2026-01-01 12:00:00 UTC" in str(told.details["message"])


async def test_what_cannot_be_told_now_is_told_at_the_next_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        async def record(self, event: Event) -> object:
            raise JournalError("the disk is full")

    class Hanging:
        async def record(self, event: Event) -> object:
            return await asyncio.Event().wait()

    async with Store.open(path) as store:
        await store.pending.note(COMMAND)
        await tell_unfinished(store.pending, Full(), ManualClock())
        await tell_unfinished(store.pending, Hanging(), ManualClock(), patience=0.01)
        assert len(await store.pending.unfinished()) == 1
    assert "the disk is full" in caplog.text


async def test_what_comes_together_is_written_together_and_each_has_its_own_number(path: Path) -> None:
    async with Store.open(path) as store:
        transactions = 0

        def begun(_: object) -> None:
            nonlocal transactions
            transactions += 1

        engine = store._database._engine
        assert engine is not None
        event.listen(engine.sync_engine, "begin", begun)
        numbers = await asyncio.gather(*(store.pending.note(COMMAND) for _ in range(1200)))
        assert len(set(numbers)) == 1200
        await asyncio.gather(*(store.pending.forget(number) for number in numbers[:-1]))
        assert transactions <= 30
        (noted,) = await store.pending.unfinished()
        assert noted.seq == numbers[-1]


async def test_all_that_wait_hear_that_nothing_can_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store.open(path) as store:

        def full() -> None:
            raise StoreError("The disk is full.")

        with monkeypatch.context() as patch:
            patch.setattr(store._database, "write", full)
            outcomes = await asyncio.gather(*(store.pending.note(COMMAND) for _ in range(5)), return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["The disk is full."] * 5
        assert await store.pending.note(COMMAND) > 0

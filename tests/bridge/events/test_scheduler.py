"""The keeper of the schedule: steps, never twice, over restarts, wrong clocks, full disks and SIGKILL."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
import random
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, settle
from ridethrough.config.actions import LogAction
from ridethrough.config.jobs import Repeat, ScheduleConfig
from ridethrough.events import Event, JournalError
from ridethrough.events.schedule import PUNCTUAL
from ridethrough.events.scheduler import LOOK, Scheduler
from ridethrough.events.sentence import sentence
from ridethrough.events.steps import Step
from ridethrough.site import Device, DeviceId

from .notebook import Notebook

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 5, 31, 22, tzinfo=UTC)
"""Of the first of June in Berlin."""
HOUR = 3600.0
BRIDGE = DeviceId("bridge")


def scheduled(
    key: str = "test", repeat: Repeat = Repeat.DAILY, *, late: bool = False, hour: int = 3, enabled: bool = True
) -> ScheduleConfig:
    start = datetime(2026, 6, 1, hour)
    return ScheduleConfig(key, "Battery test", start, repeat, LogAction(text="x"), late, enabled)


class Log:
    """Takes events, unless it is full, and steps."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.taken: list[str] = []
        self.full = False

    async def record(self, event: Event) -> None:
        if self.full:
            raise JournalError("The disk is full.")
        self.events.append(event)

    def take(self, steps: Sequence[Step]) -> None:
        self.taken += [step.key for step in steps]

    @property
    def missed(self) -> list[tuple[object, ...]]:
        return [tuple(event.details[key] for key in ("schedule", "count", "made_up")) for event in self.events]


class Life:
    """What outlives a bridge: the disk and the clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(MIDNIGHT)
        self.notebook = Notebook(folder / "steps.db")
        self.log = Log()

    @asynccontextmanager
    async def bridge(self, *schedule: ScheduleConfig, zone: ZoneInfo = BERLIN) -> AsyncIterator[Scheduler]:
        """Run a bridge; its end is as sudden as a kill."""
        scheduler = Scheduler(schedule, zone, self.notebook, self.log.take, self.log, self.clock, BRIDGE)
        task = asyncio.create_task(scheduler.run())
        await settle()
        try:
            yield scheduler
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path)
    yield life
    life.notebook.close()


def runs(*days: int, key: str = "test", hour: int = 3) -> list[str]:
    return [f"schedule:{key}/2026-06-{day:02}T{hour:02}:00:00" for day in days]


async def quiet(life: Life, hours: int) -> None:
    """Let hours pass in which nothing is due."""
    life.clock.tick(hours * HOUR)
    await settle()


async def test_runs_are_made_steps_at_their_time(life: Life) -> None:
    async with life.bridge(scheduled(), scheduled("other", hour=5)) as scheduler:
        assert scheduler.next("test") == MIDNIGHT + timedelta(hours=3)
        assert scheduler.next("nothing") is None
        await quiet(life, 2)
        await life.clock.advance(HOUR - 1)
        assert life.log.taken == []
        await life.clock.advance(1)
        assert life.log.taken == runs(1)
        await quiet(life, 1)
        await life.clock.advance(HOUR)
        assert life.log.taken == runs(1) + runs(1, key="other", hour=5)
        await quiet(life, 21)
        await life.clock.advance(3 * HOUR)
        assert life.log.taken[2:] == runs(2) + runs(2, key="other", hour=5)
    (first, *_) = life.notebook.steps
    assert first.action == LogAction(text="x")
    assert first.occasion.origin == "schedule:test"
    assert first.at == MIDNIGHT + timedelta(hours=3)
    assert life.log.events == []


async def test_nothing_is_written_while_nothing_is_due(life: Life) -> None:
    async with life.bridge(scheduled()):
        before = life.notebook.commits
        await life.clock.advance(2 * HOUR)
        assert life.notebook.commits == before


async def test_what_is_switched_off_does_not_run_and_is_not_missed_when_it_is_switched_on(life: Life) -> None:
    async with life.bridge(scheduled()):
        pass
    async with life.bridge(scheduled(enabled=False)) as scheduler:
        await life.clock.advance(10 * HOUR)
        assert scheduler.next("test") is None
    async with life.bridge(scheduled(late=True)):
        await life.clock.advance(1)
    assert life.log.taken == []
    assert life.log.events == []


@pytest.mark.parametrize(("late", "expected"), [(False, []), (True, runs(3))], ids=["noted", "made_up"])
async def test_what_was_missed_while_the_bridge_was_off(life: Life, late: bool, expected: list[str]) -> None:
    async with life.bridge(scheduled(late=late)):
        pass
    life.clock.tick(3 * 24 * HOUR)
    for _ in range(3):
        async with life.bridge(scheduled(late=late)):
            await life.clock.advance(60)
    assert life.log.taken == expected
    assert life.log.missed == [("test", 3, late)]
    bridge = Device(BRIDGE, "bridge", "bridge", "Server room")
    assert sentence(life.log.events[0], bridge, load_catalogue()) == (
        "Server room: 3 run(s) of Battery test (test) were missed, the last one due at 2026-06-03 03:00"
    )


async def test_a_restart_at_the_moment_of_a_run_misses_nothing(life: Life) -> None:
    async with life.bridge(scheduled()):
        await life.clock.advance(3 * HOUR - 1)
    life.clock.tick(PUNCTUAL.total_seconds())
    async with life.bridge(scheduled()):
        pass
    assert life.log.taken == runs(1)
    assert life.log.events == []


async def test_a_run_that_is_being_noted_when_the_schedule_is_changed_is_done(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, noted, go_on = life.notebook.commit, asyncio.Event(), asyncio.Event()

    async def slowly(
        steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        fresh = await commit(steps, memory, seen)
        if fresh:
            noted.set()
            await go_on.wait()
        return fresh

    monkeypatch.setattr(life.notebook, "commit", slowly)
    async with life.bridge(scheduled()):
        await life.clock.advance(3 * HOUR)
        assert noted.is_set()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert life.log.taken == runs(1)


async def test_a_schedule_that_was_changed_begins_anew(life: Life) -> None:
    async with life.bridge(scheduled(hour=20)):
        pass
    life.clock.tick(10 * HOUR)
    async with life.bridge(scheduled(hour=3, late=True)):
        await life.clock.advance(1)
    assert life.log.taken == []
    assert life.log.events == []


async def test_a_schedule_that_is_gone_is_forgotten(life: Life) -> None:
    async with life.bridge(scheduled(), scheduled("other")):
        assert set(await life.notebook.recall("")) == {"schedule:test", "schedule:other"}
    async with life.bridge(scheduled()):
        assert set(await life.notebook.recall("")) == {"schedule:test"}


async def test_a_clock_that_jumps_forwards(life: Life) -> None:
    async with life.bridge(scheduled(), scheduled("late", late=True)):
        life.clock.jump(10 * HOUR)
        await life.clock.advance(LOOK)
        assert life.log.taken == runs(1, key="late")
        assert life.log.missed == [("test", 1, False), ("late", 1, True)]


async def test_a_clock_that_jumps_back_repeats_nothing(life: Life) -> None:
    async with life.bridge(scheduled()):
        await life.clock.advance(4 * HOUR)
        life.clock.jump(-2 * HOUR)
        await life.clock.advance(4 * HOUR)
        life.clock.jump(-4 * HOUR)
    async with life.bridge(scheduled()):
        await life.clock.advance(6 * HOUR)
    assert life.log.taken == runs(1)
    assert life.log.events == []


async def test_a_computer_without_a_clock_of_its_own_starts_in_the_past(life: Life) -> None:
    async with life.bridge(scheduled()):
        await quiet(life, 2)
        await life.clock.advance(2 * HOUR)
    life.clock.jump(-20 * 365 * 24 * HOUR)
    async with life.bridge(scheduled()):
        await life.clock.advance(60)
        life.clock.jump(20 * 365 * 24 * HOUR)
        await quiet(life, 22)
        await life.clock.advance(HOUR)
    assert life.log.taken == runs(1, 2)
    assert life.log.events == []


async def test_nothing_is_done_that_cannot_be_noted(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    life.notebook.full = True
    async with life.bridge(scheduled()):
        await life.clock.advance(HOUR)
        life.notebook.full = False
        await life.clock.advance(HOUR)
        life.notebook.full = True
        await life.clock.advance(HOUR)
        assert life.log.taken == []
        life.notebook.full = False
        await life.clock.advance(LOOK)
    assert life.log.taken == runs(1)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"] * 2


async def test_what_the_event_log_does_not_take_is_told_later(life: Life) -> None:
    async with life.bridge(scheduled()):
        pass
    life.clock.tick(10 * HOUR)
    life.log.full = True
    async with life.bridge(scheduled()):
        await life.clock.advance(60)
    life.log.full = False
    async with life.bridge(scheduled()):
        await life.clock.advance(60)
    assert life.log.missed == [("test", 1, False)]


async def test_what_is_remembered_may_be_unreadable(life: Life) -> None:
    await life.notebook.commit((), {"schedule:test": "nonsense"})
    async with life.bridge(scheduled()):
        await life.clock.advance(4 * HOUR)
    assert life.log.taken == runs(1)


async def test_without_schedules_it_only_waits(life: Life) -> None:
    async with life.bridge():
        await life.clock.advance(HOUR)
    assert life.notebook.commits == 0


BRIDGE_PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tests.bridge.events.notebook import Notebook
from tests.bridge.events.test_scheduler import BERLIN, BRIDGE, Log, scheduled
from ridethrough.clock import ManualClock
from ridethrough.events.scheduler import Scheduler

async def main():
    start = datetime.fromisoformat(sys.argv[2])
    clock = ManualClock(start)
    log = Log()
    scheduler = Scheduler([scheduled(late=True)], BERLIN, Notebook(Path(sys.argv[1])), log.take, log, clock, BRIDGE)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    print("ready", flush=True)
    while clock.utc() < start + timedelta(days=40):
        await clock.advance(1800)
        print(clock.utc().isoformat(), flush=True)
asyncio.run(main())
"""


@pytest.mark.slow
def test_killed_at_any_moment_no_run_is_lost_or_doubled(tmp_path: Path) -> None:
    """A process that lives through days in moments is killed and started again where its clock was."""
    chance = random.Random(7)
    base, now = tmp_path / "steps.db", MIDNIGHT
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", BRIDGE_PROGRAM, str(base), now.isoformat()], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process:
            assert process.stdout.readline() == "ready\n"
            for line, _ in zip(process.stdout, range(chance.randrange(1, 120)), strict=False):
                now = datetime.fromisoformat(line.strip())
            process.kill()
            for line in process.stdout:
                if line.endswith("\n"):
                    now = datetime.fromisoformat(line.strip())
    notebook = Notebook(base)
    local = now.astimezone(BERLIN).replace(tzinfo=None)
    due = [f"schedule:test/{day.isoformat()}" for day in days(datetime(2026, 6, 1, 3), local)]
    assert len(due) > 5
    # One more may have become due after the last line that was written.
    assert notebook.keys[: len(due)] == due
    assert len(notebook.keys) <= len(due) + 1
    notebook.close()


def days(first: datetime, until: datetime) -> list[datetime]:
    found = []
    while first <= until:
        found.append(first)
        first += timedelta(days=1)
    return found

"""The engine as a service: what it hears, what it remembers, and what it does when it was away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ridethrough.clock import ManualClock, SystemClock
from ridethrough.config.jobs import Cause, Edge, JobConfig, JobsConfig, Timing, When
from ridethrough.events import EventKind, Recorder
from ridethrough.events.engine import Timeline, keeper as module
from ridethrough.events.event import JournalError
from ridethrough.events.steps import ActionError, Occasion, Step, StepState
from ridethrough.site import Device, Site
from ridethrough.store import Store

from .models import ACT, INFORM, UPS, job
from .rig import BRIDGE, CATALOGUE, OUTLET, Done, Rig, running

ALL = JobsConfig(
    jobs=(
        job("now", Timing.AT_ONCE),
        job("after", Timing.AFTER, 0.05),
        job("counter", Timing.ON_BATTERY, 0.08, action=ACT),
        job("runtime", Timing.REMAINING, 600, action=ACT),
        job("clear", Timing.AT_ONCE, on=Edge.CLEARED),
    )
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_outage_goes_from_its_first_message_to_the_all_clear(path: Path) -> None:
    async with running(path, ALL) as rig:
        rig.power(on=False, runtime=1200)
        await rig.done.until(3)
        rig.power(on=False, runtime=500)
        await rig.done.until(4)
        rig.power(on=True)
        await rig.done.until(5)
        first, *timed, fourth, last = rig.done.origins
        assert (first, sorted(timed), fourth, last) == (
            "job:now",
            ["job:after", "job:counter"],
            "job:runtime",
            "job:clear",
        )
        steps = await rig.ended(count=5)
        assert {step.message for step in steps} == {"It is done."}
        event = rig.done.steps[0][1].event
        assert event is not None and (event.key, event.seq) == ("on_battery", 1)


async def test_how_each_step_ended_is_in_the_journal(path: Path) -> None:
    async with running(path, JobsConfig(jobs=(job("now", Timing.AT_ONCE),))) as rig:
        rig.power(on=False)
        await rig.ended()
        async with asyncio.timeout(5):
            while len(await rig.store.journal.after(1)) < 1:
                await asyncio.sleep(0.005)
        (event,) = await rig.store.journal.after(1)
        assert (event.kind, event.device, event.key) == (EventKind.SYSTEM, BRIDGE, "job_done")
        assert event.details == {
            "job": "now",
            "action": "log",
            "message": "It is done.",
            "origin": "job:now",
            "step": "job:now/1/1",
            "test": False,
            "retry": False,
            "state": "done",
            "event": 1,
        }


async def test_first_start_in_an_outage_does_nothing_at_once(path: Path) -> None:
    async with Store.open(path) as store:
        site = Site(CATALOGUE, SystemClock())
        site.put(Device(UPS, "ups-1", "ups", "UPS"))
        recorder = Recorder(site, store.journal, SystemClock())
        site.lane(UPS, None).post(conditions={"on_battery": True})
        await recorder.close()
    async with running(path, ALL) as rig:
        assert await rig.store.steps.seen() == 1
        await asyncio.sleep(0.1)
        assert rig.done.origins == []
        rig.power(on=False)
        await rig.done.until(2)
        assert sorted(rig.done.origins) == ["job:after", "job:counter"]
        rig.power(on=True)
        await rig.done.until(3)
        assert rig.done.origins[2] == "job:clear"


async def test_parts_of_a_ups_have_its_jobs_and_its_time_on_battery(path: Path) -> None:
    config = JobsConfig(
        jobs=(
            job("part", Timing.AT_ONCE, device="ups-1/*", condition="*"),
            job("counter", Timing.ON_BATTERY, 0.02, device="ups-1/*", condition="battery_low", action=ACT),
        )
    )
    async with running(path, config) as rig:
        rig.site.put(Device(OUTLET, "ups-1/module-1", "ups_module", "Module", parent=UPS))
        rig.power(on=False)
        rig.site.lane(OUTLET, None).post(conditions={"battery_low": True})
        await rig.done.until(2)
        assert rig.done.origins == ["job:part", "job:counter"]


async def test_event_of_a_part_that_is_not_there_yet_waits_for_it_over_restarts(path: Path) -> None:
    config = JobsConfig(jobs=(job("part", Timing.AT_ONCE, device="ups-1/*", condition="battery_low"),))
    part = Device(OUTLET, "ups-1/module-1", "ups_module", "Module", parent=UPS)
    async with running(path, config) as rig:
        rig.power(on=False)
    async with Store.open(path) as store:
        # The bridge was killed before the engine heard of it.
        site = Site(CATALOGUE, SystemClock())
        site.put(replace(part, parent=None))
        recorder = Recorder(site, store.journal, SystemClock())
        site.lane(OUTLET, None).post(conditions={"battery_low": True})
        await recorder.close()
    for _ in range(2):
        async with running(path, config) as rig:
            assert len(await rig.store.steps.recall("aside/")) == 1
    async with running(path, config) as rig:
        rig.site.put(part)
        await rig.done.until(1)
        await rig.ended()
        assert await rig.store.steps.recall("aside/") == {}


async def test_job_that_is_new_finds_an_event_of_a_part_that_comes_later(path: Path) -> None:
    part = Device(OUTLET, "ups-1/module-1", "ups_module", "Module", parent=UPS)
    async with running(path, JobsConfig()) as rig:
        rig.site.put(part)
        rig.site.lane(OUTLET, None).post(conditions={"battery_low": True})
        while not await rig.store.journal.raised():
            await asyncio.sleep(0.005)
        while not rig.keeper._seen:
            await asyncio.sleep(0.005)
    late = job("late", Timing.AFTER, 0.01, device="ups-1/*", condition="battery_low")
    now = job("now", Timing.AT_ONCE, device="ups-1/*", condition="battery_low")
    async with running(path, JobsConfig(jobs=(late, now))) as rig:
        rig.site.put(part)
        rig.site.lane(OUTLET, None).post(conditions={"battery_low": True})
        await rig.done.until(1)
        await rig.ended()
        assert rig.done.origins == ["job:late"]


async def test_orderly_restart_in_an_outage_goes_on_with_the_counter(path: Path) -> None:
    config = JobsConfig(jobs=(job("now", Timing.AT_ONCE), job("counter", Timing.ON_BATTERY, 0.3, action=ACT)))
    began = asyncio.get_running_loop().time()
    async with running(path, config) as rig:
        rig.power(on=False)
        await rig.ended()
    async with running(path, config) as rig:
        rig.power(on=False)
        await rig.done.until(1)
        assert rig.done.origins == ["job:counter"]
        assert asyncio.get_running_loop().time() - began >= 0.3


async def in_outage(path: Path, clock: ManualClock) -> None:
    """Leave an outage with a shutdown that is due, but was not done."""
    config = JobsConfig(jobs=(job("after", Timing.AFTER, 480, action=ACT), job("tell", Timing.AFTER, 480)))
    async with running(path, config, clock=clock) as rig:
        rig.power(on=False)
        while len(await rig.store.steps.recall("engine/event/")) < 1:
            await asyncio.sleep(0.005)


AWAY = JobsConfig(jobs=(job("after", Timing.AFTER, 480, action=ACT), job("tell", Timing.AFTER, 480)))


async def test_bridge_that_comes_up_hours_later_waits_for_the_ups_to_speak(path: Path) -> None:
    clock = ManualClock()
    await in_outage(path, clock)
    clock.tick(7200)
    async with running(path, AWAY, clock=clock) as rig:
        await asyncio.sleep(0.05)
        assert rig.done.origins == []
        rig.power(on=False)
        await rig.done.until(2)
        assert {occasion.late > 6000 for _, occasion in rig.done.steps} == {True}


async def test_bridge_that_comes_up_after_the_outage_shuts_nothing_down(path: Path) -> None:
    clock = ManualClock()
    await in_outage(path, clock)
    clock.tick(7200)
    async with running(path, AWAY, clock=clock) as rig:
        rig.power(on=True)
        while await rig.store.steps.recall("engine/event/"):
            await asyncio.sleep(0.005)
        assert rig.done.origins == []


async def test_reboot_of_the_computer_is_a_long_absence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    await in_outage(path, clock)
    monkeypatch.setattr(module, "boot", lambda: "another")
    async with running(path, AWAY, clock=clock) as rig:
        await clock.advance(600)
        await asyncio.sleep(0.05)
        assert rig.done.origins == []


async def test_short_absence_changes_nothing(path: Path) -> None:
    clock = ManualClock()
    await in_outage(path, clock)
    clock.tick(100)
    async with running(path, AWAY, clock=clock) as rig:
        for _ in range(50):
            await clock.advance(10)
            await asyncio.sleep(0.002)
        await rig.done.until(2)
        assert [occasion.late for _, occasion in rig.done.steps] == [0, 0]


@pytest.mark.parametrize(("lasts", "state"), [(True, StepState.DONE), (False, StepState.DROPPED)], ids=["on", "off"])
async def test_shutdown_that_was_due_hours_ago_is_done_only_if_its_event_lasts(
    path: Path, lasts: bool, state: StepState
) -> None:
    clock = ManualClock()
    await in_outage(path, clock)
    async with Store.open(path, clock) as store:
        (event,) = [event for event in await store.journal.raised() if event.key == "on_battery"]
        at = clock.utc()
        await store.steps.commit(
            [
                Step("job:after/1/1", ACT, Occasion("job:after", event), at),
                Step("job:tell/1/1", INFORM, Occasion("job:tell", event), at),
            ],
            {},
        )
        await store.steps.begin("job:after/1/1")
    clock.tick(7200)
    async with running(path, AWAY, clock=clock) as rig:
        # What only tells somebody is told, late as it is.
        await rig.done.until(1)
        assert rig.done.origins == ["job:tell"]
        assert (rig.done.steps[0][1].late, rig.done.steps[0][1].retry) == (7200, False)
        rig.power(on=not lasts)
        steps = await rig.ended(StepState.DONE, StepState.DROPPED, count=2)
        (shutdown,) = [step for step in steps if step.key == "job:after/1/1"]
        assert shutdown.state is state
        if lasts:
            assert rig.done.steps[1][1].retry


async def test_shutdown_that_was_begun_when_the_bridge_was_killed_is_left_when_its_event_is_over(path: Path) -> None:
    """What was started again meanwhile must not be shut down because of what was."""
    clock = ManualClock()
    await in_outage(path, clock)
    async with running(path, AWAY, clock=clock) as rig:
        (event,) = [event for event in await rig.store.journal.raised() if event.key == "on_battery"]
        rig.power(on=True)
        async with asyncio.timeout(5):
            while any(one.key == "on_battery" for one in await rig.store.journal.raised()):
                await asyncio.sleep(0.005)
    async with Store.open(path, clock) as store:
        await store.steps.commit([Step("job:after/1/7", ACT, Occasion("job:after", event), clock.utc())], {})
        await store.steps.begin("job:after/1/7")
    clock.tick(5)
    async with running(path, AWAY, clock=clock) as rig:
        steps = await rig.ended(StepState.DROPPED)
        assert "job:after/1/7" in {step.key for step in steps}
        assert "job:after" not in rig.done.origins


async def test_engine_that_is_stopped_between_an_event_and_its_note_does_its_jobs_later(path: Path) -> None:
    config = JobsConfig(jobs=(job("now", Timing.AT_ONCE), job("again", Timing.AT_ONCE)))
    for turns in range(12):
        place = path.with_name(f"{turns}.db")
        async with running(place, config) as rig:
            keeping = next(task for task in asyncio.all_tasks() if task.get_name() == "The engine")
            rig.power(on=False)
            while not rig.keeper._queue:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        async with running(place, config, done := Done()) as rig:
            await idle(rig)
            steps = await rig.store.steps.of("")
            assert [step.state for step in steps] == [StepState.DONE] * 2
            assert len(done.steps) <= 2


async def idle(rig: Rig) -> None:
    async with asyncio.timeout(10):
        while rig.executor.busy:
            await asyncio.sleep(0.005)


async def test_clock_that_is_set_in_an_outage_shuts_nothing_down_early(path: Path) -> None:
    clock = ManualClock()
    async with running(path, AWAY, clock=clock) as rig:
        rig.power(on=False)
        while not await rig.store.steps.recall("engine/event/"):
            await asyncio.sleep(0.005)
        clock.jump(86_400)
        await clock.advance(400)
        await asyncio.sleep(0.05)
        assert rig.done.origins == []
        clock.jump(-200_000)
        await clock.advance(100)
        await rig.done.until(2)


def test_engine_time_goes_on_from_what_was_remembered() -> None:
    clock = ManualClock(datetime(1970, 1, 2, tzinfo=UTC))
    timeline = Timeline(clock, 1e9)
    assert timeline.now() == 1e9
    clock.tick(5)
    clock.jump(1e6)
    assert timeline.now() == 1e9 + 5
    assert timeline.stamp(1e9) == clock.utc() - timedelta(seconds=5)
    assert timeline.of(clock.utc() - timedelta(seconds=100), 1e9 - 50) == 1e9 - 50
    assert timeline.of(clock.utc() + timedelta(seconds=100), 0) == 1e9 + 5


async def test_configuration_may_change_in_an_outage(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = JobsConfig(jobs=(job("gone", Timing.AFTER, 3600, action=ACT),))
    async with running(path, config) as rig:
        rig.power(on=False)
        while not await rig.store.steps.recall("engine/event/"):
            await asyncio.sleep(0.005)
        caplog.set_level("INFO")
        jobs = (
            job("now", Timing.AT_ONCE),
            job("counter", Timing.ON_BATTERY, 0.01, action=ACT),
            job("x", Timing.EVERY, 1),
        )
        rig.keeper.configure(JobsConfig(jobs=jobs))
        await rig.done.until(1)
        assert rig.done.origins[0] == "job:counter"
        assert "job:now" not in rig.done.origins
        assert any("gone" in record.getMessage() for record in caplog.records)
        assert set(rig.keeper.jobs) == {"now", "counter", "x"}


async def test_flood_of_events_loses_none(path: Path) -> None:
    config = JobsConfig(jobs=(job("now", Timing.AT_ONCE, condition="battery_low"),))
    async with running(path, config) as rig:
        for number in range(10_000):
            rig.lane.post(conditions={"on_battery": number % 2 == 0})
            if number % 20 == 0:
                await asyncio.sleep(0)
        rig.lane.post(conditions={"battery_low": True})
        async with asyncio.timeout(30):
            await rig.done.changed.wait()
        (event,) = [occasion.event for _, occasion in rig.done.steps]
        assert event is not None and event.seq == 10_001
        assert len(rig.keeper._queue) <= module.CAPACITY


async def test_what_the_queue_cannot_hold_is_read_from_the_journal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAPACITY", 5)
    monkeypatch.setattr(module, "BATCH", 7)
    config = JobsConfig(jobs=(job("now", Timing.AT_ONCE), job("clear", Timing.AT_ONCE, on=Edge.CLEARED)))
    async with running(path, config) as rig:
        for number in range(60):
            rig.power(on=number % 2 == 1)
        async with asyncio.timeout(20):
            while rig.executor.busy or len(rig.done.steps) < 60:
                await asyncio.sleep(0.01)
        events = [occasion.event.seq for _, occasion in rig.done.steps if occasion.event is not None]
        assert len(set(events)) == 60


async def test_thousand_jobs_that_are_due_at_once_are_all_done(path: Path) -> None:
    jobs = tuple(
        JobConfig(f"job-{number}", "x", (Cause(("ups-1",), ("on_battery",)),), ACT, When(Timing.AFTER, 0.01))
        for number in range(1000)
    )
    async with running(path, JobsConfig(jobs=jobs)) as rig:
        rig.power(on=False)
        async with asyncio.timeout(20):
            while len(rig.done.steps) < 1000 or rig.executor.busy:
                await asyncio.sleep(0.01)
        assert len(set(rig.done.origins)) == 1000
        async with asyncio.timeout(20):
            # A busy disk may have had them noted later.
            while await rig.store.steps.unfinished():
                await asyncio.sleep(0.05)


async def test_beat_is_noted_only_while_something_is_counted(path: Path) -> None:
    clock = ManualClock()
    async with running(path, AWAY, clock=clock) as rig:

        async def time() -> str:
            return (await rig.store.steps.recall("engine/time"))["engine/time"]

        before = await time()
        for _ in range(5):
            await clock.advance(100)
            await asyncio.sleep(0.01)
        assert await time() == before
        rig.power(on=False)
        while not await rig.store.steps.recall("engine/event/"):
            await asyncio.sleep(0.005)
        before = await time()
        await clock.advance(100)
        async with asyncio.timeout(5):
            while await time() == before:
                await asyncio.sleep(0.005)


async def test_journal_that_cannot_be_read_is_read_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path, JobsConfig()) as rig:
        raised, fails = rig.store.journal.raised, 3

        async def reluctant() -> object:
            nonlocal fails
            fails -= 1
            if fails >= 0:
                raise JournalError("The disk is on fire.")
            return await raised()

        monkeypatch.setattr(rig.store.journal, "raised", reluctant)
        monkeypatch.setattr(module, "AHEAD", 0.01)
        rig.keeper.configure(ALL)
        async with asyncio.timeout(5):
            while fails >= 0:
                await asyncio.sleep(0.005)
        rig.power(on=False, runtime=100)
        await rig.done.until(4)
        assert caplog.text.count("cannot be read") >= 1


@pytest.fixture
async def rig(path: Path) -> AsyncIterator[Rig]:
    async with running(path, ALL, Done()) as rig:
        yield rig


async def test_ups_that_is_removed_and_comes_back_is_watched_again(rig: Rig) -> None:
    device = rig.site.devices[UPS]
    rig.site.remove(UPS)
    rig.site.put(device)
    rig.lane = rig.site.lane(UPS, None)
    rig.power(on=False, runtime=100)
    await rig.done.until(4)
    assert set(rig.done.origins) == {"job:now", "job:after", "job:counter", "job:runtime"}


async def test_ups_that_is_removed_in_an_outage_ends_its_repetitions(path: Path) -> None:
    config = JobsConfig(jobs=(job("repeat", Timing.EVERY, 1), job("clear", Timing.AT_ONCE, on=Edge.CLEARED)))
    async with running(path, config) as rig:
        rig.power(on=False)
        await rig.done.until(1)
        with rig.site.transaction():
            rig.lane.post(conditions={"on_battery": False})
        rig.site.remove(UPS)
        await rig.done.until(2)
        await rig.ended(count=2)
        assert rig.done.origins == ["job:repeat", "job:clear"]
        assert await rig.store.steps.recall("engine/event/") == {}
        assert await rig.store.steps.recall("aside/") == {}


async def test_jobs_of_a_condition_of_the_bridge_itself_make_no_circle(path: Path) -> None:
    def act(action: object, occasion: Occasion) -> None:
        raise ActionError("No.")

    config = JobsConfig(jobs=(job("any", Timing.AT_ONCE, device="*", condition="*"),))
    async with running(path, config, Done(act=act)) as rig:
        rig.power(on=False)
        await rig.ended(StepState.FAILED, count=2)
        await asyncio.sleep(0.1)
        assert [occasion.event.key for _, occasion in rig.done.steps if occasion.event] == ["on_battery", "job_failed"]


async def test_what_was_aside_and_is_damaged_is_forgotten(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(path, ALL) as rig:
        await rig.store.steps.commit([], {"aside/x": "{", "engine/time": "noon"})
    async with running(path, ALL) as rig:
        rig.power(on=False, runtime=100)
        await rig.done.until(4)
    assert "cannot be read" in caplog.text

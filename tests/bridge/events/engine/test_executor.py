"""How steps are done: in order, again where that helps, one lane beside the other; and without a disk if need be."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
import sqlite3
import time

import pytest

from ridethrough.config.actions import Action, LogAction
from ridethrough.config.jobs import Edge, JobsConfig, Timing
from ridethrough.events.engine import Ledger, ledger as module
from ridethrough.events.event import JournalError
from ridethrough.events.steps import ActionError, Occasion, Step, StepState
from ridethrough.store import Store
from ridethrough.tasks import Backoff
from tests.disks import filled, small_disk

from .models import ACT, INFORM, edge, job, stamp
from .rig import BRIDGE, QUICK, Done, Rig, running, wrap_steps

OTHER: Action = LogAction(text="other")
SHUTDOWN = JobsConfig(jobs=(job("shutdown", Timing.AT_ONCE, action=ACT),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def rig(path: Path) -> AsyncIterator[Rig]:
    async with running(path, SHUTDOWN) as rig:
        yield rig


def step(key: str, origin: str = "schedule:x", action: Action = INFORM, occasion: Occasion | None = None) -> Step:
    return Step(key, action, occasion or Occasion(origin), stamp(0))


def failed(rig: Rig) -> bool:
    return rig.site.conditions(BRIDGE)["job_failed"].active


async def commit(rig: Rig, *steps: Step) -> None:
    await rig.ledger.commit(steps, {})
    rig.executor.submit(steps)


async def idle(rig: Rig) -> None:
    async with asyncio.timeout(10):
        while rig.executor.busy:
            await asyncio.sleep(0.005)


def behind(rig: Rig) -> bool:
    """Whether anything waits to be written."""
    return rig.ledger.failing or rig.recorder.waiting > 0


# In order, and side by side


async def test_steps_of_one_origin_are_done_in_their_order(rig: Rig) -> None:
    order: list[Action] = []
    first = asyncio.Event()

    async def act(action: Action, _: Occasion) -> None:
        if action is INFORM:
            await first.wait()
        order.append(action)

    rig.done.act = act
    await commit(rig, step("1"), step("2", action=OTHER))
    await rig.done.until(1)
    await asyncio.sleep(0.02)
    assert order == []
    first.set()
    await idle(rig)
    assert order == [INFORM, OTHER]


async def test_mail_server_that_does_not_answer_keeps_no_shutdown_waiting(path: Path) -> None:
    never = asyncio.Event()

    async def act(action: Action, _: Occasion) -> None:
        if action.informs:
            await never.wait()

    limits = replace(QUICK, informing=2)
    async with running(path, SHUTDOWN, Done(act=act), limits=limits) as rig:
        await commit(rig, *(step(f"{number}", f"schedule:{number}") for number in range(50)))
        await rig.done.until(2)
        rig.power(on=False)
        await rig.ended()
        assert rig.done.origins[2:] == ["job:shutdown"]


async def test_repetition_takes_the_place_of_one_that_still_waits(rig: Rig) -> None:
    hold = asyncio.Event()
    rig.done.act = lambda action, occasion: hold.wait()
    event = edge(1, 0, raised=True)
    steps = [step(f"{number}", action=ACT, occasion=Occasion("job:x", event)) for number in range(4)]
    await commit(rig, steps[0])
    await rig.done.until(1)
    await commit(rig, *steps[1:])
    hold.set()
    await idle(rig)
    states = {one.key: one.state for one in await rig.store.steps.of("job:x")}
    assert states == {
        "0": StepState.DONE,
        "1": StepState.DROPPED,
        "2": StepState.DROPPED,
        "3": StepState.DONE,
    }


async def test_step_that_is_under_way_is_not_done_twice(rig: Rig) -> None:
    hold = asyncio.Event()
    rig.done.act = lambda action, occasion: hold.wait()
    one = step("1")
    await commit(rig, one)
    running = asyncio.create_task(rig.executor.run(one))
    await rig.done.until(1)
    hold.set()
    assert (await running).state is StepState.DONE
    assert rig.done.origins == ["schedule:x"]


async def test_stage_of_a_plan_may_do_much_at_once_and_hears_how_it_ended(rig: Rig) -> None:
    together = asyncio.Barrier(3)
    heard: list[str] = []
    ignore = rig.executor.listen(lambda ended: heard.append(ended.key))
    rig.executor.listen(lambda ended: 1 // 0)  # type: ignore[arg-type]  # one that fails
    rig.done.act = lambda action, occasion: together.wait()
    steps = [step(f"{number}", "plan:all/first", ACT) for number in range(3)]
    await rig.ledger.commit(steps, {})
    ended = await asyncio.gather(*(rig.executor.run(one) for one in steps))
    assert {one.message for one in ended} == {"It is done."}
    ignore()
    ignore()
    assert sorted(heard) == ["0", "1", "2"]


# Again


async def test_what_may_work_later_is_tried_again_and_then_given_up(rig: Rig) -> None:
    def act(action: Action, occasion: Occasion) -> None:
        raise ActionError("The server does not answer.", again=True)

    rig.done.act = act
    ended = await asyncio.gather(commit(rig, step("1")), rig.executor.run(step("1")))
    assert (ended[1].state, ended[1].message, ended[1].attempts) == (
        StepState.FAILED,
        "The server does not answer.",
        4,
    )
    assert len(rig.done.steps) == 4


async def test_what_cannot_work_is_not_tried_again(rig: Rig) -> None:
    def act(action: Action, occasion: Occasion) -> None:
        raise ActionError("There is no such agent.")

    rig.done.act = act
    await commit(rig, step("1"))
    await idle(rig)
    assert len(rig.done.steps) == 1


async def test_shutdown_is_tried_as_long_as_its_event_lasts(rig: Rig) -> None:
    def act(action: Action, occasion: Occasion) -> None:
        raise ActionError("The agent does not answer.", again=True)

    rig.done.act = act
    rig.power(on=False)
    await rig.done.until(10)
    rig.power(on=True)
    (ended,) = await rig.ended(StepState.FAILED)
    assert ended.attempts >= 10
    count = len(rig.done.steps)
    await asyncio.sleep(0.1)
    assert len(rig.done.steps) == count


async def test_shutdown_is_not_tried_for_ever(path: Path) -> None:
    def act(action: Action, occasion: Occasion) -> None:
        raise ActionError("The agent does not answer.", again=True)

    async with running(path, SHUTDOWN, Done(act=act), limits=replace(QUICK, insist=0.1)) as rig:
        rig.power(on=False)
        await rig.ended(StepState.FAILED)


async def test_repetition_takes_the_place_of_one_that_is_tried_again(path: Path) -> None:
    fails = True

    def act(action: Action, occasion: Occasion) -> None:
        if fails:
            raise ActionError("The agent does not answer.", again=True)

    limits = replace(QUICK, backoff=Backoff(first=60, cap=60))
    async with running(
        path, JobsConfig(jobs=(job("x", Timing.EVERY, 1, action=ACT),)), Done(act=act), limits=limits
    ) as rig:
        rig.power(on=False)
        await rig.done.until(1)
        fails = False
        await rig.ended()
        assert [one.state for one in await rig.store.steps.of("job:x")] == [StepState.DONE, StepState.FAILED]


async def test_action_that_never_ends_is_ended(path: Path) -> None:
    never = asyncio.Event()
    limits = replace(QUICK, perform=0.02)
    async with running(path, SHUTDOWN, Done(act=lambda action, occasion: never.wait()), limits=limits) as rig:
        rig.power(on=False)
        (ended,) = await rig.ended(StepState.FAILED)
        assert "0.02 s" in ended.message


async def test_action_that_fails_in_a_way_nobody_foresaw_is_a_failure(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.done.act = lambda action, occasion: 1 // 0
    rig.power(on=False)
    (ended,) = await rig.ended(StepState.FAILED)
    assert "its log says more" in ended.message
    assert "ZeroDivisionError" in caplog.text


# What is told


async def test_bridge_says_that_a_job_has_failed_until_the_same_one_works(path: Path) -> None:
    fails = True

    def act(action: Action, occasion: Occasion) -> None:
        if fails and occasion.origin == "job:mail":
            raise ActionError("No such receiver.")

    config = JobsConfig(jobs=(job("mail", Timing.AT_ONCE), job("other", Timing.AFTER, 0.01)))
    async with running(path, config, Done(act=act)) as rig:
        assert not failed(rig)
        rig.power(on=False)
        await rig.ended(StepState.DONE, StepState.FAILED, count=2)
        await idle(rig)
        assert failed(rig)
    async with running(path, config, Done(act=act)) as rig:
        assert failed(rig)
        fails = False
        ended = await rig.executor.run_now(rig.keeper.jobs["mail"], "somebody")
        assert (ended.state, ended.occasion.test, ended.occasion.actor) == (StepState.DONE, True, "somebody")
        await idle(rig)
        assert not failed(rig)
        assert await rig.store.steps.recall("failed/") == {}
        async with asyncio.timeout(5):
            while rig.recorder.waiting:
                await asyncio.sleep(0.005)
        events = [event.details for event in await rig.store.journal.after(0) if event.key == "job_done"]
        assert (events[-1]["test"], events[-1]["actor"]) == (True, "somebody")


async def test_what_was_tried_again_is_marked_as_a_retry(path: Path) -> None:
    """Whoever did not answer may have done it: a program may have been run twice, and the journal says so."""
    tries: list[str] = []

    def act(action: Action, occasion: Occasion) -> None:
        tries.append(occasion.origin)
        if len(tries) == 1:
            raise ActionError("It has not answered. Nobody knows whether it does it.", again=True)

    async with running(path, JobsConfig(jobs=(job("mail", Timing.AT_ONCE),)), Done(act=act)) as rig:
        rig.power(on=False)
        await rig.ended(StepState.DONE)
        await idle(rig)
        async with asyncio.timeout(5):
            while not (events := [one for one in await rig.store.journal.after(0) if one.key == "job_done"]):
                await asyncio.sleep(0.005)
        assert len(tries) == 2
        assert [event.details["retry"] for event in events] == [True]


async def test_job_that_is_gone_has_failed_no_longer(path: Path) -> None:
    def act(action: Action, occasion: Occasion) -> None:
        raise ActionError("The agent does not answer.", again=True)

    async with running(path, SHUTDOWN, Done(act=act), limits=replace(QUICK, backoff=Backoff(first=60, cap=60))) as rig:
        rig.power(on=False)
        await rig.done.until(1)
        await rig.ended(StepState.STARTED)
        rig.keeper.configure(JobsConfig())
        await rig.ended(StepState.FAILED, StepState.DROPPED)


async def test_stopping_leaves_what_was_begun_to_the_next_start(path: Path) -> None:
    never = asyncio.Event()
    async with running(path, SHUTDOWN, Done(act=lambda action, occasion: never.wait())) as rig:
        rig.power(on=False)
        await rig.done.until(1)
        waiting = asyncio.create_task(rig.executor.run((await rig.ended(StepState.STARTED))[0]))
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with running(path, SHUTDOWN) as rig:
        await rig.done.until(1)
        (ended,) = await rig.ended()
        assert rig.done.steps[0][1].retry
        assert ended.attempts == 2


# Without a disk


async def test_shutdown_is_done_and_noted_later_when_the_disk_is_full(tmp_path: Path) -> None:
    config = JobsConfig(
        jobs=(
            job("mail", Timing.AT_ONCE),
            job("shutdown", Timing.ON_BATTERY, 0.1, action=ACT),
            job("clear", Timing.AT_ONCE, on=Edge.CLEARED),
        )
    )
    with small_disk(tmp_path / "disk") as disk:
        async with running(disk / "store.db", config) as rig:
            with filled(disk):
                rig.power(on=False)
                await rig.done.until(2)
                assert rig.done.origins == ["job:mail", "job:shutdown"]
                rig.power(on=True)
                await rig.done.until(3)
                assert behind(rig)
            async with asyncio.timeout(10):
                while behind(rig) or rig.executor.busy:
                    await asyncio.sleep(0.01)
            # Each once, and all of it in the store.
            assert rig.done.origins == ["job:mail", "job:shutdown", "job:clear"]
            steps = await rig.store.steps.of("")
            assert [(one.occasion.origin, one.state) for one in reversed(steps)] == [
                ("job:mail", StepState.DONE),
                ("job:shutdown", StepState.DONE),
                ("job:clear", StepState.DONE),
            ]
            keys = [event.key for event in await rig.store.journal.after(0)]
            assert keys.count("on_battery") == 2
            assert keys.count("job_done") == 3
            await asyncio.sleep(0.1)
            assert rig.done.origins == ["job:mail", "job:shutdown", "job:clear"]
        async with running(disk / "store.db", config) as rig:
            rig.power(on=True)
            await asyncio.sleep(0.05)
            assert rig.done.origins == []


async def test_disk_that_fills_up_during_an_outage_stops_nothing(tmp_path: Path) -> None:
    config = JobsConfig(jobs=(job("shutdown", Timing.ON_BATTERY, 0.3, action=ACT),))
    with small_disk(tmp_path / "disk") as disk:
        async with running(disk / "store.db", config) as rig:
            rig.power(on=False)
            while not await rig.store.steps.recall("engine/event/"):
                await asyncio.sleep(0.005)
            with filled(disk):
                await rig.done.until(1)
                assert not await rig.store.steps.unfinished()
            await rig.ended()


async def test_disk_that_hangs_costs_a_shutdown_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ridethrough.events.engine import keeper

    monkeypatch.setattr("ridethrough.store.database.PATIENCE", 60)
    monkeypatch.setattr(keeper, "GRACE", 0.1)
    monkeypatch.setattr(keeper, "AHEAD", 0.05)
    async with running(path, SHUTDOWN, patience=0.1) as rig:
        blocked = sqlite3.connect(path, isolation_level=None)
        blocked.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        rig.power(on=False)
        await rig.done.until(1)
        assert time.monotonic() - began < 3
        blocked.execute("ROLLBACK")
        blocked.close()
        await rig.ended()
        assert len(rig.done.steps) == 1


async def test_messages_and_shutdowns_are_done_while_every_write_fails(path: Path) -> None:
    broken = False

    def around(name: str, done: bool) -> None:
        if broken and not done:
            raise JournalError(f"{name} fails.")

    config = JobsConfig(jobs=(*SHUTDOWN.jobs, job("mail", Timing.AT_ONCE)))
    async with running(path, config, steps=wrap_steps(around)) as rig:
        broken = True
        rig.power(on=False)
        await rig.done.until(2)
        await idle(rig)
        assert rig.ledger.unwritten == 2
        broken = False
        assert len(await rig.ended(count=2)) == 2


async def test_ledger_is_bounded_and_forgets_only_what_has_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAPACITY", 20)

    def around(name: str, done: bool) -> None:
        raise JournalError("No.")

    async with Store.open(path) as store:
        ledger = Ledger(wrap_steps(around)(store.steps), store._clock)
        for number in range(100):
            one = step(f"{number}")
            assert await ledger.commit([one], {}) == [one]
            if number:
                await ledger.end(replace(await ledger.begin(one), state=StepState.DONE))
        assert ledger.unwritten <= 21
        assert "0" in ledger._backlog.steps
        assert await ledger.commit([step("0")], {}) == []
        await ledger.close()


async def test_what_was_written_in_part_is_set_right(path: Path) -> None:
    """A write that failed for its caller and came through all the same is not done over again."""
    mode = "good"

    def around(name: str, done: bool) -> None:
        if mode == "lost" and done:
            raise JournalError("The answer is lost.")

    async with Store.open(path) as store:
        ledger = Ledger(wrap_steps(around)(store.steps), store._clock, backoff=QUICK.backoff)
        await ledger.commit([step("old")], {})
        mode = "lost"
        for key in ("a", "b"):
            await ledger.commit([step(key)], {"m": key}, 3)
        started = await ledger.begin(step("a"))
        await ledger.begin(step("b"))
        await ledger.end(replace(started, state=StepState.DONE, message="ok"))
        await ledger.begin(step("old"))
        mode = "good"
        keeping = asyncio.create_task(ledger.run())
        async with asyncio.timeout(5):
            while ledger.failing:
                await asyncio.sleep(0.005)
        keeping.cancel()
        states = {one.key: (one.state, one.message) for one in await store.steps.of("")}
        assert states == {
            "a": (StepState.DONE, "ok"),
            "b": (StepState.STARTED, ""),
            "old": (StepState.STARTED, ""),
        }
        assert (await store.steps.recall("m"), await store.steps.seen()) == ({"m": "b"}, 3)

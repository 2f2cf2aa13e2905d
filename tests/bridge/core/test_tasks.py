"""Supervised tasks."""

import asyncio
import logging

from hypothesis import given, strategies as st
import pytest

from ridethrough.clock import ManualClock, settle
from ridethrough.tasks import Backoff, Supervisor


class Work:
    """Fails when told to, else runs for ever."""

    def __init__(self, *fates: Exception | None) -> None:
        self.fates = list(fates)
        self.starts = 0
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        self.starts += 1
        if self.fates:
            fate = self.fates.pop(0)
            if fate is None:
                return
            raise fate
        await self.go.wait()
        self.go.clear()
        raise OSError("later")


async def test_failing_task_is_started_again_and_others_run_on(clock: ManualClock) -> None:
    async with Supervisor(clock, Backoff(first=1, cap=10, jitter=0)) as supervisor:
        bad, good = Work(OSError("one"), OSError("two")), Work()
        supervisor.start("bad", bad)
        task = supervisor.start("good", good)
        await settle()
        assert (bad.starts, good.starts) == (1, 1)
        await clock.advance(1)
        assert bad.starts == 2
        await clock.advance(1.9)
        assert bad.starts == 2
        await clock.advance(0.2)
        assert (bad.starts, good.starts) == (3, 1)
        assert supervisor.restarts == {"bad": 2}
    assert task.cancelled()


async def test_one_line_when_it_goes_and_one_when_it_runs_again(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with Supervisor(clock, Backoff(first=1, cap=1, jitter=0)) as supervisor:
        work = Work(OSError("one"), OSError("two"), OSError("three"))
        with caplog.at_level(logging.INFO):
            supervisor.start("feed", work)
            await clock.advance(3)
            assert caplog.messages == ["feed failed and is started again"]
            await clock.advance(30)
            assert caplog.messages[1:] == ["feed runs again"]
            work.go.set()
            await clock.advance(0.5)
            assert caplog.messages[2:] == ["feed failed and is started again"]


async def test_task_that_returns_is_done(clock: ManualClock) -> None:
    supervisor = Supervisor(clock)
    work = Work(OSError("once"), None)
    task = supervisor.start("short", work)
    await clock.advance(60)
    assert task.done()
    assert work.starts == 2
    await supervisor.stop()


async def test_stop_waits_for_the_end_of_each_task(clock: ManualClock) -> None:
    ended: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("tidy")

    supervisor = Supervisor(clock)
    supervisor.start("tidy", tidy)
    await settle()
    await supervisor.stop()
    await supervisor.stop()
    assert ended == ["tidy"]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_are_capped_and_jittered(failures: int, unit: float) -> None:
    backoff = Backoff(first=0.5, cap=30, jitter=0.2)
    assert 0.4 <= backoff.delay(failures, unit) <= 36
    assert backoff.delay(1, 0.5) == 0.5
    assert backoff.delay(failures, 0.5) <= backoff.delay(failures + 1, 0.5)

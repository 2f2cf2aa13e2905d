"""Time that is moved by hand, and the machine's own."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from ridethrough.clock import ManualClock, SystemClock, settle


async def test_sleepers_wake_each_at_its_moment_and_in_order() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *seconds: float) -> None:
        for one in seconds:
            await clock.sleep(one)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep("slow", 3))
        tasks.create_task(sleep("often", 1, 1, 1, 1))
        await clock.advance(3)
        assert woken == [("often", 1), ("often", 2), ("slow", 3), ("often", 3)]
        await clock.advance(1)


async def test_sleeper_whose_time_has_not_come_sleeps_on() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(2))
    await clock.advance(1.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done()


async def test_cancelled_sleeper_disturbs_no_one() -> None:
    clock = ManualClock()
    task, other = asyncio.create_task(clock.sleep(1)), asyncio.create_task(clock.sleep(1))
    await settle()
    task.cancel()
    await clock.advance(1)
    assert other.done()


async def test_tick_lets_time_pass_at_once() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(-1))
    await settle()
    clock.tick(0)
    await settle()
    assert task.done()


def test_wall_clock_jumps_without_time_passing() -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    clock = ManualClock(start)
    clock.tick(10)
    clock.jump(-3600)
    assert clock.monotonic() == 10
    assert clock.utc() == start + timedelta(seconds=10 - 3600)


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().tick(-1)


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(0, 1e6))
def test_any_sleepers_and_any_advance_end_where_they_should(sleeps: list[float], seconds: float) -> None:
    async def check() -> None:
        clock = ManualClock()
        tasks = [asyncio.create_task(clock.sleep(one)) for one in sleeps]
        await clock.advance(seconds)
        assert clock.monotonic() == pytest.approx(seconds)
        for one, task in zip(sleeps, tasks, strict=True):
            assert task.done() is (one <= seconds)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(check())


async def test_machines_clocks_are_what_they_say() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert 0.009 <= clock.monotonic() - before < 5
    assert clock.utc().tzinfo is UTC
    assert abs(clock.utc() - datetime.now(UTC)) < timedelta(seconds=5)

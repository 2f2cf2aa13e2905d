"""Whoever asks something of the store may be cancelled at any moment; nothing is left behind then."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ridethrough.catalogue import Role, Severity
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.site import DeviceId
from ridethrough.store import Store

UPS = DeviceId("ups")
COMMAND = Event(datetime(2026, 1, 1, tzinfo=UTC), EventKind.COMMAND, UPS, "load.off", EdgeKind.OCCURRED, Severity.INFO)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store, turns: store.facts.put("half-way", str(turns)), id="facts.put"),
        pytest.param(lambda store, turns: store.facts.get("half-way"), id="facts.get"),
        pytest.param(lambda store, turns: store.numbers.assign(f"scope {turns}", ["a", "b"]), id="numbers.assign"),
        pytest.param(lambda store, turns: store.pending.note(COMMAND), id="pending.note"),
        pytest.param(lambda store, turns: store.pending.forget(turns), id="pending.forget"),
        pytest.param(lambda store, turns: store.journal.after(0), id="journal.after"),
        pytest.param(lambda store, turns: store.tokens.create(f"name {turns}", Role.GUEST), id="tokens.create"),
        pytest.param(lambda store, turns: store.tokens.verify("0" * 64), id="tokens.verify"),
    ],
)
async def test_nothing_is_closed_behind_our_back(
    tmp_path: Path, ask: Callable[[Store, int], Awaitable[object]]
) -> None:
    async with Store.open(tmp_path / "ridethrough.db") as store:
        before = asyncio.all_tasks()
        for turns in range(40):
            task = asyncio.ensure_future(ask(store, turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            # Also by somebody who has no patience.
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert asyncio.all_tasks() == before


async def test_what_was_begun_is_done(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "ridethrough.db") as store:
        task = asyncio.create_task(store.facts.put("half-way", "done"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.facts.get("half-way") == "done"


async def test_an_error_that_nobody_waits_for_any_more_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Store.open(tmp_path / "ridethrough.db") as store:
        facts = store.facts
    task = asyncio.create_task(facts.put("too late", ""))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "never retrieved" not in caplog.text

"""Steps of jobs: durable, unique, in order, and what is remembered with them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
import sqlite3
from types import MappingProxyType

import pytest

from ridethrough.catalogue import Severity
from ridethrough.config.actions import (
    ACTIONS,
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.events import EdgeKind, Event, EventKind, JournalError
from ridethrough.events.steps import Occasion, Step, StepState
from ridethrough.site import DeviceId
from ridethrough.store import Steps, Store
from ridethrough.store.database import Database

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
EVENT = Event(
    AT, EventKind.CONDITION, DeviceId("ups"), "on_battery", EdgeKind.RAISED, Severity.WARNING, {"ä": 1.5, "b": True}, 7
)
EXAMPLES: tuple[Action, ...] = (
    LogAction(text="Länge\n"),
    MailAction(to=("a@example.org", "b@example.org"), subject="s", text="t", attach=("events", "data"), trap=True),
    AgentAction(verb="shutdown", agents=("nas", "esx"), text="why", program="", delay=1.5),
    DatagramAction(restored=True, to=("192.0.2.1",)),
    CommandAction(device="ups-1", command="load.off", arguments=MappingProxyType({"delay": 5.0, "reason": "x"})),
    WakeOnLanAction(macs=("00:11:22:33:44:55", "00:11:22:33:44:66"), broadcast="192.0.2.255", port=7),
    SmsAction(to=("+491234",), text="x"),
    SyslogAction(text="x", to="192.0.2.1:514"),
    TrapAction(),
    WebhookAction(webhook="hook", text="x"),
    RemoteAction(bridge="b", device="ups-1", command="output.set", arguments=MappingProxyType({"output": 1.0})),
)


def step(key: str, action: Action = EXAMPLES[0], origin: str = "job:x") -> Step:
    return Step(key, action, Occasion(origin), AT)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "test.db")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def steps(database: Database) -> Steps:
    return Steps(database, keep=10)


def test_there_is_an_example_of_every_action() -> None:
    assert {type(action) for action in EXAMPLES} == set(ACTIONS)


@pytest.mark.parametrize("action", EXAMPLES, ids=lambda action: action.name)
async def test_every_action_comes_back_as_it_was(tmp_path: Path, action: Action) -> None:
    occasion = Occasion("plan:all/first", EVENT, "somebody", test=True, drill=True, retry=True, late=90.5)
    kept = Step("plan:all/first/1", action, occasion, AT)
    async with Store.open(tmp_path / "a.db") as store:
        assert await store.steps.commit([kept], {}) == [kept]
    async with Store.open(tmp_path / "a.db") as store:
        assert await store.steps.unfinished() == [kept]


async def test_step_is_committed_once_however_often_it_is_worked_out(steps: Steps) -> None:
    assert [one.key for one in await steps.commit([step("a"), step("b")], {})] == ["a", "b"]
    assert [one.key for one in await steps.commit([step("b"), step("c")], {})] == ["c"]
    assert [one.key for one in await steps.unfinished()] == ["a", "b", "c"]


async def test_steps_go_from_due_to_begun_to_done(steps: Steps) -> None:
    await steps.commit([step("a"), step("b"), step("c")], {})
    assert await steps.begin("a") == 1
    assert await steps.begin("a") == 2
    assert await steps.begin("b") == 1
    await steps.end("b", StepState.FAILED, "no \ud800")
    assert await steps.unfinished() == [replace(step("a"), state=StepState.STARTED, attempts=2), step("c")]
    (ended,) = [one for one in await steps.of("job:x") if one.key == "b"]
    assert (ended.state, ended.attempts, ended.message) == (StepState.FAILED, 1, "no ?")


async def test_step_that_is_not_kept_here_is_not_made_up(steps: Steps) -> None:
    assert await steps.begin("nobody") == 1
    await steps.end("nobody", StepState.DONE, "")
    assert await steps.of("") == []


async def test_steps_of_an_origin_come_newest_first(steps: Steps) -> None:
    await steps.commit([step("1", origin="job:a"), step("2", origin="job:ab"), step("3", origin="job:a%")], {})
    assert [one.key for one in await steps.of("job:a")] == ["3", "2", "1"]
    assert [one.key for one in await steps.of("job:a%")] == ["3"]
    assert [one.key for one in await steps.of("", 1)] == ["3"]
    assert await steps.of("", -1) == []


async def test_memory_is_replaced_by_key_and_forgotten(steps: Steps) -> None:
    await steps.commit([], {"engine/a": "1", "engine/b": "2", "plan/a": "3", "engine_x": "4"}, 5)
    await steps.commit([], {"engine/a": "5", "engine/b": None, "engine/c": None})
    assert await steps.recall("engine/") == {"engine/a": "5"}
    assert await steps.recall("engine_") == {"engine_x": "4"}
    assert await steps.seen() == 5


async def test_nothing_has_been_seen_before_the_first_time(steps: Steps) -> None:
    assert await steps.seen() is None
    assert await steps.recall("") == {}


async def test_all_of_a_commit_is_written_or_nothing(database: Database, steps: Steps) -> None:
    await steps.commit([step("a")], {"m": "1"}, 1)
    async with database.read() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
    async with database.write() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    big = [step(f"big {number}", LogAction(text="x" * 5000)) for number in range(10)]
    with pytest.raises(JournalError, match="free some space"):
        await steps.commit(big, {"m": "2"}, 2)
    assert [one.key for one in await steps.unfinished()] == ["a"]
    assert (await steps.recall("m"), await steps.seen()) == ({"m": "1"}, 1)


async def test_marks_that_wait_are_written_together(
    database: Database, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    await steps.commit([step(f"{number}") for number in range(500)], {})
    writes = 0
    writing = steps._writing

    def counted() -> object:
        nonlocal writes
        writes += 1
        return writing()

    monkeypatch.setattr(steps, "_writing", counted)
    assert await asyncio.gather(*(steps.begin(f"{number}") for number in range(500))) == [1] * 500
    await asyncio.gather(*(steps.end(f"{number}", StepState.DONE, "") for number in range(500)))
    assert writes <= 6
    assert await steps.unfinished() == []


async def test_error_reaches_everyone_who_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ridethrough.store.database.PATIENCE", 0.02)
    impatient = Database(database.path)
    await impatient.open()
    steps = Steps(impatient)
    await steps.commit([step("a"), step("b")], {})
    blocked = sqlite3.connect(database.path)
    blocked.execute("BEGIN IMMEDIATE")
    found = await asyncio.gather(
        steps.begin("a"), steps.begin("b"), steps.end("a", StepState.DONE, ""), return_exceptions=True
    )
    assert [type(one) for one in found] == [JournalError] * 3
    blocked.close()
    assert await steps.begin("a") == 1
    await impatient.close()


async def test_closed_store_says_so(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "a.db") as store:
        pass
    for asking in (store.steps.unfinished(), store.steps.of(""), store.steps.recall(""), store.steps.seen()):
        with pytest.raises(JournalError):
            await asking
    for writing in (store.steps.commit([], {}), store.steps.begin("a"), store.steps.end("a", StepState.DONE, "")):
        with pytest.raises(JournalError):
            await writing


async def test_old_steps_go_and_unfinished_ones_stay(steps: Steps) -> None:
    await steps.commit([step("due")], {})
    for number in range(50):
        key = f"{number}"
        await steps.commit([step(key)], {})
        await steps.end(key, StepState.DONE, "")
    kept = await steps.of("", 100)
    assert 10 <= len(kept) <= 13
    assert kept[-1].key == "due"
    assert kept[0].key == "49"


async def test_step_that_cannot_be_read_is_left_and_said(
    database: Database, steps: Steps, caplog: pytest.LogCaptureFixture
) -> None:
    await steps.commit([step("a"), step("b"), step("c"), step("d"), step("e")], {})
    damages = {
        "a": 'action = \'{"action": "of tomorrow"}\'',
        "b": "occasion = '{'",
        "c": "occasion = '[]'",
        "d": "occasion = '{\"event\": {}}'",
    }
    async with database.write() as connection:
        for key, damage in damages.items():
            await connection.exec_driver_sql(f"UPDATE steps SET {damage} WHERE key = '{key}'")  # noqa: S608  # of ours
    assert [one.key for one in await steps.unfinished()] == ["e"]
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 4


async def test_odd_texts_of_a_device_do_not_stop_a_step(steps: Steps) -> None:
    odd = replace(EVENT, details={"text": "\ud800", "nan": float("nan"), "huge": 10**30})
    await steps.commit([Step("a", LogAction(text="x"), Occasion("job:x", odd), AT)], {})
    (kept,) = await steps.unfinished()
    assert kept.occasion.event is not None
    assert kept.occasion.event.details == {"text": "?", "nan": "nan", "huge": str(10**30)}


async def test_cancelled_caller_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "a.db") as store:
        await store.steps.commit([step("a")], {})
        before = asyncio.all_tasks()
        for turns in range(30):
            task = asyncio.ensure_future(store.steps.begin("a"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert asyncio.all_tasks() == before
        assert await store.steps.begin("a") > 20

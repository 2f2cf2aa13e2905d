"""Replay: none lost, none twice, whatever is recorded meanwhile."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ridethrough.catalogue import Severity
from ridethrough.events.event import EdgeKind, Event, EventKind

from .harness import LIMITS, NOW, UPS, World, event, running


async def record(world: World, count: int) -> None:
    for number in range(count):
        await world.recorder.record(event(details={"number": number}))


async def test_event_reaches_the_client_with_all_that_is_known_of_it(world: World) -> None:
    async with world.subscriber(token="guest") as client:
        await world.recorder.record(
            Event(
                NOW, EventKind.SYSTEM, None, "started", EdgeKind.OCCURRED, Severity.INFO, {"version": "0.1.0", "n": 1}
            )
        )
        assert await client.receive() == {
            "type": "event",
            "seq": 1,
            "at": NOW.timestamp(),
            "kind": "system",
            "device": None,
            "key": "started",
            "edge": "occurred",
            "severity": "info",
            "details": {"version": "0.1.0", "n": 1},
        }


async def test_without_a_number_only_new_events_come(world: World) -> None:
    await record(world, 5)
    async with world.subscriber(None) as client:
        assert client.seq == 5
        await record(world, 1)
        await client.until(lambda: bool(client.events))
        assert client.events == [6]


@pytest.mark.parametrize("after", [0, 3, 5, 9, 2**53 - 1])
async def test_events_after_a_number_come_once_after_the_snapshot_and_before_changes(world: World, after: int) -> None:
    await record(world, 5)
    async with world.client() as client:
        await client.send({"type": "subscribe", "events_after": after})
        await client.receive("snapshot")
        world.lane.post({"battery.charge": 1.0})
        await record(world, 1)
        await client.until(lambda: 6 in client.events and client.deltas == 1)
        assert client.events == list(range(min(after, 5) + 1, 7))


async def test_deltas_wait_until_the_replay_is_complete(world: World) -> None:
    await record(world, 600)
    async with world.client() as client:
        await client.send({"type": "subscribe", "events_after": 0})
        await client.receive("snapshot")
        world.lane.post({"battery.charge": 1.0})
        await client.receive("event")
        await client.until(lambda: client.deltas == 1)
        assert len(client.events) == 600


@pytest.mark.parametrize("recent", [4, 2048])
async def test_no_event_is_lost_or_doubled_while_clients_subscribe_during_recording(
    tmp_path: Path, recent: int
) -> None:
    async with running(tmp_path, limits=replace(LIMITS, events_recent=recent)) as world:
        await record(world, 20)
        total = 600

        async def follow(after: int) -> list[int]:
            seen: list[int] = []
            while not seen or seen[-1] < total:
                async with world.subscriber(after) as client:
                    for _ in range(40):
                        if client.events and client.events[-1] == total:
                            break
                        await client.receive()
                    seen += client.events
                    after = seen[-1] if seen else after
            return seen

        async with asyncio.TaskGroup() as group:
            followers = {after: group.create_task(follow(after)) for after in (0, 5, 20)}
            group.create_task(record(world, total - 20))
        for after, follower in followers.items():
            assert follower.result() == list(range(after + 1, total + 1))


async def test_events_recorded_before_the_server_listens_are_known_to_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        server, world.server = world.server, world.make()
        await server.stop()
        async with asyncio.TaskGroup() as group:
            group.create_task(record(world, 10))
            group.create_task(world.server.start())
        async with world.subscriber(0) as client:
            await client.until(lambda: len(client.events) == 10)
            assert client.events == list(range(1, 11))


async def test_live_events_are_not_read_from_the_journal_for_each_client(world: World) -> None:
    async with world.subscriber() as one, world.subscriber() as two:
        reads = world.journal.reads
        await record(world, 50)
        for client in (one, two):
            await client.until(lambda client=client: len(client.events) == 50)  # type: ignore[misc]  # bound early
        assert world.journal.reads == reads


async def test_event_that_was_not_announced_is_found_in_the_journal(world: World) -> None:
    async with world.subscriber() as client:
        await record(world, 2)
        for _ in range(3):
            await world.journal.append(event())
        await record(world, 2)
        await client.until(lambda: 7 in client.events)
        assert client.events == [1, 2, 3, 4, 5, 6, 7]


async def test_event_that_is_announced_twice_is_sent_once(world: World) -> None:
    async with world.subscriber() as client:
        await record(world, 2)
        for subscriber in world.recorder.subscribers:
            subscriber(world.journal.events[0])
        await record(world, 1)
        await client.until(lambda: 3 in client.events)
        assert client.events == [1, 2, 3]


async def test_subscription_in_the_middle_of_a_replay_begins_anew(world: World) -> None:
    await record(world, 3000)
    async with world.client() as client:
        await client.send({"type": "subscribe", "events_after": 0})
        await client.receive("snapshot")
        await client.send({"type": "subscribe", "events_after": 2990})
        while (await client.receive())["type"] != "snapshot":
            pass
        client.events.clear()
        await client.until(lambda: 3000 in client.events)
        assert client.events == list(range(2991, 3001))


async def test_events_that_the_journal_has_forgotten_hold_nobody_up(world: World) -> None:
    await record(world, 10)
    server, world.server = world.server, world.make()
    await server.stop()
    await world.server.start()
    world.journal.events.clear()
    async with world.subscriber(0) as client:
        world.lane.post({"battery.charge": 1.0})
        await client.receive("delta")
        assert client.events == []


async def test_unreadable_journal_ends_a_replay_but_not_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await record(world, 10)
    server, world.server = world.server, world.make()
    await server.stop()
    await world.server.start()
    async with world.subscriber() as other:
        world.journal.broken = True
        async with world.client() as client:
            await client.send({"type": "subscribe", "events_after": 0})
            assert await client.close_code() == 1011
        assert "the admin at 127.0.0.1 cannot be told what happened: the disk is full" in caplog.text
        world.lane.post({"battery.charge": 1.0})
        await other.receive("delta")


async def test_start_without_a_readable_journal_leaves_no_observer_behind(world: World) -> None:
    another = world.make()

    async def last() -> int:
        raise OSError("gone")

    world.journal.last = last  # type: ignore[method-assign]
    with pytest.raises(OSError, match="gone"):
        await another.start()
    assert len(world.recorder.subscribers) == 1
    assert UPS.id in world.site.devices

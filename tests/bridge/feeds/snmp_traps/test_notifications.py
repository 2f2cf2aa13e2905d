"""What is told, and when: by a clock that is moved by hand, to a receiver that only listens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
import socket

import pytest

from ridethrough.clock import ManualClock
from ridethrough.config.feeds import SnmpReceiver
from ridethrough.feeds.snmp.ber import Reader, Tag
from ridethrough.feeds.snmp.pdu import Kind
from tests.bridge.feeds.rig import World, a_world

from .rig import Telling, telling

UPS = "1.3.6.1.2.1.33"
COLD, WARM = "1.3.6.1.6.3.1.1.5.1", "1.3.6.1.6.3.1.1.5.2"
ON_BATTERY, TEST_COMPLETED, ADDED, REMOVED = (f"{UPS}.2.{number}" for number in (1, 2, 3, 4))

type Trap = dict[str, int | str | bytes]
"""The variables of a trap by their OIDs, without the two at the beginning."""


class Listener:
    """A receiver of v2c that answers nothing."""

    def __init__(self, clock: ManualClock, port: int = 0) -> None:
        """Listen on the loopback."""
        self._clock = clock
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.receiver = SnmpReceiver("127.0.0.1", self._socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    async def heard(self, count: int) -> list[tuple[str, int, Trap]]:
        """Wait for so many: which trap, sysUpTime in hundredths of a second, and the variables; and for one too many."""
        found = []
        async with asyncio.timeout(5):
            while True:
                for _ in range(10):
                    await self._clock.advance(0.005)
                with suppress(BlockingIOError):
                    while True:
                        found.append(_read(self._socket.recv(2000)))
                if len(found) >= count:
                    return found
                # Names are looked up and facts are kept by threads, which take no time of this clock.
                await asyncio.sleep(0.002)

    async def names(self, count: int) -> list[str]:
        """Wait for so many: only which traps."""
        return [name for name, _, _ in await self.heard(count)]


def _read(data: bytes) -> tuple[str, int, Trap]:
    message = Reader(data).enter(Tag.SEQUENCE)
    assert message.integer() == 1
    assert message.take(Tag.OCTETS) == b"public"
    body = message.enter(Kind.TRAP)
    assert [body.integer() > 0, body.integer(), body.integer()] == [True, 0, 0]
    rows = body.enter(Tag.SEQUENCE)
    variables: list[tuple[str, int | str | bytes]] = []
    while rows:
        row = rows.enter(Tag.SEQUENCE)
        name = _oid(row.take(Tag.OID))
        tag, start, end = row.next()
        content = data[start:end]
        match tag:
            case Tag.OID:
                variables.append((name, _oid(content)))
            case Tag.OCTETS:
                variables.append((name, content))
            case _:
                variables.append((name, int.from_bytes(content, signed=True)))
    (_, uptime), (_, oid), *rest = variables
    assert isinstance(uptime, int)
    assert isinstance(oid, str)
    return oid, uptime, dict(rest)


def _oid(content: bytes) -> str:
    parts, part = [], 0
    for byte in content:
        part = part << 7 | byte & 0x7F
        if byte < 0x80:
            parts.append(part)
            part = 0
    return ".".join(map(str, (1, parts[0] - 40, *parts[1:])))


class Scene:
    """A bridge whose clock is moved by hand, and somebody who listens."""

    def __init__(self, world: World, clock: ManualClock, listener: Listener) -> None:
        """All is well."""
        self.world = world
        self.clock = clock
        self.listener = listener
        self.ups = world.ups()

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[Telling]:
        """Run the notifications; that they have started has been heard."""
        async with telling(self.world, self.listener.receiver) as told:
            assert await self.listener.names(1) in ([COLD], [WARM])
            yield told


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Set the scene."""
    clock = ManualClock()
    listener = Listener(clock)
    async with a_world(tmp_path, clock) as world:
        yield Scene(world, clock, listener)
    listener.close()


async def test_on_battery_is_told_at_once_and_each_minute_until_mains_returns(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, {"battery.runtime": 1810.0, "battery.runtime.low": 120.0}, {"on_battery": True})
        (first,) = await scene.listener.heard(1)
        assert first[0] == ON_BATTERY
        assert first[2] == {f"{UPS}.1.2.3.0": 30, f"{UPS}.1.2.2.0": 0, f"{UPS}.1.9.7.0": 2}
        await scene.clock.advance(59)
        assert await scene.listener.names(0) == []
        await scene.clock.advance(1)
        (second,) = await scene.listener.heard(1)
        assert second[0] == ON_BATTERY
        assert second[2][f"{UPS}.1.2.2.0"] == 60
        assert 6000 <= second[1] - first[1] <= 6010
        for _ in range(3):
            await scene.clock.advance(60)
        assert await scene.listener.names(3) == [ON_BATTERY] * 3
        scene.world.post(scene.ups, conditions={"on_battery": False})
        # The alarm on battery is announced by its own trap, but taken away like the others (RFC 1628).
        ((name, _, variables),) = await scene.listener.heard(1)
        assert name == REMOVED
        assert variables == {f"{UPS}.1.6.2.1.1.1": 1, f"{UPS}.1.6.2.1.2.1": f"{UPS}.1.6.3.2"}
        await scene.clock.advance(300)
        assert await scene.listener.names(0) == []


async def test_a_second_outage_within_the_minute_is_told_at_once(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, conditions={"on_battery": True})
        await scene.clock.advance(10)
        scene.world.post(scene.ups, conditions={"on_battery": False})
        await scene.clock.advance(10)
        scene.world.post(scene.ups, conditions={"on_battery": True})
        assert await scene.listener.names(3) == [ON_BATTERY, REMOVED, ON_BATTERY]
        # And the minute counts from there.
        await scene.clock.advance(45)
        assert await scene.listener.names(0) == []
        await scene.clock.advance(16)
        assert await scene.listener.names(1) == [ON_BATTERY]


async def test_nothing_is_said_of_battery_while_it_is_not_known(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, conditions={"on_battery": True})
        assert await scene.listener.names(1) == [ON_BATTERY]
        scene.world.lose(scene.ups)
        ((name, _, variables),) = await scene.listener.heard(1)
        assert (name, variables[f"{UPS}.1.6.2.1.2.2"]) == (ADDED, f"{UPS}.1.6.3.20")
        await scene.clock.advance(200)
        assert await scene.listener.names(0) == []
        scene.world.post(scene.ups, conditions={"on_battery": True, "communications_lost": False})
        assert sorted(await scene.listener.names(2)) == [ON_BATTERY, REMOVED]


async def test_an_outage_that_was_out_of_sight_for_a_moment_is_not_told_twice(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, conditions={"on_battery": True})
        assert await scene.listener.names(1) == [ON_BATTERY]
        for _ in range(5):
            scene.world.lose(scene.ups)
            scene.world.post(scene.ups, conditions={"on_battery": True, "communications_lost": False})
        assert ON_BATTERY not in await scene.listener.names(10)
        await scene.clock.advance(60)
        assert await scene.listener.names(1) == [ON_BATTERY]


async def test_a_ups_that_turns_off_is_no_longer_on_battery(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, conditions={"on_battery": True})
        scene.world.post(scene.ups, conditions={"system_off": True})
        assert await scene.listener.names(2) == [ON_BATTERY, ADDED]
        await scene.clock.advance(120)
        assert await scene.listener.names(0) == []


async def test_what_is_so_at_the_start_is_told_once(scene: Scene) -> None:
    scene.world.post(scene.ups, conditions={"on_battery": True, "battery_low": True, "test_in_progress": True})
    async with telling(scene.world, scene.listener.receiver):
        assert await scene.listener.names(3) == [COLD, ADDED, ON_BATTERY]
        assert await scene.listener.names(0) == []
        await scene.clock.advance(60)
        assert await scene.listener.names(1) == [ON_BATTERY]


async def test_a_start_is_cold_once_and_warm_while_nothing_is_altered(scene: Scene) -> None:
    found = []
    for _ in range(3):
        async with telling(scene.world, scene.listener.receiver):
            found += await scene.listener.names(1)
    async with telling(scene.world, scene.listener.receiver, SnmpReceiver("127.0.0.1", 9)):
        found += await scene.listener.names(1)
    assert found == [COLD, WARM, WARM, COLD]


async def test_the_end_of_a_test_is_told_with_its_result(scene: Scene) -> None:
    started = scene.clock.utc().isoformat()
    async with scene.telling():
        await scene.clock.advance(7)
        running = {"ups.test.state": "in_progress", "ups.test.result": "In progress", "ups.test.started": started}
        scene.world.post(scene.ups, running, {"test_in_progress": True})
        # That one is under way is an alarm in the table, which is not announced (RFC 1628).
        assert await scene.listener.names(0) == []
        scene.world.post(
            scene.ups,
            {"ups.test.state": "failed", "ups.test.result": "Battery weak: é", "ups.test.elapsed": 12.5},
            {"test_in_progress": False},
        )
        ((name, _, variables),) = await scene.listener.heard(1)
        assert name == TEST_COMPLETED
        assert variables == {
            f"{UPS}.1.7.1.0": f"{UPS}.1.7.7.1",
            f"{UPS}.1.7.2.0": 0,
            f"{UPS}.1.7.3.0": 3,
            f"{UPS}.1.7.4.0": b"Battery weak: ?",
            f"{UPS}.1.7.5.0": 0,
            f"{UPS}.1.7.6.0": 1250,
        }
        # One of which the UPS then says that there was none is not told of.
        scene.world.post(scene.ups, running, {"test_in_progress": True})
        scene.world.post(scene.ups, {"ups.test.state": "none", "ups.test.elapsed": None}, {"test_in_progress": False})
        assert await scene.listener.names(0) == []


@pytest.mark.parametrize("state", ["passed", "warning", "failed", "aborted"])
async def test_every_result_has_its_number(scene: Scene, state: str) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, {"ups.test.state": "in_progress"})
        scene.world.post(scene.ups, {"ups.test.state": state, "ups.test.started": None})
        ((_, _, variables),) = await scene.listener.heard(1)
        assert variables[f"{UPS}.1.7.3.0"] == {"passed": 1, "warning": 2, "failed": 3, "aborted": 4}[state]
        assert f"{UPS}.1.7.5.0" not in variables
        assert f"{UPS}.1.7.6.0" not in variables


async def test_a_test_that_only_a_condition_tells_of_ends_without_a_result(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, conditions={"test_in_progress": True})
        scene.world.lose(scene.ups)
        assert await scene.listener.names(1) == [ADDED]
        scene.world.post(scene.ups, conditions={"test_in_progress": False})
        ((name, _, variables),) = await scene.listener.heard(1)
        assert name == TEST_COMPLETED
        assert f"{UPS}.1.7.3.0" not in variables


async def test_what_is_not_known_is_left_out(scene: Scene) -> None:
    scene.world.post(scene.ups, {"battery.runtime": None})
    async with scene.telling():
        await scene.clock.advance(3)
        scene.world.post(scene.ups, conditions={"on_battery": True})
        await scene.clock.advance(5)
        ((_, _, variables),) = await scene.listener.heard(1)
        assert variables == {f"{UPS}.1.2.2.0": 0}


async def test_seconds_on_battery_are_the_device_s_own_where_it_counts_them(scene: Scene) -> None:
    async with scene.telling():
        scene.world.post(scene.ups, {"battery.runtime.elapsed": 17.0}, {"on_battery": True})
        ((_, _, variables),) = await scene.listener.heard(1)
        assert variables[f"{UPS}.1.2.2.0"] == 17


async def test_a_repetition_that_waits_gives_way_to_the_next(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_world(tmp_path, clock) as world:
        ups = world.ups()
        listener = Listener(clock)
        port = listener.receiver.port
        listener.close()
        async with telling(world, SnmpReceiver("127.0.0.1", port)):
            world.post(ups, conditions={"on_battery": True})
            for _ in range(5):
                await asyncio.sleep(0.02)
                await clock.advance(60)
            world.post(ups, conditions={"on_battery": False})
            back = Listener(clock, port)
            # They are sent again within a minute, the longest that they wait.
            found: list[str] = []
            async with asyncio.timeout(5):
                while len(found) < 3:
                    await asyncio.sleep(0.05)
                    await clock.advance(5)
                    found += await back.names(0)
            assert found == [COLD, ON_BATTERY, REMOVED]
            back.close()

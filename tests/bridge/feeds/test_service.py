"""One feed as people see it: switched on and off, failing and tried again, counted; with a real feed on a real port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
import logging
from pathlib import Path
from typing import ClassVar, override

import pytest

from ridethrough.clock import ManualClock
from ridethrough.events import Event
from ridethrough.events.orders import Order
from ridethrough.feeds import Client, Feed, FeedContext, FeedError, Service, Traffic
from ridethrough.feeds.service import PUBLISH
from ridethrough.site import CommandError, DeviceId, Quality, Value
from ridethrough.tasks import Supervisor

from .rig import World, a_world, free_port

ID = DeviceId("feed-echo")
PERSON = Client("Ada")


class EchoFeed(Feed):
    """Answers each line with itself."""

    name: ClassVar[str] = "echo"

    def __init__(self, context: FeedContext, traffic: Traffic, port: int) -> None:
        super().__init__(context, traffic)
        self.port = port

    @override
    async def serve(self, ready: Callable[[str], None]) -> None:
        try:
            server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        except OSError as error:
            raise FeedError(f"Port {self.port} is taken.") from error
        async with server:
            ready(f"127.0.0.1:{self.port}")
            await server.serve_forever()

    @override
    async def test(self) -> str:
        self.traffic.requests += 1
        return "A line was sent."

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.clients += 1
        try:
            async for line in reader:
                self.traffic.requests += 1
                writer.write(line)
        finally:
            self.traffic.clients -= 1
            writer.close()


class House:
    """A world, a clock that is moved by hand, and a feed in it."""

    def __init__(self, world: World, clock: ManualClock) -> None:
        self.world = world
        self.clock = clock
        self.port = free_port()
        self.make: Callable[[Traffic], Feed] = lambda traffic: EchoFeed(world.context, traffic, self.port)
        self.tries: list[float] = []
        """When the feed has been made."""

    @property
    def made(self) -> int:
        """How often the feed has been made."""
        return len(self.tries)

    @asynccontextmanager
    async def service(
        self, *, enabled: bool = True, granted: bool = True, testable: bool = True
    ) -> AsyncIterator[Service]:
        """Run the feed as the bridge does."""

        def counted(traffic: Traffic) -> Feed:
            self.tries.append(self.clock.monotonic())
            return self.make(traffic)

        service = Service(
            "echo",
            "Echo",
            counted,
            self.world.context,
            self.world.commands,
            ID,
            enabled=enabled,
            granted=granted,
            testable=testable,
        )
        async with Supervisor(self.clock) as supervisor:
            supervisor.start("echo", service.run)
            await until(lambda: ID in self.world.site.devices and "feed_enabled" in self.world.site.conditions(ID))
            yield service

    async def give(self, command: str) -> str:
        """Give a command as a client of the API does."""
        return (await self.world.context.orders.give(Order(ID, command), PERSON)).message

    async def until_serving(self, *, serving: bool = True) -> None:
        """Wait until it serves, or does not."""
        await until(lambda: self.holds("feed_serving") is serving)

    async def until_made(self, number: int) -> None:
        """Wait until it has been started so many times."""
        await until(lambda: self.made >= number)

    def point(self, key: str) -> Value | None:
        """Return a good value of the feed's device."""
        reading = self.world.site.reading(ID, key)
        return None if reading is None or reading.quality is not Quality.GOOD else reading.value

    def holds(self, condition: str) -> bool | None:
        """Tell whether a condition of the feed's device is so."""
        state = self.world.site.conditions(ID).get(condition)
        return None if state is None else state.active

    async def echo(self, text: str) -> str:
        """Ask the feed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{text}\n".encode())
        answer = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        return answer.decode().strip()

    async def closed(self) -> bool:
        """Tell whether nobody listens."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False


async def until(happened: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.002)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Make a bridge whose time stands still."""
    clock = ManualClock()
    async with a_world(tmp_path, clock) as world:
        yield House(world, clock)


@pytest.fixture
def told(house: House) -> Iterator[list[Event]]:
    """Collect what the journal has taken."""
    events: list[Event] = []
    end = house.world.recorder.subscribe(events.append)
    yield events
    end()


def edges(told: list[Event], condition: str) -> list[str]:
    """Return how a condition went, as the journal has it."""
    return [str(event.edge) for event in told if event.key == condition]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what the service itself has logged."""
    return [
        record.getMessage() for record in caplog.records if record.name.endswith("service") and record.levelno == level
    ]


# On and off


async def test_a_feed_that_is_enabled_serves_and_says_where(house: House) -> None:
    async with house.service():
        await house.until_serving()
        assert await house.echo("hello") == "hello"
        assert house.point("feed.address") == f"127.0.0.1:{house.port}"
        assert (house.holds("feed_enabled"), house.holds("feed_failed")) == (True, False)
        device = house.world.site.devices[ID]
        assert (device.key, device.kind, device.name) == ("bridge/feed-echo", "feed", "Echo")
        assert device.parent == house.world.context.bridge.id


async def test_a_feed_that_is_not_enabled_opens_nothing_and_is_seen_all_the_same(house: House) -> None:
    async with house.service(enabled=False):
        assert await house.closed()
        assert (house.holds("feed_enabled"), house.holds("feed_serving")) == (False, False)
        assert [house.point(f"feed.{key}") for key in ("requests", "errors", "clients", "address")] == [0, 0, 0, ""]
        assert house.made == 0


async def test_it_is_switched_by_command_and_that_is_in_the_journal(house: House, told: list[Event]) -> None:
    async with house.service():
        await house.until_serving()
        assert await house.give("feed.stop") == "Echo is switched off."
        await house.until_serving(serving=False)
        await until(lambda: house.point("feed.address") == "")
        assert await house.closed()
        assert await house.give("feed.start") == "Echo is switched on."
        await house.until_serving()
        assert await house.echo("again") == "again"
    given = [(event.key, event.details["actor"]) for event in told if event.kind == "command"]
    assert given == [("feed.stop", "Ada"), ("feed.start", "Ada")]
    await until(lambda: len(edges(told, "feed_enabled")) == 3)
    assert edges(told, "feed_enabled") == ["raised", "cleared", "raised"]


async def test_a_full_disk_does_not_keep_a_feed_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(key: str, value: str) -> None:
        raise OSError(28, "No space left on device")

    async with house.service():
        await house.until_serving()
        with monkeypatch.context() as patched:
            patched.setattr(house.world.context.facts, "put", full)
            assert await house.give("feed.stop") == "Echo is switched off, but only until the bridge restarts."
        await house.until_serving(serving=False)
        assert await house.closed()
    assert "That Echo is switched off does not outlast a restart: [Errno 28] No space left" in caplog.text


async def test_what_it_is_already_changes_nothing(house: House) -> None:
    async with house.service() as service:
        await house.until_serving()
        assert await house.give("feed.start") == "Echo is switched on."
        await service.switch(on=True)
        assert house.made == 1
        assert await house.world.context.facts.get("feed.echo") is None


async def test_switched_to_and_fro_it_ends_as_it_was_switched_last(house: House) -> None:
    async with house.service() as service:
        await house.until_serving()
        for on in (False, True, False, True, False):
            await service.switch(on=on)
        await house.until_serving(serving=False)
        assert await house.closed()
        assert service.on is False


async def test_without_a_grant_nobody_switches_it(house: House) -> None:
    async with house.service(granted=False):
        await house.until_serving()
        for command in ("feed.stop", "feed.test"):
            with pytest.raises(CommandError) as refused:
                await house.give(command)
            assert refused.value.code == "not_granted"
        assert await house.echo("still") == "still"


async def test_it_can_be_switched_before_it_runs(house: House) -> None:
    context = house.world.context
    service = Service("echo", "Echo", house.make, context, house.world.commands, ID, enabled=True, granted=True)
    await service.switch(on=False)
    assert ID not in house.world.site.devices
    async with Supervisor(house.clock) as supervisor:
        supervisor.start("echo", service.run)
        await until(lambda: house.holds("feed_enabled") is False)
        assert await house.closed()


# What is remembered


@pytest.mark.parametrize("enabled", [True, False])
async def test_how_it_was_switched_outlasts_a_restart(house: House, enabled: bool) -> None:
    async with house.service(enabled=enabled) as service:
        await service.switch(on=not enabled)
    async with house.service(enabled=enabled) as service:
        assert service.on is not enabled
        assert house.holds("feed_enabled") is not enabled
        await house.until_serving(serving=not enabled)


async def test_a_configuration_that_says_something_new_goes_before_it(house: House) -> None:
    async with house.service(enabled=True) as service:
        await service.switch(on=False)
    async with house.service(enabled=False) as service:
        assert service.on is False
    async with house.service(enabled=False) as service:
        await service.switch(on=True)
    async with house.service(enabled=True) as service:
        assert service.on is True
        await house.until_serving()


async def test_a_fact_that_nobody_understands_is_no_obstacle(house: House) -> None:
    await house.world.context.facts.put("feed.echo", "perhaps")
    async with house.service() as service:
        assert service.on is True


# Failing


async def test_a_port_that_is_taken_is_tried_again_with_back_off(
    house: House, told: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    squatter = await asyncio.start_server(lambda *_: None, "127.0.0.1", house.port)
    async with house.service() as service:
        await until(lambda: house.holds("feed_failed"))
        assert house.holds("feed_serving") is False
        assert house.point("feed.problem") == f"Port {house.port} is taken."
        assert service.problem == house.point("feed.problem")
        while len(house.tries) < 6:
            await house.clock.advance(0.1)
            await asyncio.sleep(0)
        pauses = [later - sooner for sooner, later in pairwise(house.tries)]
        for pause, seconds in zip(pauses, (1, 2, 4, 8, 16), strict=True):
            # Give or take 20 %, so that not all try at once, and what the steps of this test add.
            assert 0.8 * seconds - 0.01 <= pause <= 1.2 * seconds + 0.5
        for _ in range(10):
            made = house.made
            await house.clock.advance(72)
            await house.until_made(made + 1)
        squatter.close()
        await squatter.wait_closed()
        await house.clock.advance(72)
        await house.until_serving()
        assert await house.echo("at last") == "at last"
        assert (house.point("feed.problem"), house.holds("feed_failed")) == ("", False)
    # One line down and one up, whatever the number of attempts.
    assert lines(caplog, logging.WARNING) == [f"Port {house.port} is taken. It is tried again until it works."]
    assert lines(caplog, logging.INFO) == [f"Echo serves 127.0.0.1:{house.port} again"]
    await until(lambda: len(edges(told, "feed_failed")) == 2)
    assert edges(told, "feed_failed") == ["raised", "cleared"]
    assert {event.severity for event in told if event.key == "feed_failed"} == {"warning"}


class Broken(EchoFeed):
    """Serves until it is broken."""

    @override
    async def serve(self, ready: Callable[[str], None]) -> None:
        ready("nowhere")
        await asyncio.sleep(0)
        raise ZeroDivisionError("of all things")


async def test_an_error_that_nobody_foresaw_takes_nothing_else_with_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.make = lambda traffic: Broken(house.world.context, traffic, 0)
    async with house.service():
        await until(lambda: house.holds("feed_failed"))
        problem = str(house.point("feed.problem"))
        assert problem.startswith("Echo failed in a way nobody foresaw: ZeroDivisionError('of all things')")
        house.make = lambda traffic: EchoFeed(house.world.context, traffic, house.port)
        await house.clock.advance(2)
        await house.until_serving()
        assert await house.echo("better") == "better"
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.exc_info is not None
    assert error.exc_info[0] is ZeroDivisionError


async def test_a_feed_that_cannot_even_be_made_is_tried_again_with_back_off(house: House) -> None:
    def fail(traffic: Traffic) -> Feed:
        raise ModuleNotFoundError("No module named 'echo'")

    house.make = fail
    async with house.service():
        await until(lambda: house.holds("feed_failed"))
        assert "No module named 'echo'" in str(house.point("feed.problem"))
        await asyncio.sleep(0.05)
        assert house.made == 1
        await house.clock.advance(1.3)
        await until(lambda: house.made == 2)
        assert await house.give("feed.stop") == "Echo is switched off."


class Short(EchoFeed):
    """Ends by itself."""

    @override
    async def serve(self, ready: Callable[[str], None]) -> None:
        self.traffic.clients = 7
        ready("for a moment")


async def test_a_feed_that_ends_by_itself_is_started_again(house: House) -> None:
    house.make = lambda traffic: Short(house.world.context, traffic, 0)
    async with house.service():
        await until(lambda: house.holds("feed_failed"))
        assert house.point("feed.problem") == "Echo has ended by itself."
        assert house.point("feed.clients") == 0
        await house.clock.advance(1.3)
        await until(lambda: house.made == 2)


async def test_a_feed_that_fails_can_be_switched_off_meanwhile(house: House) -> None:
    house.make = lambda traffic: Broken(house.world.context, traffic, 0)
    async with house.service() as service:
        await until(lambda: house.holds("feed_failed"))
        assert await house.give("feed.stop") == "Echo is switched off."
        await until(lambda: house.holds("feed_failed") is False)
        assert (service.problem, house.point("feed.problem"), house.holds("feed_serving")) == (None, "", False)
        made = house.made
        await house.clock.advance(300)
        assert house.made == made


async def test_a_service_that_is_restarted_speaks_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, failures = type(house.world.context.facts), 1
    get = facts.get

    async def once(self: object, key: str) -> str | None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("the disk is away")
        return await get(self, key)  # type: ignore[arg-type]  # it is the store's own

    monkeypatch.setattr(facts, "get", once)
    service = Service(
        "echo", "Echo", house.make, house.world.context, house.world.commands, ID, enabled=True, granted=True
    )
    async with Supervisor(house.clock) as supervisor:
        supervisor.start("echo", service.run)
        await until(lambda: supervisor.restarts.get("echo") == 1)
        assert ID not in house.world.site.devices
        await house.clock.advance(1)
        await house.until_serving()
        assert house.point("feed.address") == f"127.0.0.1:{house.port}"
        assert await house.give("feed.stop") == "Echo is switched off."


# Counting, testing, ending


async def test_counters_are_published_each_ten_seconds(house: House) -> None:
    async with house.service() as service:
        await house.until_serving()
        assert await house.echo("one") == "one"
        service.traffic.errors += 3
        assert (house.point("feed.requests"), house.point("feed.errors")) == (0, 0)
        await house.clock.advance(PUBLISH - 0.1)
        assert house.point("feed.requests") == 0
        await house.clock.advance(0.1)
        assert (house.point("feed.requests"), house.point("feed.errors")) == (1, 3)
        revision = house.world.site.revision
        await house.clock.advance(10 * PUBLISH)
        assert house.world.site.revision == revision, "what has not changed makes no change"


async def test_counters_go_on_when_it_is_switched_off_and_on(house: House) -> None:
    async with house.service():
        await house.until_serving()
        await house.echo("one")
        await house.give("feed.stop")
        await house.until_serving(serving=False)
        assert (house.point("feed.requests"), house.point("feed.clients")) == (1, 0)
        await house.give("feed.start")
        await house.until_serving()
        await house.echo("two")
        await house.clock.advance(PUBLISH)
        assert house.point("feed.requests") == 2


async def test_a_test_is_sent_by_what_serves(house: House) -> None:
    async with house.service() as service:
        await house.until_serving()
        assert await house.give("feed.test") == "A line was sent."
        await service.switch(on=False)
        await house.until_serving(serving=False)
        with pytest.raises(CommandError) as offline:
            await house.give("feed.test")
        assert offline.value.code == "offline"


async def test_what_cannot_be_tested_does_not_offer_it(house: House) -> None:
    async with house.service(testable=False):
        await house.until_serving()
        with pytest.raises(CommandError) as refused:
            await house.give("feed.test")
        assert refused.value.code == "not_granted"
    feed = Broken(house.world.context, Traffic(), 0)
    with pytest.raises(CommandError, match="echo has nothing to send"):
        await Feed.test(feed)


async def test_at_its_end_nothing_is_left_of_it(house: House) -> None:
    async with house.service():
        await house.until_serving()
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"held open\n")
        assert await reader.readline() == b"held open\n"
    assert ID not in house.world.site.devices
    assert await house.closed()
    with pytest.raises(CommandError) as gone:
        await house.give("feed.start")
    assert gone.value.code == "unknown_device"
    writer.close()

"""The feeds of the bridge: started, changed and ended as the configuration says, and switched by people."""

import asyncio
from collections.abc import AsyncIterator, Callable
import logging
from pathlib import Path

import pytest

from ridethrough.assembly import feeds as assembly
from ridethrough.assembly.feeds import Feeds, Kind
from ridethrough.catalogue import Role
from ridethrough.config.feeds import FeedsConfig, ModbusConfig, NutConfig
from ridethrough.events.orders import Order
from ridethrough.feeds import Client
from ridethrough.site import CommandError, DeviceId
from tests.bridge.api.harness import Raw
from tests.bridge.feeds.rig import World, a_world, free_port
from tests.bridge.links.peers import SerialPeer

from . import echoes
from .conftest import House, Person

ECHOES = Kind("tests.bridge.assembly.echoes", testable=True)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sections modbus and nut start a tiny feed."""
    monkeypatch.setattr(assembly, "KINDS", {"modbus": ECHOES, "nut": Kind(ECHOES.module)})
    monkeypatch.setattr(echoes, "made", [])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Make a bridge without devices."""
    async with a_world(tmp_path) as made:
        yield made


@pytest.fixture
async def feeds(world: World) -> AsyncIterator[Feeds]:
    """Make a bridge's feeds, none yet."""
    made = Feeds(world.context, world.commands, DeviceId)
    yield made
    await made.stop()


async def until(happened: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.005)


def serving(world: World) -> list[str]:
    """Name the feeds that serve."""
    return [
        device.name
        for device in world.site.devices.values()
        if device.kind == "feed"
        and (state := world.site.conditions(device.id).get("feed_serving")) is not None
        and state.active
    ]


async def answers(port: int) -> bool:
    """Tell whether a feed serves there."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"hello\n")
        return await asyncio.wait_for(reader.readline(), 5) == b"hello\n"
    except OSError:
        return False
    finally:
        writer.close()


async def test_feeds_are_as_the_configuration_says(world: World, feeds: Feeds) -> None:
    modbus, nut = ModbusConfig(enabled=True, port=free_port()), NutConfig(port=free_port())
    assert await feeds.configure(FeedsConfig()) == []
    assert await feeds.configure(FeedsConfig(modbus=modbus, nut=nut)) == ["modbus", "nut"]
    await until(lambda: serving(world) == ["Modbus"])
    assert await answers(modbus.port)
    assert not await answers(nut.port)
    assert [(service.name, service.on) for service in feeds] == [("modbus", True), ("nut", False)]


async def test_what_the_configuration_has_not_changed_goes_on(world: World, feeds: Feeds) -> None:
    modbus, nut = ModbusConfig(enabled=True, port=free_port()), NutConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus, nut=nut))
    await until(lambda: len(serving(world)) == 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", modbus.port)
    other = NutConfig(enabled=True, port=free_port())
    same = ModbusConfig(enabled=True, port=modbus.port)
    assert await feeds.configure(FeedsConfig(modbus=same, nut=other)) == ["nut"]
    await until(lambda: len(serving(world)) == 2)
    assert await answers(other.port)
    assert not await answers(nut.port)
    # The connection has lived through it.
    writer.write(b"still\n")
    assert await asyncio.wait_for(reader.readline(), 5) == b"still\n"
    writer.close()
    assert [echoes.made.count(config) for config in (modbus, nut, other)] == [1, 1, 1]
    assert await feeds.configure(FeedsConfig(modbus=same, nut=other)) == []


async def test_what_the_configuration_no_longer_has_is_gone(world: World, feeds: Feeds) -> None:
    modbus = ModbusConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus))
    await until(lambda: serving(world) == ["Modbus"])
    assert await feeds.configure(FeedsConfig()) == ["modbus"]
    assert not await answers(modbus.port)
    assert [device.kind for device in world.site.devices.values()] == ["bridge"]
    # And it can come back, on the same port and with the same identity.
    await feeds.configure(FeedsConfig(modbus=modbus))
    await until(lambda: serving(world) == ["Modbus"])
    assert await answers(modbus.port)
    assert world.context.directory.find("bridge/feed-modbus") is not None


async def test_nothing_stays_raised_of_a_feed_that_is_gone(world: World, feeds: Feeds) -> None:
    modbus = ModbusConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus))
    await until(lambda: serving(world) == ["Modbus"])
    await feeds.configure(FeedsConfig())

    async def raised() -> set[str]:
        return {event.key for event in await world.store.journal.raised()}

    async with asyncio.timeout(10):
        while await raised():
            await asyncio.sleep(0.01)
    # One that is only made anew, or ends with the bridge, is still enabled.
    await feeds.configure(FeedsConfig(modbus=modbus))
    await until(lambda: serving(world) == ["Modbus"])
    await feeds.stop()
    async with asyncio.timeout(10):
        while await raised() != {"feed_enabled"}:
            await asyncio.sleep(0.01)


async def test_a_grant_makes_the_feeds_anew_with_their_commands(world: World, feeds: Feeds) -> None:
    modbus = ModbusConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus))
    stop = Order(DeviceId("bridge/feed-modbus"), "feed.stop")
    with pytest.raises(CommandError, match="does not grant it"):
        await world.context.orders.give(stop, Client("Ada"))
    granted = FeedsConfig(modbus=modbus, nut=NutConfig(port=free_port()), allow=frozenset({"feed"}))
    assert await feeds.configure(granted) == ["modbus", "nut"]
    offered = {service.name: service.device.commands for service in feeds}
    # Only what can be tested offers it.
    assert offered == {
        "modbus": {"feed.start", "feed.stop", "feed.test"},
        "nut": {"feed.start", "feed.stop"},
    }
    assert (await world.context.orders.give(stop, Client("Ada"))).message == "Modbus is switched off."


async def test_what_a_person_has_switched_stays_so_while_the_configuration_says_the_same(
    world: World, feeds: Feeds
) -> None:
    port = free_port()
    await feeds.configure(FeedsConfig(modbus=ModbusConfig(enabled=True, port=port)))
    await until(lambda: serving(world))
    (service,) = feeds
    await service.switch(on=False)
    await until(lambda: not serving(world))
    # Something else has changed about it.
    await feeds.configure(FeedsConfig(modbus=ModbusConfig(enabled=True, port=port, connections=5)))
    (service,) = feeds
    await until(lambda: "feed_enabled" in world.site.conditions(service.device.id))
    assert service.on is False
    # What it is to do has changed.
    await feeds.configure(FeedsConfig(modbus=ModbusConfig(enabled=False, port=port)))
    await feeds.configure(FeedsConfig(modbus=ModbusConfig(enabled=True, port=port)))
    (service,) = feeds
    assert service.on is True


async def test_a_feed_whose_library_is_missing_says_so_and_harms_nobody(
    world: World, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(assembly.KINDS, "nut", Kind("tests.bridge.assembly.nowhere"))
    modbus = ModbusConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus, nut=NutConfig(enabled=True)))
    await until(lambda: serving(world) == ["Modbus"])
    nut = next(service for service in feeds if service.name == "nut")
    await until(lambda: nut.problem is not None)
    assert "nowhere" in str(nut.problem)
    assert await answers(modbus.port)


async def test_at_the_end_no_feed_is_left(world: World, feeds: Feeds) -> None:
    modbus = ModbusConfig(enabled=True, port=free_port())
    await feeds.configure(FeedsConfig(modbus=modbus, nut=NutConfig(port=free_port())))
    await until(lambda: serving(world))
    await feeds.stop()
    assert list(feeds) == []
    assert not await answers(modbus.port)
    assert [device.kind for device in world.site.devices.values()] == ["bridge"]


# In a whole bridge


def feed(person: Person, name: str) -> str | None:
    """Find the identity of a feed in what the bridge tells."""
    return person.key(f"bridge/feed-{name}")


async def give(person: Person, name: str, command: str) -> Raw:
    """Have a person give a command to a feed, and return the whole answer."""
    await person.command(1, command, feed(person, name) or "")
    while (said := await person.receive())["type"] != "result":
        pass
    return said


async def test_a_bridge_tells_its_feeds_and_switches_them(house: House, lines: tuple[SerialPeer, SerialPeer]) -> None:
    port = free_port()
    text = house.file.read_text()
    house.file.write_text(f"{text}feeds:\n  allow: feed\n  nut:\n    enabled: yes\n    port: {port}\n")
    async with house.running(), house.person() as person:
        await person.subscribe(0)
        async with asyncio.timeout(10):
            while not person.point("bridge/feed-nut", "feed.address").get("value"):
                await person.receive()
        assert await answers(port)
        device = person.devices[feed(person, "nut") or ""]
        assert (device["kind"], device["name"]) == ("feed", "NUT server")
        assert device["parent"] == person.key("bridge")
        result = await give(person, "nut", "feed.stop")
        assert result["ok"], result
        async with asyncio.timeout(10):
            while await answers(port):
                await asyncio.sleep(0.01)
    # It was switched off, and still is after a restart.
    async with house.running(), house.person(Role.ENGINEER) as person:
        await person.subscribe(0)
        await person.until(lambda: "feed_enabled" in person.conditions.get(feed(person, "nut") or "", {}))
        assert not person.conditions[feed(person, "nut") or ""]["feed_enabled"]["active"]
        assert not await answers(port)
        result = await give(person, "nut", "feed.start")
        assert result["error"]["code"] == "forbidden"


async def test_the_file_is_read_again_and_feeds_follow(
    house: House, lines: tuple[SerialPeer, SerialPeer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = free_port(), free_port()
    text = house.file.read_text()
    modbus = f"  modbus:\n    enabled: yes\n    port: {first}\n"
    house.file.write_text(f"{text}feeds:\n{modbus}")
    async with house.running():
        async with asyncio.timeout(10):
            while not await answers(first):
                await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", first)
        house.file.write_text(f"{text}feeds:\n{modbus}  nut:\n    enabled: yes\n    port: {second}\n")
        house.reread.set()
        async with asyncio.timeout(10):
            while not await answers(second):
                await asyncio.sleep(0.01)
        assert "Feeds that are new, other or gone: nut" in caplog.text
        writer.write(b"still\n")
        assert await asyncio.wait_for(reader.readline(), 5) == b"still\n"
        writer.close()
        # A file with a mistake changes nothing.
        house.file.write_text(f"{text}feeds:\n  modbus:\n    port: x\n")
        house.reread.set()
        await until(lambda: "is not taken over" in caplog.text)
        assert await answers(first)
        house.file.write_text(text)
        house.reread.set()
        async with asyncio.timeout(10):
            while await answers(first) or await answers(second):
                await asyncio.sleep(0.01)

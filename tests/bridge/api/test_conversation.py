"""From the hello to the snapshot, and everything a client can say wrongly on the way."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from .harness import BRIDGE, LIMITS, UPS, World, running

AUTH = {"type": "auth", "token": "guest", "api": 1}


async def test_bridge_says_first_who_it_is(world: World) -> None:
    async with world.connect() as client:
        hello = await client.receive("hello")
    assert hello["bridge"] == {"id": BRIDGE.id, "name": "Server room", "version": "0.1.0"}
    assert hello["api"] == {"min": 1, "max": 1}


async def test_hello_has_the_name_that_the_bridge_has_now(world: World) -> None:
    world.site.put(replace(BRIDGE, name="Basement"))
    async with world.connect() as client:
        assert (await client.receive("hello"))["bridge"]["name"] == "Basement"


@pytest.mark.parametrize("role", ["guest", "customer", "engineer", "admin"])
async def test_ready_tells_the_role_of_the_token(world: World, role: str) -> None:
    async with world.connect() as client:
        assert (await client.authenticate(role))["role"] == role


async def test_snapshot_is_everything_at_one_revision(world: World) -> None:
    async with world.subscriber(token="guest") as client:
        assert client.view() == world.truth()
        assert client.revision == world.site.revision
        device = client.devices[UPS.id]
        assert device["parent"] == BRIDGE.id
        assert device["commands"] == sorted(UPS.commands)
        reading = client.points[UPS.id]["battery.charge"]
        measured = world.site.reading(UPS.id, "battery.charge")
        assert measured is not None
        assert reading == {
            "value": 100.0, "quality": "good", "source": "measured", "at": measured.measured_at.timestamp()
        }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "auth", "token": "wrong", "api": 1}, 4401),
        ({"type": "auth", "token": "", "api": 1}, 4401),
        ({"type": "auth", "api": 1}, 4401),
        ({"type": "auth", "token": None, "api": 1}, 4401),
        ({"type": "auth", "token": "x" * 513, "api": 1}, 4401),
        ({"type": "auth", "token": "guest", "api": 2}, 4406),
        ({"type": "auth", "proof": "of the future", "api": 2}, 4406),
        ({"type": "auth", "token": "guest"}, 4400),
        ({"type": "auth", "token": "guest", "api": "1"}, 4400),
        ({"type": "auth", "token": "guest", "api": True}, 4400),
        ({"type": "auth", "token": "guest", "api": 1, "more": 1}, 4400),
        ({"type": "subscribe", "events_after": None}, 4400),
        ({"type": "command", "id": 1, "device": "d", "command": "c", "arguments": {}}, 4400),
    ],
)
async def test_wrong_first_message_ends_the_conversation_with_its_code(
    world: World, message: dict[str, Any], code: int
) -> None:
    async with world.connect() as client:
        await client.receive("hello")
        await client.socket.send_json(message)
        assert await client.close_code() == code


GARBAGE: list[str | bytes] = [
    "",
    "{",
    "null",
    "[]",
    "1",
    '"auth"',
    "{}",
    '{"type":null}',
    '{"type":"hello"}',
    '{"type":["auth"]}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","events_after":-1}',
    '{"type":"subscribe","events_after":1.5}',
    '{"type":"subscribe","events_after":true}',
    '{"type":"subscribe","events_after":"1"}',
    '{"type":"subscribe","events_after":99999999999999999999}',
    '{"type":"subscribe","events_after":9007199254740992}',
    '{"type":"subscribe","events_after":null,"more":1}',
    '{"type":"subscribe","events_after":NaN}',
    '{"type":"command","id":1,"device":"d","command":"c"}',
    '{"type":"command","id":-1,"device":"d","command":"c","arguments":{}}',
    '{"type":"command","id":1,"device":"","command":"c","arguments":{}}',
    '{"type":"command","id":1,"device":1,"command":"c","arguments":{}}',
    '{"type":"command","id":1,"device":"d","command":null,"arguments":{}}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":[]}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":{"a":null}}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":{"a":{}}}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":{"":1}}',
    '{"type":"command","id":1,"device":"d","command":"\\ud800","arguments":{}}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":{"a":1e999}}',
    '{"type":"command","id":1,"device":"' + "d" * 129 + '","command":"c","arguments":{}}',
    '{"type":"command","id":1,"device":"d","command":"c","arguments":{"a":"' + "x" * 1025 + '"}}',
    orjson.dumps(
        {"type": "command", "id": 1, "device": "d", "command": "c", "arguments": {str(n): n for n in range(17)}}
    ).decode(),
    "[" * 30_000,
    '{"type":' * 5_000,
    '{"a":' + "[" * 20_000 + "]" * 20_000 + "}",
    '{"type":"auth","token":"guest","api":1}',
    '{"type":"auth","api":1}',
    b'{"type":"subscribe","events_after":null}',
    b"\x00\xff",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_what_is_no_message_ends_the_conversation_and_costs_nobody_else_anything(
    world: World, garbage: str | bytes
) -> None:
    async with world.subscriber() as other, world.client("guest") as client:
        if isinstance(garbage, str):
            await client.socket.send_str(garbage)
        else:
            await client.socket.send_bytes(garbage)
        assert await client.close_code() == 4400
        world.lane.post({"battery.charge": 50.0})
        await other.receive("delta")
        assert other.view() == world.truth()


async def test_message_beyond_64_kib_is_not_read_to_its_end(world: World) -> None:
    async with world.client() as client:
        await client.socket.send_str('{"type":"' + "x" * 70_000 + '"}')
        assert await client.close_code() == 1009


async def test_text_that_is_not_utf_8_ends_the_conversation(world: World) -> None:
    async with world.client() as client:
        await client.socket.send_frame(b'{"type":"subscribe","events_after":\xff}', 1)  # type: ignore[arg-type]  # text
        assert await client.close_code() == 4400


async def test_client_that_shows_no_token_in_time_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, auth=0.05)) as world, world.connect() as client:
        await client.receive("hello")
        assert await client.close_code() == 4408


async def test_client_that_shows_its_token_may_be_quiet_from_then_on(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, auth=0.05)) as world, world.client() as client:
        await asyncio.sleep(0.1)
        await client.subscribe()
        assert client.view() == world.truth()


async def test_flood_of_subscriptions_is_answered_at_the_speed_the_client_reads(world: World) -> None:
    world.fill(50)
    async with world.subscriber() as other, world.client() as client:
        for _ in range(500):
            await client.send({"type": "subscribe", "events_after": None})
        world.lane.post({"battery.charge": 1.0})
        await other.until(lambda: other.view() == world.truth())
        await client.until(lambda: client.view() == world.truth())


async def test_failing_token_store_is_the_bridges_fault_and_is_said_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.tokens.valid = None  # type: ignore[assignment]  # broken
    async with world.connect() as client:
        await client.receive("hello")
        await client.send(AUTH)
        assert await client.close_code() == 1011
    assert "in a way nobody foresaw" in caplog.text


async def test_client_that_vanishes_is_forgotten(world: World) -> None:
    async with world.subscriber() as client:
        assert world.server._roster.clients == 1
        transport = client.socket._response.connection.transport  # type: ignore[union-attr]
        transport.abort()  # type: ignore[union-attr]
        async with asyncio.timeout(5):
            while world.server._roster.clients:
                await asyncio.sleep(0)
    world.lane.post({"battery.charge": 1.0})
    assert not world.server._broadcast._outboxes

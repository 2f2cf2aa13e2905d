"""Who is let in: tokens, roles that change, browsers, crowds."""

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from ridethrough.api.gate import Gate, same_origin
from ridethrough.api.limits import Limits
from ridethrough.catalogue import Role
from ridethrough.clock import ManualClock, settle

from .harness import LIMITS, World, running


async def try_token(world: World, token: str) -> int | None:
    """Show a token; None if it is good, else the code that the bridge hangs up with."""
    async with world.connect() as client:
        await client.receive("hello")
        await client.send({"type": "auth", "token": token, "api": 1})
        try:
            await client.receive("ready")
        except AssertionError:
            return client.socket.close_code
        return None


async def test_guessing_tokens_is_answered_less_often(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    async with running(tmp_path, limits=replace(LIMITS, failures=3), clock=clock) as world, world.client() as inside:
        for _ in range(3):
            assert await try_token(world, "guess") == 4401
        assert await try_token(world, "guess") == 1013
        async with world.session.get(f"{world.url}/events.csv", headers={"Authorization": "Bearer guess"}) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "6"
        await inside.subscribe()
        clock.tick(6.0)
        assert await try_token(world, "guess") == 4401
    assert caplog.text.count("has shown a wrong token") == 4
    assert "guess" not in caplog.text


async def test_good_token_passes_while_wrong_ones_come_from_its_address(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, failures=2), clock=ManualClock()) as world:
        async with world.connect() as waiting:
            for _ in range(2):
                await try_token(world, "guess")
            await waiting.receive("hello")
            await waiting.send({"type": "auth", "token": "admin", "api": 1})
            await waiting.receive("ready")
        assert await try_token(world, "guess") == 1013
        assert await try_token(world, "admin") is None
        async with world.session.get(f"{world.url}/events.csv", headers={"Authorization": "Bearer admin"}) as response:
            assert response.status == 200


def test_failures_are_forgotten_one_by_one() -> None:
    clock = ManualClock()
    gate = Gate(clock, Limits(failures=2, failure_every=6.0))
    gate.failed("192.0.2.1")
    assert gate.wait("192.0.2.1") == 0
    gate.failed("192.0.2.1")
    assert gate.wait("192.0.2.1") == 6.0
    clock.tick(6.0)
    assert gate.wait("192.0.2.1") == 0
    gate.failed("192.0.2.1")
    assert gate.wait("192.0.2.1") == 6.0
    clock.tick(60.0)
    gate.failed("192.0.2.2")
    assert list(gate._debts) == ["192.0.2.2"]


def test_memory_of_failures_is_bounded() -> None:
    gate = Gate(ManualClock(), Limits(addresses=100))
    for number in range(10_000):
        gate.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(gate._debts) == 100


def test_ipv6_addresses_of_one_owner_are_one() -> None:
    gate = Gate(ManualClock(), Limits(failures=1))
    gate.failed("2001:db8::1")
    assert gate.wait("2001:db8::ffff") > 0
    assert gate.wait("2001:db8:0:1::1") == 0
    gate.failed("::ffff:192.0.2.1")
    gate.failed("fe80::1%eth0")
    gate.failed("somewhere")
    assert list(gate._debts) == ["2001:db8::", "192.0.2.1", "fe80::", "somewhere"]


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "same"),
    [
        (None, "bridge:8480", "http", True),
        ("http://bridge:8480", "bridge:8480", "http", True),
        ("http://BRIDGE:8480", "bridge:8480", "http", True),
        ("https://bridge", "bridge:443", "https", True),
        ("http://[::1]:8480", "[::1]:8480", "http", True),
        ("http://bridge", "bridge:8480", "http", False),
        ("https://bridge:8480", "bridge:8480", "http", False),
        ("http://evil.example", "bridge:8480", "http", False),
        ("null", "bridge:8480", "http", False),
        ("", "bridge:8480", "http", False),
        ("file://", "bridge:8480", "http", False),
        ("http://bridge:x", "bridge:8480", "http", False),
        ("http://[bridge", "bridge:8480", "http", False),
    ],
)
def test_origin_must_be_ours(origin: str | None, host: str, scheme: str, same: bool) -> None:
    assert same_origin(origin, host, scheme) is same


async def test_pages_of_other_origins_cannot_connect(world: World) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with world.connect(headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.status == 403
    async with world.client(headers={"Origin": world.server.url}) as client:
        await client.subscribe()


async def test_revoked_token_ends_its_connections_and_no_others(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        running(tmp_path, clock=clock) as world,
        world.subscriber(token="guest") as revoked,
        world.subscriber(token="engineer") as other,
    ):
        del world.tokens.valid["guest"]
        await clock.advance(10.0)
        assert await revoked.close_code() == 4401
        await other.subscribe()


async def test_token_with_another_role_must_be_shown_again(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as world, world.subscriber(token="guest") as promoted:
        await clock.advance(10.0)
        await promoted.subscribe()
        world.tokens.valid["guest"] = replace(world.tokens.valid["guest"], role=Role.ADMIN)
        await clock.advance(10.0)
        assert await promoted.close_code() == 1013


async def test_strangers_that_only_occupy_places_keep_nobody_out(tmp_path: Path) -> None:
    async with (
        running(tmp_path, limits=replace(LIMITS, strangers=3)) as world,
        world.connect() as one,
        world.connect() as two,
        world.connect(),
    ):
        await one.receive("hello")
        async with world.subscriber() as client:
            assert await one.close_code() == 4408
            assert client.view() == world.truth()
        async with world.connect(), world.connect():
            assert await two.close_code() == 4408


async def test_more_clients_than_there_is_room_for_are_told_to_come_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, limits=replace(LIMITS, clients=2)) as world:
        async with world.client(), world.client():
            assert await try_token(world, "admin") == 1013
        async with asyncio.timeout(5):
            while world.server._roster.clients:
                await asyncio.sleep(0)
        assert await try_token(world, "admin") is None
    assert "There are 2 clients; 127.0.0.1 (the admin) must wait" in caplog.text


async def test_more_connections_than_there_is_room_for_are_closed_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, connections=5)) as world:
        async with world.subscriber() as client:
            held = [await asyncio.open_connection("127.0.0.1", world.server.port) for _ in range(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
            await client.subscribe()
            for _, held_writer in held:
                held_writer.close()
        await settle()
        async with asyncio.timeout(5):
            while world.server._connections:
                await asyncio.sleep(0)
        async with world.subscriber():
            pass


@pytest.mark.parametrize("said", [b"", b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_connection_that_never_finishes_a_request_is_closed(tmp_path: Path, said: bytes) -> None:
    async with running(tmp_path, limits=replace(LIMITS, idle=0.1)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
        writer.write(said)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()

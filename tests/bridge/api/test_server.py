"""Starting, stopping, and what a port that speaks HTTP must survive."""

import asyncio
from dataclasses import replace
import errno
import logging
from pathlib import Path
import socket
from unittest.mock import patch

import aiohttp
import pytest

from ridethrough.api import ApiStartError
from ridethrough.config.model import ApiConfig

from .harness import CONFIG, LIMITS, World, running


async def fault(world: World, config: ApiConfig) -> str:
    """Start another server that cannot; why it says it cannot."""
    with pytest.raises(ApiStartError) as caught:
        await world.make(config).start()
    return str(caught.value)


async def test_each_reason_not_to_listen_is_said_in_words(world: World) -> None:
    port = world.server.port
    observers = len(world.site._observers)
    assert await fault(world, ApiConfig(port=port)) == (
        f"Port {port} on 127.0.0.1 is in use; is the bridge running already? Else choose another api: port."
    )
    assert await fault(world, ApiConfig(listen="192.0.2.1", port=0)) == (
        "api: listen: 192.0.2.1 is no address of this computer."
    )
    loop = asyncio.get_running_loop()
    # Names are not looked up in tests.
    with patch.object(loop, "create_server", side_effect=socket.gaierror(socket.EAI_NONAME, "not known")):
        assert await fault(world, ApiConfig(listen="bridge.invalid", port=0)) == (
            "api: listen: bridge.invalid is no address of this computer and no name that it knows."
        )
    for number, said in (
        (errno.EACCES, "Port 80 needs privileges that the bridge does not have; choose one above 1023 as api: port."),
        (errno.ENFILE, "The API cannot listen on 127.0.0.1, port 80: no more files."),
    ):
        # Root may listen on any port, so the system's refusal is put in its mouth.
        with patch.object(loop, "create_server", side_effect=OSError(number, "no more files")):
            assert await fault(world, ApiConfig(port=80)) == said
    assert len(world.site._observers) == observers
    assert len(world.recorder.subscribers) == 1


async def test_stopping_says_goodbye_to_everyone_at_once(world: World) -> None:
    async with world.subscriber() as one, world.client() as two, world.connect() as stranger:
        loop = asyncio.get_running_loop()
        began = loop.time()
        stopping = asyncio.create_task(world.server.stop())
        assert [await client.close_code() for client in (one, two, stranger)] == [1001, 1001, 1001]
        await stopping
        assert loop.time() - began < 0.4
    with pytest.raises(aiohttp.ClientConnectorError):
        await world.session.get(f"{world.url}/health")
    assert world.recorder.subscribers == []
    await world.server.stop()


async def test_client_that_ignores_the_goodbye_does_not_hold_up_the_stop(world: World) -> None:
    async with world.subscriber() as client:
        client.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        loop = asyncio.get_running_loop()
        began = loop.time()
        await world.server.stop()
        assert loop.time() - began < 4 * LIMITS.farewell
        client.socket._response.connection.transport.abort()  # type: ignore[union-attr]


async def test_port_is_free_again_after_the_stop(world: World) -> None:
    async with world.subscriber():
        await world.server.stop()
    world.server = world.make(ApiConfig(port=world.server.port))
    await world.server.start()
    async with world.subscriber() as client:
        assert client.view() == world.truth()


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["tls", "nonsense", "version", "length", "long"],
)
async def test_what_is_no_http_is_refused_without_telling_what_runs_here(
    world: World, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(said)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"Server: Ridethrough\r\n" in answer
    assert b"aiohttp" not in answer
    assert b"Python" not in answer
    assert [row for row in caplog.records if row.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/api/v2/ws", 404), ("POST", "/api/v1/health", 405), ("GET", "/api/v1/ws", 400)],
)
async def test_no_answer_tells_what_runs_here(world: World, method: str, path: str, status: int) -> None:
    async with world.session.request(method, world.server.url + path) as response:
        assert response.status == status
        assert response.headers["Server"] == "Ridethrough"


async def test_fault_of_our_own_is_logged_and_answered_without_details(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.journal.last = None  # type: ignore[assignment]  # broken
    async with world.session.get(f"{world.url}/events.csv", headers={"Authorization": "Bearer admin"}) as response:
        assert response.status == 500
        assert await response.text() == "Internal Server Error\n"
        assert response.headers["Server"] == "Ridethrough"
    assert "A request from 127.0.0.1 failed" in caplog.text
    assert "TypeError" in caplog.text


async def test_ipv6_is_served(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this computer has no IPv6")
    async with running(tmp_path, replace(CONFIG, listen="::1")) as world:
        assert world.server.url == f"http://[::1]:{world.server.port}"
        async with world.subscriber() as client:
            assert client.view() == world.truth()


async def test_dead_connection_is_noticed_by_missing_pongs(tmp_path: Path) -> None:
    async with (
        running(tmp_path, limits=replace(LIMITS, heartbeat=0.1)) as world,
        world.session.ws_connect(f"{world.url}/ws", autoping=False) as alive,
    ):
        await alive.receive_str()
        assert (await alive.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        async with asyncio.timeout(5):
            while world.server._roster.strangers:
                await asyncio.sleep(0.01)

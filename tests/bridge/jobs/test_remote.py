"""Commands to another bridge, tried against the real API of a second one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
import hashlib
from pathlib import Path
import ssl
from typing import Any

from aiohttp import web
import orjson
import pytest

from ridethrough.config.actions import RemoteAction
from ridethrough.config.jobs import RemoteConfig
from ridethrough.config.tls import TlsConfig
from ridethrough.events.steps import Occasion
from ridethrough.jobs import Jobs
from ridethrough.site import CommandError, CommandResult, Value
from tests.bridge.api.harness import CONFIG, UPS, World, running
from tests.bridge.feeds.rig import free_port
from tests.bridge.feeds.syslog.certificates import Authority

from .rig import LIMITS, Shop, drop, hang, refused, tcp_peer

ACTION = RemoteAction(bridge="cellar", device="ups-1", command="test.battery.start", arguments={"duration": 15.0})


class Machine:
    """The UPS at the other bridge."""

    def __init__(self, world: World) -> None:
        self.done: list[tuple[str, Mapping[str, Value]]] = []
        self.error: CommandError | None = None
        world.commands.offer(UPS.id, self.perform)

    async def perform(self, command: str, arguments: Mapping[str, Value]) -> CommandResult:
        self.done.append((command, arguments))
        if self.error is not None:
            raise self.error
        return CommandResult("The battery is being tested.")


def jobs_for(shop: Shop, url: str, token: str = "engineer", fingerprint: str | None = None) -> Jobs:
    """Configure the other bridge."""
    return shop.configure(bridges=(RemoteConfig("cellar", url, token, fingerprint),))


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[World]:
    """Run another bridge."""
    async with running(tmp_path) as world:
        yield world


async def test_command_is_carried_out_at_the_other_bridge(shop: Shop, other: World) -> None:
    machine = Machine(other)
    said = await jobs_for(shop, other.server.url).perform(ACTION, Occasion("job:x"))
    assert said == "UPS 1 at the bridge cellar: The battery is being tested."
    assert machine.done == [("test.battery.start", {"duration": 15.0})]
    (noted,) = other.journal.events
    assert noted.details["actor"] == "the engineer"


async def test_site_of_many_devices_is_no_obstacle(shop: Shop, other: World) -> None:
    machine = Machine(other)
    other.fill(1000)
    await jobs_for(shop, f"{other.server.url}/").perform(ACTION, Occasion("job:x"))
    assert len(machine.done) == 1


async def test_refusal_of_the_other_bridge_is_told_in_its_words(shop: Shop, other: World) -> None:
    machine = Machine(other)
    jobs = jobs_for(shop, other.server.url, "guest")
    error = await refused(jobs.perform(ACTION, Occasion("job:x")))
    assert "UPS 1 at the bridge cellar: test.battery.start needs a token of the role engineer" in str(error)
    jobs = jobs_for(shop, other.server.url)
    error = await refused(jobs.perform(replace(ACTION, command="beeper.disable", arguments={}), Occasion("job:x")))
    assert "UPS 1 does not offer beeper.disable" in str(error)
    assert (machine.done, error.again) == ([], False)
    machine.error = CommandError("offline", "The cable is unplugged.")
    error = await refused(jobs.perform(ACTION, Occasion("job:x")))
    assert (str(error), error.again) == ("UPS 1 at the bridge cellar: The cable is unplugged.", True)


async def test_wrong_token_and_missing_device(shop: Shop, other: World) -> None:
    error = await refused(jobs_for(shop, other.server.url, "guess").perform(ACTION, Occasion("job:x")))
    assert str(error) == "the bridge cellar does not know the token: The token is wrong, revoked or expired."
    assert not error.again
    jobs = jobs_for(shop, other.server.url)
    error = await refused(jobs.perform(replace(ACTION, device="ups-9"), Occasion("job:x")))
    assert (str(error), error.again) == ("There is no device ups-9 at the bridge cellar at the moment.", True)
    error = await refused(jobs.perform(replace(ACTION, bridge="attic"), Occasion("job:x")))
    assert str(error) == "There is no bridge attic in the section bridges; there is cellar."


async def test_certificate_is_pinned_by_its_fingerprint(shop: Shop, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).certificate("bridge", "bridge.example", own=True)
    config = replace(CONFIG, tls=TlsConfig(certificate, key))
    digest = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    fingerprint = hashlib.sha256(digest).hexdigest()
    async with running(tmp_path, config) as world:
        machine = Machine(world)
        url = world.server.url.replace("http:", "https:")
        colons = ":".join(fingerprint[index : index + 2].upper() for index in range(0, 64, 2))
        await jobs_for(shop, url, fingerprint=fingerprint).perform(ACTION, Occasion("job:x"))
        await jobs_for(shop, url, fingerprint=colons).perform(ACTION, Occasion("job:x"))
        assert len(machine.done) == 2
        asked = world.tokens.asked
        wrong = jobs_for(shop, url, fingerprint="0" * 64)
        error = await refused(wrong.perform(ACTION, Occasion("job:x")))
        assert "is not the one that fingerprint: names" in str(error)
        assert fingerprint in str(error)
        error = await refused(jobs_for(shop, url).perform(ACTION, Occasion("job:x")))
        assert "The certificate of the bridge cellar is not trusted" in str(error)
        error = await refused(jobs_for(shop, url, fingerprint="12:34").perform(ACTION, Occasion("job:x")))
        assert "it has 64 hexadecimal digits" in str(error)
        error = await refused(jobs_for(shop, url, fingerprint="xyz").perform(ACTION, Occasion("job:x")))
        assert "it has 64 hexadecimal digits" in str(error)
        # Nobody else has seen the token.
        assert world.tokens.asked == asked


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("http://192.0.2.7:8480", "must not be sent in the clear", id="clear"),
        pytest.param("http://bridge.example:8480", "must not be sent in the clear", id="clear-name"),
        pytest.param("ftp://127.0.0.1", "must not be sent in the clear", id="scheme"),
        pytest.param("http://127.0.0.1:99999", "is no address of a bridge", id="port"),
        pytest.param("nonsense", "must not be sent in the clear", id="nonsense"),
    ],
)
async def test_token_is_not_sent_just_anywhere(shop: Shop, url: str, said: str) -> None:
    assert said in str(await refused(jobs_for(shop, url).perform(ACTION, Occasion("job:x"))))


async def test_bridge_that_is_not_there(shop: Shop) -> None:
    error = await refused(jobs_for(shop, f"http://127.0.0.1:{free_port()}").perform(ACTION, Occasion("job:x")))
    assert "the bridge cellar refuses the connection" in str(error)
    assert error.again
    shop.context = replace(shop.context, limits=replace(LIMITS, remote=0.3))
    for talk in (hang, drop):
        async with tcp_peer(talk) as port, asyncio.timeout(3):
            error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(ACTION, Occasion("job:x")))
        assert error.again
        assert "the bridge cellar" in str(error)


HELLO = {"type": "hello", "api": {"min": 1, "max": 1}, "bridge": {}}
READY = {"type": "ready", "role": "engineer"}
SNAPSHOT = {"type": "snapshot", "devices": [{"id": "u", "key": "ups-1", "name": "UPS"}, 7, {"key": "ups-1"}]}
type Said = list[Any]


@asynccontextmanager
async def liar(said: Said, then: Callable[[web.WebSocketResponse], Any] | None = None) -> AsyncIterator[int]:
    """Serve something that sounds like a bridge: says this, one after the other, without listening."""

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for one in said:
            if isinstance(one, bytes):
                await socket.send_bytes(one)
            else:
                await socket.send_str(one if isinstance(one, str) else orjson.dumps(one).decode())
        if then is not None:
            await then(socket)
        else:
            async for _ in socket:
                pass
        return socket

    app = web.Application()
    app.router.add_get("/api/v1/ws", talk)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("said", "complaint", "again"),
    [
        pytest.param(["nonsense"], "is no bridge: it says something else than hello", False, id="no-json"),
        pytest.param(["[1]"], "is no bridge: it says something else than hello", False, id="no-object"),
        pytest.param([{"type": "ready"}], "is no bridge: it says something else than hello", False, id="no-hello"),
        pytest.param([{"type": "hello", "api": {"min": 2, "max": 3}}], "does not speak version 1", False, id="newer"),
        pytest.param([{"type": "hello", "api": 7}], "does not speak version 1", False, id="no-version"),
        pytest.param([b"\x00"], "has ended the conversation", True, id="binary"),
        pytest.param([HELLO], "did not answer in time", True, id="silent"),
        pytest.param([HELLO, READY, SNAPSHOT | {"devices": 7}], "There is no device ups-1", True, id="no-devices"),
        pytest.param(
            [HELLO, READY, SNAPSHOT, {"type": "result", "id": 1, "ok": "yes"}],
            "UPS at the bridge cellar: refused without a reason",
            False,
            id="no-result",
        ),
        pytest.param(
            [HELLO, READY, SNAPSHOT, {"type": "result", "id": 9, "ok": True}, {"type": "event"}],
            "test.battery.start was sent and may have been carried out",
            False,
            id="result-of-another",
        ),
        pytest.param(["x" * (33 * 1024 * 1024)], "has ended the conversation", True, id="too-long"),
    ],
)
async def test_bridges_that_lie(shop: Shop, said: Said, complaint: str, again: bool) -> None:
    shop.context = replace(shop.context, limits=replace(LIMITS, remote=1.0))
    async with liar(said) as port, asyncio.timeout(5):
        error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(ACTION, Occasion("job:x")))
    assert complaint in str(error)
    assert error.again is again


async def test_bridge_that_does_not_let_go_after_the_result(shop: Shop) -> None:
    result = {"type": "result", "id": 1, "ok": True, "message": "Done."}
    over = asyncio.Event()

    async def stay(_: web.WebSocketResponse) -> None:
        await over.wait()

    async with liar([HELLO, READY, SNAPSHOT, result], stay) as port:
        said = await jobs_for(shop, f"http://127.0.0.1:{port}").perform(ACTION, Occasion("job:x"))
        over.set()
    assert said == "UPS at the bridge cellar: Done."


async def test_bridge_that_goes_after_the_command_may_have_carried_it_out(shop: Shop) -> None:
    async def leave(socket: web.WebSocketResponse) -> None:
        for _ in range(3):
            await socket.receive()
        await socket.close(code=1001, message=b"The bridge stops.")

    async with liar([HELLO, READY, SNAPSHOT], leave) as port:
        error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(ACTION, Occasion("job:x")))
    assert str(error) == (
        "the bridge cellar has ended the conversation: The bridge stops. "
        "The command was sent and may have been carried out."
    )
    assert not error.again

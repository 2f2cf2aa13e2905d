"""A whole bridge with two UPSes on serial lines, and somebody who configures it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ridethrough.assembly.service import serve
from ridethrough.catalogue import Role
from ridethrough.clock import Clock
from ridethrough.store import Store
from scripts.demonstration.feeds import free_port
from tests.bridge.api.harness import Client, Raw
from tests.bridge.links.peers import MEGATEC, SerialPeer
from tests.heartbeats import cancel_heartbeats

QUICK = "?dialect=megatec&patience=0.3&baud=115200"


@pytest.fixture(autouse=True)
async def aiohttp_heartbeats() -> AsyncIterator[None]:
    """Leave no heartbeat of a WebSocket behind."""
    yield
    cancel_heartbeats()


class Person(Client):
    """A client that asks for the configuration and waits for the answers."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(socket)
        self.asked = 0
        self.healed = 0
        self.ready: Raw = {}
        self.told: list[Raw] = []
        """Every event."""

    async def receive(self, kind: str | None = None) -> Raw:
        """Hear something, and keep events."""
        message = await super().receive(kind)
        if message["type"] == "event":
            self.told.append(message)
        return message

    async def ask(self, action: str, **arguments: Any) -> Raw:
        """Send a request and return the whole answer."""
        number = await self.begin(action, **arguments)
        while (said := await self.receive())["type"] != "configured" or said["id"] != number:
            pass
        return said

    async def begin(self, action: str, **arguments: Any) -> int:
        """Send a request."""
        self.asked += 1
        await self.send({"type": "configure", "id": self.asked, "action": action, "arguments": arguments})
        return self.asked

    async def data(self, action: str, **arguments: Any) -> Raw:
        """Send a request that must be granted."""
        said = await self.ask(action, **arguments)
        assert said["ok"], said
        data: Raw = said["data"]
        return data

    async def refusal(self, action: str, **arguments: Any) -> tuple[str, str | None, str]:
        """Send a request that must be refused; return code, field and message."""
        said = await self.ask(action, **arguments)
        assert not said["ok"], said
        return said["error"]["code"], said["error"].get("field"), said["error"]["message"]

    async def put(self, **device: Any) -> Raw:
        """Add or change a device at the present revision."""
        return await self.data("put", device=device, revision=(await self.data("list"))["revision"])

    def key(self, key: str) -> str | None:
        """Find the identity of a device in what the bridge tells."""
        return next((device["id"] for device in self.devices.values() if device["key"] == key), None)

    def point(self, key: str, point: str) -> Raw:
        """Return a reading of a device."""
        return self.points.get(self.key(key) or "", {}).get(point, {})

    async def until_value(self, key: str, point: str, holds: Callable[[Any], bool]) -> None:
        """Wait until a good value is so; subscribe anew after a gap, as clients do."""
        async with asyncio.timeout(20):
            while not (self.point(key, point).get("quality") == "good" and holds(self.point(key, point)["value"])):
                if self.gaps > self.healed:
                    self.healed = self.gaps
                    await self.subscribe()
                else:
                    await self.receive()


class House:
    """One folder with a configuration, and the bridge that runs by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.file = folder / "ridethrough.yaml"
        self.secrets = folder / "secrets.yaml"
        self.reread = asyncio.Event()
        self.tokens: dict[Role, str] = {}
        self._session = aiohttp.ClientSession()

    def write(self, ups: str, *, configure: bool = True) -> None:
        """Write a configuration with these devices."""
        self.file.write_text(
            f"name: Here  # we are\ndata: data\napi:\n  port: {self.port}\n"
            f"  configure: {'yes' if configure else 'no'}\nups:\n{ups}"
        )

    async def make_tokens(self) -> None:
        """Make a token of each role."""
        async with Store.open(self.folder / "data" / "ridethrough.db") as store:
            for role in Role:
                self.tokens[role] = await store.tokens.create(f"the {role}", role)

    @asynccontextmanager
    async def running(self, clock: Clock | None = None) -> AsyncIterator[None]:
        """Run the bridge in this process."""
        stop = asyncio.Event()
        bridge = asyncio.create_task(serve(self.file, stop, self.reread, clock))
        try:
            await self.until_answering(bridge)
            yield
        finally:
            stop.set()
            await bridge

    async def until_answering(self, bridge: asyncio.Future[Any] | None = None) -> None:
        """Wait until the API is there."""
        async with asyncio.timeout(30):
            while bridge is None or not bridge.done():
                try:
                    async with self._session.get(f"http://127.0.0.1:{self.port}/api/v1/health"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def person(self, role: Role = Role.ADMIN) -> AsyncIterator[Person]:
        """Connect."""
        async with self._session.ws_connect(f"http://127.0.0.1:{self.port}/api/v1/ws", max_msg_size=0) as socket:
            person = Person(socket)
            person.ready = await person.authenticate(self.tokens[role])
            yield person

    async def close(self) -> None:
        """End what the tests have opened."""
        await self._session.close()


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[tuple[SerialPeer, SerialPeer]]:
    """Put a UPS at the other end of each of two lines."""
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(SerialPeer(tmp_path, MEGATEC, "ttyA")),
            await stack.enter_async_context(SerialPeer(tmp_path, MEGATEC, "ttyB")),
        )


@pytest.fixture
async def house(tmp_path: Path, lines: tuple[SerialPeer, SerialPeer]) -> AsyncIterator[House]:
    """Prepare a bridge with a UPS called a on the first line; it does not run yet."""
    house = House(tmp_path)
    house.write(f"  # the first\n  - id: a\n    name: UPS A\n    link: megatec:{lines[0].path}{QUICK}\n")
    await house.make_tokens()
    yield house
    await house.close()


@pytest.fixture
async def bridge(house: House) -> AsyncIterator[House]:
    """Run it."""
    async with house.running():
        yield house


@pytest.fixture
async def admin(bridge: House) -> AsyncIterator[Person]:
    """Connect an admin that follows what happens."""
    async with bridge.person() as person:
        await person.subscribe(0)
        yield person

"""A NUT server on a free port, and a client that says exactly what a test wants it to say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from ridethrough.config.feeds import NutConfig, NutUser
from ridethrough.feeds import Traffic
from ridethrough.feeds.nut import make
from tests.bridge.feeds.rig import World, free_port

PATIENCE = 10.0
USERS = (
    NutUser("admin", "secret", upsmon="primary", allow=frozenset({"beeper", "test", "shutdown", "outlet"})),
    NutUser("monuser", "secret", upsmon="secondary"),
    NutUser("operator", "secret", allow=frozenset({"beeper"})),
)
ALL = frozenset({"beeper", "test", "shutdown", "load", "outlet"})


@dataclass
class Served:
    """A server that runs."""

    port: int
    traffic: Traffic
    place: str = ""

    def ups(self, name: str) -> str:
        """Name a UPS as NUT's clients do."""
        return f"{name}@127.0.0.1:{self.port}"

    @asynccontextmanager
    async def client(self, *, log_in: str | None = None) -> AsyncIterator[Dialer]:
        """Connect, and give a name and the password that all users have."""
        async with Dialer.open(self.port) as dialer:
            if log_in is not None:
                assert await dialer.ask(f"USERNAME {log_in}") == "OK"
                assert await dialer.ask("PASSWORD secret") == "OK"
            yield dialer


class Dialer:
    """A client on a bare socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `open`."""
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Self]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    def say(self, line: str) -> None:
        """Send a line."""
        self.writer.write(line.encode() + b"\n")

    async def hear(self) -> str:
        """Wait for a line; an empty one is the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readline()).decode().rstrip("\n")

    async def ask(self, line: str) -> str:
        """Send a line and return the one that answers it."""
        self.say(line)
        return await self.hear()

    async def list(self, query: str) -> list[str]:
        """Ask for a list and return its rows."""
        begin = await self.ask(f"LIST {query}")
        assert begin == f"BEGIN LIST {query}", begin
        rows = []
        while not (line := await self.hear()).startswith("END LIST"):
            rows.append(line)
        assert line == f"END LIST {query}"
        return rows

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def a_server(world: World, config: NutConfig | None = None, **changes: Any) -> AsyncIterator[Served]:
    """Serve a world."""
    config = replace(config or NutConfig(users=USERS, allow=ALL), port=free_port(), **changes)
    served = Served(config.port, Traffic())
    async with world.serving(lambda traffic: make(config, world.context, traffic), served.traffic) as place:
        served.place = place
        yield served


async def until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(patience):
        while not holds():
            await asyncio.sleep(0.005)

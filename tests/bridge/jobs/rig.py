"""A bridge as jobs see it: a real site, journal and orders, and peers that hear what is sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
import socket
from typing import Any

from ridethrough.catalogue import Severity
from ridethrough.config.actions import Attachment
from ridethrough.config.agents import AgentsConfig
from ridethrough.config.jobs import JobsConfig
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.jobs import JobContext, JobLimits, Jobs
from ridethrough.site import Device, DeviceId
from tests.bridge.feeds.rig import World

LIMITS = JobLimits(
    answer=1.0,
    mail=3.0,
    attach=0.3,
    datagram=2.0,
    wake_gap=0.01,
    webhook=1.0,
    remote=3.0,
    modem=0.6,
    network=1.0,
    sms=5.0,
    order=20.0,
    record=1.0,
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
type Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Drawer:
    """Attachments that tests put in."""

    def __init__(self) -> None:
        self.events: bytes = b"seq,event\r\n1,started\r\n"
        self.stuck = False

    async def make(self, kind: Attachment) -> tuple[str, bytes]:
        """Hand out the event log; the data log is never to be had."""
        if self.stuck:
            await asyncio.Event().wait()
        if kind == "data":
            raise OSError("the disk is gone")
        return "events.csv", self.events


def braces(text: str, occasion: Occasion) -> str:
    """Fill in the one placeholder that these tests use."""
    return text.replace("{event}", "n/a" if occasion.event is None else occasion.event.key)


class Shop:
    """A world with jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.drawer = Drawer()
        self.context = JobContext(
            site=world.site,
            orders=world.context.orders,
            recorder=world.recorder,
            clock=world.context.clock,
            bridge=world.context.bridge,
            config=JobsConfig(),
            agents=AgentsConfig(),
            version="0.1.0",
            render=braces,
            attachments=self.drawer,
            limits=LIMITS,
        )

    def configure(self, agents: AgentsConfig | None = None, limits: JobLimits | None = None, **jobs: Any) -> Jobs:
        """Make the jobs of this configuration."""
        self.context = replace(
            self.context,
            config=replace(self.context.config, **jobs),
            agents=agents or self.context.agents,
            limits=limits or self.context.limits,
        )
        return Jobs(self.context)

    async def journal(self, key: str) -> list[Event]:
        """Return the events of that key."""
        return [event for event in await self.world.store.journal.after(0) if event.key == key]


def happened(device: Device | None, key: str = "on_battery", *, seq: int = 17, **more: Any) -> Occasion:
    """Make the occasion of an event, as the engine does."""
    event = Event(
        NOW,
        EventKind.CONDITION,
        None if device is None else device.id,
        key,
        more.pop("edge", EdgeKind.RAISED),
        Severity.ALARM,
        seq=seq,
    )
    return Occasion("job:notify", event, **more)


def gone() -> Device:
    """Return a device that the site does not know."""
    return Device(DeviceId("gone"), "gone", "ups", "Gone")


async def refused(doing: Awaitable[str]) -> ActionError:
    """Wait for something that must not succeed, and return why."""
    try:
        said = await doing
    except ActionError as error:
        return error
    raise AssertionError(said)


@asynccontextmanager
async def tcp_peer(talk: Talk) -> AsyncIterator[int]:
    """Serve something on a port of its own."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except ConnectionError, asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class UdpPeer:
    """Hears datagrams."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self.port: int = self._socket.getsockname()[1]

    async def hear(self) -> bytes:
        """Return the next one."""
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 65536), 5)

    async def silent(self) -> bool:
        """Whether nothing has come."""
        await asyncio.sleep(0.05)
        try:
            self._socket.recv(65536)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Hear no longer."""
        self._socket.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(65536):
        pass


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up at once."""

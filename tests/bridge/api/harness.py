"""A bridge with a journal and tokens in memory, and a client that holds every message against the contract."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator
import orjson

from ridethrough.api import ApiServer, Limits, load_schema
from ridethrough.catalogue import Role, Severity, load_catalogue
from ridethrough.clock import Clock, SystemClock
from ridethrough.config.model import ApiConfig
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.site import Commands, Device, DeviceId, Lane, Memories, Site

type Raw = dict[str, Any]

SAYS = Draft202012Validator(load_schema("ServerMessage"))
HEARS = Draft202012Validator(load_schema("ClientMessage"))

BRIDGE = Device(DeviceId("b0000000-0000-4000-8000-000000000000"), "bridge", "bridge", "Server room")
UPS = Device(
    DeviceId("u0000000-0000-4000-8000-000000000001"),
    "ups-1",
    "ups",
    "UPS 1",
    parent=BRIDGE.id,
    commands=frozenset({"test.battery.start.quick", "test.battery.start", "beeper.toggle", "load.off"}),
)
POINTS = ("battery.charge", "battery.voltage", "battery.runtime", "input.voltage", "output.voltage", "ups.load")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

CONFIG = ApiConfig(port=0)
LIMITS = Limits(farewell=0.5, tick=0.005, record=0.2, confirm=0.05)


def ups(number: int) -> Device:
    """One of many."""
    return replace(UPS, id=DeviceId(f"ups-id-{number}"), key=f"ups-{number}", name=f"UPS {number}")


def event(key: str = "on_battery", **more: Any) -> Event:
    """Make an event that has not been recorded yet."""
    return Event(NOW, EventKind.CONDITION, UPS.id, key, EdgeKind.RAISED, Severity.WARNING, **more)


class MemoryJournal:
    """Events in a list; gives others a chance to run wherever a database would."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.broken = False
        self.writable = asyncio.Event()
        self.writable.set()
        self.reads = 0

    async def append(self, event: Event) -> Event:
        await asyncio.sleep(0)
        await self.writable.wait()
        if self.broken:
            raise JournalError("the disk is full")
        self.events.append(replace(event, seq=len(self.events) + 1))
        return self.events[-1]

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise JournalError("the disk is full")
        return self.events[seq : seq + limit]

    async def last(self) -> int:
        await asyncio.sleep(0)
        return len(self.events)


class MemoryRecorder:
    """Records one event after the other, then tells."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._lock = asyncio.Lock()
        self.subscribers: list[Callable[[Event], None]] = []

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    async def record(self, event: Event) -> Event:
        async with self._lock:
            event = await self._journal.append(event)
            # Between writing and telling, others run.
            await asyncio.sleep(0)
            for subscriber in list(self.subscribers):
                subscriber(event)
            return event


@dataclass(frozen=True)
class Token:
    id: str
    name: str
    role: Role


class MemoryTokens:
    """The secret of each role is its name."""

    def __init__(self) -> None:
        self.valid = {role.value: Token(f"id-{role}", f"the {role}", role) for role in Role}
        self.asked = 0

    async def verify(self, secret: str) -> Token | None:
        self.asked += 1
        return self.valid.get(secret)

    async def get(self, token_id: str) -> Token | None:
        return next((token for token in self.valid.values() if token.id == token_id), None)


class MemoryPending:
    """Notes of commands under way."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self.notes: dict[int, Event] = {}
        self.noted: list[Event] = []

    async def note(self, event: Event) -> int:
        await self._journal.writable.wait()
        if self._journal.broken:
            raise JournalError("the disk is full")
        self.noted.append(event)
        self.notes[len(self.noted)] = event
        return len(self.noted)

    async def forget(self, number: int) -> None:
        if self._journal.broken:
            raise JournalError("the disk is full")
        del self.notes[number]

    async def unfinished(self) -> list[Event]:
        return [replace(event, seq=number) for number, event in self.notes.items()]


class MemoryTraces:
    """Lines that tests put in."""

    def __init__(self) -> None:
        self.lines: dict[str, asyncio.Queue[str]] = {}
        self.listeners = 0

    def trace(self, device: str) -> Any:
        return self._listen(self.lines[device]) if device in self.lines else None

    @contextmanager
    def _listen(self, lines: asyncio.Queue[str]) -> Iterator[AsyncIterator[str]]:
        async def follow() -> AsyncIterator[str]:
            while True:
                yield await lines.get()

        self.listeners += 1
        try:
            yield follow()
        finally:
            self.listeners -= 1


class World:
    """Everything around the server."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.folder = folder
        self.site = Site(load_catalogue(), clock)
        self.commands = Commands(self.site)
        self.memories = Memories(self.site)
        self.journal = MemoryJournal()
        self.recorder = MemoryRecorder(self.journal)
        self.pending = MemoryPending(self.journal)
        self.tokens = MemoryTokens()
        self.traces = MemoryTraces()
        self.site.put(BRIDGE)
        self.site.put(UPS)
        self.lane: Lane = self.site.lane(UPS.id, 5.0)
        self.lane.post({"battery.charge": 100.0, "ups.mode": "line"}, {"on_battery": False})
        self.server: ApiServer
        self.session: aiohttp.ClientSession

    def make(self, config: ApiConfig = CONFIG, limits: Limits = LIMITS) -> ApiServer:
        """Make another server of the same site."""
        return ApiServer(
            config,
            self.site,
            self.commands,
            self.recorder,
            self.journal,
            self.tokens,
            self.clock,
            bridge=BRIDGE,
            pending=self.pending,
            version="0.1.0",
            data=self.folder,
            traces=self.traces,
            limits=limits,
            memories=self.memories,
            mibs=lambda: {"ONE-MIB.txt": "ONE-MIB DEFINITIONS ::= BEGIN\nEND\n"},
        )

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"{self.server.url}/api/v1"

    @asynccontextmanager
    async def connect(self, **options: Any) -> AsyncIterator[Client]:
        """Connect a client that has not said anything yet."""
        async with self.session.ws_connect(f"{self.url}/ws", max_msg_size=0, **options) as socket:
            yield Client(socket)

    @asynccontextmanager
    async def client(self, token: str = "admin", **options: Any) -> AsyncIterator[Client]:
        """Connect a client and show its token."""
        async with self.connect(**options) as client:
            await client.authenticate(token)
            yield client

    @asynccontextmanager
    async def subscriber(self, events_after: int | None = None, token: str = "admin") -> AsyncIterator[Client]:
        """Connect a client that has its snapshot."""
        async with self.client(token) as client:
            await client.subscribe(events_after)
            yield client

    def fill(self, count: int) -> list[Lane]:
        """Add so many UPSes with six points each."""
        lanes = []
        with self.site.transaction():
            for number in range(count):
                self.site.put(ups(number))
                lanes.append(self.site.lane(ups(number).id, None))
                lanes[-1].post(dict.fromkeys(POINTS, 0.5))
        return lanes

    def truth(self) -> Mapping[str, Any]:
        """Return what a client must see: values, conditions and names."""
        site = self.site
        return {
            device.id: {
                "name": device.name,
                "points": {key: (row.value, str(row.quality)) for key, row in site.readings(device.id).items()},
                "conditions": {key: (row.active, str(row.quality)) for key, row in site.conditions(device.id).items()},
            }
            for device in site.devices.values()
        }


@asynccontextmanager
async def running(
    folder: Path, config: ApiConfig = CONFIG, limits: Limits = LIMITS, clock: Clock | None = None
) -> AsyncIterator[World]:
    """Run a bridge's API until the end of the test."""
    world = World(folder, clock or SystemClock())
    world.server = world.make(config, limits)
    await world.server.start()
    async with aiohttp.ClientSession() as session:
        world.session = session
        try:
            yield world
        finally:
            await world.server.stop()


class Client:
    """Speaks the contract, follows the changes, and notices every gap."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.revision = -1
        self.seq = -1
        self.devices: dict[str, Raw] = {}
        self.points: dict[str, dict[str, Raw]] = {}
        self.conditions: dict[str, dict[str, Raw]] = {}
        self.events: list[int] = []
        self.deltas = 0
        self.gaps = 0

    async def send(self, message: Raw) -> None:
        """Say something that the contract knows."""
        HEARS.validate(message)
        await self.socket.send_str(orjson.dumps(message).decode())

    async def receive(self, kind: str | None = None) -> Raw:
        """Hear something; it must be of that type, if one is given."""
        async with asyncio.timeout(10):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        raw: Raw = orjson.loads(message.data)
        if len(message.data) < 50_000:
            SAYS.validate(raw)
        assert kind is None or raw["type"] == kind, raw
        self._apply(raw)
        return raw

    async def until(self, condition: Callable[[], bool]) -> None:
        """Hear on until the condition is met."""
        while not condition():
            await self.receive()

    async def close_code(self) -> int | None:
        """Hear on until the bridge hangs up."""
        async with asyncio.timeout(10):
            async for message in self.socket:
                self._apply(orjson.loads(message.data))
        return self.socket.close_code

    async def authenticate(self, token: str) -> Raw:
        """Say who we are."""
        await self.receive("hello")
        await self.send({"type": "auth", "token": token, "api": 1})
        return await self.receive("ready")

    async def subscribe(self, events_after: int | None = None) -> Raw:
        """Ask for everything, and hear on until the snapshot is there."""
        await self.send({"type": "subscribe", "events_after": events_after})
        while (raw := await self.receive())["type"] != "snapshot":
            pass
        return raw

    async def command(self, number: int, command: str, device: str = UPS.id, **arguments: Any) -> None:
        """Ask for something to be done."""
        await self.send({"type": "command", "id": number, "device": device, "command": command, "arguments": arguments})

    def view(self) -> Mapping[str, Any]:
        """Return what it sees; to be compared with `World.truth`."""
        return {
            key: {
                "name": device["name"],
                "points": {name: (row["value"], row["quality"]) for name, row in self.points.get(key, {}).items()},
                "conditions": {
                    name: (row["active"], row["quality"]) for name, row in self.conditions.get(key, {}).items()
                },
            }
            for key, device in self.devices.items()
        }

    def _apply(self, raw: Raw) -> None:
        match raw["type"]:
            case "snapshot":
                self.revision, self.seq = raw["revision"], raw["seq"]
                self.devices = {device["id"]: device for device in raw["devices"]}
                self.points, self.conditions = raw["points"], raw["conditions"]
            case "delta" if raw["since"] != self.revision:
                self.gaps += 1
            case "delta":
                self.deltas += 1
                self.revision = raw["revision"]
                for key, device in raw["devices"].items():
                    if device is None:
                        for table in (self.devices, self.points, self.conditions):
                            table.pop(key, None)
                    else:
                        self.devices[key] = device
                for mine, new in ((self.points, raw["points"]), (self.conditions, raw["conditions"])):
                    for key, rows in new.items():
                        mine.setdefault(key, {}).update(rows)
            case "event":
                self.events.append(raw["seq"])

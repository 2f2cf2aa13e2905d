"""A bridge as feeds see it: a real site, store, journal and orders, with devices that tests post to by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
import socket

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock, SystemClock
from ridethrough.events import Orders, Recorder
from ridethrough.feeds import Directory, Feed, FeedContext, Traffic
from ridethrough.site import Arguments, CommandResult, Commands, Device, DeviceId, Lane, Quality, Site, Value
from ridethrough.store import Store
from ridethrough.tasks import Supervisor

ON_MAINS: Mapping[str, Value] = {
    "ups.mfr": "Example",
    "ups.model": "UPS 3000",
    "ups.serial": "A1",
    "ups.firmware": "1.2",
    "ups.mode": "line",
    "ups.load": 30.0,
    "ups.power.nominal": 3000.0,
    "ups.temperature": 25.0,
    "battery.charge": 100.0,
    "battery.runtime": 1800.0,
    "battery.voltage": 54.6,
    "battery.status": "normal",
    "input.voltage": 230.0,
    "input.frequency": 50.0,
    "input.voltage.nominal": 230.0,
    "output.voltage": 229.0,
    "output.frequency": 50.0,
    "output.voltage.nominal": 230.0,
}
ALL_WELL: Mapping[str, bool] = {
    "output_active": True,
    "on_battery": False,
    "battery_low": False,
    "overload": False,
    "on_bypass": False,
    "communications_lost": False,
}


@dataclass
class World:
    """What a test holds in its hands."""

    context: FeedContext
    site: Site
    commands: Commands
    recorder: Recorder
    store: Store
    folder: Path
    lanes: dict[DeviceId, Lane] = field(default_factory=dict)
    given: list[tuple[DeviceId, str, dict[str, Value]]] = field(default_factory=list)
    """Commands that have reached a device."""

    def device(
        self, key: str, kind: str = "ups", *, parent: Device | None = None, commands: tuple[str, ...] = (), **facts: str
    ) -> Device:
        """Add a device, whose identity is its key, and which obeys these commands."""
        above = self.context.bridge if parent is None else parent
        device = Device(
            DeviceId(key), key, kind, facts.pop("name", key), parent=above.id, commands=frozenset(commands), **facts
        )
        self.site.put(device)
        self.lanes[device.id] = self.site.lane(device.id, None)

        async def perform(command: str, arguments: Arguments) -> CommandResult:
            self.given.append((device.id, command, dict(arguments)))
            return CommandResult(f"{command} was given.")

        self.commands.offer(device.id, perform)
        return device

    def ups(self, key: str = "ups-1", *, commands: tuple[str, ...] = ()) -> Device:
        """Add a one-phase UPS on mains."""
        device = self.device(key, commands=commands, manufacturer="Example", model="UPS 3000", serial="A1")
        self.post(device, dict(ON_MAINS), dict(ALL_WELL))
        return device

    def part(self, parent: Device, kind: str, number: str, *, commands: tuple[str, ...] = ()) -> Device:
        """Add a part of a device, as links do: `sensor` 1 of `ups-1` is `ups-1/sensor-1`."""
        return self.device(f"{parent.key}/{kind}-{number}", kind, parent=parent, commands=commands)

    def post(
        self,
        device: Device,
        points: Mapping[str, Value | None] | None = None,
        conditions: Mapping[str, bool] | None = None,
    ) -> None:
        """Let a device say something. What the catalogue rejects is an error of the test."""
        before = dict(self.site.rejected)
        self.lanes[device.id].post(points or {}, conditions or {})
        assert self.site.rejected == before, f"rejected: {self.site.rejected}"

    def lose(self, device: Device) -> None:
        """Let the link to a device be gone: all its values are lost."""
        self.lanes[device.id].lost()
        lane = self.site.lane(device.id, None)
        lane.post(conditions={"communications_lost": True})
        assert self.site.conditions(device.id)["communications_lost"].quality is Quality.GOOD

    def rename(self, device: Device, name: str) -> None:
        """Give a device another name."""
        self.site.put(replace(self.site.devices[device.id], name=name))

    @asynccontextmanager
    async def serving(self, make: Callable[[Traffic], Feed], traffic: Traffic | None = None) -> AsyncIterator[str]:
        """Run a feed; gives where it serves, as it says itself."""
        feed = make(traffic or Traffic())
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(feed.serve(lambda place: None if ready.done() else ready.set_result(place)))
        try:
            await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED, timeout=20)
            if task.done():
                await task
            yield await asyncio.wait_for(ready, 1)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ready.cancel()


@asynccontextmanager
async def a_world(folder: Path, clock: Clock | None = None) -> AsyncIterator[World]:
    """Make a bridge without devices, whose journal is being written."""
    clock = clock or SystemClock()
    async with Store.open(folder / "ridethrough.db", clock) as store, Supervisor(clock) as supervisor:
        site = Site(load_catalogue(), clock)
        bridge = Device(store.identities.bridge_id, "bridge", "bridge", "Test bridge", model="Ridethrough")
        site.put(bridge)
        recorder = Recorder(site, store.journal, clock)
        supervisor.start("recorder", recorder.run)
        commands = Commands(site)
        orders = Orders(site, commands, recorder, clock, pending=store.pending)
        context = FeedContext(
            site=site,
            directory=Directory(site),
            orders=orders,
            events=recorder,
            clock=clock,
            numbers=store.numbers,
            facts=store.facts,
            bridge=bridge,
            version="0.1.0",
            data=folder,
        )
        try:
            yield World(context, site, commands, recorder, store, folder)
        finally:
            await orders.stop(1.0)
            await supervisor.stop()
            await recorder.close()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Find a port that nobody uses at the moment."""
    with closing(socket.socket(socket.AF_INET, kind)) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

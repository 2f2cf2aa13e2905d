"""A bridge that serves BACnet/IP on loopback, and a client of another code base."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
import socket
from typing import Any

from bac_py import Client, DeviceConfig
from bac_py.app.client import decode_cov_values
from bac_py.network.address import parse_address
from bac_py.services.read_property_multiple import PropertyReference, ReadAccessSpecification
from bac_py.types.enums import PropertyIdentifier
from bac_py.types.parsing import parse_object_identifier

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds import Traffic
from ridethrough.feeds.bacnet import make
from tests.bridge.feeds.rig import World, free_port

DEVICE = 4711


def config(**changes: Any) -> BacnetConfig:
    """Give a configuration that listens on a free port of loopback."""
    port = changes.pop("port", None) or free_port(socket.SOCK_DGRAM)
    made = BacnetConfig(enabled=True, listen="127.0.0.1", port=port, device_id=DEVICE)
    return replace(made, **changes)


@dataclass
class Stranger:
    """A client of another code base, and what it has been told."""

    client: Client
    server: str
    told: list[tuple[Any, dict[str, object]]] = field(default_factory=list)

    def hear(self, notification: Any, _source: Any) -> None:
        """Keep a notification."""
        self.told.append((notification, decode_cov_values(notification)))

    async def read(self, which: str, what: str) -> Any:
        """Read a property."""
        return await self.client.read(self.server, which, what)

    async def everything(self, which: str) -> dict[str, bytes]:
        """Read all properties of an object, as they are on the wire: bac-py cannot decode stamps among others."""
        wanted = ReadAccessSpecification(parse_object_identifier(which), [PropertyReference(PropertyIdentifier.ALL)])
        answer = await self.client.read_property_multiple(parse_address(self.server), [wanted])
        (found,) = answer.list_of_read_access_results
        return {one.property_identifier.name: bytes(one.property_value or b"") for one in found.list_of_results}

    async def objects(self) -> dict[str, str]:
        """Return all objects by name, as `analog-input,1`."""
        found = {}
        for one in await self.client.get_object_list(self.server, DEVICE):
            which = f"{one.object_type.name.lower().replace('_', '-')},{one.instance_number}"
            found[str(await self.read(which, "object-name"))] = which
        return found

    async def named(self, name: str) -> str:
        """Find an object by its name."""
        return (await self.objects())[name]

    async def subscribe(self, which: str, process: int, **more: Any) -> None:
        """Subscribe, and keep what comes of it."""
        more = {"confirmed": False, "lifetime": 300} | more
        await self.client.subscribe_cov_ex(self.server, which, process, callback=self.hear, **more)

    async def subscribe_property(self, which: str, what: str, process: int, **more: Any) -> None:
        """Subscribe to one property, and keep what comes of it."""
        self.client.app.register_cov_callback(process, self.hear)
        more = {"confirmed": False, "lifetime": 300} | more
        await self.client.subscribe_cov_property(self.server, which, what, process, **more)


@dataclass
class Served:
    """A feed that serves."""

    config: BacnetConfig
    traffic: Traffic

    @property
    def place(self) -> str:
        """Where it serves."""
        return f"{self.config.listen}:{self.config.port}"


@asynccontextmanager
async def serving(world: World, **changes: Any) -> AsyncIterator[Served]:
    """Serve the world."""
    made = changes.pop("made", None) or config(**changes)
    traffic = Traffic()
    async with world.serving(lambda traffic: make(made, world.context, traffic), traffic):
        yield Served(made, traffic)


@asynccontextmanager
async def a_stranger(served: Served, interface: str = "127.0.0.1", **more: Any) -> AsyncIterator[Stranger]:
    """Connect a client."""
    made = DeviceConfig(
        instance_number=9,
        interface=interface,
        port=free_port(socket.SOCK_DGRAM),
        broadcast_address=more.pop("broadcast", "127.0.0.255"),
        apdu_timeout=3000,
        apdu_retries=1,
        **more,
    )
    async with Client(made) as client:
        yield Stranger(client, served.place)


async def until(look: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = 5.0) -> Any:
    """Look again and again, awaiting what is looked up, until it is as wanted."""
    async with asyncio.timeout(seconds):
        while True:
            found = look()
            if isinstance(found, Awaitable):
                found = await found
            if wanted(found):
                return found
            await asyncio.sleep(0.01)


__all__ = [
    "DEVICE",
    "Served",
    "Stranger",
    "a_stranger",
    "config",
    "ip_network",
    "parse_address",
    "serving",
    "until",
]

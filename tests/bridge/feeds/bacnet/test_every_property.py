"""Every property of every kind of object, read by two clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import socket
from typing import Any

from bac_py.network.address import parse_address
from bac_py.types.enums import PropertyIdentifier as TheirProperty
from bac_py.types.parsing import parse_object_identifier
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier, PropertyIdentifier

from tests.bridge.feeds.rig import World, free_port

from .rig import a_stranger, serving

KINDS = {
    "analog-input",
    "binary-input",
    "binary-output",
    "binary-value",
    "characterstring-value",
    "datetime-value",
    "device",
    "multi-state-input",
    "network-port",
    "notification-class",
}
"""All that the bridge has."""


EMPTY = {"active_cov_subscriptions", "device_address_binding", "recipient_list"}
"""Lists of nothing."""


@asynccontextmanager
async def the_library() -> AsyncIterator[Any]:
    """Run a client of bacpypes3."""
    device = DeviceObject(objectIdentifier=("device", 8), objectName="client", vendorIdentifier=999)
    client = NormalApplication(device, IPv4Address(f"127.0.0.1/24:{free_port(socket.SOCK_DGRAM)}"))
    try:
        yield client
    finally:
        client.close()


async def test_two_clients_read_every_property_of_every_kind_of_object(world: World) -> None:
    ups = world.ups(commands=("test.battery.start.quick", "test.battery.stop"))
    outlet = world.part(ups, "outlet", "1", commands=("outlet.on", "outlet.off"))
    world.post(outlet, conditions={"outlet_on": True})
    # An alarm, so that there are stamps and texts to be read.
    world.post(ups, {"ups.test.started": "2026-03-01T12:30:00+00:00"}, {"battery_low": True})
    async with serving(world) as served, a_stranger(served) as stranger, the_library() as client:
        objects = (await stranger.objects()).values()
        one_of_each = {which.split(",")[0]: which for which in objects}
        one_of_each["binary-input"] = await stranger.named("ups-1.battery_low")
        assert set(one_of_each) >= KINDS
        for which in one_of_each.values():
            there = await stranger.everything(which)
            assert len(there) >= 5
            for name, content in there.items():
                assert content or name.lower() in EMPTY, name
                alone = await stranger.client.read_property(
                    parse_address(served.place), parse_object_identifier(which), TheirProperty[name]
                )
                changing = {"LOCAL_TIME", "LOCAL_DATE"}
                assert bytes(alone.property_value) == content or name in changing, f"{which} {name}"
                read = await client.read_property(
                    Address(served.place), ObjectIdentifier(which), PropertyIdentifier(int(TheirProperty[name]))
                )
                assert read is not None, f"{which} {name}"


async def test_devices_with_equal_names_have_objects_of_their_own(world: World) -> None:
    first, second = world.ups("ups-1"), world.ups("ups-2")
    for device in (first, second):
        world.rename(device, "The UPS")
    async with serving(world) as served, a_stranger(served) as stranger:
        listed = [
            f"{one.object_type},{one.instance_number}"
            for one in await stranger.client.get_object_list(served.place, served.config.device_id or 0)
        ]
        named = await stranger.objects()
        assert len(named) == len(listed) == len(set(listed))
        assert {"ups-1.on_battery", "ups-2.on_battery"} <= set(named)

"""What the services of alarms find in the application: objects of their own, and conditions that report to them."""

import asyncio
from typing import Any

from bac_py.services.errors import BACnetError
from bac_py.types.enums import ErrorCode, PropertyIdentifier
from bacpypes3.errors import PropertyError
from bacpypes3.object import NotificationClassObject
import pytest

from ridethrough.feeds import Traffic
from ridethrough.feeds.admission import Callers
from ridethrough.feeds.bacnet.application import BacnetApplication
from ridethrough.feeds.bacnet.device import Device
from ridethrough.feeds.bacnet.inventory import Inventory
from ridethrough.feeds.bacnet.network import Datagrams, link_of
from ridethrough.feeds.bacnet.objects import BinaryInput
from ridethrough.site import ConditionState
from tests.bridge.feeds.rig import World

from .rig import DEVICE, Served, a_stranger, config, until
from .test_network import Plain, packet_of


class Heard:
    """Makes no events, but remembers what they would be made of."""

    def __init__(self) -> None:
        self.changes: list[tuple[tuple[str, str] | None, bool]] = []
        self.gone: list[tuple[str, str] | None] = []

    def condition_changed(self, obj: BinaryInput, state: ConditionState) -> None:
        self.changes.append((obj.ridethrough_condition, state.active))

    def detach(self, obj: BinaryInput) -> None:
        self.gone.append(obj.ridethrough_condition)


class Class(NotificationClassObject):  # type: ignore[misc]  # the library says nothing of its types
    """An object of the library's own, that takes what is written to it."""

    written: Any = None

    async def write(self, name: str, content: Any, index: int | None) -> None:
        if name != "description":
            raise PropertyError("writeAccessDenied")
        object.__setattr__(self, "written", content)


@pytest.fixture
async def parts(world: World) -> Any:
    """Put the parts of the feed together as it does itself."""
    made, traffic = config(), Traffic()
    datagrams = Datagrams(made, traffic, Callers(world.context.clock, traffic))
    await datagrams.open()
    link = link_of(made, datagrams, world.context.clock)
    device = Device(made, DEVICE, "Test", "1", world.context.clock.utc)
    application = BacnetApplication(made, world.context, traffic, device, link, datagrams)
    heard = Heard()
    inventory = Inventory(world.context, application, heard)
    await inventory.load()
    tasks = [asyncio.create_task(work) for work in (datagrams.run(), inventory.run(), application.subscriptions.run())]
    yield application, heard, Served(made, traffic)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    inventory.close()
    application.close()
    datagrams.close()


async def test_conditions_report_what_becomes_of_them(world: World, parts: Any) -> None:
    _, heard, _ = parts
    ups = world.ups()
    await until(lambda: heard.changes, lambda changes: (("ups-1", "on_battery"), False) in changes)
    world.post(ups, conditions={"on_battery": True})
    await until(lambda: heard.changes, lambda changes: (("ups-1", "on_battery"), True) in changes)
    world.site.remove(ups.id)
    await until(lambda: heard.gone, lambda gone: ("ups-1", "on_battery") in gone)


async def test_objects_of_the_library_are_read_and_written(world: World, parts: Any) -> None:
    application, _, served = parts
    made = Class(
        objectIdentifier=("notification-class", 1), objectName="alarms", priority=[1, 2, 3], notificationClass=1
    )
    application.add_object(made)
    application.add_object(NotificationClassObject(objectIdentifier=("notification-class", 2), objectName="plain"))
    async with a_stranger(served) as stranger:
        one = "notification-class,1"
        assert await stranger.read(one, "object-name") == "alarms"
        assert await stranger.client.read(served.place, one, PropertyIdentifier.PRIORITY) == [1, 2, 3]
        assert (
            await stranger.client.read_property(served.place, one, PropertyIdentifier.PRIORITY, 2)
        ).property_value == b"\x21\x02"
        whole = next(iter((await stranger.client.read_multiple(served.place, {one: ["all"]})).values()))
        assert whole["notification-class"] == 1
        with pytest.raises(BACnetError) as unknown:
            await stranger.read(one, "recipient-list")
        assert unknown.value.error_code == ErrorCode.UNKNOWN_PROPERTY
        await stranger.client.write_property(served.place, one, "description", b"\x72\x00x")
        assert made.written is not None
        for which in (one, "notification-class,2"):
            with pytest.raises(BACnetError) as denied:
                await stranger.client.write_property(served.place, which, PropertyIdentifier.PRIORITY, b"\x21\x01")
            assert denied.value.error_code == ErrorCode.WRITE_ACCESS_DENIED


async def test_a_device_is_found_by_its_number(parts: Any) -> None:
    application, _, served = parts
    looking = application.who_is(9, 9, timeout=2.0)
    with Plain(served) as other:
        other.send(packet_of("0100 1000 c402000009 2205c4 9103 2203e7"))
        found = await looking
    assert [int(one.iAmDeviceIdentifier[1]) for one in found] == [9]

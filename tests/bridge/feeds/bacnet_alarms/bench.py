"""A small BACnet/IP device with conditions, and a client of another code base that takes its notifications."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
import socket
from typing import Any

from bac_py.client import Client
from bac_py.services.event_notification import EventNotificationRequest
from bac_py.types.enums import ConfirmedServiceChoice, UnconfirmedServiceChoice
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.binary import BinaryInputObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import IPv4Address

from ridethrough.catalogue import ConditionType, load_catalogue
from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds.bacnet.alarm_services import AlarmServices
from ridethrough.feeds.bacnet.condition_events import ConditionEvents
from ridethrough.feeds.bacnet.time_sync import TimeSynchronization
from ridethrough.feeds.base import FeedContext
from ridethrough.site import ConditionState, Quality
from tests.bridge.feeds.rig import free_port

DEVICE = 1628
CATALOGUE = load_catalogue()


def condition(key: str) -> ConditionType:
    """Find a condition of a UPS."""
    found = CATALOGUE.condition("ups", key)
    assert found is not None
    return found


ALARM, WARNING, INFO = condition("battery_low"), condition("on_battery"), condition("output_active")


def so(active: bool, quality: Quality = Quality.GOOD) -> ConditionState:
    """Say that a condition is so, or not."""
    return ConditionState(active, quality, datetime.now(UTC))


class Application(AlarmServices, TimeSynchronization, NormalApplication):  # type: ignore[misc]  # it has no types
    """The library's application with what is tested."""


@dataclass
class Bench:
    """A device that serves."""

    address: str
    application: Any
    events: ConditionEvents
    objects: list[Any] = field(default_factory=list)

    def add(self, kind: ConditionType = ALARM, count: int = 1) -> Any:
        """Add objects of a condition; returns the last."""
        for number in range(len(self.objects) + 1, len(self.objects) + 1 + count):
            obj = BinaryInputObject(
                objectIdentifier=("binaryInput", number),
                objectName=f"condition {number}",
                presentValue="inactive",
                eventState="normal",
                statusFlags=[0, 0, 0, 0],
                outOfService=False,
                polarity="normal",
                reliability="noFaultDetected",
            )
            self.application.add_object(obj)
            self.events.attach(obj, kind)
            self.objects.append(obj)
        return self.objects[-1]

    def set(self, obj: Any, active: bool, quality: Quality = Quality.GOOD) -> None:
        """Let a condition be so, as the feed does."""
        obj.presentValue = "active" if active else "inactive"
        self.events.condition_changed(obj, so(active, quality))


@asynccontextmanager
async def serving(
    context: FeedContext, *recipients: str, allow: frozenset[str] = frozenset(), port: int = 0, timeout: int = 200
) -> AsyncIterator[Bench]:
    """Serve a device without conditions; `timeout` in milliseconds, tried twice."""
    config = BacnetConfig(listen="127.0.0.1", port=port or free_port(socket.SOCK_DGRAM), recipients=recipients)
    config = replace(config, allow=allow)
    device = DeviceObject(
        objectIdentifier=("device", DEVICE), objectName="Ridethrough", apduTimeout=timeout, numberOfApduRetries=1
    )
    address = f"127.0.0.1:{config.port}"
    application = Application(device, IPv4Address(f"127.0.0.1/24:{config.port}"))
    running: asyncio.Task[None] | None = None
    try:
        events = ConditionEvents(application, config, context)
        application.condition_events = events
        application.clock = context.clock
        await events.restore()
        running = asyncio.create_task(events.run())
        yield Bench(address, application, events)
        if running.done():
            await running
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        for transaction in application.asap.clientTransactions:
            transaction.stop_timer()
        application.close()


@dataclass
class Operator:
    """A client that is told."""

    client: Client
    address: str
    heard: list[tuple[bool, EventNotificationRequest]] = field(default_factory=list)
    """Whether it was confirmed, and what was said."""
    answering: bool = True
    delay: float = 0.0
    refusing: bool = False

    @property
    def told(self) -> list[EventNotificationRequest]:
        """What it has been told."""
        return [said for _, said in self.heard]

    async def hears(self, count: int, within: float = 10.0) -> list[EventNotificationRequest]:
        """Wait until it has heard so many."""
        await until(lambda: len(self.heard) >= count, within)
        assert len(self.heard) == count
        return self.told

    async def confirmed(self, choice: int, data: bytes, source: object) -> bytes | None:
        """Take a confirmed notification."""
        if self.refusing:
            raise ValueError("not me")
        if not self.answering:
            await asyncio.Event().wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        self.heard.append((True, EventNotificationRequest.decode(data)))
        return None

    async def unconfirmed(self, choice: int, data: bytes, source: object) -> None:
        """Take an unconfirmed one."""
        self.heard.append((False, EventNotificationRequest.decode(data)))


@asynccontextmanager
async def an_operator(port: int = 0) -> AsyncIterator[Operator]:
    """Run a client that takes notifications."""
    port = port or free_port(socket.SOCK_DGRAM)
    async with Client(instance_number=77, interface="127.0.0.1", port=port, broadcast_address="127.0.0.1") as client:
        operator = Operator(client, f"127.0.0.1:{port}")
        registry = client.app.service_registry
        registry.register_confirmed(ConfirmedServiceChoice.CONFIRMED_EVENT_NOTIFICATION, operator.confirmed)
        registry.register_unconfirmed(UnconfirmedServiceChoice.UNCONFIRMED_EVENT_NOTIFICATION, operator.unconfirmed)
        yield operator


async def until(what: Callable[[], bool] | Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while True:
            found = what()
            if found is True or (not isinstance(found, bool) and await found):
                return
            await asyncio.sleep(0.01)

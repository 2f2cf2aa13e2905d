"""The BACnet/IP device as a feed."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds.admission import Callers
from ridethrough.feeds.base import Feed, FeedContext, Traffic

from .application import BacnetApplication
from .condition_events import ConditionEvents
from .device import Device, instance_of
from .inventory import Inventory
from .network import Datagrams, ForeignLink, link_of


class BacnetFeed(Feed):
    """Shows the site to clients of BACnet/IP."""

    name: ClassVar[str] = "bacnet"

    def __init__(self, config: BacnetConfig, context: FeedContext, traffic: Traffic) -> None:
        """Nothing is opened yet."""
        super().__init__(context, traffic)
        self._config = config

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Serve until cancelled. Raises FeedError when the port cannot be opened."""
        config, context = self._config, self.context
        datagrams = Datagrams(config, self.traffic, Callers(context.clock, self.traffic))
        try:
            await datagrams.open()
            link = link_of(config, datagrams, context.clock)
            application = BacnetApplication(config, context, self.traffic, self._device(), link, datagrams)
            events = ConditionEvents(application, config, context, application.invocations)
            application.condition_events = events
            inventory = Inventory(context, application, events)
            try:
                await events.restore()
                await inventory.load()
                ready(f"{config.listen}:{datagrams.address.addrPort}")
                application.i_am()
                if isinstance(link, ForeignLink):
                    # Nobody hears a foreign device before its router knows it.
                    link.registered = application.i_am
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(datagrams.run())
                    tasks.create_task(inventory.run())
                    tasks.create_task(events.run())
                    tasks.create_task(application.subscriptions.run())
                    tasks.create_task(link.run())
            finally:
                inventory.close()
                await link.leave()
                application.close()
        finally:
            datagrams.close()

    def _device(self) -> Device:
        config, bridge = self._config, self.context.bridge
        instance = instance_of(bridge.id) if config.device_id is None else config.device_id
        name = config.device_name or bridge.name
        return Device(config, instance, name, self.context.version, self.context.clock.utc)


__all__ = ["BacnetFeed"]

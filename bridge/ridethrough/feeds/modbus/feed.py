"""The Modbus feed: TCP and RTU at once from the same images."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import ClassVar, override

from ridethrough.config.feeds import ModbusConfig
from ridethrough.feeds.base import Feed, FeedContext, FeedError, Traffic

from .slave import Slave
from .tcp import Server
from .units import Units
from .writes import Writer


class ModbusFeed(Feed):
    """Serves register maps of devices, each by the number of a unit."""

    name: ClassVar[str] = "modbus"

    def __init__(self, config: ModbusConfig, context: FeedContext, traffic: Traffic) -> None:
        """See `Feed`."""
        super().__init__(context, traffic)
        self._config = config
        self._places: dict[str, str] = {}
        """Where it serves: by way of what, and what to call that."""
        self._slave: Slave | None = None

    @property
    @override
    def problem(self) -> str | None:
        """Why the serial line is not served while TCP is."""
        return None if self._slave is None else self._slave.problem

    async def serve(self, ready: Callable[[str], None]) -> None:
        """See `Feed`. A serial line that is not there is tried again while TCP goes on; alone it is a FeedError."""
        config, context = self._config, self.context

        def serves(way: str, place: str | None) -> None:
            self._places.pop(way, None)
            if place is not None:
                self._places[way] = place
            if self._places:
                ready(", ".join(self._places[way] for way in sorted(self._places, reverse=True)))

        units, writer = Units(config, context), Writer(context)
        try:
            async with AsyncExitStack() as stack:
                stack.callback(units.close)
                stack.push_async_callback(writer.stop)
                await units.open()
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                tasks.create_task(units.keep())
                if config.tcp:
                    server = Server(config, units, writer, self.traffic, context.clock)
                    serves("tcp", await stack.enter_async_context(server.listening()))
                    tasks.create_task(server.keep())
                if config.serial is not None:
                    slave = self._slave = Slave(config.serial, units, writer, self.traffic, context.clock)
                    tasks.create_task(slave.run(lambda place: serves("rtu", place), alone=not config.tcp))
                await asyncio.Future()  # until cancelled, or a task fails
        except* FeedError as errors:
            raise FeedError(str(errors.exceptions[0])) from errors


__all__ = ["ModbusFeed"]

"""A tiny feed for the tests: it answers each line with itself. Found by the assembly as it finds the real ones."""

import asyncio
from collections.abc import Callable
from typing import ClassVar, override

from ridethrough.config.feeds import ServerConfig
from ridethrough.feeds import Feed, FeedContext, FeedError, Traffic

made: list[ServerConfig] = []
"""With which configurations it has been made, in their order."""


class Echoes(Feed):
    """Serves on the configured port."""

    name: ClassVar[str] = "echoes"

    def __init__(self, config: ServerConfig, context: FeedContext, traffic: Traffic) -> None:
        """Open nothing yet."""
        super().__init__(context, traffic)
        self._config = config

    @override
    async def serve(self, ready: Callable[[str], None]) -> None:
        try:
            server = await asyncio.start_server(self._answer, self._config.listen, self._config.port)
        except OSError as error:
            raise FeedError(f"Port {self._config.port} is taken.") from error
        async with server:
            ready(f"{self._config.listen}:{self._config.port}")
            await server.serve_forever()

    @override
    async def test(self) -> str:
        return "An echo was sent."

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.clients += 1
        try:
            async for line in reader:
                self.traffic.requests += 1
                writer.write(line)
        finally:
            self.traffic.clients -= 1
            writer.close()


def make(config: ServerConfig, context: FeedContext, traffic: Traffic) -> Feed:
    """Make it as the assembly wants it."""
    made.append(config)
    return Echoes(config, context, traffic)

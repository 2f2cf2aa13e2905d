"""A network between a bridge and an agent that can be as bad as networks are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes on what two ends say to one another, or does not."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.port = 0
        self.stuck = False
        """Whether everything is swallowed from now on, without either end hearing of it: a cable that was pulled."""
        self.delay = 0.0
        """Seconds that everything takes."""
        self.cut_after: int | None = None
        """Bytes of the agent after which the connection is cut."""
        self.inject = b""
        """What is put in front of the next thing that the agent says."""
        self.tasks: set[asyncio.Task[None]] = set()

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a caller with the agent."""
        there, back = await asyncio.open_connection(*self._target)
        for source, sink, agent in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._pass_on(source, sink, agent=agent))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, agent: bool) -> None:
        passed = 0
        with suppress(ConnectionError):
            while data := await source.read(4096):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.stuck:
                    continue
                if agent:
                    data, self.inject = self.inject + data, b""
                    if self.cut_after is not None and passed + len(data) >= self.cut_after:
                        sink.write(data[: self.cut_after - passed])
                        break
                passed += len(data)
                sink.write(data)
                await sink.drain()
        if not self.stuck:
            sink.close()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    """Put a network before an agent."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.welcome, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)

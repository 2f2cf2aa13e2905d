"""Receivers of the tests' own, which can do what rsyslogd does not: be slow, deaf, unwilling, or short of patience."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import re
import socket
import struct
import threading

from ridethrough.config.feeds import SyslogConfig, SyslogReceiver
from ridethrough.feeds import Traffic
from ridethrough.feeds.syslog import SyslogFeed, make
from tests.bridge.feeds.rig import World

SEQUENCE = re.compile(rb'\[meta sequenceId="(\d+)"\]')
SEQ = re.compile(rb' seq="(\d+)"')


async def until(so: Callable[[], bool], patience: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(patience):
        while not so():
            await asyncio.sleep(0.01)


class Listener:
    """A TCP receiver that takes messages apart by their lengths."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer, and let all connections go."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    @property
    def sequences(self) -> list[int]:
        """The numbers of the messages."""
        return [int(found[1]) for message in self.messages if (found := SEQUENCE.search(message))]

    @property
    def events(self) -> list[int]:
        """The numbers that events have in the journal."""
        return [int(found[1]) for message in self.messages if (found := SEQ.search(message))]

    def has(self, count: int) -> bool:
        """Whether so many events have come."""
        return len(self.events) >= count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append(await reader.readexactly(length))
        except asyncio.IncompleteReadError, ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def a_listener() -> AsyncIterator[Listener]:
    """Have a receiver that listens."""
    listener = Listener()
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


class Sink:
    """A receiver in a thread of its own, so that what it does is no work of the loop."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def taken(self) -> bytes:
        """Return all that has come, once the sender has left."""
        self._thread.join(10)
        self._server.close()
        return b"".join(self._chunks)

    def _take(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            while chunk := connection.recv(1 << 20):
                self._chunks.append(chunk)


class Deaf:
    """A receiver that takes connections and never reads; its computer has little room."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self._connection: socket.socket | None = None

    async def accept(self) -> None:
        """Take a connection."""
        self._connection, _ = await asyncio.get_running_loop().sock_accept(self._socket)

    def taken(self) -> int:
        """How many messages its computer has acknowledged as a whole."""
        assert self._connection is not None
        stream, count = self._connection.recv(1 << 20, socket.MSG_PEEK), 0
        while (found := re.match(rb"(\d+) ", stream)) and len(stream) >= found.end() + int(found[1]):
            stream = stream[found.end() + int(found[1]) :]
            count += 1
        return count

    def die(self) -> None:
        """Be gone, as a computer that is reset."""
        if self._connection is not None:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._connection.close()
        self._socket.close()


@asynccontextmanager
async def sending(world: World, *receivers: SyslogReceiver) -> AsyncIterator[tuple[SyslogFeed, Traffic]]:
    """Run the feed with these receivers."""
    made: list[SyslogFeed] = []

    def one(traffic: Traffic) -> SyslogFeed:
        made.append(make(SyslogConfig(receivers=receivers), world.context, traffic))
        return made[0]

    traffic = Traffic()
    async with world.serving(one, traffic):
        yield made[0], traffic

"""Modbus TCP: a listener, and a connection loop that answers every request in the order in which they came.

A frame is transaction, protocol 0, length, unit and what is asked (MODBUS Messaging on TCP/IP V1.0b §3.1.3). Whoever
sends what is no frame loses their connection, as nothing tells where the next one begins.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import errno
import socket
import struct
from typing import cast

from ridethrough.clock import Clock
from ridethrough.config.feeds import ModbusConfig
from ridethrough.feeds.admission import Admission
from ridethrough.feeds.base import FeedError, Traffic

from .exceptions import GATEWAY_TARGET, refusal
from .unit import MOST_REGISTERS, READING
from .units import DIRECT, Units
from .writes import Write, Writer

SHORTEST, LONGEST = 2, 254
"""What the length in a frame may be: the unit and at least a function, and at most 253 bytes of what is asked."""
RECEIVED = 4096
"""Bytes taken from a connection at once: what is asked with them is answered within a millisecond or two."""
UNSENT = 65536
"""Bytes that a client may leave unread before it is heard no more, until it reads."""
SILENT = 5.0
"""Seconds after which a client that has never asked anything makes room for another."""
KERNEL_UNSENT = 131072
"""The same within the operating system, which else would keep megabytes for each."""

_HEAD = struct.Struct(">HHHB")
"""Transaction, protocol, length and unit."""
_READ = struct.Struct(">HHHBBHH")
"""A whole frame that reads: the same, function, address and quantity."""
_REGISTERS = struct.Struct(">HHHBBB")
"""What goes before registers: the same, function and bytes that follow."""
_SMALLEST = _HEAD.size + 1
"""Bytes of a frame that asks for nothing but a function."""


class Connection(asyncio.BufferedProtocol):
    """A client. All that is kept for one is its buffer and what it does not read.

    It is heard only while nothing waits: neither a write that is under way, nor answers that it has not read. So there
    always is room for more than a frame, and the end of what it asks comes after all that it has asked.
    """

    def __init__(self, server: Server) -> None:
        """Use `Server`."""
        self._server = server
        self._traffic = server.traffic
        self._units = server.units
        self._transport: asyncio.Transport
        self._buffer = bytearray(RECEIVED)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._writing: asyncio.Task[None] | None = None
        self._unread = False
        """Whether the client reads so slowly that it is not heard."""
        self.master = ""
        self.asked = 0
        """Requests since it has connected."""
        self.seen = 0
        """The same when it was last looked at."""
        self.quiet_since = 0.0

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit it, or not."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.master = str(peer[0]) if peer else ""
        if not self._server.admit(self):
            self._transport.abort()
            return
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_UNSENT)
        self._transport.set_write_buffer_limits(high=UNSENT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it. What it has asked to be written goes on."""
        self._server.forget(self)
        if self._writing is not None:
            self._writing.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the room behind what has come in."""
        return self._view[self._filled :] if self._filled else self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Answer what has come in."""
        if self._filled or nbytes != _READ.size or not self._read():
            self._filled += nbytes
            self._answer()

    def pause_writing(self) -> None:
        """Hear it no more until it reads."""
        self._unread = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Answer what has waited."""
        self._unread = False
        self._resume()

    # How it is done

    @property
    def busy(self) -> bool:
        """Whether something that it has asked to be written is under way."""
        return self._writing is not None

    def abort(self) -> None:
        """End it at once; what it has not read is dropped."""
        self._transport.abort()

    def _resume(self) -> None:
        """Answer what has waited and hear more, unless something else has to be waited for."""
        if self._unread or self.busy or self._transport.is_closing():
            return
        self._answer()
        if not self._unread and not self.busy:
            self._transport.resume_reading()

    def _read(self) -> bool:
        """Answer a segment that reads registers and asks nothing else, if that is what has come and can be answered.

        Masters ask this all day long; the same by way of `_answer` costs 4.7 us of the loop's time where this costs 4.2.
        """
        transaction, protocol, length, number, function, address, count = _READ.unpack_from(self._buffer)
        if protocol or length != _READ.size - 6 or function not in READING or count > MOST_REGISTERS:
            return False
        unit = self._units.find(number)
        found = None if unit is None else unit.image.registers(address, count)
        if not found:
            return False
        size = len(found)
        self.asked += 1
        self._traffic.requests += 1
        self._transport.write(_REGISTERS.pack(transaction, 0, size + 3, number, function, size) + found)
        return True

    def _answer(self) -> None:
        """Answer the whole frames that are there, up to one that writes. What is no frame ends the connection."""
        buffer, filled, at = self._buffer, self._filled, 0
        traffic, units = self._traffic, self._units
        answers: list[bytes] = []
        sound = True
        while filled - at >= _SMALLEST:
            transaction, protocol, length, number = _HEAD.unpack_from(buffer, at)
            end = at + 6 + length
            if protocol or not SHORTEST <= length <= LONGEST:
                sound = False
                break
            if end > filled:
                break
            pdu = bytes(buffer[at + 7 : end])
            at = end
            unit = units.find(number) or (units.direct if number in DIRECT else None)
            answer = refusal(pdu[0], GATEWAY_TARGET) if unit is None else unit.answer(pdu)
            self.asked += 1
            if not isinstance(answer, bytes):
                self._transport.pause_reading()
                self._writing = asyncio.create_task(self._write(answer, pdu[0], transaction, number))
                break
            traffic.requests += 1
            if answer[0] & 0x80:
                traffic.errors += 1
            answers.append(_HEAD.pack(transaction, 0, len(answer) + 1, number) + answer)
        self._filled = left = filled - at
        if left and at:
            buffer[:left] = buffer[at:filled]
        if left >= 4 and not self.busy and (buffer[2] or buffer[3]):
            sound = False  # it will not become a frame by waiting for the rest
        if answers:
            self._transport.write(b"".join(answers))
        if not sound:
            traffic.errors += 1
            self._transport.close()

    async def _write(self, write: Write, function: int, transaction: int, number: int) -> None:
        code = await self._server.writer.carry_out(write, self.master)
        self._writing = None
        answer = write.done if code is None else refusal(function, code)
        self._traffic.requests += 1
        self._traffic.errors += code is not None
        if not self._transport.is_closing():
            self._transport.write(_HEAD.pack(transaction, 0, len(answer) + 1, number) + answer)
        self._resume()


class Server:
    """Everyone who is connected."""

    def __init__(self, config: ModbusConfig, units: Units, writer: Writer, traffic: Traffic, clock: Clock) -> None:
        """Listen only in `listening`."""
        self._config = config
        self._admission = Admission(config.clients)
        self._clock = clock
        self._connections: set[Connection] = set()
        self.units = units
        self.writer = writer
        self.traffic = traffic

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen while the block runs; gives where. Raises FeedError when that cannot be."""
        host, port = self._config.listen, self._config.port
        try:
            server = await asyncio.get_running_loop().create_server(lambda: Connection(self), host, port)
        except OSError as error:
            raise FeedError(_sentence(host, port, error)) from error
        try:
            address = server.sockets[0].getsockname()
            yield f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
        finally:
            server.close()
            for connection in list(self._connections):
                connection.abort()
            await server.wait_closed()

    async def keep(self) -> None:
        """Close connections that ask nothing, until cancelled; those that never finish asking are among them."""
        idle = self._config.idle
        while True:
            await self._clock.sleep(idle / 4)
            now = self._clock.monotonic()
            for connection in list(self._connections):
                if connection.asked != connection.seen or connection.busy:
                    connection.seen, connection.quiet_since = connection.asked, now
                elif now - connection.quiet_since >= idle:
                    connection.abort()

    def admit(self, connection: Connection) -> bool:
        """Take a client in, unless it comes from elsewhere or there are enough.

        Those who are here stay, but for who has never asked anything: else a few silent ones would keep out all others.
        """
        now = self._clock.monotonic()
        if not self._admission.admits(connection.master) or not self._has_room(now):
            self.traffic.errors += 1
            return False
        connection.quiet_since = now
        self._connections.add(connection)
        self.traffic.clients = len(self._connections)
        return True

    def _has_room(self, now: float) -> bool:
        if len(self._connections) < self._config.connections:
            return True
        silent = [one for one in self._connections if not one.asked and now - one.quiet_since >= SILENT]
        if not silent:
            return False
        longest = min(silent, key=lambda one: one.quiet_since)
        longest.abort()
        self.forget(longest)
        return True

    def forget(self, connection: Connection) -> None:
        """Note that a client has gone."""
        self._connections.discard(connection)
        self.traffic.clients = len(self._connections)


def _sentence(host: str, port: int, error: OSError) -> str:
    place = f"Modbus cannot listen on {host}:{port}"
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                f"{place}: ports below 1024 need a permission. Give the bridge the capability CAP_NET_BIND_SERVICE, "
                "or give modbus: another port:."
            )
        case errno.EADDRINUSE:
            return f"{place}: another program listens there already. End it, or give modbus: another port:."
        case errno.EADDRNOTAVAIL | None:  # asyncio words the former itself, without its number
            return f"{place}: this machine does not have the address. Give modbus: one of its own as listen:."
        case _:
            return f"{place}: {error.strerror or error}."


__all__ = ["LONGEST", "RECEIVED", "SHORTEST", "SILENT", "UNSENT", "Connection", "Server"]

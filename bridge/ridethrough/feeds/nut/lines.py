"""A connection as lines: read one at a time, written without ever holding more than a client can be slow."""

import asyncio
from collections.abc import Callable
import ssl

from .wire import LINE_LIMIT

UNREAD = 64 * 1024
"""Bytes that may wait for a client before nothing more is answered until it has read them."""
SLOW = 20.0
"""Seconds within which it must have read them."""
HANDSHAKE = 10.0
"""Seconds within which a connection must be encrypted."""


class TooLongError(Exception):
    """A request is longer than any client sends."""


class Lines(asyncio.Protocol):
    """One connection. What reads it takes lines; what was received of others waits in the socket."""

    def __init__(self, opened: Callable[[Lines], None]) -> None:
        """Wait for a client; `opened` is called once there is one."""
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._encrypted = False
        self._changing = False
        """Whether the transport is being encrypted: what comes may be read by either of them."""
        self._news = asyncio.Event()
        self._lost = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def host(self) -> str:
        """The client's address; empty if it has gone already."""
        peer = self._open.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    async def line(self) -> bytes:
        """Wait for the next line, without its end.

        Raises TooLongError, and ConnectionError when there is no more to come.
        """
        while True:
            end = self._buffer.find(b"\n", 0, LINE_LIMIT)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) >= LINE_LIMIT:
                raise TooLongError
            if self._ended:
                raise ConnectionResetError("The client has ended it.")
            self._news.clear()
            self._open.resume_reading()
            await self._news.wait()

    async def send(self, answer: bytes) -> None:
        """Send, and wait until the client has read enough of it. Raises TimeoutError, or ConnectionError."""
        self._open.write(answer)
        if not self._writable.is_set():
            async with asyncio.timeout(SLOW):
                await self._writable.wait()
        if self._ended and self._open.is_closing():
            raise ConnectionResetError("The client has gone.")

    async def encrypt(self, agreed: bytes, context: ssl.SSLContext) -> None:
        """Send that it is agreed to encrypt, and do. Raises OSError.

        Whatever came in the clear behind the request is dropped: it must never be taken for part of the encrypted talk.
        """
        self._open.write(agreed)
        self._buffer.clear()
        self._changing = self._encrypted = True
        transport = await asyncio.get_running_loop().start_tls(
            self._open, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE
        )
        if transport is None:  # it was closed meanwhile
            raise ConnectionResetError("The client has gone.")
        self._transport = transport
        self._changing = False
        self._limit()

    async def finish(self) -> None:
        """Close it once what was sent has been read. Raises TimeoutError when that takes too long."""
        self._open.close()
        async with asyncio.timeout(SLOW):
            await self._lost.wait()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._limit()
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        """Keep what came, and take no more until it has been looked at."""
        self._buffer += data
        if not self._changing:
            self._open.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Go on answering what was asked before; an encrypted connection cannot be half open."""
        self._ended = True
        self._news.set()
        return not self._encrypted

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._ended = True
        self._news.set()
        self._writable.set()
        self._lost.set()

    def pause_writing(self) -> None:
        """Hold back: the client does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    @property
    def _open(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def _limit(self) -> None:
        self._open.set_write_buffer_limits(high=UNREAD)


__all__ = ["HANDSHAKE", "SLOW", "UNREAD", "Lines", "TooLongError"]

"""A serial device server: pyserial's own RFC 2217 port manager, on lines that a test moves by hand."""

import asyncio
from typing import Self

from serial import rfc2217


class Lines:
    """A serial port as pyserial's port manager sees it."""

    def __init__(self) -> None:
        self.cts = self.dsr = self.ri = self.cd = False
        self.dtr = self.rts = self.break_condition = False
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.xonxoff = self.rtscts = False

    def reset_input_buffer(self) -> None:
        """Forget what has arrived."""

    reset_output_buffer = reset_input_buffer

    @property
    def outputs(self) -> set[str]:
        """What the other side has made high."""
        states = {"dtr": self.dtr, "rts": self.rts, "break": self.break_condition}
        return {name for name, high in states.items() if high}


class DeviceServer(asyncio.Protocol):
    """Serves one connection after the other on a free port of loopback."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.port = 0
        self.connections = 0
        self.mute = False
        """It takes everything in and says nothing."""
        self._server: asyncio.Server | None = None
        self._transport: asyncio.Transport | None = None
        self._manager: rfc2217.PortManager | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.get_running_loop().create_server(lambda: self, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Vanish."""
        if self._server is not None:
            self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def set(self, **lines: bool) -> None:
        """Move lines, and tell it as a device server does."""
        for name, high in lines.items():
            setattr(self.lines, {"dcd": "cd"}.get(name, name), high)
        if self._manager is not None and not self.mute:
            self._manager.check_modem_lines()

    def say(self, data: bytes) -> None:
        """Put bytes on the connection."""
        assert self._transport is not None
        self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Take what the port manager sends."""
        if self._transport is not None and not self.mute:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.connections += 1
        self._manager = rfc2217.PortManager(self.lines, self)

    def data_received(self, data: bytes) -> None:
        assert self._manager is not None
        for _ in self._manager.filter(data):
            pass

"""A serial port of a device server, as far as its modem lines go: telnet with the COM port option (RFC 2217)."""

import asyncio
from collections.abc import Iterator, Set as AbstractSet
import contextlib
from enum import IntEnum
import os

from ridethrough.clock import Clock
from ridethrough.links.base import LinkError

from .cables import BREAK

CONNECTING = 5.0
"""Seconds within which a server must be connected and tell its modem lines."""
ASKED = 1.0
"""Seconds between two questions that only show that the server still lives: it tells lines only when they change."""
SILENCE = 5.0
"""Seconds without a byte after which it is gone."""


class Telnet(IntEnum):
    """RFC 854, RFC 856, RFC 858, RFC 2217."""

    BINARY = 0
    SUPPRESS_GO_AHEAD = 3
    COM_PORT = 44
    SE = 240
    SB = 250
    WILL = 251
    WONT = 252
    DO = 253
    DONT = 254
    IAC = 255


class ComPort(IntEnum):
    """Commands to the server; its answers are 100 more (RFC 2217 §3)."""

    SET_CONTROL = 5
    SET_MODEMSTATE_MASK = 11
    NOTIFY_MODEMSTATE = 107


_CONTROL = {"dtr": (8, 9), "rts": (11, 12), BREAK: (5, 6)}
"""Values of SET_CONTROL for on and off."""
_ASK_FLOW_CONTROL = 0
_STATE = {"cts": 0x10, "dsr": 0x20, "ri": 0x40, "dcd": 0x80}
_WANTED = frozenset({Telnet.BINARY, Telnet.SUPPRESS_GO_AHEAD, Telnet.COM_PORT})
_LONGEST = 1024


class Decoder:
    """Takes a telnet stream apart: negotiations and subnegotiations; the data between them is not for us."""

    def __init__(self) -> None:
        """Begin with a new connection."""
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give each command that is complete: (SB, its content) or (WILL, WONT, DO or DONT, the option)."""
        self._rest += data
        while (at := self._rest.find(Telnet.IAC)) >= 0:
            del self._rest[:at]
            if len(self._rest) < 2:
                return
            command = self._rest[1]
            if command == Telnet.SB:
                end = self._end()
                if end < 0:
                    if len(self._rest) > _LONGEST:
                        self._rest.clear()
                    return
                content = bytes(self._rest[2:end]).replace(b"\xff\xff", b"\xff")
                del self._rest[: end + 2]
                yield Telnet.SB, content
            elif command >= Telnet.WILL and command != Telnet.IAC:
                if len(self._rest) < 3:
                    return
                option = bytes(self._rest[2:3])
                del self._rest[:3]
                yield command, option
            else:
                del self._rest[:2]
        self._rest.clear()

    def _end(self) -> int:
        """Where IAC SE begins; a doubled IAC is a byte of the content."""
        at = 2
        while 0 <= (at := self._rest.find(Telnet.IAC, at)) < len(self._rest) - 1:
            if self._rest[at + 1] == Telnet.SE:
                return at
            at += 2
        return -1


class RemotePort(asyncio.Protocol):
    """A connection to a port of a device server; a `ModemLines`."""

    def __init__(self, name: str, clock: Clock) -> None:
        """Use `connect` instead."""
        self._name = name
        self._clock = clock
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._state: int | None = None
        self._agreed: dict[tuple[int, int], None] = {}
        self._heard = self._asked = clock.monotonic()
        self._gone: str | None = None
        self._told = asyncio.Event()

    async def told(self) -> None:
        """Wait until the server has told its modem lines. Raises LinkError."""
        try:
            async with asyncio.timeout(CONNECTING):
                await self._told.wait()
        except TimeoutError:
            raise LinkError(
                f"{self._name} tells no modem lines; is it a serial device server that speaks RFC 2217, "
                "with the port in that mode?"
            ) from None
        self._check()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Offer and ask for what is needed."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        for option in sorted(_WANTED):
            self._agree(Telnet.WILL, option)
            self._agree(Telnet.DO, option)
        self._send(ComPort.SET_MODEMSTATE_MASK, 0xFF)

    def data_received(self, data: bytes) -> None:
        """Take in what the server says."""
        self._heard = self._clock.monotonic()
        for command, content in self._decoder.feed(data):
            if command == Telnet.SB:
                self._subnegotiated(content)
            else:
                self._negotiate(command, content[0])

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the server has gone."""
        self._gone = self._gone or f"{self._name} has closed the connection{'' if exc is None else f' ({exc})'}."
        self._told.set()

    # What its owner calls

    def read(self) -> frozenset[str]:
        """See `ModemLines`; what the server has told last, as long as it lives."""
        now = self._clock.monotonic()
        if now - self._heard > SILENCE:
            self._gone = self._gone or f"{self._name} has not answered for {SILENCE:g} s."
        self._check()
        if now - self._asked >= ASKED:
            self._asked = now
            self._send(ComPort.SET_CONTROL, _ASK_FLOW_CONTROL)
        return frozenset(name for name, bit in _STATE.items() if (self._state or 0) & bit)

    def drive(self, outputs: AbstractSet[str]) -> None:
        """See `ModemLines`."""
        self._check()
        for name, (on, off) in _CONTROL.items():
            self._send(ComPort.SET_CONTROL, on if name in outputs else off)

    async def close(self) -> None:
        """Hang up, after what was sent has gone out as far as the other end takes it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._gone is None:
                    self._told.clear()
                    await self._told.wait()
        if self._gone is None and self._transport is not None:
            self._transport.abort()

    # How it is done

    def _check(self) -> None:
        if self._gone is not None:
            raise LinkError(self._gone)

    def _subnegotiated(self, content: bytes) -> None:
        if content[:2] == bytes((Telnet.COM_PORT, ComPort.NOTIFY_MODEMSTATE)) and len(content) >= 3:
            self._state = content[2]
            self._told.set()

    def _negotiate(self, command: int, option: int) -> None:
        """Agree to what we need, refuse the rest, answer nothing twice (RFC 854)."""
        if command in (Telnet.DO, Telnet.WILL):
            reply = Telnet.WILL if command == Telnet.DO else Telnet.DO
            refusal = Telnet.WONT if command == Telnet.DO else Telnet.DONT
            self._agree(reply if option in _WANTED else refusal, option)

    def _agree(self, command: int, option: int) -> None:
        if (command, option) not in self._agreed and self._transport is not None:
            self._agreed[command, option] = None
            self._transport.write(bytes((Telnet.IAC, command, option)))

    def _send(self, command: ComPort, value: int) -> None:
        assert self._transport is not None
        content = bytes((value,)).replace(b"\xff", b"\xff\xff")
        head, tail = bytes((Telnet.IAC, Telnet.SB, Telnet.COM_PORT, command)), bytes((Telnet.IAC, Telnet.SE))
        self._transport.write(head + content + tail)


async def connect(host: str, port: int, clock: Clock) -> RemotePort:
    """Connect to a port of a device server, and wait until it has told its modem lines. Raises LinkError."""
    name = f"{host}:{port}"
    try:
        async with asyncio.timeout(CONNECTING):
            _, remote = await asyncio.get_running_loop().create_connection(lambda: RemotePort(name, clock), host, port)
    except TimeoutError:
        raise LinkError(f"Nothing answers on {name}; check the address of the device server.") from None
    except OSError as error:
        raise LinkError(f"{name} cannot be reached: {os.strerror(error.errno) if error.errno else error}.") from error
    try:
        await remote.told()
    except BaseException:
        await remote.close()
        raise
    return remote


__all__ = ["Decoder", "RemotePort", "connect"]

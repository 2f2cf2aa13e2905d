"""The contacts of a UPS on the port of a serial device server: pyserial's RFC 2217 port manager.

The lines follow the physical model. The cable is that of a RUPS with a shutdown line: RTS feeds it, CTS high is good
mains, DCD high a battery that is not low, DSR high a cable that is plugged in; DTR high for a while orders the shutdown.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import socket

from serial import rfc2217

from ridethrough.clock import Clock, SystemClock

from .dynamics import step
from .exchange import Exchanges
from .face import LOOPBACK, Place
from .line import SOUND, LineFaults
from .unit import Unit
from .ups import battery_low, is_alive, mains_supply, shut_down

_LOOK = 0.05
"""Seconds between two looks at the UPS."""
HELD = 2.0
"""Seconds for which DTR must be high before the UPS obeys."""
_SETTLE = 10.0
"""Seconds for which an output that was shut down stays off at least."""


class SimulatedPort:
    """A serial port as the port manager sees it: its inputs show the UPS, its outputs reach it."""

    def __init__(self) -> None:
        """Begin with a cable that is unplugged, at the settings of a port that nobody has used."""
        self.cts = self.dsr = self.ri = self.cd = False
        self.dtr = self.rts = self.break_condition = False
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.xonxoff = self.rtscts = False

    def reset_input_buffer(self) -> None:
        """Nothing is ever received."""

    def reset_output_buffer(self) -> None:
        """Nothing is ever sent."""


class _Client(asyncio.Protocol):
    """One connection: the port manager between it and the port."""

    def __init__(self, port: SimulatedPort, joined: Callable[[_Client, bool], None]) -> None:
        self._port = port
        self._joined = joined
        self._transport: asyncio.Transport | None = None
        self.manager: rfc2217.PortManager | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.manager = rfc2217.PortManager(self._port, self)
        self._joined(self, True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._joined(self, False)

    def data_received(self, data: bytes) -> None:
        assert self.manager is not None
        for _ in self.manager.filter(data):
            pass

    def write(self, data: bytes) -> None:
        """Send what the port manager has to say."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


@dataclass(frozen=True, slots=True)
class Held:
    """What is remembered of the shutdown line."""

    since: float | None = None
    obeyed: bool = False


class Contacts:
    """The contacts of one unit, on a TCP port."""

    faults: LineFaults = SOUND
    """None of them fits contacts."""
    requests = ignored = lost_bytes = 0

    def __init__(
        self, unit: Unit, catch_up: Callable[[], None], place: Place | None = None, clock: Clock | None = None
    ) -> None:
        """Serve `unit` at the place's address, a free port of the loopback if there is none.

        `catch_up` lets the time pass for it that has gone by.
        """
        self._unit = unit
        self._catch_up = catch_up
        self._clock = clock or SystemClock()
        self._address = (place or Place()).address or (LOOPBACK, 0)
        self._listener: socket.socket | None = None
        self._clients: set[_Client] = set()
        self._held = Held()
        self.exchanges = Exchanges()
        self.lines = SimulatedPort()
        self.plugged = True
        """Whether the cable is in its socket."""

    @property
    def where(self) -> str | None:
        """Host and port of the serial device server."""
        if self._listener is None:
            return None
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        if self._listener is None:
            family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
            self._listener = socket.create_server(self._address, family=family)
            self._address = self._listener.getsockname()[:2]

    def close(self) -> None:
        """Stop listening, and hang up."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in tuple(self._clients):
            client.hang_up()

    def set_plugged(self, plugged: bool) -> None:
        """Pull the cable between the UPS and the device server, or put it back."""
        self.plugged = plugged

    def look(self) -> None:
        """Have the lines follow the UPS, and the UPS the lines; tell the clients what has changed."""
        self._catch_up()
        design, state, inputs = self._unit.design, self._unit.state, self._unit.inputs
        fed = self.plugged and self.lines.rts and is_alive(design, state, inputs)
        self.lines.dsr = self.plugged
        self.lines.cts = fed and mains_supply(design, inputs) is not None
        self.lines.cd = fed and not battery_low(design, state, inputs)
        self._obey()
        for client in self._clients:
            if client.manager is not None:
                client.manager.check_modem_lines()

    def _obey(self) -> None:
        """Switch off once when the shutdown line has been high for long enough; on mains it is not heard."""
        now = self._clock.monotonic()
        state = self._unit.state
        if not (self.plugged and self.lines.dtr):
            self._held = Held()
            return
        if self._held.since is None:
            self._held = Held(now)
        assert self._held.since is not None
        if not self._held.obeyed and now - self._held.since >= HELD and state.on_battery:
            self._held = Held(self._held.since, obeyed=True)
            ordered = shut_down(state, 0.0, _SETTLE)
            self._unit.state = step(self._unit.design, ordered, self._unit.inputs, 0.0)

    async def run(self) -> None:
        """Serve and follow the UPS until cancelled."""
        self.open()
        assert self._listener is not None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Client(self.lines, self._join), sock=self._listener)
        try:
            while True:
                self.look()
                await self._clock.sleep(_LOOK)
        finally:
            server.close()
            self.close()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[tuple[str, int]]:
        """Run; gives the address. Raises OSError when it is taken."""
        self.open()
        running = asyncio.create_task(self.run())
        try:
            yield self._address
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _join(self, client: _Client, here: bool) -> None:
        (self._clients.add if here else self._clients.discard)(client)


__all__ = ["HELD", "Contacts", "SimulatedPort"]

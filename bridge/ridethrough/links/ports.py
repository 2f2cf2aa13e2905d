"""Every serial port of the process: who owns which, and who shares one."""

import asyncio
from collections.abc import Mapping
import os

from ridethrough.clock import Clock
from ridethrough.serial_line import LineSettings, PortError, opened, sentence

from .base import LinkError
from .port import SerialPort, Transport
from .trace import Trace


class SharedPort:
    """A part in a port that several links use in turns, such as an RS-485 line with a device for each."""

    def __init__(self, port: SerialPort, parts: set[SharedPort], turn: asyncio.Lock) -> None:
        """Use `SerialPorts.share` instead. Who opens or closes the port has the `turn`."""
        self.port = port
        self._parts = parts
        self._turn = turn
        parts.add(self)

    async def close(self) -> None:
        """Give the part back; the port is closed with the last one."""
        async with self._turn:
            self._parts.discard(self)
            if not self._parts:
                await self.port.close()


class SerialPorts:
    """Every serial port of the process, and the trace of each."""

    def __init__(self, clock: Clock) -> None:
        """No port is open yet."""
        self._clock = clock
        self._traces: dict[str, Trace] = {}
        self._owners: dict[str, str] = {}
        """Real path to the name under which it is owned."""
        self._open: dict[str, SerialPort] = {}
        self._shared: dict[str, set[SharedPort]] = {}
        """Real path to the parts in a port that is shared."""
        self._sharing: dict[str, asyncio.Lock] = {}

    @property
    def traces(self) -> Mapping[str, Trace]:
        """The traces of all ports that have been named so far, by the name they were given."""
        return self._traces

    def trace(self, path: str) -> Trace | None:
        """Return the trace of a port, under any of its names; None if nobody has named the port."""
        if path in self._traces:
            return self._traces[path]
        real = os.path.realpath(path)
        return next((trace for name, trace in self._traces.items() if os.path.realpath(name) == real), None)

    def keep_trace(self, path: str) -> Trace:
        """Return the trace of a port, made if there is none; it stays when the port is opened, lost and opened again."""
        return self._traces.setdefault(path, Trace(self._clock))

    async def open(self, path: str, line: LineSettings) -> SerialPort:
        """Own a port until `SerialPort.close`.

        Raises LinkError with a sentence that says what to do: there is no such port, no permission, it is no serial
        port, somebody else has it.
        """
        real = await asyncio.to_thread(os.path.realpath, path)
        owner = self._owners.get(real)
        if owner is not None:
            alias = "" if owner == path else f" under the name {owner}"
            raise LinkError(f"{path} is already used by another link{alias}; give each port to one link only.")
        self._owners[real] = path
        trace = self.keep_trace(path)
        port = SerialPort(path, line, trace, self._clock, lambda: self._release(real))
        try:
            try:
                device = await opened(path, real, line)
            except PortError as error:
                raise LinkError(str(error)) from error
            port.use(device)
            try:
                # It presents itself in the next turn of the loop only; whoever speaks at once needs it now.
                port.connection_made(Transport(asyncio.get_running_loop(), port, device))
            except OSError as error:  # it has gone between its opening and now
                device.close()
                raise LinkError(sentence(path, error)) from error
        except BaseException:
            self._release(real)
            raise
        self._open[real] = port
        trace.note(f"{path}: opened at {line.baud} baud")
        return port

    async def share(self, path: str, line: LineSettings) -> SharedPort:
        """Own a part in a port: others who share it, and nobody else, may use it as well.

        Raises LinkError as `open` does, and when those who have it set the line in another way.
        """
        real = await asyncio.to_thread(os.path.realpath, path)
        turn = self._sharing.setdefault(real, asyncio.Lock())
        async with turn:
            parts = self._shared.get(real)
            port = next((part.port for part in parts or () if not part.port.lost), None)
            if parts is None or port is None:
                port, parts = await self.open(path, line), set()
                self._shared[real] = parts
            elif port.line != line:
                raise LinkError(
                    f"{path} is already used by another link that sets it to {port.line.baud} baud, "
                    f"{port.line.parity} parity, {port.line.stop_bits} stop bits; all links on one line must agree."
                )
            return SharedPort(port, parts, turn)

    async def close(self) -> None:
        """Close every port that is still open."""
        for port in list(self._open.values()):
            await port.close()

    def _release(self, real: str) -> None:
        self._owners.pop(real, None)
        self._open.pop(real, None)
        self._shared.pop(real, None)


__all__ = ["SerialPorts", "SharedPort"]

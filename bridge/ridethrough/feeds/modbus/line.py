"""A serial port that is served: what comes is heard at once, and what is said never waited for."""

import asyncio
from collections.abc import Callable
import os

import serial

from ridethrough.config.feeds import ModbusSerialConfig
from ridethrough.feeds.base import FeedError
from ridethrough.serial_line import PARITIES, LineSettings, PortError, opened, set_free

UNSENT = 1024
"""Bytes that a line that takes nothing may make us remember; what is said beyond them is dropped."""
_BUNCH = 1024
"""Bytes taken from the line at once."""
_FAST = 19200
"""Baud from which on the silence between frames does not get shorter (MODBUS over Serial Line V1.02 §2.5.1.1)."""
_SHORTEST_SILENCE = 0.00175


class Line:
    """An open serial port, from `open` to `close`."""

    def __init__(self, path: str, settings: LineSettings, device: serial.Serial) -> None:
        """Use `Line.open` instead."""
        self.path = path
        self.seconds = settings.seconds
        self.silence = _SHORTEST_SILENCE if settings.baud > _FAST else 3.5 * settings.seconds(1)
        """Seconds between two frames."""
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._gone: asyncio.Future[str] = self._loop.create_future()

    @classmethod
    async def open(cls, config: ModbusSerialConfig) -> Line:
        """Open the port. Raises FeedError with a sentence that says what to do."""
        settings = LineSettings(config.baud, PARITIES[config.parity], config.stop_bits)
        try:
            device = await opened(config.port, await asyncio.to_thread(os.path.realpath, config.port), settings)
        except PortError as error:
            raise FeedError(f"Modbus: {error}") from error
        return cls(config.port, settings, device)

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Call `heard` with what comes in."""
        self._loop.add_reader(self._device.fd, self._receive, heard)

    def say(self, data: bytes) -> None:
        """Send; what does not fit is sent as soon as the line takes it."""
        if self._gone.done() or len(self._unsent) + len(data) > UNSENT:
            return
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._send()

    async def gone(self) -> None:
        """Wait until the port has gone; then raises FeedError."""
        raise FeedError(await self._gone)

    async def close(self) -> None:
        """Give the port back. What is unsent is dropped, as closing would wait for it."""
        self._loop.remove_reader(self._device.fd)
        self._loop.remove_writer(self._device.fd)
        set_free(self._device)
        await asyncio.to_thread(self._device.close)

    def _receive(self, heard: Callable[[bytes], None]) -> None:
        try:
            data = self._device.read(_BUNCH)
        except OSError as error:
            self._lose(error.strerror or str(error))
        else:
            heard(data)

    def _send(self) -> None:
        try:
            del self._unsent[: self._device.write(self._unsent)]
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if self._unsent:
            self._loop.add_writer(self._device.fd, self._send)
        else:
            self._loop.remove_writer(self._device.fd)

    def _lose(self, reason: str) -> None:
        self._loop.remove_reader(self._device.fd)
        self._loop.remove_writer(self._device.fd)
        if not self._gone.done():
            self._gone.set_result(
                f"Modbus has lost its serial port {self.path} ({reason}); is the cable or the adapter unplugged?"
            )


__all__ = ["UNSENT", "Line"]

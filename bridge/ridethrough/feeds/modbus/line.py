"""A serial port that is served: opened in a thread, locked, read and written without waiting."""

import asyncio
from collections.abc import Callable
import contextlib
import errno
import os
from pathlib import Path
import stat
import termios

import serial

from ridethrough.config.feeds import ModbusSerialConfig
from ridethrough.feeds.base import FeedError

UNSENT = 1024
"""Bytes that a line that takes nothing may make us remember; what is said beyond them is dropped."""
_PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
_FAST = 19200
"""Baud from which on the silence between frames does not get shorter (MODBUS over Serial Line V1.02 §2.5.1.1)."""
_SHORTEST_SILENCE = 0.00175


class Line:
    """An open serial port, from `open` to `close`."""

    def __init__(self, config: ModbusSerialConfig, device: serial.Serial) -> None:
        """Use `Line.open` instead."""
        self.path = config.port
        self._device = device
        bits = 1 + 8 + int(config.parity != "none") + config.stop_bits
        self._character = bits / config.baud
        self.silence = _SHORTEST_SILENCE if config.baud > _FAST else 3.5 * self._character
        """Seconds between two frames."""
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._gone: asyncio.Future[str] = self._loop.create_future()

    @classmethod
    async def open(cls, config: ModbusSerialConfig) -> Line:
        """Open the port. Raises FeedError with a sentence that says what to do.

        Opening may block, so that a thread does it; a port that opens after we were cancelled is closed again.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, _opened, config)
        try:
            return cls(config, await asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: None if done.exception() else done.result().close())
            raise

    def seconds(self, characters: int) -> float:
        """How long so many characters take on the line."""
        return characters * self._character

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
        with contextlib.suppress(OSError, termios.error):  # it may have gone
            termios.tcflush(self._device.fd, termios.TCIOFLUSH)
        await asyncio.to_thread(self._device.close)

    def _receive(self, heard: Callable[[bytes], None]) -> None:
        try:
            data = os.read(self._device.fd, 1024)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if data:
            heard(data)
        else:
            self._lose("hung up")

    def _send(self) -> None:
        try:
            del self._unsent[: os.write(self._device.fd, self._unsent)]
        except BlockingIOError:
            pass
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


def _opened(config: ModbusSerialConfig) -> serial.Serial:
    """Open the port; this may block. Raises FeedError."""
    device = serial.Serial()
    device.baudrate, device.parity, device.stopbits = config.baud, _PARITIES[config.parity], config.stop_bits
    device.exclusive = True
    # VMIN 1, VTIME 0: only a port that has gone reads as empty.
    device.inter_byte_timeout = 0
    try:
        if not stat.S_ISCHR(Path(config.port).stat().st_mode):
            raise FeedError(f"{config.port} is not a serial port. Give modbus: serial: another port:.")
        device.port = os.path.realpath(config.port)
        device.open()
        device.reset_input_buffer()
    except (OSError, termios.error, ValueError) as error:
        device.close()
        raise FeedError(_sentence(config.port, error)) from error
    return device


def _sentence(path: str, error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return f"There is no port {path} for Modbus; is the adapter plugged in? See `ls /dev/serial/by-id`."
        case errno.EACCES | errno.EPERM:
            return (
                f"Modbus may not open {path}; add the user of the bridge to the group that owns it, as a rule: "
                "sudo usermod -a -G dialout <user>."
            )
        case errno.EBUSY | errno.EAGAIN:
            return f"{path} is in use by another program or link; give Modbus a port of its own."
        case _:
            return f"Modbus cannot open {path}: {error}."


__all__ = ["UNSENT", "Line"]

"""The operating system's serial lines: how one is set, opened in a thread, locked, read and written without waiting."""

import asyncio
import contextlib
from dataclasses import dataclass
import errno
import fcntl
import os
from pathlib import Path
import stat
import termios

import serial

PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
"""By what people call them."""


class PortError(Exception):
    """A serial port cannot be opened; the message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How a serial line is set. Megatec: 2400 baud, 8 data bits, no parity, 1 stop bit, DTR on and RTS off.

    Many interface cables take their supply from DTR and RTS, so both are set on purpose.
    """

    baud: int = 2400
    parity: str = serial.PARITY_NONE
    stop_bits: int = serial.STOPBITS_ONE
    dtr: bool = True
    rts: bool = False

    @property
    def bits(self) -> int:
        """Bits that one character takes on the line, start and stop bits included."""
        return 1 + 8 + int(self.parity != serial.PARITY_NONE) + self.stop_bits

    def seconds(self, characters: int) -> float:
        """How long so many characters occupy the line."""
        return characters * self.bits / self.baud


class _Device(serial.Serial):  # type: ignore[misc]  # pyserial has no annotations
    """pyserial's port for an event loop: reads and writes what is possible now.

    pyserial waits in select(), which fails for file descriptors from 1024 on, as a bridge with many clients has them.
    """

    def read(self, size: int = 1) -> bytes:
        """Take what has arrived; raises SerialException when the port has gone."""
        try:
            data = os.read(self.fd, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise serial.SerialException(error.errno, f"reading failed: {error.strerror}") from error
        if not data:
            raise serial.SerialException(errno.EIO, "hung up")
        return data

    def write(self, data: bytes) -> int:
        """Send what can be sent now and say how much; raises SerialException when the port has gone."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise serial.SerialException(error.errno, f"writing failed: {error.strerror}") from error


def open_device(path: str, real: str, line: LineSettings) -> serial.Serial:
    """Open the device `real`, which its owner calls `path`; this may block. Raises PortError."""
    try:
        if not _is_serial(Path(real).stat()):
            raise PortError(f"{path} is not a serial port.")
        device = _Device()
        device.port = real
        device.baudrate, device.parity, device.stopbits = line.baud, line.parity, line.stop_bits
        device.dtr, device.rts = line.dtr, line.rts
        device.exclusive = True
        # VMIN 1, VTIME 0: only a port that has gone reads as empty.
        device.inter_byte_timeout = 0
        device.open()
        if not _is_pty(device.fd):
            with contextlib.suppress(OSError):  # the lock is the main thing; not every driver knows this one
                fcntl.ioctl(device.fd, termios.TIOCEXCL)
    except (OSError, termios.error) as error:
        raise PortError(sentence(path, error)) from error
    return device


def sentence(path: str, error: Exception) -> str:
    """Say why a port cannot be opened, and what to do."""
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return f"There is no port {path}; is the adapter plugged in? `ls /dev/serial/by-id` shows what there is."
        case errno.EACCES | errno.EPERM:
            return (
                f"No permission to open {path}; add the user of the bridge to the group that owns it, as a rule: "
                "sudo usermod -a -G dialout <user>, then log in again."
            )
        case errno.EBUSY | errno.EAGAIN:
            return f"{path} is in use by another program; end that program or give the bridge another port."
        case None | errno.ENOTTY | errno.EINVAL:
            return f"{path} is not a serial port ({error})."
        case _:
            return f"{path} cannot be opened: {error}"


def _is_serial(status: os.stat_result) -> bool:
    """Whether this is a serial port, as far as that can be told without opening it: opening a watchdog arms it."""
    if not stat.S_ISCHR(status.st_mode):
        return False
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    subsystem = Path("/sys/dev/char") / number / "subsystem"
    return _pseudo(status.st_rdev) or not subsystem.exists() or subsystem.resolve().name == "tty"


def _is_pty(descriptor: int) -> bool:
    """Whether this is a pseudo-terminal: there TIOCEXCL would outlive us if we were killed, and lock us out."""
    return _pseudo(os.fstat(descriptor).st_rdev)


def _pseudo(device: int) -> bool:
    return 136 <= os.major(device) <= 143


async def opened(path: str, real: str, line: LineSettings) -> serial.Serial:
    """Open in a thread, as opening may block; a port that opens after we were cancelled is closed again.

    Raises PortError.
    """
    opening = asyncio.get_running_loop().run_in_executor(None, open_device, path, real, line)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: None if done.exception() else done.result().close())
        raise


def set_free(device: serial.Serial) -> None:
    """Let others open the port, and drop what is still to be sent: closing would wait for it."""
    with contextlib.suppress(OSError, termios.error):  # it has gone: there is nothing left to free
        fcntl.ioctl(device.fd, termios.TIOCNXCL)
        termios.tcflush(device.fd, termios.TCIOFLUSH)


__all__ = ["PARITIES", "LineSettings", "PortError", "open_device", "opened", "sentence", "set_free"]

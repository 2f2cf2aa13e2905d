"""The owner of serial ports: one owner per port, opened in a thread, every byte traced."""

import asyncio
from collections.abc import Callable, Mapping
import contextlib
from dataclasses import dataclass
import errno
import fcntl
import os
from pathlib import Path
import stat
import sys
import termios
from typing import Any

import serial
from serial_asyncio_fast import SerialTransport

from ridethrough.clock import Clock

from .base import LinkError
from .line import LineSettings
from .trace import RECEIVED, SENT, Trace, escaped

BACKLOG = 4096
"""Bytes kept that nobody has asked for; a device that sends more is flooding the line."""


_MODEM_INPUTS = {"cts": termios.TIOCM_CTS, "dcd": termios.TIOCM_CD, "dsr": termios.TIOCM_DSR, "ri": termios.TIOCM_RI}


class NoAnswerError(LinkError):
    """Nothing came back in time."""


class MalformedError(LinkError):
    """Something came back, but not what was asked for: too short, too long, another shape."""

    def __init__(self, message: str, received: bytes) -> None:
        """`received` is what came instead, cut to what a person can use."""
        super().__init__(message)
        self.received = received[:80]


class FloodError(MalformedError):
    """The other end sends without being asked and does not stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One line that came back."""

    data: bytes
    """Without its terminator."""
    at: float
    """The clock's monotonic time of its last byte."""
    seconds: float
    """From the first byte of the request to the last of the answer."""
    strays: tuple[bytes, ...] = ()
    """Lines that came before it and belong to no question of ours, e.g. late answers."""


def _anything(_line: bytes) -> bool:
    return True


class SerialPort(asyncio.Protocol):
    """An open port with one owner. Only one exchange is on the line at a time."""

    def __init__(self, path: str, line: LineSettings, trace: Trace, clock: Clock, released: Callable[[], None]) -> None:
        """Use `SerialPorts.open` instead. `released` is called when the port is closed."""
        self._released = released
        self.path = path
        self.line = line
        self.trace = trace
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: _Transport | None = None
        self._device: serial.Serial = None
        self._received = bytearray()
        self._last_byte = clock.monotonic()
        self._heard = self._loop.time()
        self._arrived = asyncio.Event()
        self._gone: asyncio.Future[str] = self._loop.create_future()
        """Set when the port is closed, with the reason."""
        self._turn = asyncio.Lock()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, _Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what arrives, within bounds."""
        self._last_byte, self._heard = self._clock.monotonic(), self._loop.time()
        self.trace.record(RECEIVED, data)
        self._received += data[: BACKLOG - len(self._received)]
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the adapter was unplugged, the other end has gone, or we have closed the port."""
        reason = "closed" if exc is None else f"the port has gone ({exc}); is the cable or the adapter unplugged?"
        self.trace.note(f"{self.path}: {reason}")
        self._released()
        self._gone.set_result(reason)
        self._arrived.set()

    def use(self, device: serial.Serial) -> None:
        """Take over the device that has been opened; see `SerialPorts.open`."""
        self._device = device

    # What its owner calls

    @property
    def lost(self) -> bool:
        """Whether the port is closed or has gone."""
        return self._gone.done()

    async def pause(self, seconds: float) -> None:
        """Wait, and raise LinkError at once if the port goes meanwhile."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        either: list[asyncio.Future[Any]] = [sleeping, self._gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        self._check()

    async def exchange(
        self,
        request: bytes,
        *,
        accept: Callable[[bytes], bool] = _anything,
        terminator: bytes = b"\r",
        patience: float = 1.0,
        longest: int = 256,
    ) -> Answer:
        """Send `request` and return the next line that `accept` takes for its answer.

        What came unasked, such as a late answer to an earlier request, is thrown away before sending; a line that
        `accept` refuses is passed over. `patience` are the seconds that the device may think; the time the
        characters take on the line is added to it. No line may be longer than `longest` bytes.

        Raises NoAnswerError, MalformedError, FloodError, or LinkError when the port has gone.
        """
        async with self._turn:
            await asyncio.sleep(0)
            await self._quiet(patience)
            self._received.clear()
            sent = self._clock.monotonic()
            self._check()
            assert self._transport is not None
            self.trace.record(SENT, request)
            self._transport.write(request)
            try:
                return await self._answer(sent, request, accept, terminator, patience, longest)
            finally:
                self.trace.flush()

    async def converse[T](
        self, request: bytes, find: Callable[[bytes], T | None], *, patience: float = 1.0, longest: int = 256
    ) -> T:
        """Send `request` and return what `find` makes of all that has come back, as soon as it makes anything of it.

        For protocols whose answers have no terminator. `patience` and `longest` are as in `exchange`; the line is
        silent for at least three and a half characters before the request, as Modbus wants it.

        Raises NoAnswerError, MalformedError, FloodError, or LinkError when the port has gone.
        """
        async with self._turn:
            await asyncio.sleep(0)
            await self._quiet(patience)
            self._received.clear()
            silence = self._heard + max(0.00175, self.line.seconds(4)) - self._loop.time()
            if silence > 0:
                await asyncio.sleep(silence)
            self._check()
            assert self._transport is not None
            self.trace.record(SENT, request)
            self._transport.write(request)
            allowed = self.line.seconds(len(request)) + patience + 1.5 * self.line.seconds(longest)
            try:
                async with asyncio.timeout(allowed):
                    while (found := find(bytes(self._received))) is None:
                        self._check()
                        self._arrived.clear()
                        await self._arrived.wait()
                    return found
            except TimeoutError:
                seen = bytes(self._received)
                if not seen:
                    raise NoAnswerError(f"{self.path}: no answer to {request.hex(' ')}") from None
                raise MalformedError(f"{self.path}: the answer makes no sense: {seen[:40].hex(' ')}", seen) from None
            finally:
                self.trace.flush()

    async def hear(self, *, terminator: bytes = b"\r", longest: int = 64) -> bytes | None:
        """Wait for what the other end asks us, for ports that we serve; None when it is too long to be anything.

        Raises LinkError when the port has gone.
        """
        while True:
            self._check()
            end = self._received.find(terminator)
            if end > longest or (end < 0 and len(self._received) > longest):
                del self._received[: end + len(terminator) if end >= 0 else len(self._received)]
                return None
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + len(terminator)]
                return line
            self._arrived.clear()
            await self._arrived.wait()

    def say(self, data: bytes) -> None:
        """Send something that is not asked about again. Raises LinkError when the port has gone.

        What the other end does not take is dropped: it must not make us remember without bound.
        """
        self._check()
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > BACKLOG:
            self.trace.note(f"{self.path}: the other end takes nothing; {len(data)} bytes are dropped")
            return
        self.trace.record(SENT, data)
        self._transport.write(data)
        self.trace.flush()

    def modem_lines(self) -> frozenset[str]:
        """Tell which of the inputs cts, dcd, dsr and ri are high. Raises LinkError, also when it has none, as a pty."""
        self._check()
        try:
            bits = int.from_bytes(fcntl.ioctl(self._device.fd, termios.TIOCMGET, bytes(4)), sys.byteorder)
        except OSError as error:
            raise LinkError(f"{self.path} does not tell its modem lines ({error.strerror}).") from error
        return frozenset(name for name, bit in _MODEM_INPUTS.items() if bits & bit)

    def drive(self, *, dtr: bool, rts: bool, brk: bool = False) -> None:
        """Set the outputs: DTR, RTS, and a break on the transmit line. Raises LinkError when it cannot be done."""
        self._check()
        device = self._device
        try:
            device.dtr, device.rts = dtr, rts
            if brk is not device.break_condition:
                device.break_condition = brk
        except (OSError, termios.error) as error:
            raise LinkError(f"{self.path} cannot set its modem lines ({error}).") from error
        self.trace.note(f"{self.path}: dtr {_word(dtr)}, rts {_word(rts)}, break {_word(brk)}")

    def keep_outputs(self) -> None:
        """Have DTR and RTS stay as they are when the port is closed, which else drops them."""
        self._check()
        with contextlib.suppress(OSError, termios.error):  # it is only as good as the driver
            attributes = termios.tcgetattr(self._device.fd)
            attributes[2] &= ~termios.HUPCL
            termios.tcsetattr(self._device.fd, termios.TCSANOW, attributes)

    async def close(self) -> None:
        """Give the port back; returns when it is closed."""
        await asyncio.sleep(0)  # the transport presents itself in the turn after the opening
        if self._transport is not None and not self._transport.is_closing():
            _set_free(self._transport.serial)
            self._transport.abort()
        await asyncio.wait({self._gone})

    # How it is done

    def _check(self) -> None:
        if self._gone.done():
            raise LinkError(f"{self.path}: {self._gone.result()}")

    async def _quiet(self, patience: float) -> None:
        """Wait until the line is silent: what still trickles in is no answer to what we are about to ask."""
        silence = max(0.01, self.line.seconds(3))
        given_up = self._loop.time() + patience + self.line.seconds(BACKLOG // 16)
        while self._received:
            self._check()
            now = self._loop.time()
            if now - self._heard >= silence:
                break
            if now > given_up:
                raise FloodError(
                    f"{self.path}: the other end sends without being asked and does not stop; "
                    "check the baud rate and that nothing else is connected.",
                    bytes(self._received),
                )
            await asyncio.sleep(silence)

    async def _answer(
        self,
        sent: float,
        request: bytes,
        accept: Callable[[bytes], bool],
        terminator: bytes,
        patience: float,
        longest: int,
    ) -> Answer:
        strays: list[bytes] = []
        first = self._loop.time() + self.line.seconds(len(request)) + patience
        last = first + 1.5 * self.line.seconds(longest)
        deadline = first
        while True:
            end = self._received.find(terminator)
            if end > longest or (end < 0 and len(self._received) > longest) or len(strays) > 16:
                seen = b"".join(strays) + self._received
                raise FloodError(f"{self.path}: the answer to {escaped(request)} does not end", bytes(seen))
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + len(terminator)]
                if accept(line):
                    return Answer(line, self._last_byte, self._last_byte - sent, tuple(strays))
                strays.append(line)
                continue
            self._check()
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._arrived.wait()
            except TimeoutError:
                seen = b"\r".join([*strays, bytes(self._received)])
                if not seen.strip():
                    raise NoAnswerError(f"{self.path}: no answer to {escaped(request)}") from None
                raise MalformedError(
                    f"{self.path}: {escaped(request)} was answered with {escaped(seen[:80])}", seen
                ) from None
            # Once the answer has begun, its characters follow one another; a pause of 20 of them ends it.
            deadline = min(last, max(first if strays else 0.0, self._loop.time() + max(0.25, self.line.seconds(20))))


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
            device = await _opened(path, real, line)
            port.use(device)
            try:
                _Transport(asyncio.get_running_loop(), port, device)
            except OSError as error:  # it has gone between its opening and now
                device.close()
                raise LinkError(_sentence(path, error)) from error
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


async def _opened(path: str, real: str, line: LineSettings) -> serial.Serial:
    """Open in a thread, as opening may block; a port that opens after we were cancelled is closed again."""
    opening = asyncio.get_running_loop().run_in_executor(None, _open, path, real, line)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: None if done.exception() else done.result().close())
        raise


class _Transport(SerialTransport):
    """pyserial's transport, less its complaint to the loop: that an adapter was unplugged is no bug of ours."""

    def _fatal_error(self, exc: BaseException, message: str = "") -> None:
        self._abort(exc)


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


def _open(path: str, real: str, line: LineSettings) -> serial.Serial:
    try:
        if not stat.S_ISCHR(Path(real).stat().st_mode):
            raise LinkError(f"{path} is not a serial port.")
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
        raise LinkError(_sentence(path, error)) from error
    return device


def _sentence(path: str, error: Exception) -> str:
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


def _is_pty(descriptor: int) -> bool:
    """Whether this is a pseudo-terminal: there TIOCEXCL would outlive us if we were killed, and lock us out."""
    return 136 <= os.major(os.fstat(descriptor).st_rdev) <= 143


def _word(on: bool) -> str:
    return "on" if on else "off"


def _set_free(device: serial.Serial) -> None:
    """Let others open the port, and drop what is still to be sent: closing would wait for it."""
    with contextlib.suppress(OSError, termios.error):  # it has gone: there is nothing left to free
        fcntl.ioctl(device.fd, termios.TIOCNXCL)
        termios.tcflush(device.fd, termios.TCIOFLUSH)


__all__ = [
    "Answer",
    "FloodError",
    "MalformedError",
    "NoAnswerError",
    "SerialPort",
    "SerialPorts",
    "SharedPort",
]

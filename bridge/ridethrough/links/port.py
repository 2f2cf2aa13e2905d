"""A serial port with one owner: every byte traced, one exchange at a time on the line."""

import asyncio
from collections.abc import Callable
import contextlib
import fcntl
import sys
import termios
from typing import Any

import serial
from serial_asyncio_fast import SerialTransport

from ridethrough.clock import Clock
from ridethrough.serial_line import LineSettings, set_free

from .answer import Answer, FloodError, MalformedError, NoAnswerError
from .base import LinkError
from .trace import RECEIVED, SENT, Trace, escaped

BACKLOG = 4096
"""Bytes kept that nobody has asked for; a device that sends more is flooding the line."""
_MODEM_INPUTS = {"cts": termios.TIOCM_CTS, "dcd": termios.TIOCM_CD, "dsr": termios.TIOCM_DSR, "ri": termios.TIOCM_RI}


def _anything(_line: bytes) -> bool:
    return True


class Transport(SerialTransport):
    """pyserial's transport, less its complaint to the loop: that an adapter was unplugged is no bug of ours."""

    def _fatal_error(self, exc: BaseException, message: str = "") -> None:
        self._abort(exc)


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
        self._transport: Transport | None = None
        self._device: serial.Serial = None
        self._received = bytearray()
        self._last_byte = clock.monotonic()
        self._heard = self._loop.time()
        self._arrived = asyncio.Event()
        self._gone: asyncio.Future[str] = self._loop.create_future()
        """Set when the port is closed, with the reason."""
        self._turn = asyncio.Lock()
        self._receiver: Callable[[bytes], None] | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what arrives, within bounds."""
        self._last_byte, self._heard = self._clock.monotonic(), self._loop.time()
        self.trace.record(RECEIVED, data)
        if self._receiver is not None:
            self._receiver(data)
            return
        self._received += data[: BACKLOG - len(self._received)]
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the adapter was unplugged, the other end has gone, or we have closed the port."""
        reason = "closed" if exc is None else f"the port has gone ({exc}); is the cable or the adapter unplugged?"
        self.trace.note(f"{self.path}: {reason}")
        self._released()
        self._gone.set_result(reason)
        self._arrived.set()
        if self._receiver is not None:
            self._receiver(b"")

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

    def hand_over(self, receiver: Callable[[bytes], None]) -> None:
        """Give what arrives to `receiver` at once from now on and keep none of it; nothing at all when the port has gone.

        For protocols that keep the time of their line themselves; they send with `say`.
        """
        self._receiver = receiver

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

    @property
    def unsent(self) -> int:
        """How many bytes the operating system has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def modem_lines(self) -> frozenset[str]:
        """Tell which of the inputs cts, dcd, dsr and ri are high. Raises LinkError, also when it has none, as a pty."""
        self._check()
        try:
            bits = int.from_bytes(fcntl.ioctl(self._device.fd, termios.TIOCMGET, bytes(4)), sys.byteorder)
        except OSError as error:
            raise LinkError(
                f"{self.path} does not tell its modem lines ({error.strerror}); contacts need a real serial port, or an "
                "adapter that has cts, dcd, dsr and ri."
            ) from error
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
            set_free(self._transport.serial)
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


def _word(on: bool) -> str:
    return "on" if on else "off"


__all__ = ["SerialPort", "Transport"]

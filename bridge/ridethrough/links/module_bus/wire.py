"""One end of a bus: a serial port or a TCP connection to one, and the time that questions and answers take on it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import contextlib
from typing import Protocol, Self

from ridethrough.links.base import LinkError
from ridethrough.links.ports import SerialPorts
from ridethrough.links.trace import RECEIVED, SENT, Trace
from ridethrough.serial_line import LineSettings

from .frames import Heard, Question, cut

SILENCE = 2
"""Characters of silence that end a frame."""
TURNAROUND = 0.001
"""Seconds within which the first answer begins."""
LATE = 1
"""Characters by which an answer may be late."""
SPARE = 512
"""Bytes kept beyond those of the answers: late ones, an echo, noise."""
SLOWEST = 0.032
"""Seconds that are learned to be waited for late answers at most; adapters gather bytes for 16 ms."""
FORGETTING = 0.98
"""What is left of that with each question after which none was late."""
PARTING = 1.0
"""Seconds that a connection may take to be closed."""
SPIN = 0.0006
"""Seconds that are not worth a sleep: the loop cannot sleep for less than a millisecond."""


class Carrier(Protocol):
    """What carries bytes: `SerialPort`, `TcpPort`."""

    @property
    def lost(self) -> bool:
        """Whether it has gone."""

    @property
    def unsent(self) -> int:
        """How many bytes wait here to be sent."""

    def hand_over(self, receiver: Callable[[bytes], None]) -> None:
        """Give what arrives to `receiver`, nothing at all when it has gone."""

    def say(self, data: bytes) -> None:
        """Send. Raises LinkError when it has gone."""

    async def close(self) -> None:
        """Give it up."""


class TcpPort(asyncio.Protocol):
    """The raw port of a device server, behind which the bus is."""

    def __init__(self, where: str, trace: Trace) -> None:
        """Use `TcpPort.open` instead."""
        self._where = where
        self._trace = trace
        self._transport: asyncio.Transport | None = None
        self._receiver: Callable[[bytes], None] = lambda data: None
        self._gone = asyncio.Event()

    @property
    def lost(self) -> bool:
        """See `Carrier`."""
        return self._gone.is_set()

    @classmethod
    async def open(cls, host: str, port: int, patience: float, trace: Trace) -> Self:
        """Connect. Raises LinkError with a sentence."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                _, carrier = await loop.create_connection(lambda: cls(where, trace), host, port)
        except TimeoutError as error:
            raise LinkError(f"{where} cannot be reached within {patience:g} s; is the address right?") from error
        except OSError as error:
            raise LinkError(
                f"{where} cannot be reached: {error.strerror or error}. Is it the raw port of the device server, and "
                "is nobody else connected to it?"
            ) from error
        trace.note(f"{where}: connected")
        return carrier

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._trace.record(RECEIVED, data)
        self._receiver(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the other end has gone, or we have closed it."""
        self._gone.set()
        self._trace.note(f"{self._where}: closed")
        self._receiver(b"")

    @property
    def unsent(self) -> int:
        """See `Carrier`."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def hand_over(self, receiver: Callable[[bytes], None]) -> None:
        """See `Carrier`."""
        self._receiver = receiver

    def say(self, data: bytes) -> None:
        """See `Carrier`; what a stuck connection does not take is dropped."""
        if self.lost or self._transport is None:
            raise LinkError(f"{self._where} has closed the connection")
        if self.unsent > SPARE:
            return
        self._trace.record(SENT, data)
        self._transport.write(data)
        self._trace.flush()

    async def close(self) -> None:
        """See `Carrier`; what has been said last still goes out, if the other end takes it soon."""
        if self._transport is not None:
            self._transport.close()
            try:
                async with asyncio.timeout(PARTING):
                    await self._gone.wait()
            except TimeoutError:
                self._transport.abort()


class Floor:
    """Who may speak on a line: both ends of a ring are one line."""

    def __init__(self) -> None:
        """Nobody has spoken yet."""
        self.turn = asyncio.Lock()
        self.free_at = 0.0
        """When the line is silent again, by the time of the loop."""
        self.speaker: Wire | None = None
        """Who spoke last; what the others have heard since is not for them."""


class Wire:
    """Puts one question at a time on the line, and knows when its last answer has been given or can no longer come."""

    def __init__(self, where: str, opener: Callable[[], Awaitable[Carrier]], line: LineSettings, guard: float) -> None:
        """`guard` are the seconds by which what is heard may arrive here later than it was said. `open` comes next."""
        self.where = where
        self.line = line
        self._opener = opener
        self._carrier: Carrier | None = None
        self._guard = self._least = guard
        self._on_time = True
        """Whether the answer in the last slot has come."""
        self._gave_up = False
        """Whether it was not waited for any longer, the last time."""
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._said: deque[bytes] = deque(maxlen=8)
        """What nobody answers, since the last answers were looked at."""
        self._question: Question | None = None
        self._done: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = self._sent_at = self._latest = 0.0
        self._most = SPARE
        self.echoes = False
        """Whether we hear ourselves, as with many adapters."""
        self.sent = self.received = 0
        """Characters so far."""
        self._floor = Floor()

    def beside(self, other: Wire) -> None:
        """Be the other end of a ring."""
        self._floor = other._floor

    @property
    def turn(self) -> asyncio.Lock:
        """For those who must not be interrupted between two questions."""
        return self._floor.turn

    @classmethod
    def serial(cls, ports: SerialPorts, path: str, line: LineSettings, guard: float) -> Self:
        """Make one for a serial port."""
        return cls(path, lambda: ports.open(path, line), line, guard)

    @classmethod
    def tcp(cls, ports: SerialPorts, host: str, port: int, line: LineSettings, guard: float) -> Self:
        """Make one for the raw serial port of a device server."""
        where = f"{host}:{port}"
        return cls(where, lambda: TcpPort.open(host, port, 5.0, ports.keep_trace(where)), line, guard)

    @property
    def lost(self) -> bool:
        """Whether it is not open, or no longer."""
        return self._carrier is None or self._carrier.lost

    async def open(self) -> None:
        """Own the port, or own it again. Raises LinkError."""
        async with self.turn:
            self._carrier = await self._opener()
            self._carrier.hand_over(self._arrived)

    async def close(self) -> None:
        """Give it back when what was said last has gone out, if that does not take long."""
        if self._carrier is None:
            return
        unsent = self._floor.free_at - self._loop.time()
        if not self._carrier.lost and 0 < unsent < 1.0:
            await asyncio.sleep(unsent)
        await self._carrier.close()

    # Asking

    async def ask(self, question: Question, *, patience: float = 0.0) -> Heard:
        """Ask when it is our turn, and return what was heard; `patience` is how much longer a first answer may take.

        Raises LinkError when the line has gone.
        """
        async with self.turn:
            await self.begin(question, patience=patience)
            return await self.end()

    async def begin(self, question: Question, *, patience: float = 0.0) -> None:
        """Send a question as soon as the line is free; `end` must follow before the next one."""
        free = self._floor.free_at - self._loop.time()
        if free > SPIN:
            await asyncio.sleep(free)
        while self._loop.time() < self._floor.free_at:
            pass  # two characters at 115,200 baud; asyncio would make a millisecond of them
        self._check()
        if self._floor.speaker is not self:
            self._received.clear()
            self._floor.speaker = self
        question_time = self.line.seconds(len(question.frame))
        self._question = question
        self._done = self._loop.create_future()
        self._most = question.slots * question.length + len(question.frame) + sum(map(len, self._said)) + SPARE
        assert self._carrier is not None
        self._carrier.say(question.frame)
        self._on_time = False
        self.sent += len(question.frame)
        now = self._loop.time()
        self._sent_at = self._heard_at = now + question_time
        if question.slots == 0:
            self._floor.free_at = self._sent_at + self.line.seconds(SILENCE)
            self._done.set_result(None)
            return
        allowed = TURNAROUND + self._guard + patience
        slots = self.line.seconds(question.slots * (question.length + SILENCE))
        self._latest = self._sent_at + allowed + slots + self.line.seconds(LATE * question.slots)
        self._floor.free_at = self._latest
        self._timer = self._loop.call_at(self._sent_at + allowed + slots, self._look)

    async def end(self) -> Heard:
        """Wait for the last answer, or until it can no longer come."""
        assert self._done is not None
        assert self._question is not None
        try:
            await self._done
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._done = None
        self._check()
        question = self._question
        if question.slots == 0:
            # Whoever hears himself hears it only later: it is looked for with the next answers.
            self._said.append(question.frame)
            return Heard([], [])
        received = bytes(self._received)
        self._received.clear()
        self.received += len(received)
        for frame in self._said:
            received = received.replace(frame, b"", 1)
        self._said.clear()
        if question.frame in received and (self.echoes or not question.expects_itself):
            self.echoes = True
            received = received.replace(question.frame, b"", 1)
        heard = cut(received)
        self._learn(question, heard)
        return heard

    def _learn(self, question: Question, heard: Heard) -> None:
        """Wait longer for the silent where answers come late, as by adapters that gather bytes for some milliseconds."""
        late = bool(heard.frames) and heard.frames[0][1] != question.function
        if late or (heard.noise and self._gave_up):
            self._guard = min(SLOWEST, 2 * self._guard)
        else:
            self._guard = max(self._least, self._guard * FORGETTING)
        self._gave_up = not self._on_time

    def _check(self) -> None:
        if self.lost:
            raise LinkError(f"{self.where} has gone; is the cable or the adapter unplugged?")

    def _arrived(self, data: bytes) -> None:
        now = self._loop.time()
        if not data:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)
            return
        self._heard_at = now
        received = self._received
        received += data[: self._most - len(received)]
        question = self._question
        if question is None or not question.last or self._done is None or self._done.done():
            return
        length = question.length
        if received[-length:].startswith(question.last) and len(received) >= length + self._own:
            self._on_time = True
            self._finish()

    @property
    def _own(self) -> int:
        """Characters of the question that are heard as well."""
        assert self._question is not None
        return len(self._question.frame) if self.echoes else 0

    def _look(self) -> None:
        """See whether somebody may still be answering: slots count from the last frame that was heard."""
        if self._done is None or self._done.done():
            return
        now = self._loop.time()
        question = self._question
        assert question is not None
        end = now
        if question.slots > 1 and self._heard_at > self._sent_at and now < self._latest:
            left = question.slots - 1 - self._slot(question)
            end = self._heard_at + self._guard + self.line.seconds(left * (question.length + SILENCE) + LATE)
        elif question.slots == 1 and len(self._received) > self._own:
            # It is being given: what is still to come of it takes no longer than its characters.
            end = min(self._latest, self._heard_at + self._guard + self.line.seconds(question.length))
        if end > now:
            self._timer = self._loop.call_at(min(end, max(now + 0.001, self._latest)), self._look)
        else:
            self._finish()

    def _slot(self, question: Question) -> int:
        """Which slot was heard last."""
        if question.last[2:3] == b"":  # these answers are not in the order of their numbers
            return -1
        frames = cut(bytes(self._received)).frames
        for frame in reversed(frames):
            if frame[1] == question.function:
                number = frame[2] if len(question.last) == 3 else int.from_bytes(frame[2:4])
                return min(question.slots - 1, max(0, number - question.first))
        return -1

    def _finish(self) -> None:
        assert self._done is not None
        self._floor.free_at = max(self._heard_at + self.line.seconds(SILENCE), self._sent_at)
        self._done.set_result(None)


async def closed(wires: list[Wire]) -> None:
    """Close several; what fails while closing is gone anyway."""
    for wire in wires:
        with contextlib.suppress(LinkError, OSError):
            await wire.close()


__all__ = ["Carrier", "TcpPort", "Wire", "closed"]

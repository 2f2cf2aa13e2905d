"""What went over a serial line: time-stamped, kept for a while, live for who listens, saved if asked (manual M:4323)."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
import logging
from pathlib import Path

from ridethrough.clock import Clock

_LOGGER = logging.getLogger(__name__)

SENT = ">"
RECEIVED = "<"
NOTE = "#"

LONGEST = 256
"""Bytes after which a line is cut even if no terminator came."""
PAUSE = 0.25
"""Seconds of silence that end a line; far longer than a character at 300 baud (33 ms)."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """Bytes that went one way in one go, or a note of the bridge."""

    at: datetime
    """When the last byte of the line passed (UTC)."""
    direction: str
    """`>` sent, `<` received, `#` a note."""
    data: bytes

    def __str__(self) -> str:
        r"""Write the line for a person: `2026-01-01T00:00:00.123Z > Q1\r`; binaries are followed by their hex octets."""
        stamp = f"{self.at:%Y-%m-%dT%H:%M:%S}.{self.at.microsecond // 1000:03d}Z"
        if self.direction == NOTE:
            return f"{stamp} {NOTE} {self.data.decode()}"
        text = escaped(self.data)
        binary = any(not 0x20 <= byte < 0x7F and byte not in b"\r\n" for byte in self.data)
        return f"{stamp} {self.direction} {text}{f'  [{self.data.hex(" ")}]' if binary else ''}"


def escaped(data: bytes) -> str:
    r"""Bytes as printable text: `\r`, `\n`, `\t`, `\\` and `\xNN` for what cannot be shown."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


class Subscription:
    """One reader of a live trace: `async for line in subscription`. Too slow a reader misses lines and is told."""

    def __init__(self, clock: Clock, limit: int) -> None:
        """Use `Trace.subscribe` instead."""
        self._clock = clock
        self._limit = limit
        self._lines: deque[TraceLine] = deque()
        self._missed = 0
        self._news = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> Subscription:
        """Lines as they come."""
        return self

    async def __anext__(self) -> TraceLine:
        """Wait for the next line. Ends when the subscription is closed."""
        while not self._lines:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        line = self._lines.popleft()
        if not self._lines and self._missed:
            note = f"{self._missed} lines are missing here: the reader of this trace was too slow"
            self._lines.append(TraceLine(self._clock.utc(), NOTE, note.encode()))
            self._missed = 0
        return line

    def put(self, line: TraceLine) -> None:
        """Queue a line, or count it as missed when the reader is too far behind."""
        if len(self._lines) >= self._limit:
            self._missed += 1
        else:
            self._lines.append(line)
        self._news.set()

    def end(self) -> None:
        """No more lines will come."""
        self._ended = True
        self._news.set()


class Trace:
    """The trace of one port. It outlives the port's closing and opening; its memory is bounded."""

    def __init__(self, clock: Clock, keep: int = 2000) -> None:
        """Keep the last `keep` lines (of at most 256 bytes each)."""
        self._clock = clock
        self._lines: deque[TraceLine] = deque(maxlen=keep)
        self._subscriptions: list[Subscription] = []
        self._direction = RECEIVED
        self._pending = bytearray()
        self._stamp = clock.utc()
        self._touched = clock.monotonic()

    @property
    def lines(self) -> list[TraceLine]:
        """The lines that are still kept, oldest first."""
        return list(self._lines)

    def record(self, direction: str, data: bytes) -> None:
        """Note bytes that went one way; a carriage return, a pause or a turn of direction ends a line."""
        now = self._clock.monotonic()
        if direction != self._direction or now - self._touched > PAUSE:
            self.flush()
        self._direction, self._touched, self._stamp = direction, now, self._clock.utc()
        for byte in data:
            self._pending.append(byte)
            if byte == 0x0D or len(self._pending) >= LONGEST:
                self.flush()

    def flush(self) -> None:
        """End the line that is being gathered."""
        if self._pending:
            line = TraceLine(self._stamp, self._direction, bytes(self._pending))
            self._pending.clear()
            self._append(line)

    def note(self, text: str) -> None:
        """Add a remark of the bridge, e.g. that the port was opened."""
        self.flush()
        self._append(TraceLine(self._clock.utc(), NOTE, text.encode()))

    @contextmanager
    def subscribe(self, *, history: bool = True, limit: int = 1000) -> Iterator[Subscription]:
        """Listen live, after what is kept if `history`; at most `limit` lines wait for the reader."""
        subscription = Subscription(self._clock, limit)
        for line in list(self._lines)[-limit:] if history else ():
            subscription.put(line)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            subscription.end()

    async def save(self, path: Path, *, size: int = 1_000_000, files: int = 5) -> None:
        """Write the trace to a file until cancelled: `path`, and older ones `path.1`, `path.2`, ….

        At most `files` files of about `size` bytes each. A full disk costs lines, not the line's owner.
        """
        failing = False
        with self.subscribe() as subscription:
            async for line in subscription:
                try:
                    await asyncio.to_thread(_append, path, f"{line}\n", size, files)
                except OSError as error:
                    if not failing:
                        _LOGGER.warning("The trace cannot be saved to %s: %s", path, error)
                    failing = True
                else:
                    if failing:
                        _LOGGER.info("The trace is saved to %s again", path)
                    failing = False

    def _append(self, line: TraceLine) -> None:
        self._lines.append(line)
        for subscription in self._subscriptions:
            subscription.put(line)


def _append(path: Path, text: str, size: int, files: int) -> None:
    """Append to a file; when it is full, move it and its elders up by one and drop the oldest."""
    if path.exists() and path.stat().st_size + len(text) > size:
        for number in range(files - 1, 0, -1):
            older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number}"))
        if files == 1:
            path.unlink()
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


__all__ = ["NOTE", "RECEIVED", "SENT", "Subscription", "Trace", "TraceLine", "escaped"]

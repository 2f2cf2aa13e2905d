"""One receiver: what waits for it, and a worker that sends it in order, however often the receiver goes away."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import logging
import random

from ridethrough.clock import Clock
from ridethrough.config.feeds import SyslogReceiver
from ridethrough.events.syslog_message import Message, Sender, write
from ridethrough.feeds.base import Traffic
from ridethrough.tasks import Backoff

from .connection import Connection, connect, reason_of

_LOGGER = logging.getLogger(__name__)

CAPACITY = 10_000
"""Messages that wait at most, as many as events for the journal: some MB, hours of a flapping UPS."""
BATCH = 50
"""Messages that are sent before others have their turn: some 2 ms."""
LOOK, LONGEST_LOOK = 0.02, 2.0
"""Seconds after which it is looked whether messages have arrived: soon at first, then less often."""
BACKOFF = Backoff(first=1.0, cap=60.0)
STEADY = 10.0
"""Seconds that a connection must have stood so that the next failure counts as the first."""

type Compose = Callable[[], Message]


@dataclass(slots=True, eq=False)
class _Waiting:
    sequence: int
    compose: Compose
    """Makes the message when it is sent, not where events come from, which must be quick."""
    missing: int = 0
    """How many messages it says to be missing."""
    test: asyncio.Future[str | None] | None = None
    """Whoever waits for it, and is told why it did not arrive; once this is done nobody wants it any longer."""


class Receiver:
    """Sends messages to one receiver. What cannot be sent waits, and of too much the oldest are dropped and counted."""

    def __init__(
        self,
        config: SyslogReceiver,
        sender: Sender,
        clock: Clock,
        traffic: Traffic,
        lost: Callable[[int], Message],
    ) -> None:
        """Collect from now on; `run` sends. `lost` says in a message how many have been dropped."""
        host = f"[{config.address}]" if ":" in config.address else config.address
        self.name = f"{host}:{config.port} ({config.transport.upper()})"
        self._config = config
        self._sender = sender
        self._clock = clock
        self._traffic = traffic
        self._lost = lost
        self._queue: deque[_Waiting] = deque()
        self._flight: deque[_Waiting] = deque()
        self._sequence = 0
        self._dropped = 0
        self._tests: set[asyncio.Future[str | None]] = set()
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._failures = 0
        self._reachable = False
        self.problem: str | None = None
        """Why it cannot be reached."""

    @property
    def waiting(self) -> int:
        """How many messages have not arrived yet."""
        return len(self._queue) + len(self._flight)

    def put(self, compose: Compose) -> None:
        """Send this when all before it has been sent."""
        self._put(compose)

    async def test(self, message: Message, patience: float) -> str | None:
        """Send a message now, even when the receiver would be tried later only; returns why it did not arrive."""
        test: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._put(lambda: message, test)
        self._tests.add(test)
        test.add_done_callback(self._tests.discard)
        self._hurry.set()
        try:
            async with asyncio.timeout(patience):
                return await test
        except TimeoutError:
            return self.problem or "it takes no messages at the moment"

    async def run(self) -> None:
        """Send for ever."""
        try:
            while True:
                try:
                    connection = await connect(self._config, self._clock)
                except OSError as error:
                    self._is_away(reason_of(error))
                else:
                    await self._use(connection)
                await self._pause()
        finally:
            self._show(reachable=False)

    # What waits

    def _put(self, compose: Compose, test: asyncio.Future[str | None] | None = None) -> None:
        if self.waiting >= CAPACITY and self._queue:
            dropped = self._queue.popleft()
            self._dropped += dropped.missing or 1
            self._traffic.errors += not dropped.missing
        self._sequence += 1
        self._queue.append(_Waiting(self._sequence, compose, test=test))
        self._wake.set()

    def _next(self) -> _Waiting | None:
        """Take what is to be sent next; before all else, where messages are missing, that they are."""
        while self._queue and (test := self._queue[0].test) is not None and test.done():
            self._queue.popleft()
        if self._dropped:
            count, self._dropped = self._dropped, 0
            # The number of the last that is missing.
            last = self._queue[0].sequence - 1 if self._queue else self._sequence
            return _Waiting(last, lambda: self._lost(count), missing=count)
        return self._queue.popleft() if self._queue else None

    # What is sent

    async def _use(self, connection: Connection) -> None:
        """Send by this connection until it is lost."""
        connection.lost.add_done_callback(lambda _: self._wake.set())
        opened = self._clock.monotonic()
        look = LOOK
        try:
            while not connection.lost.done():
                self._wake.clear()
                moved = self._send(connection) + self._settle(connection)
                # Of a receiver without connections that has never refused anything nothing else is known.
                if not self._reachable and (connection.proven or not (self._failures or connection.unsettled)):
                    self._is_there()
                look = LOOK if moved else min(2 * look, LONGEST_LOOK)
                if self._queue and connection.room:
                    await asyncio.sleep(0)
                else:
                    await self._rest(look if connection.unsettled else None)
            self._settle(connection)
            if self._clock.monotonic() - opened >= STEADY:
                self._failures = 0
            self._is_away(connection.lost.result())
        except asyncio.CancelledError:
            # What has just come still goes out: that the bridge stops, for one.
            self._send(connection)
            raise
        finally:
            connection.close()
            self._queue.extendleft(reversed(self._flight))
            self._flight.clear()

    def _send(self, connection: Connection) -> int:
        count = 0
        while count < BATCH and connection.room and not connection.lost.done():
            waiting = self._next()
            if waiting is None:
                break
            self._flight.append(waiting)
            connection.send(write(waiting.compose(), self._sender, waiting.sequence, connection.longest))
            count += 1
        return count

    def _settle(self, connection: Connection) -> int:
        count = connection.arrived()
        for _ in range(count):
            test = self._flight.popleft().test
            if test is not None and not test.done():
                test.set_result(None)
        self._traffic.requests += count
        return count

    async def _rest(self, seconds: float | None) -> None:
        """Wait until something has come or been lost, but so many seconds at most."""
        if seconds is None:
            await self._wake.wait()
        else:
            await self._either(self._wake, seconds)

    async def _pause(self) -> None:
        """Leave the receiver alone for a while, longer each time."""
        self._hurry.clear()
        await self._either(self._hurry, BACKOFF.delay(max(1, self._failures), random.random()))

    async def _either(self, event: asyncio.Event, seconds: float) -> None:
        waits = (asyncio.create_task(event.wait()), asyncio.create_task(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # What is told

    def _is_away(self, reason: str) -> None:
        self._failures += 1
        if self.problem is None:
            _LOGGER.warning("Syslog receiver %s is away: %s. It is tried again until it works.", self.name, reason)
        self.problem = reason
        for test in self._tests:
            if not test.done():
                test.set_result(reason)
        self._show(reachable=False)

    def _is_there(self) -> None:
        if self.problem is not None:
            _LOGGER.info("Syslog receiver %s is back", self.name)
        self.problem = None
        self._show(reachable=True)

    def _show(self, *, reachable: bool) -> None:
        self._traffic.clients += int(reachable) - int(self._reachable)
        self._reachable = reachable


__all__ = ["CAPACITY", "Compose", "Receiver"]

"""The bridge as a slave on a serial line: answers its units' requests, lets those of others pass."""

import asyncio
from collections.abc import Callable, Coroutine
import logging
import random

from ridethrough.clock import Clock
from ridethrough.config.feeds import ModbusSerialConfig
from ridethrough.feeds.base import FeedError, Traffic
from ridethrough.tasks import Backoff

from .exceptions import refusal
from .framing import find, framed
from .line import Line
from .unit import WRITING
from .units import Units
from .writes import Write, Writer

_LOGGER = logging.getLogger(__name__)

BROADCAST = 0
BUNCHING = 0.02
"""Seconds of silence that may be within a frame: USB adapters hand bytes over every 16 ms."""
KEPT = 1024
"""Bytes that may wait to be understood; a master does not send more before it is answered."""
_RETRIES = Backoff(first=1.0, cap=30.0)
_ECHO = 0.02
"""Seconds after which what an adapter hears of itself has come back."""
_SAME_BOTH_WAYS = frozenset({5, 6})
"""Functions whose answer is the request again."""


class Talk:
    """What is heard and said on an open line."""

    def __init__(self, line: Line, units: Units, writer: Writer, traffic: Traffic) -> None:
        """`hear` is to be called with what comes in."""
        self._line = line
        self._units = units
        self._writer = writer
        self._traffic = traffic
        self._loop = asyncio.get_running_loop()
        self._heard = bytearray()
        self._silence: asyncio.TimerHandle | None = None
        self._turn: asyncio.Task[None] | None = None
        """The answering of one request; what comes meanwhile waits."""
        self._noisy = False
        """Whether what is heard is noise that has been counted."""
        self._echo = b""
        self._echo_until = 0.0
        self._echoes: bool | None = None
        """Whether the adapter hears itself; None until that is known."""

    def hear(self, data: bytes) -> None:
        """Take in what has come."""
        self._heard += data[: KEPT - len(self._heard)]
        self._look(silent=False)

    def close(self) -> None:
        """Hear and say nothing more."""
        if self._silence is not None:
            self._silence.cancel()
        if self._turn is not None:
            self._turn.cancel()

    def _look(self, *, silent: bool) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        while self._turn is None and self._heard and not self._is_echo():
            found = find(bytes(self._heard), silent=silent)
            del self._heard[: found.taken]
            self._traffic.errors += found.noise > 0 and not self._noisy
            self._noisy = found.question is None and not silent and (self._noisy or found.noise > 0)
            if found.question is None:
                break
            self._ask(found.question)
        if self._heard and self._turn is None:
            self._silence = self._loop.call_later(self._line.silence + BUNCHING, lambda: self._look(silent=True))

    def _is_echo(self) -> bool:
        """Drop our own answer where the adapter hears it; whether more of it is still to come."""
        echo = self._echo
        if not echo:
            return False
        if self._loop.time() <= self._echo_until:
            if self._heard.startswith(echo):
                del self._heard[: len(echo)]
                self._echo = b""
                self._echoes = True
                return not self._heard
            if echo.startswith(bytes(self._heard)):
                return True
        self._echo = b""
        if echo[1] not in _SAME_BOTH_WAYS:
            self._echoes = False
        return False

    def _ask(self, frame: bytes) -> None:
        number, pdu = frame[0], frame[1:-2]
        if number == BROADCAST:
            if pdu[0] in WRITING:
                self._begin(self._spread(pdu))
            return
        unit = self._units.find(number)
        if unit is not None:
            self._begin(self._answer(number, pdu[0], unit.answer(pdu)))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        async def turn() -> None:
            try:
                await work
            finally:
                self._turn = None
            self._look(silent=False)

        self._turn = asyncio.create_task(turn(), name="Modbus RTU request")

    async def _answer(self, number: int, function: int, answer: bytes | Write) -> None:
        """Say the answer once the master has left the line, which it has after 3.5 characters."""
        if not isinstance(answer, bytes):
            code = await self._writer.carry_out(answer, self._line.path)
            answer = answer.done if code is None else refusal(function, code)
        else:
            await asyncio.sleep(self._line.silence)
        self._traffic.requests += 1
        self._traffic.errors += answer[0] >> 7
        frame = framed(number, answer)
        if self._echoes is not False:
            self._echo = frame
            self._echo_until = self._loop.time() + self._line.seconds(len(frame)) + BUNCHING + _ECHO
        self._line.say(frame)

    async def _spread(self, pdu: bytes) -> None:
        """Carry out what every unit is told; nobody is answered."""
        self._traffic.requests += 1
        for unit in list(self._units):
            answer = unit.answer(pdu)
            if not isinstance(answer, bytes):
                await self._writer.carry_out(answer, self._line.path)


class Slave:
    """Keeps a serial line served: one that has gone is opened again when it is back."""

    def __init__(
        self, config: ModbusSerialConfig, units: Units, writer: Writer, traffic: Traffic, clock: Clock
    ) -> None:
        """Open the line only in `run`."""
        self._config = config
        self._units = units
        self._writer = writer
        self._traffic = traffic
        self._clock = clock
        self._served = False
        """Whether the line could be opened the last time."""
        self.problem: str | None = None
        """Why the line is not served although it is to be."""

    async def run(self, serves: Callable[[str | None], None], *, alone: bool) -> None:
        """Serve until cancelled; `serves` hears the name of the line when it is served, None when it is no more.

        Where it is served `alone`, raises FeedError as soon as it is not: the feed's owner tries again.
        """
        failures = 0
        while True:
            try:
                await self._serve(serves, again=failures > 0)
            except FeedError as error:
                self.problem = str(error)
                serves(None)
                if alone:
                    raise
                if self._served or not failures:
                    _LOGGER.warning("%s It is tried again until it works; Modbus TCP goes on.", error)
                failures = 1 if self._served else failures + 1
            await self._clock.sleep(_RETRIES.delay(failures, random.random()))

    async def _serve(self, serves: Callable[[str | None], None], *, again: bool) -> None:
        """Serve the line until it has gone. Raises FeedError."""
        self._served = False
        line = await Line.open(self._config)
        talk = Talk(line, self._units, self._writer, self._traffic)
        try:
            line.listen(talk.hear)
            self._served = True
            self.problem = None
            if again:
                _LOGGER.info("Modbus serves %s again", line.path)
            serves(line.path)
            await line.gone()
        finally:
            talk.close()
            await line.close()


__all__ = ["BROADCAST", "BUNCHING", "KEPT", "Slave", "Talk"]

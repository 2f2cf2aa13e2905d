"""One connection to one agent: connecting, the greeting, signs of life, commands and what became of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
import ipaddress
import socket
import ssl
from uuid import uuid4

from ridethrough.certificates import fingerprint
from ridethrough.clock import Clock
from ridethrough.site import Value

from . import frames
from .channel import ENDED, Channel
from .frames import AgentState, FrameError, Hello, Pong, Result
from .turns import Turns


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds, and how much may go on at once."""

    resolve: float = 5.0
    """For finding a name's address; when power is out, whoever knows them may be out too."""
    connect: float = 5.0
    greet: float = 15.0
    """For the handshake and the hello. A thousand agents that come back in one moment take some seconds."""
    answer: float = 10.0
    """For the result of a command."""
    measure: float = 3.0
    """For the answer to a sign of life that is asked for because the clocks seem to differ."""
    under_way: int = 16
    """Commands without a result."""
    rate: int = 15
    """Commands in a second; an agent ends the connection after twenty."""


class Failure(StrEnum):
    """How an attempt to connect failed."""

    SILENT = "silent"
    """Nobody answers under this address: the computer is off, or the network is."""
    REFUSED = "refused"
    """The computer answers, its agent does not."""
    STRANGE = "strange"
    """Something answers that is not, or does not accept us as, the other end of this pairing."""


class AgentError(Exception):
    """There is no connection; the message is the end of a sentence."""

    def __init__(self, failure: Failure, message: str) -> None:
        """Say how it failed, and why."""
        super().__init__(message)
        self.failure = failure


class Lost(Exception):
    """The connection ended before the result came; nobody knows whether the command was carried out."""


class Overdue(Exception):
    """The result did not come in time."""


class TooMuch(Exception):
    """Too many commands are under way to this agent already."""


class Offset:
    """How far the agent's monotonic clock is ahead of the bridge's.

    Each answer proves that the agent's clock showed what it says between the question and the answer. The estimate is
    moved no further than the last proof demands, so that a slow answer does not spoil what a quick one has shown.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._seconds: float | None = None

    def learn(self, clock: float, asked: float, answered: float) -> None:
        """Take into account that the agent's clock showed this at some moment between the two of ours."""
        least, most = clock - answered, clock - asked
        if self._seconds is None:
            self._seconds = (least + most) / 2
        self._seconds = min(max(self._seconds, least), most)

    def at(self, now: float) -> float:
        """Return what the agent's clock shows now."""
        return now + (self._seconds or 0.0)


@dataclass(frozen=True, slots=True)
class Peer:
    """Which agent it must be."""

    id: str
    """Its UUID."""
    host: str
    port: int
    certificate: str
    """Fingerprint of the newest one that it was given."""

    @property
    def server_name(self) -> str:
        """The name by which the agent knows which bridge calls."""
        return f"{self.id}.agent.ridethrough.internal"


@dataclass(frozen=True, slots=True)
class Means:
    """What all connections share."""

    context: ssl.SSLContext
    turns: Turns
    clock: Clock
    resolver: Executor
    """Finds addresses of names; its own threads, as a name server that is out keeps them for long."""
    limits: Limits = Limits()


class Connection:
    """A connection that is, or was, greeted. Make one with `open`."""

    def __init__(self, means: Means, peer: Peer, on_state: Callable[[AgentState], None]) -> None:
        """Use `open`."""
        self._means = means
        self._clock = means.clock
        self._limits = means.limits
        self._peer = peer
        self._on_state = on_state
        loop = asyncio.get_running_loop()
        self._greeted: asyncio.Future[Hello] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        """Why it has ended, as the end of a sentence, once it has."""
        self._rest = b""
        self._results: dict[str, asyncio.Future[Result]] = {}
        self._sent: deque[float] = deque(maxlen=means.limits.rate)
        self._offset = Offset()
        self._pinged: deque[float] = deque(maxlen=8)
        self._pong: asyncio.Future[None] | None = None
        self._began = self._clock.monotonic()
        self._session = ""
        self._seq = 0
        self.heard = False
        """Whether the agent has said anything since this was last set to False."""
        self.unexpected = 0
        """Frames that answer nothing that was asked, and such as a later version may have."""
        self._channel = Channel(
            means.context,
            peer.server_name,
            means.turns,
            secured=self._secured,
            received=self._received,
            ended=self._lost,
        )

    @classmethod
    async def open(
        cls, means: Means, peer: Peer, address: str, on_state: Callable[[AgentState], None]
    ) -> tuple[Connection, Hello]:
        """Connect to `address` and hear the hello. Raises AgentError."""
        connection = cls(means, peer, on_state)
        limits = means.limits
        try:
            async with asyncio.timeout(limits.connect):
                await asyncio.get_running_loop().create_connection(lambda: connection._channel, address, peer.port)
        except TimeoutError:
            raise AgentError(Failure.SILENT, f"{address} does not answer") from None
        except ConnectionRefusedError:
            raise AgentError(
                Failure.REFUSED, f"nothing listens on port {peer.port} of {address}; does the agent run there?"
            ) from None
        except OSError as error:
            raise AgentError(Failure.SILENT, f"{address} cannot be reached ({error.strerror or error})") from error
        try:
            async with asyncio.timeout(limits.greet):
                await asyncio.wait((connection._greeted, connection.ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            connection.abort("it did not greet in time")
        except BaseException:
            connection.close()
            raise
        if not connection._greeted.done():
            reason = connection.ended.result()
            if reason == ENDED:
                # An agent need not say why: neither a stranger nor one that was paired in former times shall learn it.
                reason += " at once; it may not be paired with this bridge, or not have it among its senders"
            raise AgentError(Failure.STRANGE, reason)
        return connection, connection._greeted.result()

    @property
    def address(self) -> str:
        """Where the agent is."""
        return self._channel.address

    @property
    def open_still(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.done()

    def ready(self, name: str, alive: float) -> None:
        """Answer the hello."""
        self._send({"type": "ready", "name": name, "alive": alive})

    def ping(self, on_battery: bool | None) -> None:
        """Give a sign of life; None where nobody knows whether there is power."""
        frame: dict[str, object] = {"type": "ping"}
        if on_battery is not None:
            frame["on_battery"] = on_battery
        self._pinged.append(self._clock.monotonic())
        self._send(frame)

    async def ask(self, verb: str, arguments: Mapping[str, Value]) -> Result:
        """Give a command and return its result. Raises Lost, Overdue and TooMuch; FrameError when it is too long."""
        if len(self._results) >= self._limits.under_way:
            raise TooMuch
        id_ = str(uuid4())
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._results[id_] = answer
        try:
            while len(self._sent) == self._limits.rate and (wait := self._sent[0] + 1.0 - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            self._sent.append(self._clock.monotonic())
            self._means.turns.add(partial(self._command, id_, verb, arguments), urgent=True)
            async with asyncio.timeout(self._limits.answer):
                await asyncio.wait((answer, self.ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise Overdue from None
        finally:
            del self._results[id_]
        if not answer.done():
            raise Lost(self.ended.result())
        return answer.result()

    async def measure(self, on_battery: bool | None) -> None:
        """Find out anew what the agent's clock shows, as well as it can be in a short time."""
        if self._pong is None:
            self._pong = asyncio.get_running_loop().create_future()
        self._pinged.clear()
        self.ping(on_battery)
        await asyncio.wait((self._pong, self.ended), timeout=self._limits.measure)

    def close(self, reason: str = "the bridge ended the connection") -> None:
        """End it in an orderly way."""
        self._channel.close(reason)

    def abort(self, reason: str) -> None:
        """End it at once."""
        self._channel.abort(reason)

    # What the channel says

    def _secured(self, certificate: bytes) -> None:
        """Go on only with the newest certificate of this agent; one that it had before may be in other hands."""
        if fingerprint(certificate) != self._peer.certificate:
            self.abort("it shows a certificate that is no longer the newest; pair it anew")

    def _received(self, data: bytes) -> None:
        """Take a piece of what the agent says."""
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        try:
            for line in lines:
                self._take(frames.read(line))
                if self.ended.done():
                    return
            if len(self._rest) > frames.LARGEST:
                raise FrameError("it sent a frame that is too long")  # noqa: TRY301 - ends like the others
        except FrameError as error:
            self.abort(str(error))

    def _lost(self, reason: str) -> None:
        """Note that it has ended."""
        self._rest = b""
        if not self.ended.done():
            self.ended.set_result(reason)

    # How it is done

    def _take(self, frame: frames.Frame | None) -> None:
        now = self._clock.monotonic()
        if not self._greeted.done():
            if not isinstance(frame, Hello):
                raise FrameError("it did not greet first")
            if frame.agent != self._peer.id:
                raise FrameError("it says that it is another agent")
            self._session, self._seq = frame.session, frame.seq
            self._offset.learn(frame.clock, self._began, now)
            self._greeted.set_result(frame)
            return
        self.heard = True
        match frame:
            case Hello():
                raise FrameError("it greeted twice")
            case Pong(clock):
                if not self._pinged:
                    self.unexpected += 1
                    return
                self._offset.learn(clock, self._pinged.popleft(), now)
                if self._pong is not None:
                    self._pong.set_result(None)
                    self._pong = None
            case Result(id_):
                answer = self._results.get(id_)
                if answer is None or answer.done():
                    self.unexpected += 1
                else:
                    answer.set_result(frame)
            case AgentState():
                self._on_state(frame)
            case None:
                self.unexpected += 1

    def _command(self, id_: str, verb: str, arguments: Mapping[str, Value]) -> None:
        answer = self._results.get(id_)
        if answer is None:
            return
        self._seq += 1
        frame = {
            "type": "command",
            "id": id_,
            "session": self._session,
            "seq": self._seq,
            "clock": round(self._offset.at(self._clock.monotonic()), 3),
            "verb": verb,
            "arguments": dict(arguments),
        }
        try:
            self._send(frame)
        except FrameError as error:
            answer.set_exception(error)

    def _send(self, frame: frames.Json) -> None:
        self._channel.send(frames.write(frame))


async def addresses(means: Means, host: str) -> list[str]:
    """Return the addresses of a computer. Raises AgentError."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    look = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(means.limits.resolve):
            found = await asyncio.get_running_loop().run_in_executor(means.resolver, look)
    except TimeoutError:
        raise AgentError(Failure.SILENT, f"nobody says which address {host} has") from None
    except (OSError, UnicodeError) as error:
        raise AgentError(Failure.SILENT, f"{host} has no address ({error})") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


__all__ = [
    "AgentError",
    "Connection",
    "Failure",
    "Limits",
    "Lost",
    "Means",
    "Offset",
    "Overdue",
    "Peer",
    "TooMuch",
    "addresses",
]

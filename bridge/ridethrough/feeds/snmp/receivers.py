"""Those who are told by traps and informs: each has a queue, a socket and a task of its own.

A receiver that is away costs the others nothing: what is meant for it waits, within bounds, and is dropped when it has
become too old to be news. A trap is sent once, but for one of which we hear that nobody took it; an inform is sent
again until it is confirmed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
import logging
import secrets
import socket

from ridethrough.clock import Clock
from ridethrough.config.feeds import SnmpReceiver, SnmpUser
from ridethrough.feeds.base import Traffic

from .ber import BerError, integer
from .engine_identity import EngineIdentity
from .pdu import Kind, Pdu
from .trap_message import Notification, notification_pdu, read_v2c_answer, v1_message, v2c_message
from .trap_security import EngineTime, Seal, question, scoped_pdu

_LOGGER = logging.getLogger(__name__)

MOST = 1000
"""Notifications that wait for one receiver at most; the oldest give way."""
PATIENCE = 600.0
"""Seconds after which a notification is no news any more."""
CALM = 0.005
"""Seconds between two messages to one receiver: a burst must not overflow what its system keeps for it, and that nobody
listens there is heard within that time in most networks."""
ANSWER = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until an inform that is not confirmed, or a trap that could not be sent, is sent again."""
FRESH = 300.0
"""Seconds for which a socket is used: names come to mean other addresses, and this computer gets others too."""
ROUNDS = 4
"""Messages that an inform may take with a receiver whose engine or clock has to be learned first."""
_HEARD = 16
"""Datagrams of a receiver that are kept until they are looked at."""
_NUMBERS = 2**31 - 1

_STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
"""usmStats: what reports are about (RFC 3414 §3.2)."""
_UNKNOWN_ENGINE, _NOT_IN_TIME = (*_STATS, 4, 0), (*_STATS, 2, 0)
_REFUSALS = {
    (*_STATS, 1, 0): "it does not take the level of security of this user",
    (*_STATS, 3, 0): "it does not know this user",
    (*_STATS, 5, 0): "it has another password or authentication for this user",
    (*_STATS, 6, 0): "it has another privacy password or protocol for this user",
}
"""What a report says against us."""


class DeliveryError(Exception):
    """A notification has not reached its receiver; the message says why."""


class Line(asyncio.DatagramProtocol):
    """A socket that is connected to one receiver: it hears of nobody else, and that nobody listens there."""

    def __init__(self) -> None:
        """Not open yet."""
        self._transport: asyncio.DatagramTransport | None = None
        self._heard: asyncio.Queue[bytes | OSError] = asyncio.Queue(_HEARD)
        self._failed: OSError | None = None

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Line:
        """Open one; looking up a name happens in a thread. Raises OSError."""
        loop = asyncio.get_running_loop()
        (family, _, _, _, found), *_ = await loop.getaddrinfo(*address, type=socket.SOCK_DGRAM)
        _, line = await loop.create_datagram_endpoint(cls, remote_addr=(str(found[0]), address[1]), family=family)
        return line

    @property
    def own_address(self) -> bytes:
        """The IPv4 address from which it sends, as v1 has it in each trap; zeros where there is none."""
        assert self._transport is not None
        host = self._transport.get_extra_info("sockname")[0]
        try:
            return IPv4Address(host).packed
        except ValueError:
            return bytes(4)

    def send(self, data: bytes) -> None:
        """Send a datagram. Raises DeliveryError when this computer cannot."""
        assert self._transport is not None
        for _ in range(2):
            self._failed = None
            self._transport.sendto(data)
            # The first error may be about a datagram of before, in whose place this one was not sent.
            if not isinstance(self._failed, ConnectionRefusedError):
                break
        if self._failed is not None:
            raise DeliveryError(_reason(self._failed))

    async def hear(self) -> bytes:
        """Wait for a datagram. Raises DeliveryError when the receiver's computer says that nobody listens there."""
        heard = await self._heard.get()
        if isinstance(heard, OSError):
            raise DeliveryError(_reason(heard))
        return heard

    def forget(self) -> None:
        """Drop what has been heard so far."""
        while not self._heard.empty():
            self._heard.get_nowait()

    def close(self) -> None:
        """Free the socket."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # its own kind
        """Begin."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep what came, unless too much has come."""
        self._keep(data)

    def error_received(self, exc: Exception) -> None:
        """Keep what went wrong with an earlier datagram, or with the one that is just being sent."""
        if isinstance(exc, OSError):
            self._failed = exc
            self._keep(exc)

    def _keep(self, heard: bytes | OSError) -> None:
        with suppress(asyncio.QueueFull):
            self._heard.put_nowait(heard)


class CommunityVoice:
    """Speaks v1 or v2c."""

    def __init__(self, receiver: SnmpReceiver) -> None:
        """Speak as the receiver wants it."""
        self._receiver = receiver

    async def prepare(self) -> None:
        """Nothing needs to be worked out."""

    def trap(self, notification: Notification, number: int, own_address: bytes) -> bytes:
        """Make a trap."""
        if self._receiver.version == "1":
            return v1_message(self._receiver.community, notification, own_address)
        return v2c_message(self._receiver.community, notification_pdu(Kind.TRAP, number, notification))

    async def inform(self, line: Line, notification: Notification, number: int) -> None:
        """Send an inform and wait until it is confirmed. Raises DeliveryError when it will not be."""
        line.send(v2c_message(self._receiver.community, notification_pdu(Kind.INFORM, number, notification)))
        while True:
            with suppress(BerError):
                if _confirms(read_v2c_answer(await line.hear()), number):
                    return


class UserVoice:
    """Speaks v3 as one user. A trap is signed with our own engine, an inform with the receiver's (RFC 3414 §1.5)."""

    def __init__(self, user: SnmpUser, identity: EngineIdentity, clock: Clock, seconds: Callable[[], int]) -> None:
        """`seconds` says for how long our engine has run."""
        self._user = user
        self._identity = identity
        self._clock = clock
        self._seconds = seconds
        self._own: Seal | None = None
        self._theirs: Seal | None = None
        self._their_time = EngineTime(b"", 0, 0)
        self._learned = 0.0
        """When their time was what it says, by our clock."""

    async def prepare(self) -> None:
        """Work out the keys; that takes too long for the loop."""
        self._own = await asyncio.to_thread(Seal, self._user, self._identity.engine_id)

    def trap(self, notification: Notification, number: int, own_address: bytes) -> bytes:
        """Make a trap."""
        assert self._own is not None
        engine = EngineTime(self._identity.engine_id, self._identity.boots, self._seconds())
        scoped = scoped_pdu(self._identity.engine_id, notification_pdu(Kind.TRAP, number, notification))
        return self._own.message(_number(), engine, scoped, reportable=False)

    async def inform(self, line: Line, notification: Notification, number: int) -> None:
        """Send an inform and wait until it is confirmed. Raises DeliveryError when it will not be."""
        scoped = scoped_pdu(self._identity.engine_id, notification_pdu(Kind.INFORM, number, notification))
        for _ in range(ROUNDS):
            message_id = _number()
            if self._theirs is None:
                line.send(question(message_id))
            else:
                line.send(self._theirs.message(message_id, self._now(), scoped, reportable=True))
            if await self._settled(line, message_id, number):
                return
        raise DeliveryError("it does not agree with us about its engine id and its clock")

    async def _settled(self, line: Line, message_id: int, number: int) -> bool:
        """Wait for an answer: whether the inform is confirmed; else something was learned and it is to be sent again."""
        assert self._own is not None
        while True:
            data = await line.hear()
            try:
                # What an engine says of itself before it is known is not signed, so that any seal will do.
                heard = (self._theirs or self._own).open(data)
            except BerError:
                continue
            trusted = heard.signed or not self._own.signs
            if trusted and _confirms(heard.pdu, number):
                return True
            if heard.pdu.kind != Kind.REPORT or heard.message_id != message_id or not heard.pdu.variables:
                continue
            about = heard.pdu.variables[0].name
            if about == _UNKNOWN_ENGINE and heard.engine.engine_id:
                self._theirs = await asyncio.to_thread(Seal, self._user, heard.engine.engine_id)
                self._learn(EngineTime(heard.engine.engine_id, 0, 0))
                return False
            if about == _NOT_IN_TIME and trusted:
                self._learn(heard.engine)
                return False
            if about in _REFUSALS:
                raise DeliveryError(_REFUSALS[about])

    def _learn(self, engine: EngineTime) -> None:
        self._their_time = engine
        self._learned = self._clock.monotonic()

    def _now(self) -> EngineTime:
        """Return the receiver's time as it must be by now."""
        told = self._their_time
        gone = int(self._clock.monotonic() - self._learned) if told.boots or told.seconds else 0
        return EngineTime(told.engine_id, told.boots, told.seconds + gone)


def _confirms(pdu: Pdu, number: int) -> bool:
    """Whether this is the answer to the request of this number."""
    return pdu.kind == Kind.RESPONSE and pdu.request_id == integer(number)


def _number() -> int:
    """Make a number for a message, which nobody can foresee."""
    return 1 + secrets.randbelow(_NUMBERS)


@dataclass(eq=False, slots=True)
class _Waiting:
    """A notification that has not reached its receiver."""

    notification: Notification
    since: float
    told: Callable[[str], None]
    number: int = field(default_factory=_number)
    """Its request id, the same each time that it is sent, by which a receiver knows it again."""


class Receiver:
    """One of those who are told."""

    def __init__(self, config: SnmpReceiver, voice: CommunityVoice | UserVoice, clock: Clock, traffic: Traffic) -> None:
        """Nobody has been told anything."""
        self._config = config
        self._voice = voice
        self._clock = clock
        self._traffic = traffic
        host = f"[{config.address}]" if ":" in config.address else config.address
        self.name = f"{host}:{config.port}"
        self.dropped = 0
        """Notifications that have waited too long, or had to give way."""
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._line: Line | None = None
        self._opened = 0.0
        self._failures = 0
        """Attempts that have failed since the last one that did not."""

    def offer(self, notification: Notification, told: Callable[[str], None] = lambda outcome: None) -> None:
        """Have a notification sent as soon as it can be; `told` hears how the first attempt ended."""
        if notification.persistent:
            for old in [one for one in self._waiting if one.notification.persistent]:
                self._waiting.remove(old)
        if len(self._waiting) >= MOST:
            self._drop(self._waiting.popleft())
        self._waiting.append(_Waiting(notification, self._clock.monotonic(), told))
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            await self._voice.prepare()
            while True:
                while not self._waiting:
                    self._arrived.clear()
                    await self._arrived.wait()
                await self._deliver(self._waiting.popleft())
        finally:
            self._close()

    async def _deliver(self, waiting: _Waiting) -> None:
        while self._matters(waiting):
            began = self._clock.monotonic()
            wait = ANSWER[min(self._failures, len(ANSWER) - 1)]
            try:
                await self._attempt(waiting, wait)
            except DeliveryError as error:
                self._failed(str(error))
                waiting.told(f"not delivered: {error}")
                await self._clock.sleep(began + wait - self._clock.monotonic())
            else:
                self._succeeded()
                waiting.told("confirmed" if self._config.inform else "sent")
                return
        self._drop(waiting)

    def _matters(self, waiting: _Waiting) -> bool:
        """Whether a notification is still news."""
        if waiting.notification.persistent and any(one.notification.persistent for one in self._waiting):
            return False
        return self._clock.monotonic() - waiting.since <= PATIENCE

    async def _attempt(self, waiting: _Waiting, wait: float) -> None:
        """Send it once. Raises DeliveryError."""
        try:
            line = await self._open()
        except OSError as error:
            raise DeliveryError(_reason(error)) from error
        try:
            if self._config.inform:
                await self._within(wait, self._voice.inform(line, waiting.notification, waiting.number))
                return
            line.forget()
            line.send(self._voice.trap(waiting.notification, waiting.number, line.own_address))
            with suppress(_TooLateError):
                await self._within(CALM, _refusal(line))
        except DeliveryError:
            self._close()
            raise

    async def _open(self) -> Line:
        """Give the socket, a new one from time to time. Raises OSError."""
        if self._line is None or self._clock.monotonic() - self._opened > FRESH:
            self._close()
            self._line = await Line.open((self._config.address, self._config.port))
            self._opened = self._clock.monotonic()
        return self._line

    async def _within(self, seconds: float, work: Awaitable[None]) -> None:
        """Let something take so long at most. Raises _TooLateError."""
        working = asyncio.ensure_future(work)
        limit = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait((working, limit), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise _TooLateError("it does not answer")
            await working
        finally:
            working.cancel()
            limit.cancel()
            await asyncio.gather(working, limit, return_exceptions=True)

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _succeeded(self) -> None:
        self._traffic.requests += 1
        if self._failures:
            _LOGGER.info("%s takes SNMP notifications again; %d were dropped so far", self.name, self.dropped)
            self._failures = 0

    def _failed(self, problem: str) -> None:
        self._failures += 1
        if self._failures == 1:
            _LOGGER.warning(
                "%s does not take SNMP notifications: %s. They wait %.0f minutes at most",
                self.name,
                problem,
                PATIENCE / 60,
            )

    def _drop(self, waiting: _Waiting) -> None:
        self.dropped += 1
        self._traffic.errors += 1
        waiting.told("dropped: it has waited too long")


class _TooLateError(DeliveryError):
    """Nothing was heard in time."""


async def _refusal(line: Line) -> None:
    """Wait until the receiver's computer says that nobody listens. Raises DeliveryError then."""
    while True:
        await line.hear()


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return error.strerror or str(error)


__all__ = ["CommunityVoice", "DeliveryError", "Receiver", "UserVoice"]

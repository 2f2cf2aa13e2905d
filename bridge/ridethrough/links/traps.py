"""Hears SNMP traps and informs, and has the links of their senders poll at once.

Anybody can send a trap in anybody's name: v1 and v2c have no proof of origin, and a v3 message is not decrypted here.
So a trap is never believed. It changes no value and no condition; all it can do is that the device whose address it
bears is asked now instead of some seconds later, at most once per second. What the device itself answers counts.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
import errno
import logging
import random
import socket

from ridethrough.addresses import IpAddress, plain
from ridethrough.clock import Clock
from ridethrough.tasks import Backoff

from .base import LinkError
from .trap_message import TrapMessage

_LOGGER = logging.getLogger(__name__)

TRAP_PORT = 162
_GAP = 1.0
"""Seconds between two polls that the traps of one address cause."""
_LISTENED_TO = 50
"""Messages of one address that are looked at in a second: a card that sends its whole alarm table sends fewer."""
_BATCH, _PAUSE = 100, 0.05
"""At most so many datagrams are read in so many seconds; what a flood brings beyond is the kernel's to drop."""
_LARGEST = 65535
_WELL_KNOWN = 1024
_RETRIES = Backoff(first=5.0, cap=60.0)


@dataclass(slots=True)
class _Sender:
    """An address that somebody listens to."""

    subscribers: list[Callable[[], None]] = field(default_factory=list)
    told: float = float("-inf")
    """When the subscribers were last told."""
    waiting: bool = False
    """Whether they are to be told again as soon as they may."""
    since: float = float("-inf")
    """When the second began in which `heard` messages have come."""
    heard: int = 0


class TrapListener:
    """Owns the trap port. Links subscribe to addresses before or while it runs."""

    def __init__(self, clock: Clock, host: str = "", port: int = TRAP_PORT) -> None:
        """Listen on `host` (an IP address of this machine; empty or `::`: all, IPv4 and IPv6), UDP `port` (0: a free one)."""
        self._clock = clock
        self._host = host or "::"
        self._port = port
        self._senders: dict[IpAddress, _Sender] = {}
        self._names: dict[str, _Sender] = {}
        """Senders by their address as the socket words it: no parsing while a flood comes in."""
        self._due: deque[_Sender] = deque()
        self._woken = asyncio.Event()
        self._socket: socket.socket | None = None
        self.counts: Counter[str] = Counter()
        """v1, v2c, inform, v3: heard; unknown: from an address that no link has; malformed; flooded: not looked at."""
        self.problem: str | None = None
        """Why nothing can be heard at the moment, as a sentence; None: it can, or it does not run."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the open socket."""
        if self._socket is None:
            return None
        host, port, *_ = self._socket.getsockname()
        return str(host), int(port)

    def subscribe(self, host: str, arrived: Callable[[], None]) -> Callable[[], None]:
        """Call `arrived` when traps come from this IP address, at most once per second; returns what ends that.

        Nothing that comes within that second is lost: it is told at its end. Raises ValueError for what is no address.
        """
        address = plain(host)
        sender = self._senders.setdefault(address, _Sender())
        sender.subscribers.append(arrived)
        self._names.clear()

        def end() -> None:
            if arrived in sender.subscribers:
                sender.subscribers.remove(arrived)
            if not sender.subscribers and self._senders.get(address) is sender:
                del self._senders[address]
                self._names.clear()

        return end

    async def run(self) -> None:
        """Listen until cancelled. While the port cannot be had, say so once and try again from time to time."""
        failures = 0
        while True:
            try:
                await self.listen(self._hears)
            except LinkError as error:
                failures = 1 if self.problem is None else failures + 1
                if failures == 1:
                    _LOGGER.warning("%s", error)
                self.problem = str(error)
            await self._clock.sleep(_RETRIES.delay(failures, random.random()))

    async def listen(self, ready: Callable[[], None] = lambda: None) -> None:
        """Listen until cancelled; `ready` is called when the port is open. Raises LinkError when it cannot be had."""
        with self._open() as opened:
            self._socket = opened
            ready()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._receive(opened))
                    tasks.create_task(self._tell_later())
            finally:
                self._socket = None

    def _hears(self) -> None:
        if self.problem is not None:
            self.problem = None
            _LOGGER.info("Traps are heard on port %d again", self._port)

    def _open(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        host = self._host
        if host == "::" and not _has_ipv6():
            family, host = socket.AF_INET, "0.0.0.0"
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            opened.setblocking(False)
            opened.bind((host, self._port))
        except OSError as error:
            opened.close()
            raise LinkError(self._refusal(error)) from error
        return opened

    def _refusal(self, error: OSError) -> str:
        what = f"Traps cannot be heard on UDP port {self._port}"
        match error.errno:
            case errno.EADDRINUSE:
                return f"{what}: another program has it; stop that program or choose another port under traps:"
            case errno.EACCES | errno.EPERM if self._port < _WELL_KNOWN:
                return (
                    f"{what}: ports below {_WELL_KNOWN} need a permission; grant the bridge CAP_NET_BIND_SERVICE, or "
                    "choose another port under traps: and in the cards"
                )
            case errno.EADDRNOTAVAIL:
                return f"{what}: {self._host} is no address of this machine; choose another under traps:"
        return f"{what} of {self._host}: {error.strerror or error}"

    async def _receive(self, opened: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        began, left = loop.time(), _BATCH
        while True:
            left -= self._read(opened, left)
            if left == 0:
                await asyncio.sleep(began + _PAUSE - loop.time())
            else:
                readable.clear()
                loop.add_reader(opened, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(opened)
            if loop.time() - began >= _PAUSE:
                began, left = loop.time(), _BATCH

    def _read(self, opened: socket.socket, most: int) -> int:
        """Read what is there; returns how many datagrams that were."""
        for count in range(most):
            try:
                data, origin = opened.recvfrom(_LARGEST)
            except BlockingIOError:
                return count
            response = self._hear(data, origin[0])
            if response:
                try:
                    opened.sendto(response, origin)
                except OSError as error:
                    _LOGGER.debug("The inform of %s cannot be answered: %s", origin[0], error)
        return most

    def _hear(self, data: bytes, host: str) -> bytes:
        """Take a datagram; returns what it is answered with."""
        sender = self._sender(host)
        if sender is None:
            self.counts["unknown"] += 1
            return b""
        now = self._clock.monotonic()
        if now - sender.since >= 1.0:
            sender.since, sender.heard = now, 0
        sender.heard += 1
        if sender.heard > _LISTENED_TO:
            self.counts["flooded"] += 1
            return b""
        try:
            message = TrapMessage.parse(data)
        except ValueError as error:
            self.counts["malformed"] += 1
            _LOGGER.debug("%s sent %d bytes that are no trap: %s", host, len(data), error)
            return b""
        self.counts[message.kind] += 1
        if now - sender.told >= _GAP:
            self._tell(sender, now)
        elif not sender.waiting:
            sender.waiting = True
            self._due.append(sender)
            self._woken.set()
        return message.response

    def _sender(self, host: str) -> _Sender | None:
        known = self._names.get(host)
        if known is None:
            known = self._senders.get(plain(host))
            if known is not None:
                self._names[host] = known
        return known

    def _tell(self, sender: _Sender, now: float) -> None:
        sender.told = now
        for arrived in tuple(sender.subscribers):
            try:
                arrived()
            except Exception:
                _LOGGER.exception("A link could not be told of a trap")

    async def _tell_later(self) -> None:
        """Tell of what came too soon after the last time. All wait equally long, so that the first is due first."""
        while True:
            while self._due:
                sender = self._due.popleft()
                await self._clock.sleep(sender.told + _GAP - self._clock.monotonic())
                sender.waiting = False
                self._tell(sender, self._clock.monotonic())
            self._woken.clear()
            await self._woken.wait()


def _has_ipv6() -> bool:
    """Whether this machine can listen on IPv6 at all."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


__all__ = ["TRAP_PORT", "TrapListener"]

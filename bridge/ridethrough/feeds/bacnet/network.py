"""The way packets come and go: BACnet/IP over UDP (ASHRAE 135 Annex J), below everything that the library does.

The library's own server of datagrams would share a port with anybody, try for ever to open it, make a task for every
packet that comes, and log each that is wrong. Here packets wait in a queue with an end, are taken by one task, and are
counted; whoever is not admitted is not even decoded.
"""

import asyncio
from collections import deque
from collections.abc import Callable
import errno
from functools import lru_cache
import ipaddress
import socket
import time
from typing import Any

from bacpypes3.comm import Server, bind
from bacpypes3.ipv4.bvll import (
    BVLLCodec,
    DeleteForeignDeviceTableEntry,
    DistributeBroadcastToNetwork,
    ForwardedNPDU,
    RegisterForeignDevice,
    Result,
)
from bacpypes3.ipv4.service import BIPBBMD, BIPForeign, BIPNormal, UDPMultiplexer
from bacpypes3.netservice import RouterInfoCache
from bacpypes3.pdu import PDU, Address, IPv4Address, LocalBroadcast

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds.admission import REMEMBERED, Admission, Callers
from ridethrough.feeds.base import FeedError, Traffic

LONGEST = 1536
"""Octets of a packet: one over Ethernet holds 1476 of a request, and what stands before them (§J.2)."""
WAITING = 512
"""Packets that wait at most; further ones are lost, as UDP may."""
TURN = 0.002
"""Seconds of the loop after which others have their turn."""
FOREIGN_DEVICES = 128
"""Foreign devices that a router of broadcasts takes."""
PATHS = 256
"""Networks behind routers that are remembered; strangers can name 65,534."""
REGISTRATION_RETRY = 5.0
"""Seconds to wait for an answer to a registration before the next attempt."""
_NOT_REGISTERED = 0x0060
"""Distribute-Broadcast-To-Network NAK (§J.2.2)."""
_TABLE_FULL = 0x0030
"""Register-Foreign-Device NAK (§J.2.2)."""
_NOT_DELETED = 0x0050
"""Delete-Foreign-Device-Table-Entry NAK (§J.2.2)."""
_ANYWHERE = "0.0.0.0"


class Datagrams(Server[PDU]):
    """The sockets of a link: one of its own, and one for broadcasts where the system needs that."""

    def __init__(self, config: BacnetConfig, traffic: Traffic, callers: Callers) -> None:
        """Nothing is open yet."""
        super().__init__()
        self._config = config
        self._traffic = traffic
        self._callers = callers
        self._admission = Admission(config.clients)
        self._waiting: deque[tuple[bytes, tuple[str, int], Any]] = deque()
        self._wake = asyncio.Event()
        self._transports: list[asyncio.DatagramTransport] = []
        self.address: Any = None
        """Our own, with the length of its network."""
        self._broadcast = ("", 0)

    @property
    def broadcast(self) -> tuple[str, int]:
        """Where broadcasts are sent to."""
        return self._broadcast

    async def open(self) -> None:
        """Open the sockets. Raises FeedError."""
        config = self._config
        try:
            interface = ipaddress.IPv4Interface(f"{config.listen}/{config.prefix}")
        except ValueError:
            raise FeedError(f"BACnet/IP listens on an IPv4 address, and {config.listen} is none.") from None
        own = await self._endpoint(config.listen, config.port, None)
        port = own.get_extra_info("sockname")[1]
        self.address = IPv4Address(f"{interface}:{port}")
        self._broadcast = str(interface.network.broadcast_address), port
        if config.listen == _ANYWHERE:
            self._broadcast = "255.255.255.255", port
        elif config.prefix < 31 and self._broadcast[0] != config.listen:
            await self._endpoint(self._broadcast[0], port, LocalBroadcast())

    def close(self) -> None:
        """Close them at once; what waits is lost."""
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        self._waiting.clear()

    async def run(self) -> None:
        """Take one packet after the other until cancelled."""
        while True:
            self._wake.clear()
            until = time.perf_counter() + TURN
            while self._waiting:
                content, sender, destination = self._waiting.popleft()
                await self._take(content, sender, destination)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + TURN
            await self._wake.wait()

    def received(self, content: bytes, sender: tuple[str, int], destination: Any) -> None:
        """Let a packet wait, if its sender is admitted and it may be BACnet at all."""
        if sender == self.address.addrTuple:
            return  # our own broadcast
        wrong = content[:1] != b"\x81" or len(content) > LONGEST
        if wrong or len(self._waiting) >= WAITING or not self._admission.admits(sender[0]):
            self._traffic.errors += 1
            return
        if len(content) > 10 and content[1] == ForwardedNPDU.pduType:
            # The answer goes to whom the packet names, so that one must be admitted too.
            if not self._admission.admits(socket.inet_ntoa(content[4:8])):
                self._traffic.errors += 1
                return
        self._callers.heard(sender[0])
        self._waiting.append((content, sender, destination))
        self._wake.set()

    async def indication(self, pdu: Any) -> None:
        """Send a packet."""
        destination = pdu.pduDestination
        place = self._broadcast
        if destination.addrType != Address.localBroadcastAddr:
            mac = destination.addrAddr
            place = socket.inet_ntoa(mac[:4]), int.from_bytes(mac[4:6])
        if self._transports:
            self._transports[0].sendto(bytes(pdu.pduData), place)

    async def _take(self, content: bytes, sender: tuple[str, int], destination: Any) -> None:
        try:
            await self.response(PDU(content, source=_station(sender), destination=destination or self.address))
        except Exception:  # noqa: BLE001 (the library raises whatever comes of wrong bytes)
            self._traffic.errors += 1

    async def _endpoint(self, host: str, port: int, destination: Any) -> asyncio.DatagramTransport:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if destination is not None:
                # Other devices of this machine hear the same broadcasts.
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((host, port))
        except OSError as error:
            opened.close()
            raise FeedError(_why(error, host, port, broadcast=destination is not None)) from error
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Receiver(lambda content, sender: self.received(content, sender, destination)), sock=opened
        )
        self._transports.append(transport)
        return transport


@lru_cache(maxsize=REMEMBERED)
def _station(sender: tuple[str, int]) -> Any:
    return IPv4Address(sender)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._received(data, addr)


class NormalLink(BIPNormal):
    """A device among others on its network."""

    async def run(self) -> None:
        """Do nothing of its own."""

    async def leave(self) -> None:
        """There is nobody to be told."""

    def close(self) -> None:
        """Nothing is open."""


class ForeignLink(BIPForeign):
    """A device that has its broadcasts routed by somebody in another network (§J.5).

    The library's own registration gives up for good after the first refusal.
    """

    def __init__(self, router: Any, ttl: int, clock: Any) -> None:
        """`router` is the address of the router of broadcasts, `ttl` counts seconds."""
        super().__init__()
        self.bbmdAddress = router
        self.bbmdTimeToLive = ttl
        self.bbmdRegistrationStatus = -1
        self.registered: Callable[[], None] = lambda: None
        """Called when the router has taken us after it had not."""
        self._answered = asyncio.Event()
        self._clock = clock

    async def confirmation(self, lpdu: Any) -> None:
        """Take a packet from below."""
        if isinstance(lpdu, Result):
            if lpdu.pduSource == self.bbmdAddress:
                self.bbmdRegistrationStatus = int(lpdu.bvlciResultCode)
                self._answered.set()
            return
        await super().confirmation(lpdu)

    async def run(self) -> None:
        """Register, and again before the registration ends, until cancelled."""
        valid_until = 0.0
        while True:
            self._answered.clear()
            await self.request(RegisterForeignDevice(self.bbmdTimeToLive, destination=self.bbmdAddress))
            try:
                await asyncio.wait_for(self._answered.wait(), REGISTRATION_RETRY)
            except TimeoutError:
                self.bbmdRegistrationStatus = -1
            pause = 0.0 if self.bbmdRegistrationStatus < 0 else REGISTRATION_RETRY
            if self.bbmdRegistrationStatus == 0:
                fresh = not self._registration_event.is_set()
                self._registration_event.set()
                if fresh:
                    self.registered()
                valid_until = self._clock.monotonic() + self.bbmdTimeToLive + 30
                pause = max(1.0, self.bbmdTimeToLive * 0.8)
            elif self._clock.monotonic() >= valid_until:
                self._registration_event.clear()
            await asyncio.sleep(pause)

    async def leave(self) -> None:
        """End the registration."""
        if self.bbmdRegistrationStatus == 0:
            await self.request(RegisterForeignDevice(0, destination=self.bbmdAddress))

    def close(self) -> None:
        """Nothing is open."""


class RouterLink(BIPBBMD):
    """A router of broadcasts (BBMD, §J.4) that takes only so many foreign devices."""

    async def run(self) -> None:
        """Do nothing of its own: the library keeps the table's time."""

    async def leave(self) -> None:
        """There is nobody to be told."""

    def register_foreign_device(self, addr: Any, ttl: int) -> int:
        """Enter a foreign device into the table, or say that it is full."""
        if len(self.bbmdFDT) >= FOREIGN_DEVICES and all(addr != one.fdAddress for one in self.bbmdFDT):
            return _TABLE_FULL
        return int(super().register_foreign_device(addr, ttl))

    async def confirmation(self, lpdu: Any) -> None:
        """Take a packet from below; who is not in the tables may not have broadcasts distributed (§J.4.5).

        Nobody writes the tables but by registering (the library refuses the table of routers): whoever could delete
        another's registration could silence its alarms.
        """
        source = lpdu.pduSource
        if isinstance(lpdu, DeleteForeignDeviceTableEntry) and source != lpdu.bvlciAddress:
            await self.request(Result(code=_NOT_DELETED, destination=source))
            return
        if isinstance(lpdu, DistributeBroadcastToNetwork) and all(source != one.fdAddress for one in self.bbmdFDT):
            await self.request(Result(code=_NOT_REGISTERED, destination=source))
            return
        if isinstance(lpdu, ForwardedNPDU) and all(source.addrTuple != one.addrTuple for one in self.bbmdBDT):
            return
        await super().confirmation(lpdu)

    def close(self) -> None:
        """End the clock of the table."""
        self._fdt_clock_handle.cancel()


type Link = NormalLink | ForeignLink | RouterLink


class Paths(RouterInfoCache):
    """The routers to other networks: those that have been heard of lately, and no more than so many."""

    async def update_path_info(self, snet: Any, address: Any, dnets: set[int]) -> None:
        """Remember that these networks are behind a router."""
        if len(self.path_info) + len(dnets) > PATHS:
            # All at once, since the library's two tables must agree; they are learnt again by the next packets.
            self.path_info.clear()
            self.router_dnets.clear()
        if len(dnets) <= PATHS:
            await super().update_path_info(snet, address, dnets)


def link_of(config: BacnetConfig, datagrams: Datagrams, clock: Any) -> Link:
    """Build what stands between the sockets and the network layer. Raises FeedError."""
    link: Link
    if config.foreign is not None:
        link = ForeignLink(resolved(config.foreign.address, config.port), config.foreign.ttl, clock)
    elif config.bbmd:
        link = RouterLink(datagrams.address)
        link.add_peer(datagrams.address)
        for peer in config.bbmd:
            link.add_peer(resolved(peer, config.port))
    else:
        link = NormalLink()
    multiplexer = UDPMultiplexer()
    bind(link, BVLLCodec(), multiplexer.annexJ)
    bind(multiplexer, datagrams)
    return link


def resolved(text: str, port: int) -> Any:
    """Read an address such as `192.0.2.1`, `192.0.2.1:47809` or `192.0.2.1/24`. Raises FeedError."""
    host, _, own_port = text.rpartition(":") if ":" in text else (text, "", "")
    try:
        ipaddress.IPv4Interface(host)
        return IPv4Address(f"{host}:{int(own_port) if own_port else port or 47808}")
    except ValueError:
        raise FeedError(f"{text} is no address of a BACnet/IP device: write one as 192.0.2.1:47808.") from None


def _why(error: OSError, host: str, port: int, *, broadcast: bool) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"The UDP port {port} of {host} is in use: give BACnet another port, or end what uses it."
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "check prefix:, the length of its network" if broadcast else "check listen:"
        return f"This machine has no address {host}: {hint}."
    if error.errno == errno.EACCES:
        return f"The UDP port {port} of {host} may not be opened: give BACnet a port above 1023."
    return f"The UDP port {port} of {host} cannot be opened: {error.strerror}."


__all__ = ["Datagrams", "ForeignLink", "Link", "Paths", "link_of", "resolved"]

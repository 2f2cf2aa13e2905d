"""The UDP port: read with a budget, so that whoever floods it does not get the whole loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import errno
from ipaddress import ip_address
import socket
import time

from ridethrough.feeds.base import FeedError

TURN = 0.002
"""Seconds for which datagrams are answered in one go, before everybody else on the loop has a turn."""
_LARGEST = 65535
_BUFFER = 1 << 20
"""Bytes that the system keeps for us of what comes while the loop is busy."""

type Receive = Callable[[bytes, tuple[str, int]], bytes | None]


class Transport:
    """One port. Answers go out from it."""

    def __init__(self, host: str, port: int, receive: Receive) -> None:
        """Open it. `receive` gives the answer to a datagram, if there is one now. Raises FeedError."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if family == socket.AF_INET6 and ip_address(host.partition("%")[0]).is_unspecified:
                # `::` is for IPv4 as well.
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind((host, port))
        except (OSError, ValueError) as error:
            self._socket.close()
            raise FeedError(_sentence(host, port, error)) from error
        found = self._socket.getsockname()
        self.address = f"[{found[0]}]:{found[1]}" if family == socket.AF_INET6 else f"{found[0]}:{found[1]}"
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Send a datagram; what the system does not take is lost, as datagrams may be."""
        with suppress(OSError):
            self._socket.sendto(data, address)

    def close(self) -> None:
        """Close it."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        until = time.perf_counter() + TURN
        while True:
            try:
                data, address = self._socket.recvfrom(_LARGEST)
            except OSError:
                # Nothing more, or an answer of before could not be delivered: neither is any matter of ours.
                return
            answer = self._receive(data, address)
            if answer is not None:
                self.send(answer, address)
            if time.perf_counter() > until:
                return


def _sentence(host: str, port: int, error: OSError | ValueError) -> str:
    place = f"UDP port {port} of {host}"
    if isinstance(error, OSError):
        if error.errno == errno.EADDRINUSE:
            return f"{place} is in use: is snmpd running on this machine? Stop it, or give snmp: another port:."
        if error.errno == errno.EACCES:
            return f"{place} may not be opened: ports below 1024 need the right to (CAP_NET_BIND_SERVICE)."
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: see listen: under snmp:."
    return f"{place} cannot be opened: {error}."


__all__ = ["TURN", "Transport"]

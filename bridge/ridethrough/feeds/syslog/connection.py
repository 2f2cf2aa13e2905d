"""What carries messages to a receiver: UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425), and which of them arrived.

Syslog has no acknowledgement. What its computer has acknowledged of a TCP stream is the best that can be known of a
message; a receiver that dies between that and reading it loses it, whoever sends.
"""

from abc import ABC, abstractmethod
import asyncio
from collections import deque
import fcntl
import os
import socket
import ssl
import sys
import termios
from typing import override

from ridethrough.clock import Clock
from ridethrough.config.feeds import SyslogReceiver
from ridethrough.events.syslog_message import LONGEST, LONGEST_DATAGRAM, framed

from .tls import Tls, trust

PATIENCE = 10.0
"""Seconds for a connection, TLS included."""
SILENCE = 30
"""Seconds without an acknowledgement after which a TCP connection is given up; what it had in it is sent again then."""
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": SILENCE * 1000}
"""Socket options, where the system has them: an idle connection to a computer that is gone ends after 90 s."""
GRACE = 0.2
"""Seconds within which a datagram that nobody takes is refused (ICMP), and a connection that is not wanted is closed."""
DATAGRAMS = 100
"""Datagrams in each `GRACE`: more than some 200 at once find no room in a receiver's socket and are lost silently."""
FLIGHT = 1000
"""Messages at most that are in a stream and of which it is not known yet whether they have arrived."""
_BUFFER = 65536
"""Octets that may wait for the system to take them."""
_CHUNK = 4096
TELLS = sys.platform == "linux"
"""Whether the system tells what was acknowledged; elsewhere what it has taken counts as arrived."""
_BYTES_ACKED = 120
"""Where `tcpi_bytes_acked` stands in Linux's struct tcp_info."""


class Connection(ABC):
    """A way to a receiver that is open, until `lost`."""

    longest: int
    """Octets of a message that fits."""

    def __init__(self, clock: Clock) -> None:
        """Open, for all that is known."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the receiver is gone; says why."""
        self._clock = clock

    @property
    @abstractmethod
    def proven(self) -> bool:
        """Whether the receiver is known to be there."""

    @property
    @abstractmethod
    def unsettled(self) -> bool:
        """Whether something will be known soon that is not known yet."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many messages may be sent now."""

    @abstractmethod
    def send(self, message: bytes) -> None:
        """Send a message, or note for `lost` that it cannot be."""

    @abstractmethod
    def arrived(self) -> int:
        """How many more of the messages have arrived since this was last asked, the oldest first."""

    @abstractmethod
    def close(self) -> None:
        """Leave it."""

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


class Datagrams(Connection, asyncio.DatagramProtocol):
    """UDP: a datagram has arrived when it has not been refused for a while.

    A refusal does not say which one it is about; those of the last moment are sent again, and may be there twice then.
    """

    longest = LONGEST_DATAGRAM

    def __init__(self, clock: Clock) -> None:
        """Nothing has been sent, so nothing is known."""
        super().__init__(clock)
        self._sent: deque[float] = deque()
        self._proven = False
        self._transport: asyncio.DatagramTransport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    @override
    def error_received(self, exc: Exception) -> None:
        """Learn that a datagram was refused."""
        self._lose(reason_of(exc))

    @property
    @override
    def proven(self) -> bool:
        """Whether a datagram has not been refused."""
        return self._proven

    @property
    @override
    def unsettled(self) -> bool:
        """Whether a datagram may still be refused."""
        return bool(self._sent)

    @property
    @override
    def room(self) -> int:
        """One to find out, then as many as a receiver's socket has room for, in each `GRACE`."""
        return max(0, (DATAGRAMS if self._proven else 1) - len(self._sent))

    @override
    def send(self, message: bytes) -> None:
        """Send a datagram."""
        self._sent.append(self._clock.monotonic())
        self._transport.sendto(message)

    @override
    def arrived(self) -> int:
        """Count those that nobody has refused in time."""
        count = 0
        while not self.lost.done() and self._sent and self._clock.monotonic() - self._sent[0] >= GRACE:
            self._sent.popleft()
            count += 1
        self._proven = self._proven or count > 0
        return count

    @override
    def close(self) -> None:
        """Close the socket."""
        self._transport.abort()


class Stream(Connection):
    """TCP, with TLS or without."""

    longest = LONGEST

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: Tls | None, clock: Clock
    ) -> None:
        """Begin to watch a connection whose handshake is done."""
        super().__init__(clock)
        self._reader, self._writer, self._tls = reader, writer, tls
        self._opened = clock.monotonic()
        self._acknowledged = Acknowledged(writer.get_extra_info("socket"))
        self._written = 0
        self._ends: deque[int] = deque()
        """Up to which octet of the stream each message goes that has not arrived."""
        self._watching = asyncio.create_task(self._watch(), name="Connection to a syslog receiver")

    @property
    @override
    def proven(self) -> bool:
        """Whether the receiver has kept the connection for a moment; one that refuses us closes it at once."""
        return not self.lost.done() and self._clock.monotonic() - self._opened >= GRACE

    @property
    @override
    def unsettled(self) -> bool:
        """Whether messages are under way, or the receiver may still refuse us."""
        return bool(self._ends) or not self.proven

    @property
    @override
    def room(self) -> int:
        """None while the receiver may refuse us: with TLS 1.3 it does so after the handshake, and drops what it got."""
        return max(0, FLIGHT - len(self._ends)) if self.proven and self._waiting < _BUFFER else 0

    @override
    def send(self, message: bytes) -> None:
        """Write a message into the stream."""
        data = framed(message)
        try:
            if self._tls is not None:
                data = self._tls.encrypt(data)
        except OSError as error:
            self._lose(reason_of(error))
        else:
            self._write(data)
        self._ends.append(self._written)

    @override
    def arrived(self) -> int:
        """Count those of which the other computer has acknowledged every octet."""
        acknowledged = self._acknowledged.octets(0 if self.lost.done() else self._written - self._waiting)
        count = 0
        while self._ends and self._ends[0] <= acknowledged:
            self._ends.popleft()
            count += 1
        return count

    @override
    def close(self) -> None:
        """Take leave, and let the system send what it has; `SILENCE` bounds that."""
        self._watching.cancel()
        if self.lost.done():
            self._writer.transport.abort()
        else:
            if self._tls is not None:
                self._writer.write(self._tls.part())
            self._writer.close()
        self._acknowledged.close()

    @property
    def _waiting(self) -> int:
        """Octets that the system has not taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def _write(self, data: bytes) -> None:
        self._writer.write(data)
        self._written += len(data)

    async def _watch(self) -> None:
        """Read, only to see the end: without that the first message after it would be lost."""
        try:
            while data := await self._reader.read(_CHUNK):
                if self._tls is not None and (answer := self._tls.hear(data)):
                    self._write(answer)
        except OSError as error:
            self._lose(reason_of(error))
        else:
            self._lose("it closed the connection")


class Acknowledged:
    """What the other computer has acknowledged, as the system knows it, also after the connection has failed."""

    def __init__(self, connection: socket.socket) -> None:
        """Keep a hold on the connection, for when asyncio lets go of it."""
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._first = self._count() + self._outstanding()
        """What was acknowledged, or will be, of what came before the first message."""

    def octets(self, handed: int) -> int:
        """Count those since the beginning; `handed` to the system, which counts where it does not tell."""
        return self._count() - self._first if TELLS else handed

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def _count(self) -> int:
        if not TELLS:
            return 0
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
        return int.from_bytes(info[_BYTES_ACKED:], sys.byteorder)

    def _outstanding(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)), sys.byteorder) if TELLS else 0


async def connect(receiver: SyslogReceiver, clock: Clock) -> Connection:
    """Open the way to a receiver. Raises OSError, for people in the words of `reason_of`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        if receiver.transport == "udp":
            _, datagrams = await loop.create_datagram_endpoint(
                lambda: Datagrams(clock), remote_addr=(receiver.address, receiver.port)
            )
            return datagrams
        reader, writer = await asyncio.open_connection(
            receiver.address, receiver.port, limit=_BUFFER, happy_eyeballs_delay=0.25
        )
        try:
            _keep_alive(writer.get_extra_info("socket"))
            tls = None
            if receiver.transport == "tls":
                # Read anew for each connection, and for none that fails: what has been renewed is used from then on.
                context = await asyncio.to_thread(trust, receiver)
                tls = Tls(context, receiver.server_name or receiver.address)
                await tls.shake_hands(reader, writer)
            return Stream(reader, writer, tls, clock)
        except BaseException:
            # A handshake that failed still has its reason to tell to the receiver.
            writer.close()
            raise


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def reason_of(error: Exception) -> str:
    """Say in a few words why a receiver cannot be reached."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
        case socket.gaierror():
            return f"its name cannot be resolved: {error.strerror}"
        case TimeoutError():
            return "it does not answer"
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


__all__ = ["GRACE", "Connection", "connect", "reason_of"]

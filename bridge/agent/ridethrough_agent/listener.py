"""Where bridges connect: who may knock, and what a handshake may cost.

Strangers end at the first hurdle that they meet, the cheap ones first: their address, a free place, the server name,
their certificate, and whose it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
import contextlib
from dataclasses import dataclass
import logging
import socket
import ssl
import time
from typing import Any

from .bridges import Bridge, PairingError, server_context
from .configuration import Configuration, listed
from .frames import LIMIT
from .limits import Rate

_LOGGER = logging.getLogger(__name__)

HANDSHAKES = 16
"""Connections that may be in their handshake at a time."""
PATIENCE = 5.0
"""Seconds for a handshake."""
_LINES = 10
"""Log lines per minute about strangers."""

Meet = Callable[[Bridge, str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(eq=False)
class _Guest:
    """A connection in its handshake."""

    address: str
    connection: socket.socket
    task: asyncio.Task[None] | None = None
    begun: bool = False
    """Whether asyncio has the socket and closes it."""

    def dismiss(self) -> None:
        """End it."""
        if self.task is not None:
            self.task.cancel()
        if not self.begun:
            self.connection.close()


class Listener:
    """Accepts connections and hands on those of paired bridges."""

    def __init__(self, configuration: Configuration, meet: Meet) -> None:
        """Hand each connection whose bridge is known to `meet`."""
        self._configuration = configuration
        self._meet = meet
        self._named: dict[str, ssl.SSLContext] = {}
        self._owners: dict[ssl.SSLContext, Bridge] = {}
        self._door = server_context()
        self._door.sni_callback = self._choose
        self._guests: list[_Guest] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines = Rate(_LINES, 60.0)

    def use(self, bridges: Sequence[Bridge]) -> None:
        """Know these bridges and no others."""
        named, owners = {}, {}
        for bridge in bridges:
            try:
                context = bridge.context()
            except PairingError as error:
                _LOGGER.error("%s", error)
                continue
            named[bridge.server_name] = context
            owners[context] = bridge
        self._named, self._owners = named, owners

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Take the certificate and the authority of the bridge that calls us by this name; ends the rest."""
        context = self._named.get((name or "").lower())
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            await asyncio.gather(*[self._serve(address) for address in self._configuration.listen or ("",)])
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, address: str) -> None:
        port = self._configuration.port
        told = False
        while True:
            try:
                server = _open(address, port)
                break
            except OSError as error:
                if not told:
                    told = True
                    _LOGGER.error(
                        "Cannot listen on %s port %d (%s): trying again", address or "any address", port, error
                    )
                await asyncio.sleep(2.0)
        _LOGGER.info("Listening on %s port %d", address or "any address", port)
        loop = asyncio.get_running_loop()
        with server:
            while True:
                try:
                    connection, peer = await loop.sock_accept(server)
                except OSError as error:
                    # Too many open files, for example: it is no use to try again at once.
                    self._say("A connection cannot be accepted: %s", str(error))
                    await asyncio.sleep(0.2)
                    continue
                self._admit(connection, str(peer[0]))

    def _admit(self, connection: socket.socket, address: str) -> None:
        allowed = self._configuration.addresses
        if allowed and not listed(address, allowed):
            connection.close()
            self._say("Connection refused: %s is not among the senders' addresses", address)
            return
        if len(self._guests) >= HANDSHAKES:
            self._make_room()
        guest = _Guest(address, connection)
        guest.task = asyncio.create_task(self._receive(guest))
        self._guests.append(guest)
        self._tasks.add(guest.task)
        guest.task.add_done_callback(self._tasks.discard)

    def _make_room(self) -> None:
        """End the oldest handshake of the address that has most of them: a flood from one does not push others out."""
        crowd = Counter(guest.address for guest in self._guests).most_common(1)[0][0]
        oldest = next(guest for guest in self._guests if guest.address == crowd)
        self._guests.remove(oldest)
        oldest.dismiss()
        self._say("Too many connections at a time: the oldest handshake of %s was ended", crowd)

    async def _receive(self, guest: _Guest) -> None:
        """Do the handshake, and find out whose connection it is."""
        guest.begun = True
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, guest.connection, ssl=self._door, ssl_handshake_timeout=PATIENCE
            )
        except (OSError, asyncio.TimeoutError) as error:  # ssl.SSLError is an OSError
            # The socket is asyncio's by now, which closes it: closing it here as well could hit another's.
            self._say("Handshake with %s failed: %s", guest.address, str(error) or "it went away")
            return
        except asyncio.CancelledError:
            # One that had not even begun would stay open until its time is up.
            with contextlib.suppress(OSError):
                guest.connection.shutdown(socket.SHUT_RDWR)
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._guests.remove(guest)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            secured = transport.get_extra_info("ssl_object")
            bridge = self._owners.get(secured.context)
            if bridge is None or bridge.common_name not in _common_names(secured):
                self._say("Connection refused: %s shows a certificate that is not the bridge's", guest.address)
                return
            await self._meet(bridge, guest.address, reader, writer)
        finally:
            transport.abort()

    def _say(self, message: str, *values: str) -> None:
        """Log what strangers do, but let none of them fill the log."""
        if self._lines.allows(time.monotonic()):
            _LOGGER.warning(f"{message}%s", *values, self._lines.told())  # noqa: G004  # the format is ours


def _open(address: str, port: int) -> socket.socket:
    """Listen on one address, or on all of both families where the system has IPv6."""
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, port), family=family, backlog=128)
    elif socket.has_dualstack_ipv6():
        server = socket.create_server(("::", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    else:
        server = socket.create_server(("0.0.0.0", port), backlog=128)
    server.setblocking(False)
    return server


def _common_names(secured: ssl.SSLObject) -> list[str]:
    certificate = secured.getpeercert() or {}
    subject: Any = certificate.get("subject", ())
    return [value for part in subject for key, value in part if key == "commonName"]


__all__ = ["Listener"]

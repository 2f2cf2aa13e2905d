"""TLS to an agent, over a connection of the event loop.

The event loop's own TLS keeps a quarter of a megabyte for each connection and does whatever has arrived in one go. With
a thousand agents that would be 250 MB, and a loop that stands still while all of them answer one order.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import ssl
from typing import cast, override

from .turns import Turns

PIECE = 4096
"""Bytes that are read in one turn."""
MOST_UNREAD = 32 * 1024
"""Bytes that wait to be read before the agent is made to wait."""
MOST_UNSENT = 64 * 1024
"""Bytes that an agent may leave unread before it counts as gone."""
WINDOW, MOST_IN_WINDOW = 10.0, 128 * 1024
"""Seconds, and the bytes that may come in them. A hello and twenty answers a second are less; an agent that has been
taken over must not keep the bridge busy."""
ENDED = "it ended the connection"
_WRONG_NAME = 62
"""X509_V_ERR_HOSTNAME_MISMATCH."""


class Channel(asyncio.Protocol):
    """One TLS connection, seen from the client."""

    def __init__(
        self,
        context: ssl.SSLContext,
        server_name: str,
        turns: Turns,
        *,
        secured: Callable[[bytes], None],
        received: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        """`secured` hears the agent's certificate (DER), `received` what it says, `ended` once and last, and why."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._turns = turns
        self._on_secured = secured
        self._on_received = received
        self._on_ended = ended
        self._transport: asyncio.Transport | None = None
        self._secure = self._scheduled = self._paused = self._over = False
        self._window = -WINDOW
        self._came = 0
        self.address = ""
        """Of the agent."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.address = str(name[0]) if name else ""
        self._schedule()

    @override
    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._window >= WINDOW:
            self._window, self._came = now, 0
        self._came += len(data)
        if self._came > MOST_IN_WINDOW:
            self.abort("it sends more than an agent has to say")
            return
        self._incoming.write(data)
        if self._incoming.pending > MOST_UNREAD and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._schedule()

    @override
    def eof_received(self) -> bool:
        self._incoming.write_eof()
        self._schedule()
        return True  # what came before is read first

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ENDED if exc is None else f"the connection broke ({exc})")

    def send(self, data: bytes) -> None:
        """Send what belongs together."""
        if self._over or not self._secure:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self.abort(_reason(error))
            return
        self._flush()

    def close(self, reason: str) -> None:
        """End the connection in an orderly way."""
        if self._over:
            return
        if self._secure:
            with suppress(ssl.SSLError):  # the other end need not say goodbye
                self._tls.unwrap()
            self._flush()
        if self._transport is not None:
            self._transport.close()
        self._end(reason)

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    # How it is done

    def _schedule(self) -> None:
        if not self._scheduled and not self._over:
            self._scheduled = True
            self._turns.add(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self._over:
            return
        try:
            if not self._secure:
                self._tls.do_handshake()
                self._secure = True
                self._flush()
                self._on_secured(cast("bytes", self._tls.getpeercert(binary_form=True)))
            elif data := self._tls.read(PIECE):
                self._on_received(data)
            else:
                self.abort(ENDED)
                return
        except ssl.SSLWantReadError:
            self._flush()
            if not self._incoming.eof:
                self._resume()
                return
            self.abort(ENDED)
        except ssl.SSLError as error:
            self._flush()  # it is told why
            self._close_transport()
            self._end(_reason(error))
        else:
            self._schedule()

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _flush(self) -> None:
        if self._transport is None or not self._outgoing.pending:
            return
        self._transport.write(self._outgoing.read())
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self.abort("it does not read what it is sent")

    def _close_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            ended, self._on_ended = self._on_ended, _ignore
            # Both ends of this knot are freed at once, without waiting for the garbage to be collected.
            self._on_secured = self._on_received = _ignore
            ended(reason)


def _ignore(_: object) -> None:
    """Hear nothing any longer."""


def _reason(error: ssl.SSLError) -> str:
    """Say what went wrong, as the end of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _WRONG_NAME:
            return "it shows the certificate of another agent"
        return f"it shows a certificate that is not of this bridge's authority ({error.verify_message})"
    told = error.reason or str(error)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ENDED
    if "ALERT" in told:
        return f"it does not accept this bridge's certificate ({told}); pair it anew"
    return f"it does not talk TLS as an agent does ({told})"


__all__ = ["ENDED", "MOST_IN_WINDOW", "WINDOW", "Channel"]

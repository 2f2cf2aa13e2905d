"""One TCP connection: only so many at a time, idle ones are closed, and no answer tells which software runs."""

import asyncio
from http import HTTPStatus
import logging
import socket
import sys

from aiohttp import web

_LOGGER = logging.getLogger(__name__)

SERVER = "Ridethrough"
"""What the `Server` header says: no versions, which would tell an attacker what to try."""


UNSENT = 128 * 1024
"""Bytes that the kernel queues for a client. By default it takes megabytes, and with them old values."""


def _keep_short(connection: socket.socket) -> None:
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


class Connection(web.RequestHandler):
    """aiohttp's connection with a count of its kind, and with errors that are quiet on both sides."""

    __slots__ = ("_full", "_others", "writable")

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, others: set[Connection], most: int, idle: float
    ) -> None:
        """Serve requests with `server`; `others` are the connections there are, at most `most`."""
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=idle,
            lingering_time=1.0,
            logger=_LOGGER,
            access_log=None,  # type: ignore[arg-type]  # documented, but not annotated: no access log
        )
        self._others = others
        self._full = len(others) >= most
        self.writable = asyncio.Event()
        """Set while the client takes what is sent. aiohttp's own way to wait for that cannot be interrupted twice."""
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or end at once when there are too many."""
        super().connection_made(transport)
        _keep_short(transport.get_extra_info("socket"))
        if self._full:
            self.force_close()
        else:
            self._others.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        self._others.discard(self)
        self.writable.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client does not take what is sent."""
        super().pause_writing()
        self.writable.clear()

    def resume_writing(self) -> None:
        """Note that the client takes it again."""
        super().resume_writing()
        self.writable.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what we failed at, and close the connection."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOGGER.error("A request from %s failed", request.remote, exc_info=exc)
        else:
            _LOGGER.debug("What came from %s is no HTTP: %s", request.remote, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun already.")
        answer = web.Response(status=status, text=f"{HTTPStatus(status).phrase}\n", headers={"Server": SERVER})
        answer.force_close()
        return answer


__all__ = ["SERVER", "Connection"]

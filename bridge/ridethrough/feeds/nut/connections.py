"""The connections that there are: who may have one, and what happens on each."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
import ssl

from ridethrough.clock import Clock
from ridethrough.config.feeds import NutConfig
from ridethrough.feeds.admission import Admission
from ridethrough.feeds.base import Traffic

from .dialogue import After, Answer, Dialogue, Server
from .lines import Lines, TooLongError
from .wire import Error, decode

TOO_LONG = Answer((f"ERR {Error.TOO_LONG}",), After.CLOSE, refused=True)
"""What a line gets that does not end; where the next one begins, nobody could say."""


@dataclass(slots=True, eq=False)
class Connection:
    """One of them."""

    lines: Lines
    dialogue: Dialogue
    heard: float
    """When it last asked something (monotonic)."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Connections:
    """Admits clients and answers each, one request after the other.

    When there is no room for one more, that of those who have not shown a password goes who has asked nothing for
    longest, from the address that has most: whoever opens connections to block others blocks himself.
    """

    def __init__(self, config: NutConfig, traffic: Traffic, clock: Clock, tls: ssl.SSLContext | None) -> None:
        """There are none; `serve` must be set before there are."""
        self._config = config
        self._admission = Admission(config.clients)
        self._traffic = traffic
        self._clock = clock
        self._tls = tls
        self._open: set[Connection] = set()

    def logins(self, ups: str) -> Iterator[str]:
        """Give the addresses of the clients that are logged in to a UPS."""
        return iter(sorted(one.dialogue.address for one in self._open if one.dialogue.login == ups))

    def accept(self, lines: Lines, server: Server) -> None:
        """Take a new client, or send it away."""
        host = lines.host
        if not self._admission.admits(host) or not self._has_room():
            self._traffic.errors += 1
            lines.abort()
            return
        connection = Connection(lines, Dialogue(server, host), self._clock.monotonic())
        self._open.add(connection)
        self._traffic.clients = len(self._open)
        connection.task = asyncio.create_task(self._talk(connection), name=f"NUT client {host}")
        connection.task.add_done_callback(lambda _: self._ended(connection))

    async def stop(self) -> None:
        """Close all of them."""
        tasks = [one.task for one in self._open if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # How it is done

    async def _talk(self, connection: Connection) -> None:
        lines = connection.lines
        try:
            while await self._answer(connection, await self._next(connection)):
                # Also when the next request is here already: the others have their turn.
                await asyncio.sleep(0)
            await lines.finish()
        except OSError:
            # It has gone, says nothing, does not read, or cannot encrypt.
            lines.abort()
        except BaseException:
            lines.abort()
            raise

    async def _next(self, connection: Connection) -> bytes | None:
        """Wait for a request; None for one that is too long to be any."""
        try:
            async with asyncio.timeout(self._config.idle):
                return await connection.lines.line()
        except TooLongError:
            return None
        finally:
            connection.heard = self._clock.monotonic()

    async def _answer(self, connection: Connection, line: bytes | None) -> bool:
        """Answer a request; returns whether there may be more."""
        dialogue, lines = connection.dialogue, connection.lines
        answer = TOO_LONG if line is None else await dialogue.answer(decode(line))
        self._traffic.requests += 1
        self._traffic.errors += answer.refused
        if answer.after is After.ENCRYPT and self._tls is not None:
            await lines.encrypt(answer.encoded, self._tls)
            dialogue.encrypted = True
            return True
        await lines.send(answer.encoded)
        return answer.after is not After.CLOSE

    def _ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._traffic.clients = len(self._open)

    def _has_room(self) -> bool:
        if len(self._open) < self._config.connections:
            return True
        crowd = Counter(one.dialogue.address for one in self._open)
        strangers = [one for one in self._open if not one.dialogue.known]
        if not strangers:
            return False
        gone = min(strangers, key=lambda one: (-crowd[one.dialogue.address], one.heard))
        gone.lines.abort()
        self._ended(gone)
        return True


__all__ = ["Connections"]

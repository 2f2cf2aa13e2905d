"""One client's conversation: hello, auth, ready, subscribe; then changes and events one way, commands the other."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
import logging
from typing import Literal, NoReturn

from aiohttp import WSMsgType, web

from ridethrough.config import ConfigureError
from ridethrough.events.event import JournalError
from ridethrough.events.orders import Orders, Outcome
from ridethrough.site import CommandError

from . import wire
from .broadcast import Broadcast
from .configuration import Desk
from .connection import Connection
from .gate import Gate
from .limits import Limits
from .outbox import Outbox
from .protocols import TokenInfo, TokenVerifier
from .requests import Auth, Command, Configure, MalformedRequest, MissingToken, Request, Subscribe, parse
from .roster import NO_AUTH, TRY_LATER, WRONG_TOKEN, Roster

_LOGGER = logging.getLogger(__name__)

GOING_AWAY = 1001
INTERNAL = 1011
MALFORMED = 4400
WRONG_VERSION = 4406
TOO_SLOW = 4429

LONGEST_REASON = 120
"""Bytes. A close frame holds 123 (RFC 6455 §5.5)."""

type Socket = web.WebSocketResponse[Literal[False]]


class Hangup(Exception):
    """The conversation is over. Without a code the client is gone already."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        """End with this close code and reason."""
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class House:
    """What all conversations of one server share."""

    greeting: Callable[[], bytes]
    tokens: TokenVerifier
    gate: Gate
    roster: Roster
    broadcast: Broadcast
    orders: Orders
    desk: Desk
    limits: Limits


class Session:
    """Reads in one task and writes in another, so that a client may be slow in either without holding up the rest."""

    def __init__(self, house: House, socket: Socket, connection: Connection, address: str) -> None:
        """Converse over `socket`, which is open, with whoever is at `address`."""
        self._house = house
        self._socket = socket
        self._connection = connection
        self._address = address
        self._token: TokenInfo | None = None
        self._told: asyncio.Future[Hangup] = asyncio.get_running_loop().create_future()
        self._outbox = Outbox(partial(self.hangup, TOO_SLOW, "Too many events are waiting; subscribe anew."))
        self._pending = 0
        self._configuring: dict[object, Callable[[], None]] = {}
        """Requests about the configuration under way: what to call when the client leaves."""
        self._heard = asyncio.get_running_loop().time()

    def hangup(self, code: int, reason: str) -> None:
        """End the conversation from outside."""
        if not self._told.done():
            self._told.set_result(Hangup(code, reason))

    async def run(self) -> None:
        """Converse until either side has had enough."""
        house = self._house
        hangups: list[Hangup] = []
        house.roster.arrive(self)
        house.broadcast.join(self._outbox)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._write())
                group.create_task(self._listen())
        except* Hangup as ended:
            hangups = [end for end in ended.exceptions if isinstance(end, Hangup)]
        except* Exception:
            _LOGGER.exception("The conversation with %s failed in a way nobody foresaw", self._name)
            hangups = [Hangup(INTERNAL, "The bridge has failed; its log says more.")]
        finally:
            for leave in list(self._configuring.values()):
                leave()
            house.broadcast.leave(self._outbox)
            house.roster.leave(self)
        await self._close(hangups[0])

    # Reading

    async def _read(self) -> NoReturn:
        self._outbox.answer(self._house.greeting())
        token = await self._authenticate()
        house = self._house
        while True:
            await self._outbox.room()
            match await self._receive():
                case Subscribe(events_after):
                    self._outbox.ask(events_after)
                case Command() as command:
                    self._command(command, token)
                case Configure() as request if house.desk.open:
                    self._configure(request, token)
                case Configure():
                    raise Hangup(MALFORMED, "This bridge cannot be configured by its clients.")
                case Auth():
                    raise Hangup(MALFORMED, "The token has been shown already.")

    async def _authenticate(self) -> TokenInfo:
        house = self._house
        try:
            async with asyncio.timeout(house.limits.auth):
                request = await self._receive()
        except TimeoutError as error:
            raise Hangup(NO_AUTH, f"No auth within {house.limits.auth:g} s.") from error
        if not isinstance(request, Auth):
            raise Hangup(MALFORMED, "The first message must be auth.")
        if not request.supported:
            raise Hangup(WRONG_VERSION, f"This bridge speaks version {wire.API['min']} of the API.")
        # A good token passes whatever else comes from its address: the others there may be strangers behind one router.
        token = await house.tokens.verify(request.token)
        if token is None:
            if house.gate.wait(self._address) > 0:
                raise Hangup(TRY_LATER, "Too many wrong tokens came from this address; wait a minute.")
            house.gate.failed(self._address)
            _LOGGER.warning("A client at %s has shown a wrong token", self._address)
            raise Hangup(WRONG_TOKEN, "The token is wrong, revoked or expired.")
        if not house.roster.admit(self, token):
            _LOGGER.warning("There are %d clients; %s (%s) must wait", house.limits.clients, self._address, token.name)
            raise Hangup(TRY_LATER, f"{house.limits.clients} clients are connected; that is all there may be.")
        self._token = token
        self._outbox.answer(wire.ready(token.role, configure=house.desk.open))
        return token

    async def _receive(self) -> Request:
        while True:
            message = await self._socket.receive()
            self._heard = asyncio.get_running_loop().time()
            if message.type is WSMsgType.PING:
                self._outbox.echo(message.data)
            elif message.type is not WSMsgType.PONG:
                break
        if message.type is WSMsgType.BINARY:
            raise Hangup(MALFORMED, "Messages must be text.")
        if message.type is not WSMsgType.TEXT:
            raise Hangup
        try:
            return parse(message.data)
        except MalformedRequest as error:
            missing = isinstance(error, MissingToken) and self._token is None
            raise Hangup(WRONG_TOKEN if missing else MALFORMED, str(error)) from error

    def _command(self, command: Command, token: TokenInfo) -> None:
        limit = self._house.limits.pending

        def done(outcome: Outcome) -> None:
            self._pending -= 1
            self._outbox.answer(wire.result(command.id, outcome))

        self._pending += 1
        if self._pending > limit:
            done(CommandError("refused", f"{limit} commands are being carried out already; wait for a result."))
        else:
            self._house.orders.accept(command.order, token, done)

    def _configure(self, request: Configure, token: TokenInfo) -> None:
        limit = self._house.limits.configuring_each

        def done(outcome: Mapping[str, object] | ConfigureError) -> None:
            self._configuring.pop(place, None)
            self._outbox.answer(wire.configured(request.id, outcome))

        place = object()
        if len(self._configuring) >= limit:
            done(ConfigureError("busy", f"{limit} such requests are being worked on already; wait for an answer."))
            return
        self._configuring[place] = lambda: None
        leave = self._house.desk.accept(request, token, done)
        if place in self._configuring:
            self._configuring[place] = leave

    async def _listen(self) -> NoReturn:
        """Wait until the conversation is ended from outside, or the client has vanished without a word."""
        heartbeat = self._house.limits.heartbeat
        while not self._told.done():
            await asyncio.wait([self._told], timeout=heartbeat / 2)
            quiet = asyncio.get_running_loop().time() - self._heard
            if quiet >= 1.5 * heartbeat:
                raise Hangup
            if quiet >= heartbeat / 2:
                self._outbox.ping()
        raise self._told.result()

    # Writing

    async def _write(self) -> NoReturn:
        while True:
            await self._outbox.news.wait()
            self._outbox.news.clear()
            while await self._write_next():
                pass

    async def _write_next(self) -> bool:
        """Send what is most urgent; False when there is nothing to send."""
        outbox = self._outbox
        if (answer := outbox.take_answer()) is not None:
            await self._send(answer)
            return True
        if (echo := outbox.take_echo()) is not None:
            await self._send(echo, WSMsgType.PONG)
            return True
        if outbox.take_ping():
            await self._send(b"", WSMsgType.PING)
            return True
        for events_after in outbox.take_subscription():
            cut = self._house.broadcast.cut(outbox, events_after)
            await self._send(await cut.text())
            return True
        if not outbox.live:
            return False
        if not outbox.replaying and (delta := outbox.take_delta()) is not None:
            await self._send(delta.text)
            return True
        return await self._write_events()

    async def _write_events(self) -> bool:
        outbox, broadcast = self._outbox, self._house.broadcast
        if outbox.cursor >= broadcast.last_event:
            return False
        try:
            rows = await broadcast.events_after(outbox.cursor)
        except JournalError as error:
            _LOGGER.warning("%s cannot be told what happened: %s", self._name, error)
            raise Hangup(INTERNAL, "The journal cannot be read at the moment.") from error
        if not rows and outbox.live:
            # The journal no longer has them.
            outbox.cursor = broadcast.last_event
        for seq, text in rows:
            if not outbox.live:
                # The client has subscribed anew meanwhile.
                break
            await self._send(text)
            outbox.cursor = seq
        return True

    async def _send(self, text: bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        """Send a message and wait until the client has taken most of it."""
        try:
            await self._socket.send_frame(text, kind)
            if not self._connection.writable.is_set():
                async with asyncio.timeout(self._house.limits.send):
                    await self._connection.writable.wait()
        except TimeoutError as error:
            _LOGGER.warning("%s reads too slowly and is dropped", self._name)
            raise Hangup(TOO_SLOW, "This client reads too slowly.") from error
        except ConnectionError as error:
            raise Hangup from error

    async def _close(self, hangup: Hangup) -> None:
        try:
            if hangup.code is not None:
                reason = str(hangup).encode()[:LONGEST_REASON]
                async with asyncio.timeout(self._house.limits.farewell):
                    await self._socket.close(code=hangup.code, message=reason, drain=False)
        except TimeoutError:
            pass
        finally:
            # Whoever does not read would otherwise keep what is waiting for it, and the socket, for ever.
            if self._connection.transport is not None:
                self._connection.transport.abort()

    @property
    def _name(self) -> str:
        return self._address if self._token is None else f"{self._token.name} at {self._address}"


__all__ = ["GOING_AWAY", "House", "Session"]
